"""Watchlists: made from pasted symbols, scanned, switched, deleted."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo


def test_a_watchlist_is_made_scanned_switched_and_deleted(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/watchlists")
    expect(page.get_by_text("No watchlists yet")).to_be_visible()
    page.get_by_role("button", name="New watchlist").first.click()
    page.get_by_label("Name").fill("tech")
    page.get_by_label("Tickers of one market").fill("aapl;MSFT\nGOOG, goog")
    page.get_by_role("button", name="Make it").click()
    card = page.get_by_role("article", name="Watchlist tech")
    expect(card.get_by_role("listitem")).to_have_text(["AAPL", "MSFT", "GOOG"])

    card.get_by_role("button", name="Scan now").click()
    expect(card.get_by_text("complete")).to_be_visible()
    run = demo.database.detection_runs.find({"task": "incremental"}).sort("requested_at", -1)[0]
    assert sorted(run["tickers"]) == ["AAPL", "GOOG", "MSFT"]

    card.get_by_role("switch").click()
    expect(card.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert demo.database.watchlists.find_one({"_id": "tech"})["enabled"] is False

    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No watchlists yet")).to_be_visible()


def test_what_is_wrong_with_a_watchlist_is_said_in_the_dialog(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/watchlists", quiet=False)
    page.get_by_role("button", name="New watchlist").first.click()
    page.get_by_label("Name").fill("mixed")
    page.get_by_label("Tickers of one market").fill("AAPL 7203.T")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("JP, US")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_periodic_scans_are_switched_off_and_on(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/watchlists")
    page.get_by_role("switch", name="Periodic scans on").click()
    switch = page.get_by_role("switch", name="Periodic scans off")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(page.get_by_role("switch", name="Periodic scans on")).to_be_visible()

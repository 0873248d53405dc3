"""Watchlists: created from pasted symbols, scanned, switched, deleted."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo


def test_a_watchlist_is_created_scanned_switched_and_deleted(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/watchlists")
    expect(page.get_by_text("No watchlists yet")).to_be_visible()
    page.get_by_role("button", name="New watchlist").first.click()
    page.get_by_label("Name").fill("tech")
    page.get_by_label("Tickers, pasted").fill("aapl;MSFT\nGOOG, goog")
    page.get_by_role("button", name="Make it").click()
    card = page.get_by_role("article", name="Watchlist tech")
    expect(card.get_by_role("listitem")).to_have_text(["AAPL", "MSFT", "GOOG"])

    card.get_by_role("button", name="Scan now").click()
    expect(card.get_by_text("complete")).to_be_visible()
    run = demo.database.detection_runs.find_one({"task": "incremental", "watchlist": "tech"})
    assert run is not None
    assert sorted(run["tickers"]) == ["AAPL", "GOOG", "MSFT"]

    card.get_by_role("switch").click()
    expect(card.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert demo.database.watchlists.find_one({"_id": "tech"})["enabled"] is False

    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No watchlists yet")).to_be_visible()


def test_the_page_shows_a_scan_by_the_scheduler(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/watchlists")
    page.get_by_role("button", name="New watchlist").first.click()
    page.get_by_label("Name").fill("monthly")
    page.get_by_label("Tickers, pasted").fill("IBM FB")
    page.get_by_label("Scanned").select_option("by cron")
    page.get_by_label("Cron, in the first market's time").fill("0 12 2 * *")
    page.get_by_role("button", name="Make it").click()
    card = page.get_by_role("article", name="Watchlist monthly")
    expect(card).to_contain_text("0 12 2 * *")
    expect(card).to_contain_text("never")
    # As if its last slot had passed while nothing ticked.
    passed = {"last_slot": datetime.now(UTC) - timedelta(days=40), "next_scan": None}
    demo.database.watchlists.update_one({"_id": "monthly"}, {"$set": passed})

    expect(card.get_by_role("link", name="Periodic scan")).to_be_visible()
    expect(card.get_by_text("complete", exact=True)).to_be_visible()
    run = demo.database.detection_runs.find_one({"trigger": "scheduler", "watchlist": "monthly"})
    assert run is not None
    assert sorted(run["tickers"]) == ["FB", "IBM"]
    expect(
        card.get_by_role("link", name="just now").or_(card.get_by_role("link", name="minute"))
    ).to_have_attribute("href", re.compile("#/runs/"))

    overview = open_page(demo.url)
    market = overview.get_by_role("region", name="Markets")
    expect(market).to_contain_text("Watched2")
    expect(market).to_contain_text(re.compile("Last scan(just now|.* ago)"))

    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No watchlists yet")).to_be_visible()


@pytest.mark.slow
def test_no_scan_is_said_to_come_soon_while_periodic_scans_are_off(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    requests.post(f"{demo.url}py/watchlists", json={"name": "idle", "tickers": ["IBM"]}, timeout=9)
    page = open_page(f"{demo.url}#/watchlists")
    card = page.get_by_role("article", name="Watchlist idle")
    expect(card).to_contain_text("Next scan")
    expect(card).not_to_contain_text("scans are off")
    page.get_by_role("switch", name="Periodic scans on").click()
    expect(card).to_contain_text("Next scannone while periodic scans are off")
    page.get_by_role("switch", name="Periodic scans off").click()
    expect(card).not_to_contain_text("scans are off")
    requests.delete(f"{demo.url}py/watchlists/idle", timeout=9)


@pytest.mark.slow
def test_a_change_keeps_fields_that_are_not_shown(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    demo.api.post("/watchlists", {"name": "slow feed", "tickers": ["IBM"], "delay_minutes": 45})
    page = open_page(f"{demo.url}#/watchlists")
    card = page.get_by_role("article", name="Watchlist slow feed")
    expect(card).to_contain_text("45 minutes after each closed bar")
    card.get_by_role("switch").click()
    expect(card.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    card.get_by_role("button", name="Edit").click()
    page.get_by_label("Minutes after the close").fill("90")
    page.get_by_role("button", name="Save").click()
    expect(card).to_contain_text("90 minutes after each closed bar")
    stored = demo.database.watchlists.find_one_and_delete({"_id": "slow feed"})
    assert (stored["delay_minutes"], stored["enabled"], stored["schedule"]) == (
        90,
        False,
        "after_close",
    )


def test_errors_of_a_watchlist_are_shown_in_the_dialog(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/watchlists", quiet=False)
    page.get_by_role("button", name="New watchlist").first.click()
    page.get_by_label("Name").fill("mixed")
    page.get_by_label("Tickers, pasted").fill("AAPL 7203")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("7203")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_periodic_scans_are_switched_off_and_on(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/watchlists")
    page.get_by_role("switch", name="Periodic scans on").click()
    switch = page.get_by_role("switch", name="Periodic scans off")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(page.get_by_role("switch", name="Periodic scans on")).to_be_visible()


def test_a_change_over_somebody_elses_is_refused_with_advice_and_keeps_the_typed_text(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    made = {"name": "shared", "tickers": ["AAPL", "MSFT"]}
    demo.api.post("/watchlists", made)
    page = open_page(f"{demo.url}#/watchlists", quiet=False)
    card = page.get_by_role("article", name="Watchlist shared")
    card.get_by_role("button", name="Edit").click()
    tickers = page.get_by_label("Tickers, pasted")
    tickers.fill("AAPL, MSFT, IBM")
    changed = {"$inc": {"version": 1}, "$set": {"delay_minutes": 7}}
    demo.database.watchlists.update_one({"_id": "shared"}, changed)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Copy what you need")
    expect(tickers).to_have_value("AAPL, MSFT, IBM")
    page.keyboard.press("Escape")
    # The row is redrawn with its present values, and the keyboard focus is kept.
    expect(card).to_contain_text("7 minutes after each closed bar")
    expect(card.get_by_role("button", name="Edit")).to_be_focused()
    switch = card.get_by_role("switch")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    card.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)
    expect(page.get_by_role("main")).to_be_focused()


@pytest.mark.slow
def test_an_open_page_requests_tickers_again_after_a_watchlist_was_changed(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    demo.api.post("/watchlists", {"name": "quiet", "tickers": ["AAPL", "MSFT"]})
    for address in ("#/watchlists", "#/overview"):
        page = open_page(f"{demo.url}{address}")
        for _ in range(2):  # By then the page's first requests have been made.
            with page.expect_request("**/py/scheduler"):
                pass
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        for _ in range(2):
            with page.expect_request("**/py/scheduler"):
                pass
        assert not [url for url in asked if "/py/watchlists" in url]
        # A changed watchlist is shown with its new tickers.
        changed = {"$inc": {"version": 1}, "$push": {"tickers": "IBM"}}
        with page.expect_request("**/py/watchlists?*"):
            demo.database.watchlists.update_one({"_id": "quiet"}, changed)
        page.close()
    demo.database.watchlists.delete_one({"_id": "quiet"})

"""The frame around the pages: navigation, and messages if there is no page or no API."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo

FROZEN_MILLISECONDS = 5_000


def test_the_keyboard_skips_to_the_content(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/runs?task=train")
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page).to_have_url(re.compile("#/runs.task=train$"))
    page.keyboard.press("Tab")
    expect(page.get_by_label("Status")).to_be_focused()


def test_an_incomplete_address_shows_a_message(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/nowhere%E2%82")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    page.goto(f"{demo.url}#/ticker")
    expect(page.get_by_text("Which ticker?")).to_be_visible()


@pytest.mark.slow
def test_a_frozen_api_is_reported_within_five_seconds_and_the_message_goes_when_it_is_back(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url, quiet=False)
    old = page.get_by_text("What you see may be old")

    def is_told_in_time() -> bool:
        expect(page.get_by_text("All well")).to_be_visible()
        expect(old).to_have_count(0)
        with demo.frozen("gunicorn"):
            try:
                expect(old).to_be_visible(timeout=FROZEN_MILLISECONDS)
            except AssertionError:
                return False
            expect(page.get_by_text("All well")).to_have_count(0)
            return True

    # A busy machine may once have had too little time for the browser.
    assert any(is_told_in_time() for _ in range(3))
    expect(page.get_by_text("All well")).to_be_visible()
    expect(old).to_have_count(0)


@pytest.mark.parametrize(
    ("link", "button"), [("Watchlists", "New watchlist"), ("Models", "Train a model")]
)
def test_a_dialog_closes_with_the_page_that_opened_it(
    demo: Demo, open_page: Callable[..., Page], link: str, button: str
) -> None:
    page = open_page(demo.url)
    page.get_by_role("link", name=link, exact=True).click()
    page.get_by_role("heading", level=1, name=link, exact=True).wait_for()
    page.get_by_role("button", name=button).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.goto(f"{demo.url}#/")
    expect(page.locator(".anomaly").first).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)
    page.get_by_role("link", name=link, exact=True).click()
    page.get_by_role("heading", level=1, name=link, exact=True).wait_for()
    page.get_by_role("button", name=button).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_page_that_failed_to_load_is_loaded_when_the_connection_is_back(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url, quiet=False)
    expect(page.locator(".anomaly").first).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Market US")).to_be_visible()
    expect(page.get_by_text("What you see may be old")).to_be_hidden()
    # Whatever state other tests left: it is requested again, and shown.
    expect(page.get_by_role("banner")).to_contain_text(re.compile("All well|Degraded"))


@pytest.mark.slow
def test_files_are_waited_for_on_a_slow_line_and_an_interrupted_answer_is_requested_again(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(f"{demo.url}#/ticker/AAPL")
    expect(page.get_by_role("region", name="Chart")).to_be_visible()
    # Wait four seconds for an answer instead of twenty.
    page.evaluate(
        "AbortSignal.timeout = ((f) => (ms) => f.call(AbortSignal, ms / 5))(AbortSignal.timeout)"
    )
    line = page.context.new_cdp_session(page)

    def throttle(down: int, up: int) -> None:
        speeds = {"downloadThroughput": down, "uploadThroughput": up}
        line.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, **speeds})

    line.send("Network.enable")
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_role("heading", name="Data", level=1)).to_be_visible()
    rows = "".join(f"2013-03-04,1,{n}.5,1,1,1000\n" for n in range(100_000))
    file = tmp_path / "SLOW.csv"
    file.write_text(f"date,open,high,low,close,volume\n{rows}")
    throttle(-1, file.stat().st_size // 6)  # Its bytes take longer than an answer may.
    page.locator("#file").set_input_files(file)
    expect(page.locator("form.preview")).to_be_visible()
    throttle(800, -1)
    page.get_by_role("link", name="Overview", exact=True).click()
    page.evaluate("location.hash = '#/ticker/AAPL'")
    expect(page.get_by_text("No connection")).to_be_visible()
    throttle(-1, -1)
    expect(page.get_by_role("region", name="Chart")).to_be_visible()


@pytest.mark.slow
def test_a_tab_from_before_an_upgrade_asks_to_be_reloaded(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url, quiet=False)
    expect(page.get_by_text("was upgraded")).to_have_count(0)
    # What a tab that was opened earlier has, and one whose page has no file any more.
    page.evaluate("document.querySelector('meta[name=build]').content = 'before'")
    page.route("**/pages/models/page.js", lambda route: route.fulfill(status=404))
    page.get_by_role("link", name="Models", exact=True).click()
    main = page.get_by_role("main")
    expect(main.get_by_text("The service was upgraded after this tab was opened.")).to_be_visible()
    expect(page.get_by_text("does not answer")).to_have_count(0)
    notice = page.locator(".notice", has_text="was upgraded")
    expect(notice).to_be_visible()
    page.unroute("**/pages/models/page.js")
    notice.get_by_role("button", name="Load it anew").click()
    expect(page.get_by_role("button", name="Train a model")).to_be_visible()
    expect(page.get_by_text("was upgraded")).to_have_count(0)

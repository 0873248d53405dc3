"""What surrounds the pages: ways to get to them, and what is said where there is none."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo


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


def test_an_address_that_was_cut_off_is_answered(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/nowhere%E2%82")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    page.goto(f"{demo.url}#/ticker")
    expect(page.get_by_text("Which ticker?")).to_be_visible()


def test_a_page_that_was_never_loaded_is_when_the_connection_is_back(
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
    expect(page.get_by_text("All well")).to_be_visible()

"""From the dashboard to where operations look."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo


def test_the_dashboard_links_to_flower(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(demo.url)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Tasks and workers in Flower").click()
    expect(opened.value).to_have_title("Workers · Flower")
    expect(opened.value.get_by_role("link", name="worker@").first).to_be_visible()

"""Series: a model of one is seen on a phone."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo


def test_on_a_phone_nothing_is_wider_than_the_screen(demo: Demo, open_page: Callable[..., Page]) -> None:
    values = [float(i % 9) for i in range(90)]
    demo.api.post("/fit/pump", {"timestamps": list(range(90)), "values": values})
    page = open_page(f"{demo.url}#/series/pump")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".series-plot")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

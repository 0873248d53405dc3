"""An API below another path than usual: the page asks for the path and uses it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect


@pytest.mark.slow
def test_the_page_asks_where_the_api_is(empty_service: str, open_page: Callable[..., Page]) -> None:
    asked: list[str] = []
    page = open_page("about:blank")
    page.on("request", lambda request: asked.append(request.url.removeprefix(empty_service)))
    page.goto(empty_service)
    expect(page.get_by_text("No bars yet")).to_be_visible()
    expect(
        page.get_by_text("Degraded")
    ).to_be_visible()  # The request succeeds, though no worker uses this database.
    assert "internal/v1/health" in asked
    assert not [path for path in asked if path.startswith("py/")]
    link = page.get_by_role("link", name="API documentation")
    expect(link).to_have_attribute("href", f"{empty_service}internal/v1/docs")
    link.click()
    expect(page.get_by_role("heading", name="Tapewatch")).to_be_visible()


@pytest.mark.slow
def test_a_watchlist_is_created_below_another_path(
    empty_service: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{empty_service}#/watchlists")
    page.get_by_role("button", name="New watchlist").first.click()
    page.get_by_label("Name").fill("elsewhere")
    page.get_by_label("Tickers, pasted").fill("AAPL")
    page.get_by_role("button", name="Make it").click()
    card = page.get_by_role("article", name="Watchlist elsewhere")
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No watchlists yet")).to_be_visible()


def test_an_unchanged_page_is_not_sent_again(
    empty_service: str, open_page: Callable[..., Page]
) -> None:
    ask = open_page("about:blank").request
    first = ask.get(empty_service)
    assert 'content="internal/v1"' in first.text()
    assert first.headers["cache-control"] == "no-cache"
    assert ask.get(empty_service, headers={"If-None-Match": first.headers["etag"]}).status == 304

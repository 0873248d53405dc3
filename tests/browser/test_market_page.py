"""Market: its state, regimes over time, tickers in any order, correlations; and a ticker's
metrics.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, push_candles
from tests.processes import wait_until


def test_market_shows_its_state_and_regimes_over_time(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/market")
    state = page.get_by_role("region", name="State of the market")
    stored = demo.database.analytics_markets.find({"market": "US", "interval": "1d"})
    newest = list(stored.sort("time", -1).limit(250))
    expect(state).to_contain_text(f"{newest[0]['time']:%-d %b %Y}")
    expect(state).to_contain_text(re.compile(r"Computed(just now|.* ago)"))
    expect(state.get_by_role("img", name="Regimes of the market's tickers")).to_be_visible()
    columns = page.locator(".ribbon g")
    assert columns.count() == sum(bool(bar["regimes"]) for bar in newest) > 240


def test_breadth_is_shown_in_percent(demo: Demo, open_page: Callable[..., Page]) -> None:
    bars = demo.database.analytics_markets
    newest = bars.find_one({"market": "US", "interval": "1d"}, sort=[("time", -1)])
    assert newest is not None
    breadth = {"advance_decline": -0.007194, "above_sma_50": 0.56}
    bars.update_one({"_id": newest["_id"]}, {"$set": {"breadth": breadth}})
    try:
        page = open_page(f"{demo.url}#/market")
        state = page.get_by_role("region", name="State of the market")
        expect(state).to_contain_text(re.compile("decliners.0.72 %Above SMA5056 %"))
    finally:
        bars.replace_one({"_id": newest["_id"]}, newest)


def test_tickers_are_sorted_and_filtered_and_the_address_keeps_it(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/market/US")
    tickers = page.get_by_role("region", name="Tickers of the market").first
    rows = tickers.locator("tbody tr")
    shown = {"market": "US", "interval": "1d"}
    expect(rows).to_have_count(demo.database.analytics_overview.count_documents(shown))
    tickers.get_by_role("button", name="Volatility").click()
    by_volatility = demo.database.analytics_overview.find(shown).sort("annualized_volatility", -1)
    order = [document["ticker"] for document in by_volatility]
    assert set(order) >= {"AAPL", "FB", "GOOG", "IBM", "MSFT", "^GSPC", "^IXIC"}
    expect(rows.first).to_contain_text(order[0])
    # A ticker whose bars ended before the others' is marked as stale.
    names = [row.split()[0].removesuffix("stale") for row in rows.all_inner_texts()]
    assert names == order
    page.reload()
    expect(rows.first).to_contain_text(order[0])
    tickers.get_by_label("Tickers that begin with").fill("goo")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("GOOG")


def test_correlations_are_computed_and_drawn(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/market/US")
    card = page.get_by_role("region", name="Correlations", exact=True)
    cells = card.locator(".heat .cell")
    shares = {"market": "US", "interval": "1d", "ticker": {"$not": {"$regex": r"^\^"}}}

    def has_all() -> bool:
        # Tickers of other tests may be detected meanwhile.
        page.reload()
        cells.first.wait_for()
        return cells.count() == demo.database.analytics_overview.count_documents(shares) ** 2

    wait_until(has_all, "has a cell for each two tickers")
    # The cell of two tickers without common days, which other tests may have stored, is empty.
    cells.nth(1).hover()
    expect(card).to_contain_text(re.compile(r" and \S+: (\S?[01]\.\d\d|too few common bars)"))


def test_ticker_page_has_metrics_and_regimes_behind_the_candles(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/IBM")
    metrics = page.get_by_role("region", name="Metrics", exact=True)
    stored = demo.database.analytics.find_one({"ticker": "IBM"}, sort=[("time", -1)])
    expect(metrics).to_contain_text(stored["values"]["regime"]["regime"].replace("_", " "))
    expect(metrics.get_by_role("row", name="rolling stddev")).to_contain_text(
        f"{stored['values']['rolling_stddev']:.4g}"
    )
    metrics.get_by_text("Spread", exact=True).click()
    expect(metrics.get_by_role("row", name="bid ask spread")).to_contain_text(
        "no order book stored"
    )
    expect(page.locator(".stage")).to_have_attribute("data-regimes", "500")


@pytest.fixture
def two_intervals(demo: Demo) -> Iterator[str]:
    """A market with daily bars that were detected, and weekly bars that were not; removed
    afterwards.
    """
    push_candles(demo, "D05.SI", "1d", ["2024-01-02", "2024-01-03", "2024-01-04"])
    push_candles(demo, "D05.SI", "1w", ["2024-01-01", "2024-01-08", "2024-01-15"])
    mark = {"_id": "detection_meta::D05.SI::1d", "ticker": "D05.SI", "interval": "1d"}
    last = {"last_detected_timestamp": datetime(2024, 1, 4, tzinfo=UTC)}
    watermarks = demo.database.get_collection("detection_metadata")
    watermarks.insert_one(mark | last)
    yield "SG"
    watermarks.delete_one(mark)
    for interval in ("1d", "1w"):
        address = f"{demo.url}py/tickers/D05.SI?interval={interval}"
        assert requests.delete(address, timeout=60).ok


def test_bars_never_detected_are_named_with_their_interval_and_can_be_detected(
    demo: Demo, open_page: Callable[..., Page], two_intervals: str
) -> None:
    page = open_page(f"{demo.url}#/market?market={two_intervals}&interval=1w", quiet=False)
    notice = page.get_by_text("Not all series of 1w bars were looked at yet")
    expect(notice).to_be_visible()
    page.get_by_role("button", name="1d", exact=True).click()
    expect(page).to_have_url(re.compile("interval=1d"))
    expect(page.get_by_role("region", name="State of the market")).to_be_visible()
    expect(page.get_by_text("looked at yet")).to_have_count(0)
    page.goto(f"{demo.url}#/?market={two_intervals}")
    expect(page.get_by_text("1 series of 2 was not looked at yet")).to_be_visible()
    page.route("**/models/train", lambda route: route.abort())  # The request itself is enough here.
    with page.expect_request("**/models/train") as asked:
        page.get_by_role("button", name="Train a model").click()
    assert asked.value.post_data == '{"market":"SG","interval":"1w"}'


@pytest.mark.parametrize("where", ["market", "day/2005-02-28"])
def test_a_market_is_found_in_any_case_and_one_without_bars_is_shown_as_such(
    demo: Demo, open_page: Callable[..., Page], where: str
) -> None:
    page = open_page(f"{demo.url}#/{where}?market=us")
    expect(page.get_by_role("group", name="Filters")).to_be_visible()
    expect(page.get_by_text("No bars")).to_have_count(0)
    page.goto(f"{demo.url}#/{where}?market=TH")
    expect(page.get_by_text("No bars of TH")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="US", exact=True).click()
    expect(page.get_by_text("No bars of TH")).to_have_count(0)
    expect(page.get_by_role("group", name="Filters")).to_be_visible()

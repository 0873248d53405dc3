"""The overview: the demo's anomalies, and the way from there to a chart."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from records.findings.watermarks import build_watermark_id
from tests.browser.conftest import Demo, push_candles

# From the packages with the demo's bars: ticker, last session.
LAST_BARS = {
    "AAPL": "1 Mar 2013",
    "FB": "1 Mar 2013",
    "IBM": "1 Mar 2013",
    "^GSPC": "31 Dec 2018",
    "^IXIC": "31 Dec 2018",
}


def test_tickers_show_last_bar_watermark_and_counts(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    for ticker, last_bar in LAST_BARS.items():
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=ticker, exact=True))
        expect(row).to_contain_text(last_bar)
        expect(row).to_contain_text("up to date")
        stored = demo.database.anomalies.count_documents({"Ticker": ticker, "severity": "medium"})
        if stored:
            expect(row.get_by_title("medium")).to_contain_text(str(stored))


def test_market_counts_anomalies_by_severity(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(demo.url)
    united_states = page.get_by_role("article").filter(has_text="United States")
    legend = united_states.get_by_role("group", name="by severity")
    standing = {"market": "US", "status": {"$ne": "superseded"}}
    for severity in ("critical", "high", "medium", "low"):
        stored = demo.database.anomalies.count_documents({**standing, "severity": severity})
        expect(legend).to_contain_text(f"{stored} {severity}")


@pytest.fixture
def looked_at(demo: Demo) -> Iterator[None]:
    """Let all series be looked at, also those that other tests stored: then the page tells how the
    last day was.
    """
    marks = demo.database.detection_metadata
    before = list(marks.find())
    marks.delete_many({})
    marks.insert_many(
        {
            **before[0],
            "_id": build_watermark_id(one["ticker"], one["interval"]),
            "ticker": one["ticker"],
            "interval": one["interval"],
            "last_detected_timestamp": one["last_bar"],
        }
        for one in demo.database.series.find()
    )
    yield
    marks.delete_many({})
    marks.insert_many(before)


@pytest.mark.usefixtures("looked_at")
def test_the_last_day_is_counted_by_the_filters(demo: Demo, open_page: Callable[..., Page]) -> None:
    last = max(demo.database.series.distinct("last_bar", {"market": "US"}))
    anomaly = demo.database.anomalies.find_one({"Ticker": "^GSPC", "kind": "event"})
    assert anomaly
    late = anomaly | {"_id": f"^GSPC::1d::{last:%Y-%m-%dT%H:%M:%SZ}", "Datetime": last}
    demo.database.anomalies.insert_one(late)
    told = re.compile(f"1 anomaly on {last.day} {last:%b}t? {last.year}")
    try:
        for query, said in (("", told), ("?kind=fault", re.compile("Nothing that passes the"))):
            page = open_page(f"{demo.url}#/{query}")
            states = page.get_by_role("article").filter(has_text="United States")
            expect(states).to_contain_text(said)
        expect(page.get_by_role("columnheader", name="All anomalies")).to_be_visible()
    finally:
        demo.database.anomalies.delete_one({"_id": late["_id"]})


def test_strangest_and_latest_come_in_their_order(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    first = page.locator(".anomaly").first
    latest = demo.database.anomalies.find().sort("Datetime", -1).limit(1)[0]
    expect(first).to_contain_text(str(latest["Datetime"].year))
    page.get_by_role("button", name="Strangest").click()
    order = [("grade", -1), ("_id", 1)]
    (strangest,) = demo.database.anomalies.find({"kind": "event"}).sort(order).limit(1)
    for _ in range(2):
        expect(first).to_contain_text(strangest["Ticker"])
        expect(first).to_contain_text(f"{strangest['Close']:,.2f}")
        expect(first).to_contain_text(strangest["reasons"][0])
        page.reload()


def test_a_mark_on_a_lane_leads_to_its_chart(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(demo.url)
    mark = page.locator('.lanes a[aria-label^="^GSPC"]').first
    date = mark.get_attribute("aria-label").split(", ")[1]
    mark.hover()
    expect(page.locator(".hint")).to_contain_text(date)
    mark.click()
    expect(page).to_have_url(re.compile(r"#/ticker/%5EGSPC\?.*anomaly="))
    expect(page.get_by_role("heading", name=date)).to_be_visible()


@pytest.mark.slow
def test_arrow_keys_move_along_the_lanes(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(demo.url)
    marks = page.locator(".lanes [data-mark]")
    marks.first.focus()
    page.keyboard.press("ArrowRight")
    expect(marks.nth(1)).to_be_focused()
    expect(page.locator('.lanes [data-mark][tabindex="0"]')).to_have_count(1)


def test_a_lost_connection_is_reported_and_restored_automatically(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url, quiet=False)
    expect(page.get_by_text("All well")).to_be_visible()
    expect(page.locator(".anomaly").first).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    page.get_by_role("button", name="Strangest").click()
    anomalies = page.get_by_role("region", name="Anomalies", exact=True)
    expect(anomalies.get_by_role("alert")).to_contain_text("No connection")
    page.context.set_offline(False)
    expect(page.get_by_text("All well")).to_be_visible()
    expect(page.locator(".anomaly").first).to_be_visible()


def test_open_access_is_reported(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(demo.url)
    expect(page.get_by_text("Open access: no API key was made yet")).to_be_visible()


@pytest.mark.slow
def test_no_count_of_anomalies_is_shown_before_they_are_counted(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/health")
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    page.evaluate(
        """() => {
          window.told = [];
          const look = () => {
            const legend = document.querySelector(".market .severity-legend");
            if (legend) window.told.push(legend.textContent);
          };
          new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    page.get_by_role("link", name="Overview", exact=True).click()
    low = demo.database.anomalies.count_documents(
        {"market": "US", "severity": "low", "status": {"$ne": "superseded"}}
    )
    expect(page.locator(".market .severity-legend").first).to_contain_text(f"{low} low")
    assert page.evaluate("window.told[0]") == "".join(
        f"\N{EN DASH} {severity}" for severity in ("critical", "high", "medium", "low")
    )


def test_a_series_too_short_for_a_score_says_how_many_bars_it_needs(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    """A scan that had scored none of its bars used to leave it "up to date"."""
    push_candles(demo, "SHORTCO", "1d", ["2024-01-02", "2024-01-03"])
    run = demo.api.post("/anomalies/incremental?wait=30", {"ticker": "SHORTCO"})
    page = open_page(f"{demo.url}#/?filter=SHORTCO")
    row = page.get_by_role("row").filter(has_text="SHORTCO")
    # The second bar repeats the first, as if nothing had traded.
    expect(row).to_contain_text("too few bars: 1 of 62 needed")
    page.goto(f"{demo.url}#/runs")
    row = page.locator("tbody tr", has=page.locator(f"a[href*='{run['_id']}']"))
    expect(row).to_contain_text("not enough bars")
    expect(row).not_to_contain_text("no new anomaly")

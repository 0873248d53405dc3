"""One set of filters on all pages; all anomalies; a day across its market; two tickers compared."""

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, push_candles

STANDING = {"status": {"$ne": "superseded"}}
PAGE = 50


def count(demo: Demo, **query: object) -> int:
    return demo.database.anomalies.count_documents({**STANDING, **query})


def test_a_severity_is_chosen_in_the_legend_and_kept_from_page_to_page(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    united_states = page.get_by_role("article").filter(has_text="United States")
    legend = united_states.get_by_role("group", name="by severity")
    high_there = count(demo, severity="high", market="US")
    legend.get_by_role("link", name=f"{high_there} high").click()
    high = count(demo, severity="high")
    expect(page).to_have_url(re.compile(r"#/overview\?severity=high$"))
    listed = page.get_by_role("region", name="Anomalies", exact=True)
    expect(listed.locator(".badge.severity:not(.high)")).to_have_count(0)
    marks = page.locator(".lanes [data-mark]")
    expect(marks).to_have_count(high)
    # The other severities are still counted, so that they can be chosen instead.
    medium = count(demo, severity="medium", market="US")
    expect(legend).to_contain_text(f"{medium} medium")
    page.get_by_role("link", name="All anomalies").click()
    expect(page).to_have_url(re.compile("#/anomalies.severity=high$"))
    rows = page.locator(".found-table tbody tr")
    expect(rows).to_have_count(min(high, PAGE))
    # A page that cannot apply the filter shows none, and the next page has it again.
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    expect(page.get_by_label("Filters")).to_have_count(0)
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(marks).to_have_count(high)
    page.get_by_role("button", name="Clear filters").click()
    expect(marks).to_have_count(count(demo))
    page.go_back()
    expect(marks).to_have_count(high)


def test_a_time_is_chosen_in_the_histogram_or_a_cell_and_undone_by_back(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    spans = page.locator(".lanes .span")
    told = spans.nth(3).get_attribute("aria-label")
    spans.nth(3).click()
    start, end = re.findall(r"(?:start|end)=([0-9-]+)", page.url)
    after = datetime.fromisoformat(end).replace(tzinfo=UTC) + timedelta(days=1)
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    found = count(demo, Datetime={"$gte": first, "$lt": after})
    assert sum(map(int, re.findall(r"(\d+) (?:low|medium|high|critical)", told))) == found
    marks = page.locator(".lanes [data-mark]")
    expect(marks).to_have_count(found)
    # The time of runs is a different filter: neither is carried over to the other.
    page.get_by_role("link", name="Runs", exact=True).click()
    # The overview names the training too, and has its own filters.
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()
    # The training may be of yesterday, if midnight has passed since.
    demo.api.post("/anomalies/verify", {"ticker": "FB"})
    page.locator(".filters summary").click()
    page.get_by_role("button", name="Today").click()
    expect(page).to_have_url(re.compile("#/runs.start=20"))
    expect(page.get_by_role("link", name="Verification of FB").first).to_be_visible()
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page).to_have_url(re.compile(f"start={start}&end={end}"))
    expect(marks).to_have_count(found)
    page.get_by_role("button", name="Clear filters").click()
    expect(marks).to_have_count(count(demo))
    lane = page.locator('.lanes [data-cells="IBM"]').bounding_box()
    mark = page.locator('.lanes a[aria-label^="IBM"]').nth(2).bounding_box()
    page.mouse.move(mark["x"] + 12, lane["y"] + 2)
    page.mouse.click(mark["x"] + 12, lane["y"] + 2)
    expect(page.get_by_role("button", name="IBM only: show all tickers")).to_be_visible()
    expect(page).to_have_url(re.compile("start=.*end=.*ticker=IBM"))


def test_all_anomalies_are_sorted_paged_and_exported(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(f"{demo.url}#/anomalies?kind=event")
    total = count(demo, kind="event")
    expect(page.get_by_text(f"{total} anomalies", exact=True)).to_be_visible()
    page.get_by_role("button", name="Grade").click()
    (rarest,) = (
        demo.database.anomalies.find({**STANDING, "kind": "event"}).sort("grade", -1).limit(1)
    )
    rows = page.locator(".found-table tbody tr")
    link = rows.first.get_by_title("The day across the market")
    expect(link).to_have_attribute("href", re.compile(f"#/day/{rarest['Datetime']:%Y-%m-%d}"))
    expect(page.get_by_role("columnheader", name="Grade")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(2 * PAGE)
    wanted = count(demo, kind="event", interval="1d")

    def export(name: str) -> Path:
        page.locator(".menu > summary").filter(has_text="Export").click()
        with page.expect_download() as downloading:
            page.get_by_role("button", name=name).click()
        downloading.value.save_as(tmp_path / name)
        return tmp_path / name

    with export("CSV of 1d bars").open(newline="") as lines:
        assert len(list(csv.DictReader(lines))) == wanted
    assert pq.read_table(export("Parquet of 1d bars")).num_rows == wanted


@pytest.mark.slow
def test_a_day_is_reached_from_an_anomaly_and_shown_across_its_market(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    daily = {**STANDING, "market": "US", "interval": "1d"}
    # Other tests may have superseded anomalies, so take the day with most of them.
    (busiest,) = demo.database.anomalies.aggregate(
        [
            {"$match": {**daily, "Ticker": {"$ne": "^GSPC"}}},
            {"$group": {"_id": "$Datetime", "tickers": {"$addToSet": "$Ticker"}}},
            {"$addFields": {"many": {"$size": "$tickers"}}},
            {"$sort": {"many": -1, "_id": 1}},
            {"$limit": 1},
        ]
    )
    day, ticker = busiest["_id"], min(busiest["tickers"])
    page = open_page(f"{demo.url}#/ticker/{ticker}?anomaly={day:%Y-%m-%dT%H:%M:%SZ}")
    page.get_by_role("link", name="This day across the market").click()
    flagged = demo.database.anomalies.distinct("Ticker", {**daily, "Datetime": day})
    there = {"market": "US", "interval": "1d", "first_bar": {"$lte": day}}
    of = demo.database.series.count_documents({**there, "last_bar": {"$gte": day}})
    expect(page.get_by_role("heading", name=f"{len(flagged)} of {of} flagged")).to_be_visible()
    sectors = page.locator(".sectors li")
    technology = sorted({"AAPL", "FB", "GOOG", "IBM", "MSFT"}.intersection(flagged))
    expect(sectors.filter(has_text="Technology")).to_contain_text(", ".join(technology))
    listed = page.get_by_role("region", name="Flagged tickers")
    expect(listed.locator(".anomaly")).to_have_count(len(flagged))
    later = min(demo.database.anomalies.distinct("Datetime", {**daily, "Datetime": {"$gt": day}}))
    written = f"{later.day} {later:%b %Y}"
    page.get_by_role("link", name=written).click()
    expect(page).to_have_url(re.compile(f"#/day/{later:%Y-%m-%d}"))
    expect(page.get_by_text(f"{written}, United States")).to_be_visible()


def test_a_ticker_is_compared_with_its_index_its_sector_and_another(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/MSFT")
    page.get_by_role("link", name="Compare").first.click()
    expect(page.get_by_role("heading", name="MSFT and ^GSPC")).to_be_visible()
    page.goto(f"{demo.url}#/compare/MSFT?against=index&start=2009-01-02&end=2009-12-31")
    stage = page.locator(".stage")

    def close(ticker: str, day: str) -> float:
        query = {"ticker": ticker, "start": day, "end": day}
        return float(demo.api.get("/data/candles", **query)["items"][0]["close"])

    for ticker in ("MSFT", "^GSPC"):
        level = 100 * close(ticker, "2009-12-31") / close(ticker, "2009-01-02")
        expect(stage).to_have_attribute(
            "aria-label", re.compile(rf"{re.escape(ticker)} {level:.1f}")
        )
    page.get_by_role("button", name="Technology").click()
    expect(page.get_by_text("Technology is the mean of")).to_contain_text("AAPL")
    page.get_by_label("Compare with a ticker").fill("ibm")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("with=IBM"))
    page.reload()
    expect(page.get_by_role("heading", name="MSFT and IBM")).to_be_visible()


@pytest.mark.slow
def test_a_ticker_of_a_market_without_an_index_is_drawn_alone_at_first(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    push_candles(demo, "LONE.DE", "1d", ["2024-03-04", "2024-03-05", "2024-03-06"])
    page = open_page(f"{demo.url}#/ticker/LONE.DE", quiet=False)
    page.get_by_role("link", name="Compare").first.click()
    expect(page.get_by_text("LONE.DE has no index and no sector here")).to_be_visible()
    expect(page.locator(".stage")).to_have_attribute("aria-label", re.compile("LONE.DE 100"))


@pytest.mark.slow
def test_an_impossible_day_is_no_filter_and_a_range_never_ends_before_it_starts(
    open_page: Callable[..., Page], demo: Demo
) -> None:
    page = open_page(f"{demo.url}#/anomalies?start=2024-99-99&end=2023-02-29")
    expect(page.get_by_role("heading", name="Anomalies", level=1)).to_be_visible()
    time = page.locator(".filters .menu.time")
    expect(time).to_contain_text("All time")
    expect(page.locator(".found-table tbody tr")).to_have_count(PAGE)
    page.goto(f"{demo.url}#/day/2023-02-29")
    expect(page.get_by_text("Which day?")).to_be_visible()
    page.goto(f"{demo.url}#/ticker/AAPL?start=2010-01-04&end=2009-01-02")
    expect(time).to_contain_text("Since 4 Jan 2010")
    expect(page.get_by_role("region", name="Chart")).to_be_visible()
    # The end that was chosen last counts.
    time.locator("summary, button").first.click()
    page.get_by_label("To", exact=True).fill("2008-02-01")
    expect(time).to_contain_text("Until 1 Feb 2008")
    page.get_by_label("From", exact=True).fill("2009-02-02")
    expect(time).to_contain_text("Since 2 Feb 2009")

"""Market conditions where people look: beside the reasons of an anomaly, and with a scan."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.slow import slow_but_first

WORDS = "in a turbulent week for the whole market"


@pytest.fixture
def anomaly(demo: Demo) -> Iterator[dict[str, Any]]:
    """The latest anomaly of a stock, at the end of a week whose days were all turbulent."""
    found = demo.database.anomalies.find_one({"Ticker": "IBM"}, sort=[("Datetime", -1)])
    assert found is not None
    days = [found["Datetime"] - timedelta(days=n) for n in range(9)]
    ids = [f"US::1d::{day:%Y-%m-%dT%H:%M:%SZ}" for day in days if day.weekday() < 5]
    bars = demo.database.analytics_markets
    before = list(bars.find({"_id": {"$in": ids}}))
    bars.delete_many({"_id": {"$in": ids}})
    bars.insert_many(
        {"_id": bar_id, "set": "analytics/1", "market": "US", "interval": "1d"}
        | {"time": datetime.fromisoformat(bar_id[-20:]), "tickers": 10, "z": 0.1, "return": 0.001}
        | {"regimes": {"breakout_phase": 6, "balanced_market": 4}, "run_id": "computed"}
        | {"breadth": {"advance_decline": 0.1, "above_sma_50": 0.5}}
        | {"computed_at": datetime(2026, 1, 5, tzinfo=UTC)}
        for bar_id in ids
    )
    yield found
    bars.delete_many({"_id": {"$in": ids}})
    if before:
        bars.insert_many(before)


@pytest.mark.parametrize("width", slow_but_first([390, 1280]))
def test_the_panel_shows_the_market_conditions(
    demo: Demo, open_page: Callable[..., Page], anomaly: dict[str, Any], width: int
) -> None:
    when = quote(f"{anomaly['Datetime']:%Y-%m-%dT%H:%M:%SZ}")
    page = open_page(f"{demo.url}#/ticker/IBM?anomaly={when}", width=width)
    reasons = page.get_by_role("region", name="Anomaly", exact=True).locator("ul.reasons")
    expect(reasons).to_contain_text(anomaly["reasons"][0])
    expect(reasons.locator("li").last).to_have_text(WORDS)


@pytest.mark.slow
def test_a_watchlist_can_ask_for_market_conditions_with_its_scans(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/watchlists", width=390)
    page.get_by_role("button", name="New watchlist").first.click()
    page.get_by_label("Name").fill("told")
    page.get_by_label("Tickers, pasted").fill("IBM")
    page.get_by_label("Say with each scan what the markets did").check()
    page.get_by_role("button", name="Make it").click()
    card = page.get_by_role("article", name="Watchlist told")
    expect(card).to_contain_text("what the markets did")
    card.get_by_role("switch").click()  # A change of another field keeps the setting.
    expect(card.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    expect(card).to_contain_text("what the markets did")
    card.get_by_role("button", name="Scan now").click()
    expect(card.get_by_text("complete")).to_be_visible()

    run = demo.database.detection_runs.find_one({"watchlist": "told", "run_id": None})
    assert run is not None
    shown = open_page(f"{demo.url}#/runs/{run['_id']}", width=390)
    result = shown.locator("section.card", has_text="The markets meanwhile")
    expect(result.get_by_role("link", name="US")).to_be_visible()
    (market,) = run["result"]["overview"]
    expect(result).to_contain_text("; ".join(market["words"]) or "Nothing out of the ordinary.")

    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)

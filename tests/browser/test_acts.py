"""Actions are offered where their subject is shown: on a ticker, an anomaly, a market, a
watchlist.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, push_candles

DAYS = ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-08"]


def test_a_ticker_is_corrected_and_watched_from_its_page(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    push_candles(demo, "ACTCO", "1d", DAYS)
    page = open_page(f"{demo.url}#/ticker/ACTCO")
    acts = page.get_by_role("group", name="Acts on this ticker")
    dialog = page.get_by_role("dialog")

    acts.get_by_role("button", name="Record a split").click()
    dialog.get_by_label("First session of the new shares").fill("2024-03-06")
    dialog.get_by_label("New shares for each old one").fill("2")
    dialog.get_by_role("button", name="Record").click()
    expect(page.get_by_text("The split of ACTCO on 2024-03-06 is recorded")).to_be_visible()
    bars = demo.api.get("/data/candles", ticker="ACTCO", interval="1d")["items"]
    assert [bar["close"] for bar in bars] == [5.25, 5.25, 10.5, 10.5]

    acts.get_by_role("button", name="Set a threshold").click()
    dialog.get_by_label("What passes").select_option("grade")
    dialog.get_by_label("Which").fill("80")
    dialog.get_by_role("button", name="Set").click()
    expect(page.get_by_text("The threshold of ACTCO is set")).to_be_visible()
    stored = demo.api.get("/tickers/ACTCO/threshold")["threshold"]
    assert stored == {"kind": "grade", "value": 80.0}

    acts.get_by_role("button", name="Session exception").click()
    dialog.get_by_label("Day", exact=True).fill("2024-03-07")
    dialog.get_by_label("Note").fill("a day of mourning")
    dialog.get_by_role("button", name="Set").click()
    expect(page.get_by_text("The session of US on 2024-03-07 is set")).to_be_visible()
    assert demo.api.get("/tickers/ACTCO/coverage", interval="1d")["gaps"] == []
    demo.api.post("/markets/US/sessions?wait=30", {"day": "2024-03-07", "session": "calendar"})

    acts.get_by_role("button", name="Mute its alerts").click()
    dialog.get_by_role("combobox").select_option("336")
    dialog.get_by_label("What is expected").fill("a tender offer")
    # Some users double-click; the request is sent once.
    dialog.get_by_role("button", name="Mute").dblclick()
    expect(page.get_by_text("New alerts of ACTCO are muted")).to_be_visible()
    (mute,) = demo.api.get("/mutes", active="true", ticker="ACTCO")["items"]
    assert (mute["reason"], mute["interval"]) == ("a tender offer", "1d")
    demo.database.mutes.delete_one({"_id": mute["_id"]})
    acts.get_by_role("button", name="Add to a watchlist").click()
    dialog.get_by_label("Watchlist").select_option("")
    dialog.get_by_label("Its name").fill("acted")
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_text("ACTCO is on the watchlist acted")).to_be_visible()
    try:
        page.goto(f"{demo.url}#/watchlists")
        page.get_by_role("article", name="Watchlist acted").get_by_role(
            "button", name="Backfill"
        ).click()
        expect(page.get_by_role("heading", name="Backfill of acted")).to_be_visible()
        expect(page.get_by_text("fewer bars than a first result takes")).to_be_visible()
    finally:
        demo.database.watchlists.delete_one({"_id": "acted"})


@pytest.mark.slow
def test_bars_never_detected_are_not_called_quiet_and_a_missing_model_has_a_button(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    push_candles(demo, "7203.T", "1d", DAYS)
    page = open_page(demo.url)
    japan = page.get_by_role("article").filter(has_text="Tokyo")
    expect(japan).to_contain_text("Nothing was looked at yet")
    expect(japan.get_by_role("button", name="Train a model")).to_be_visible()
    page.goto(f"{demo.url}#/market/JP")
    expect(page.get_by_role("heading", name="Market JP")).to_be_visible()
    expect(page.get_by_text("Nothing of this market was looked at yet")).to_be_visible()
    expect(page.get_by_role("button", name="Train a model")).to_be_visible()
    page.goto(f"{demo.url}#/ticker/7203.T")
    expect(page.get_by_text("Market JP has no model for 1d bars yet")).to_be_visible()
    page.get_by_role("button", name="Train a model").click()
    expect(page).to_have_url(re.compile("#/runs/"))
    expect(page.get_by_role("heading", name="Training of market JP")).to_be_visible()

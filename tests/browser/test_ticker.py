"""The ticker's page: an anomaly in full, and the actions on it."""

import csv
import gzip
import os
import re
import signal
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from detection.features.names import FEATURES
from tests.browser.conftest import Demo, push_candles
from tests.browser.looking import Look
from tests.unit.detection.features.twin import compute_twin, read_real_bars

AROUND = 60  # The number of bars that the chart shows on both sides of the selection.
NEIGHBOURS = 50


def find_anomalies(demo: Demo, ticker: str) -> list[dict]:
    return list(demo.database.anomalies.find({"Ticker": ticker}).sort("Datetime", 1))


def name(anomaly: dict) -> str:
    return f"{anomaly['Datetime']:%Y-%m-%dT%H:%M:%SZ}"


def link(demo: Demo, anomaly: dict) -> str:
    return f"{demo.url}#/ticker/{quote(anomaly['Ticker'])}?anomaly={quote(name(anomaly))}"


def read_closes(ticker: str) -> list[tuple[str, float]]:
    """Date and close as in the package with the demo's bars."""
    with gzip.open(files("bokeh_sampledata") / "_data" / "stocks.csv.gz", "rt") as file:
        return [
            (row["Date"], float(row["Close"]))
            for row in csv.DictReader(file)
            if row["Ticker"] == ticker
        ]


def test_the_panel_shows_all_about_an_anomaly(demo: Demo, open_page: Callable[..., Page]) -> None:
    anomaly = find_anomalies(demo, "IBM")[0]
    closes = read_closes("IBM")
    at = [date for date, _ in closes].index(name(anomaly)[:10])
    change = f"{closes[at][1] / closes[at - 1][1] - 1:+.2%}"
    page = open_page(link(demo, anomaly))
    panel = page.get_by_role("region", name="Anomaly", exact=True)
    expect(panel).to_contain_text(f"{closes[at][1]:.2f}")
    expect(panel).to_contain_text(change.replace("-", "\N{MINUS SIGN}").replace("%", " %"))
    expect(panel).to_contain_text(re.compile("about one bar in [0-9,]+|at most one bar in 10,000"))
    expect(panel).to_contain_text(anomaly["reasons"][0])
    panel.get_by_text("The 14 features").click()
    expect(panel.locator(".features dt")).to_have_count(14)
    panel.get_by_text("Lineage").click()
    expect(panel.get_by_title(anomaly["model_hash"])).to_be_visible()
    expect(panel.get_by_title(anomaly["bars_fingerprint"])).to_be_visible()
    expect(panel).to_contain_text(anomaly["model_version"])
    shares = [
        int(text.rstrip(" %")) for text in panel.locator(".attribution .share").all_text_contents()
    ]
    assert sum(shares) in range(90, 111)  # Each share is rounded to a per cent.
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    "moved", [1.5, pytest.param(0.0, marks=pytest.mark.slow)], ids=["close", "high"]
)
def test_an_anomaly_whose_bar_was_corrected_shows_its_new_values(
    demo: Demo, open_page: Callable[..., Page], moved: float
) -> None:
    anomaly = find_anomalies(demo, "IBM")[1]
    now = {name: anomaly[name] for name in ("model_version", "model_hash")} | {
        "bars_fingerprint": "sha256:00",
        "kind": "fault",
        "fault": "wick",
        "Close": anomaly["Close"] + moved,
        "reasons": ["a wick of 5.0 times its usual range"],
        "anomaly_score": -0.9,
        "grade": 91.0,
        "threshold": -0.5,
        "detection_run_id": anomaly["detection_run_id"],
        "detection_timestamp": anomaly["detection_timestamp"],
    }
    chosen = {"_id": anomaly["_id"]}
    demo.database.anomalies.update_one(chosen, {"$push": {"opinions": now}})
    try:
        page = open_page(link(demo, anomaly))
        panel = page.get_by_role("region", name="Anomaly", exact=True)
        expect(panel.locator(".notice.warn")).to_contain_text(
            "Its bars were corrected since. By those of now it is a fault (wick) of grade 91, with"
            f" a close of {anomaly['Close'] + moved:.2f}: a wick of 5.0 times its usual range ("
        )
        expect(panel).to_contain_text(anomaly["reasons"][0])
        item = page.locator(f".anomaly[data-id='{anomaly['_id']}']")
        expect(item).to_contain_text("corrected since")
        expect(page.locator(".badge", has_text="corrected since")).to_have_count(1)
        # As with another threshold: a bar that may also be a fault, and is no event any more.
        same = {"bars_fingerprint": anomaly["bars_fingerprint"], "Close": anomaly["Close"]}
        set_ = {f"opinions.0.{name}": value for name, value in same.items()}
        demo.database.anomalies.update_one(chosen, {"$set": set_})
        page.reload()
        expect(item).to_be_visible()
        expect(page.get_by_text("corrected since")).to_have_count(0)
    finally:
        demo.database.anomalies.update_one(chosen, {"$set": {"opinions": []}})


def test_arrow_keys_move_between_anomalies_and_the_url_follows(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    first, second = find_anomalies(demo, "MSFT")[:2]
    page = open_page(f"{demo.url}#/ticker/MSFT")
    expect(page.get_by_text("Pick an anomaly")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(re.escape(quote(name(first), safe=""))))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(re.escape(quote(name(second), safe=""))))
    page.reload()
    expect(page.get_by_text(re.compile("^2 of "))).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text(re.compile("^1 of "))).to_be_visible()


@pytest.mark.slow
def test_the_list_is_one_stop_for_the_tab_key(demo: Demo, open_page: Callable[..., Page]) -> None:
    latest, before = find_anomalies(demo, "AAPL")[:-3:-1]
    page = open_page(link(demo, latest))
    listed = page.locator(".listing .anomaly")
    listed.first.focus()
    page.keyboard.press("ArrowDown")
    expect(listed.nth(1)).to_be_focused()
    expect(page).to_have_url(re.compile(re.escape(quote(name(before), safe=""))))
    page.keyboard.press("Tab")
    previous = page.get_by_role("button", name="Previous anomaly")
    expect(previous).to_be_focused()
    page.keyboard.press("Enter")
    expect(
        page.get_by_text(re.compile(f"^{len(find_anomalies(demo, 'AAPL')) - 2} of "))
    ).to_be_visible()
    expect(previous).to_be_focused()


def test_a_click_on_a_marker_opens_its_anomaly(demo: Demo, open_page: Callable[..., Page]) -> None:
    dates = [date for date, _ in read_closes("AAPL")]
    found = find_anomalies(demo, "AAPL")
    at = [dates.index(name(anomaly)[:10]) for anomaly in found]
    n = next(n for n in range(len(found) - 1) if 10 < at[n + 1] - at[n] < NEIGHBOURS)
    page = open_page(link(demo, found[n]))
    page.get_by_role(
        "button", name="Next anomaly"
    ).click()  # Close enough that the chart does not scroll.
    expect(page.get_by_text(f"{n + 2} of {len(found)}")).to_be_visible()
    # A bar may be cut by the edge.
    first = "|".join(dates[max(0, at[n] - AROUND - 1) :][:2])
    expect(page.locator(".stage")).to_have_attribute("data-seen", re.compile(f"^({first}) to "))
    pane = page.locator(".stage canvas").first.bounding_box()
    assert pane is not None
    page.mouse.click(pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2)
    expect(page.get_by_text(f"{n + 1} of {len(found)}")).to_be_visible()


def test_panes_are_chosen_in_a_menu_and_kept_in_the_url(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/MSFT")
    stage = page.locator(".stage")
    rows = stage.locator("tr")  # One a pane, one between each two panes, and one for the times.
    expect(stage).to_have_attribute("data-panes", "volume,grade")
    expect(rows).to_have_count(6)
    page.get_by_text("Panes", exact=True).click()
    for label in ("RSI, 14", "Wicks to body"):
        page.get_by_label(label, exact=True).check()
    expect(stage).to_have_attribute("data-panes", "volume,grade,RSI,wick_ratio")
    expect(page).to_have_url(re.compile("panes=volume%2Cgrade%2CRSI%2Cwick_ratio"))
    expect(rows).to_have_count(10)
    page.reload()
    expect(rows).to_have_count(10)
    page.get_by_text("Panes", exact=True).click()
    for label in ("RSI, 14", "Wicks to body"):
        page.get_by_label(label, exact=True).uncheck()
    expect(rows).to_have_count(6)
    expect(page).not_to_have_url(re.compile("panes="))
    page.keyboard.press("Escape")
    expect(page.get_by_label("Grade", exact=True)).to_be_hidden()


@pytest.mark.slow
def test_every_feature_can_be_drawn(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/ticker/MSFT?panes={','.join(FEATURES)}")
    vwap = compute_twin(read_real_bars()["MSFT"])["VWAP"].iloc[-1]
    expect(page.locator(".legend")).to_contain_text(f"VWAP {vwap:.2f}")
    page.get_by_text("Panes", exact=True).click()
    for group in ("Over the prices", "Features"):
        boxes = page.get_by_role("group", name=group).get_by_role("checkbox")
        expect(boxes.first).to_be_visible()
    expect(page.locator(".menu input:checked")).to_have_count(len(FEATURES))


def test_an_anomaly_is_verified_in_place(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(link(demo, find_anomalies(demo, "IBM")[0]))
    page.get_by_role("button", name="Verify").click()
    verdict = page.get_by_role("status").filter(has_text="Stored score")
    expect(verdict).to_contain_text("Identical")
    run = demo.database.detection_runs.find({"task": "verify"}).sort("requested_at", -1)[0]
    expect(verdict.get_by_role("link", name=run["_id"][:8])).to_be_visible()


def test_intervals_are_switched_between(demo: Demo, open_page: Callable[..., Page]) -> None:
    push_candles(demo, "HOURCO", "1d", ["2024-01-02", "2024-01-03"])
    push_candles(demo, "HOURCO", "1h", ["2024-01-02T14:30:00Z", "2024-01-02T15:30:00Z"])
    page = open_page(f"{demo.url}#/ticker/HOURCO?panes=grade")
    intervals = page.get_by_role("group", name="Interval", exact=True)
    expect(intervals.get_by_role("button", pressed=True)).to_have_text("1d")
    intervals.get_by_role("button", name="1h").click()
    expect(page).to_have_url(re.compile(r"interval=1h&panes=grade"))
    for _ in range(2):
        expect(intervals.get_by_role("button", pressed=True)).to_have_text("1h")
        expect(page.locator(".legend")).to_contain_text("2 Jan 2024, 15:30 UTC")
        expect(page.locator(".stage")).to_have_attribute("data-panes", "grade")
        page.reload()


@pytest.mark.slow
def test_a_ticker_with_one_interval_opens_with_it(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    push_candles(demo, "ONLYCO", "1h", ["2024-01-02T14:30:00Z"])
    page = open_page(demo.url)
    page.get_by_role("combobox", name="Go to a ticker").fill("onlyco")
    expect(page.locator("#known-tickers option")).to_have_attribute("value", "ONLYCO")
    page.keyboard.press("Enter")
    expect(page.locator(".legend")).to_contain_text("2 Jan 2024, 14:30 UTC")
    expect(page.get_by_role("group", name="Interval", exact=True)).to_have_count(0)


@pytest.mark.slow
def test_the_highlighted_period_is_the_one_shown(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    last = read_closes("IBM")[-1][0]
    page = open_page(f"{demo.url}#/ticker/IBM")
    pressed = page.get_by_role("group", name="Period shown").get_by_role("button", pressed=True)
    seen = page.locator(".stage")
    expect(pressed).to_have_text("All")
    expect(seen).to_have_attribute("data-seen", f"2000-03-01 to {last}")
    page.get_by_role("button", name="1 year").click()
    expect(pressed).to_have_text("1 year")
    expect(seen).to_have_attribute("data-seen", re.compile(f"^2012-.* to {last}"))
    page.keyboard.press("ArrowRight")  # To the first anomaly, which is years earlier.
    dates = [date for date, _ in read_closes("IBM")]
    first = dates.index(name(find_anomalies(demo, "IBM")[0])[:10])
    # A bar may be cut by the edge.
    edges = "|".join(dates[max(0, first - AROUND - 1) :][:2])
    expect(seen).to_have_attribute("data-seen", re.compile(f"^({edges}) to "))
    expect(pressed).to_have_count(0)


def test_an_unknown_ticker_is_explained(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/ticker/MSFTT", quiet=False)
    expect(page.get_by_role("main")).to_contain_text("MSFTT")
    expect(page.get_by_role("main")).to_contain_text("No 1d bars")


def test_a_backfill_started_by_click_is_shown_to_its_end(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/FB")
    page.get_by_role("button", name="Backfill").click()
    expect(page.locator(".run-strip").get_by_text("complete")).to_be_visible()
    run = demo.database.detection_runs.find({"tickers": ["FB"], "task": "backfill"}).sort(
        "requested_at", -1
    )[0]
    assert run["status"] == "complete"
    assert run["period"] == "max"


def test_a_scan_started_by_click_reports_that_nothing_is_new(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    # Bars of other tests' tickers change the market's days, so bars are scored again.
    demo.api.post("/anomalies/incremental?wait=30", {"tickers": ["GOOG"], "interval": "1d"})
    page = open_page(f"{demo.url}#/ticker/GOOG")
    page.get_by_role("button", name="Scan now").click()
    expect(page.locator(".run-strip")).to_contain_text("no new bars")


@pytest.mark.slow
def test_progress_survives_a_reload_and_a_restart_of_the_api(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/IBM", quiet=False)
    strip = page.locator(".run-strip")
    with demo.stopped_worker():
        page.get_by_role("button", name="Backfill").click()
        expect(strip).to_contain_text("queued")
        page.reload()
        expect(strip).to_contain_text("queued")
        os.kill(demo.runner.parent_pid("gunicorn"), signal.SIGKILL)
    expect(strip.get_by_text("complete")).to_be_visible()
    expect(page.get_by_text("All well")).to_be_visible()


@pytest.mark.slow
def test_a_link_to_a_superseded_anomaly_opens_it(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    anomaly = demo.database.anomalies.find_one({"Ticker": "AAPL", "status": "new", "kind": "event"})
    run = demo.database.detection_runs.find_one({"task": "backfill"})
    assert anomaly is not None
    assert run is not None
    gone = {
        "status": "superseded",
        "superseded_by": run["_id"],
        "superseded_at": run["completed_at"],
    }
    demo.database.anomalies.update_one({"_id": anomaly["_id"]}, {"$set": gone})
    try:
        time = f"{anomaly['Datetime']:%Y-%m-%dT%H:%M:%SZ}"
        page = open_page(f"{demo.url}#/ticker/AAPL?interval=1d&anomaly={time}", width=390)
        panel = page.get_by_label("Anomaly", exact=True)
        expect(panel.get_by_text("Superseded: a later run")).to_be_visible()
        expect(panel.get_by_role("link", name=run["_id"][:8]).first).to_be_visible()
        expect(panel.get_by_text("What the score rests on")).to_be_visible()
        expect(page).to_have_url(re.compile("anomaly="))
        look = Look(page, tmp_path)
        look.take("superseded")
        assert look.wrong == []
    finally:
        demo.database.anomalies.replace_one({"_id": anomaly["_id"]}, anomaly)


@pytest.mark.slow
def test_a_link_to_an_anomaly_whose_bars_are_gone_opens_it(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    anomaly = demo.database.anomalies.find_one({"Ticker": "AAPL", "status": "new", "kind": "event"})
    assert anomaly is not None
    time = f"{anomaly['Datetime']:%Y-%m-%dT%H:%M:%SZ}"
    kept = {
        "_id": f"GONECO::1d::{time}",
        "Ticker": "GONECO",
        "status": "bars_gone",
        "bars_gone_at": anomaly["created_at"],
    }
    demo.database.anomalies.insert_one(anomaly | kept)
    try:
        # As a person might type it.
        address = f"{demo.url}#/ticker/goneco?interval=1d&anomaly={time[:10]}"
        page = open_page(address, width=390, quiet=False)
        expect(page.get_by_text("No 1d bars of GONECO are stored any more")).to_be_visible()
        panel = page.get_by_label("Anomaly", exact=True)
        expect(panel.get_by_text("Its bars are gone since")).to_be_visible()
        expect(panel.get_by_text("What the score rests on")).to_be_visible()
        expect(page.locator(".found .anomaly")).to_have_count(1)
        expect(page.locator(".found .anomaly")).to_contain_text("bar gone")
        look = Look(page, tmp_path)
        look.take("gone")
        assert look.wrong == []
    finally:
        demo.database.anomalies.delete_one({"_id": kept["_id"]})


@pytest.mark.slow
def test_a_link_to_an_unknown_anomaly_says_so(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(
        f"{demo.url}#/ticker/AAPL?interval=1d&anomaly=1999-01-01T00:00:00Z", quiet=False
    )
    expect(page.get_by_text("Nothing was found in a bar of 1999-01-01T00:00:00Z")).to_be_visible()
    expect(page.get_by_text("Pick an anomaly")).to_be_visible()


@pytest.mark.parametrize("close", [1.831e-9, 3_122_092_851.0])
@pytest.mark.slow
def test_a_long_price_stands_beside_its_change(
    demo: Demo, open_page: Callable[..., Page], close: float
) -> None:
    anomalies = demo.database.anomalies
    chosen = {"Ticker": "IBM", "severity": "medium"}
    before = anomalies.find_one(chosen)
    assert before is not None
    anomalies.update_one({"_id": before["_id"]}, {"$set": {"Close": close}})
    try:
        page = open_page(f"{demo.url}#/ticker/IBM")
        price = page.locator(f"a.anomaly[data-id='{before['_id']}'] .price")
        expect(price).to_be_visible()
        assert price.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    finally:
        anomalies.replace_one({"_id": before["_id"]}, before)

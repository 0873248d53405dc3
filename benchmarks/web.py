"""`make bench-web`: how quickly the dashboard shows something, how smoothly a chart pans, and how
much is loaded.

It uses a real gunicorn and Debian's Chromium on this machine, which renders in software. Each
figure has a baseline from the same server and browser: for the first paint and the weight, a page
of the same origin without scripts; for panning, frames in which nothing is drawn. Each load has a
new browser profile, so nothing is cached. The sides take turns, so that a machine whose speed
drifts slows both.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine, keep_figures
from benchmarks.api import run_api
from benchmarks.service import run_bench_servers
from records.database import Db, open_database
from records.findings.anomalies import build_anomaly_id
from runner.servers import LOOPBACK

RESULTS = Path(__file__).parent / "web.json"
TICKERS = 5_000
BARS = 250
DETECTED_TICKERS = 100
ANOMALIES = 100_000
INSERTED = 5_000
CHART_BARS = 5_000
CHART_TICKER = "LONG"
ROUNDS = 7
PAN_STEPS = 120
BLANK = "favicon.svg"  # A page of the same server without other files.
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
)
# The upper bound of each figure.
BOUNDS = {
    "first_useful_paint_ms": 1_000.0,
    "lanes_paint_ms": 1_000.0,
    "list_paint_ms": 1_000.0,
    "chart_paint_ms": 1_000.0,
    "pan_frame_p95_ms": 33.4,  # Two of a screen's 60 frames a second.
    "pan_cpu_per_frame_ms": (
        16.7
    ),  # Of the page's thread, which depends less on the machine's other load.
    "page_weight_kb": 300.0,
}
# The first useful content of the overview: the market's figures, then the lanes with their marks.
USEFUL = ".market .figures dd"
LANES = ".lanes [data-mark]"
LIST = ".found-table tbody tr"
CHART = ".stage canvas"

# The times between frames while the mouse drags the chart.
START_FRAMES = """() => {
  window.frames_ = [];
  let before = performance.now();
  const note = (now) => {
    window.frames_.push(now - before);
    before = now;
    window.frame_ = requestAnimationFrame(note);
  };
  window.frame_ = requestAnimationFrame(note);
}"""
STOP_FRAMES = "() => { cancelAnimationFrame(window.frame_); return window.frames_.slice(2); }"
# The time, since the navigation began, of the frame in which an element of the selector first
# exists.
AWAIT = """(selector) => new Promise((resolve) => {
  const look = () => document.querySelectorAll(selector).length >= 2
    ? requestAnimationFrame((now) => resolve(now)) : requestAnimationFrame(look);
  look();
})"""
WEIGH = """() => ["navigation", "resource"]
  .flatMap((kind) => performance.getEntriesByType(kind))
  .map((entry) => [entry.name, entry.encodedBodySize])"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.web", description="Measure the dashboard."
    )
    parser.add_argument("--quick", action="store_true", help="two rounds: a look, not the figures")
    quick = parser.parse_args().quick
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("this benchmark needs Chromium: sudo apt-get install chromium")
    console = Console()
    machine = describe_machine()
    console.print(machine)
    with run_bench_servers() as (settings, folder):
        console.print(
            f"Generating {TICKERS:,} series and one of {CHART_BARS:,} bars; detecting"
            f" {DETECTED_TICKERS + 1}, and copying what is found to {ANOMALIES:,} anomalies of all."
        )
        with open_database(settings).client as client:
            fill(client[settings.mongo_database])
        with run_api(settings, folder), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
            measured = measure(
                browser, f"http://{LOOPBACK}:{settings.port}/", 2 if quick else ROUNDS
            )
            version = browser.version
            browser.close()
    figures = {name: round(measured[name][0], 1) for name in BOUNDS}
    console.print(
        build_table(measured), f"Chromium {version}. Load afterwards: {os.getloadavg()[0]:.1f}."
    )
    baselines = {f"{name}_baseline": round(measured[name][1], 1) for name in BOUNDS}
    about = {
        "machine": machine,
        "load_afterwards": round(os.getloadavg()[0], 1),
        "browser": version,
    }
    keep_figures(console, RESULTS, {**figures, **baselines, **about}, quick=quick)


def fill(database: Db) -> None:
    """Store what is shown: series, a model, and the anomalies of some of them."""
    # These modules load the numeric stack, which reads the environment when it is imported.
    from benchmarks import market, sides  # noqa: PLC0415
    from detection.models.plan import TrainingPlan  # noqa: PLC0415
    from detection.models.training import train_model  # noqa: PLC0415
    from market.imports.bulk import import_synthetic  # noqa: PLC0415
    from market.markets import SHIPPED  # noqa: PLC0415
    from records.indexes import ensure_indexes  # noqa: PLC0415

    ensure_indexes(database)
    tickers, now = tuple(f"T{number:05d}" for number in range(TICKERS)), datetime.now(UTC)
    detected = tickers[:DETECTED_TICKERS]
    made = (
        (detected, market.BARS),
        (tickers[DETECTED_TICKERS:], BARS),
        ((CHART_TICKER,), CHART_BARS),
    )
    for names, bars in made:
        import_synthetic(
            database,
            names,
            SHIPPED[market.MARKET],
            bars=bars,
            seed=market.SEED,
            end=market.END,
            now=now,
        )
    detected = (*detected, CHART_TICKER)
    train_model(database, TrainingPlan(market.MARKET, tickers=detected, seed=market.SEED), now=now)
    from tasks.process.worker import get_worker  # noqa: PLC0415

    sides.run_here(get_worker(), sides.ask("backfill", detected))
    spread_anomalies(database, tickers)


def spread_anomalies(database: Db, tickers: Sequence[str]) -> None:
    """Copy the anomalies that were found to other tickers and days, until there are enough."""
    found = list(database.anomalies.find({"Ticker": {"$ne": CHART_TICKER}}))
    missing = ANOMALIES - database.anomalies.count_documents({})
    rows: dict[str, dict[str, Any]] = {}
    others, number = tickers[DETECTED_TICKERS:], 0
    while len(rows) < missing:
        copied, ticker = found[number % len(found)], others[number % len(others)]
        time = copied["Datetime"] - timedelta(days=number // len(others))
        key = build_anomaly_id(ticker, copied["interval"], time)
        rows[key] = {**copied, "_id": key, "Ticker": ticker, "Datetime": time}
        number += 1
    documents = list(rows.values())
    for first in range(0, len(documents), INSERTED):
        database.anomalies.insert_many(documents[first : first + INSERTED], ordered=False)


def measure(browser: Browser, url: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Return each figure with its baseline."""
    times: dict[str, list[float]] = {
        name: [] for name in ("useful", "lanes", "list", "blank", "chart", "pan", "still")
    }
    cpu: dict[str, list[float]] = {"pan": [], "still": []}
    weights: list[dict[str, float]] = []
    for _ in range(rounds):
        with open_page(browser, url + BLANK) as page:
            times["blank"].append(await_paint(page))
            frames, seconds = measure_frames(page, lambda page: page.wait_for_timeout(1_000))
            times["still"] += frames
            cpu["still"].append(1_000 * seconds / len(frames))
            weights.append({"blank": weigh(page, url)})
        with open_page(browser, url) as page:
            times["useful"].append(page.evaluate(AWAIT, USEFUL))
            times["lanes"].append(page.evaluate(AWAIT, LANES))
        with open_page(browser, f"{url}#/anomalies") as page:
            times["list"].append(page.evaluate(AWAIT, LIST))
        with open_page(browser, f"{url}#/ticker/{CHART_TICKER}") as page:
            times["chart"].append(page.evaluate(AWAIT, CHART))
            page.wait_for_function("() => !document.querySelector('[aria-busy]')")
            frames, seconds = measure_frames(page, pan)
            times["pan"] += frames
            cpu["pan"].append(1_000 * seconds / len(frames))
            weights[-1]["page"] = weigh(page, url)
    return {
        "first_useful_paint_ms": (median(times["useful"]), median(times["blank"])),
        "lanes_paint_ms": (median(times["lanes"]), median(times["blank"])),
        "list_paint_ms": (median(times["list"]), median(times["blank"])),
        "chart_paint_ms": (median(times["chart"]), median(times["blank"])),
        "pan_frame_p95_ms": (
            find_percentile(times["pan"], 95),
            find_percentile(times["still"], 95),
        ),
        "pan_cpu_per_frame_ms": (median(cpu["pan"]), median(cpu["still"])),
        "page_weight_kb": (weights[-1]["page"], weights[-1]["blank"]),
    }


@contextmanager
def open_page(browser: Browser, url: str) -> Iterator[Page]:
    """Open a page in a profile of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    try:
        page.goto(url, wait_until="commit")
        yield page
    finally:
        context.close()


def await_paint(page: Page) -> float:
    """Return when the page was first painted, in ms since its navigation began."""
    return float(page.evaluate("() => new Promise((resolve) => requestAnimationFrame(resolve))"))


def pan(page: Page) -> None:
    """Drag the chart, which shows all its bars, to and fro, as a hand does: a little each frame."""
    box = page.locator(CHART).first.bounding_box()
    assert box is not None
    middle, level = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle, level)
    page.mouse.down()
    for step in range(PAN_STEPS):
        away = step if step < PAN_STEPS / 2 else PAN_STEPS - step
        page.mouse.move(middle + 6 * away, level)
    page.mouse.up()


def measure_frames(page: Page, act: Callable[[Page], None]) -> tuple[list[float], float]:
    """Return the milliseconds between frames while an action runs, and the seconds of CPU that the
    page used.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate(START_FRAMES)
    before = read_cpu_seconds(session)
    act(page)
    seconds = read_cpu_seconds(session) - before
    frames: list[float] = page.evaluate(STOP_FRAMES)
    return frames, seconds


def read_cpu_seconds(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def weigh(page: Page, url: str) -> float:
    """Return the transferred kB of the page's own files, without the API's answers."""
    loaded: list[tuple[str, float]] = page.evaluate(WEIGH)
    return sum(size for name, size in loaded if not name.startswith(f"{url}py/")) / 1000


def find_percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def build_table(measured: dict[str, tuple[float, float]]) -> Table:
    table = Table("figure", "measured", "baseline", "to keep below", "", title="The dashboard")
    for name, (value, baseline) in measured.items():
        kept = "kept" if value <= BOUNDS[name] else "OVER"
        table.add_row(name, f"{value:.1f}", f"{baseline:.1f}", f"{BOUNDS[name]:g}", kept)
    return table


if __name__ == "__main__":
    main()

"""`make feed-demo`: replays a synthetic day into the feed, and shows alerts as they come.

It uses its own database, beside that of `make up` and `make demo`, which is emptied each time.
"""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from core.errors import BadInput
from core.settings import Settings
from records.database import Db, open_database
from records.migrations import prepare_database
from records.ticks.positions import find_positions
from records.work.outbox import find_undelivered
from runner.client import Api
from runner.demo import DemoFailed, follow_run, run_command
from runner.feed_day import DAY, HISTORY
from runner.servers import die_with_parent, flask_command
from runner.service import build_environment, serve, wait_for_api

DATABASE = "tapewatch_feed_demo"
WATCHLIST = "feed-demo"
MARKET = "CRYPTO"
INTERVAL = "5m"
POLL_SECONDS = 0.3
# The demo ends when no alert has come for so long.
QUIET_SECONDS = 5.0
# The day has 1,728 candles: at the lowest speed it takes half an hour.
REPLAY_SECONDS = 3_600.0
FASTEST = 10_000
SHOWN_REASONS = 2


def run_feed_demo(console: Console, speed: int) -> None:
    """Bring up the service, replay the day at `speed` candles a second, show alerts as they come,
    and stop everything. Raises BadInput on a speed that is none.
    """
    if not 0 < speed <= FASTEST:
        raise BadInput(f"a speed of {speed} candles a second cannot be: 1 to {FASTEST:,} are")
    os.environ["MONGO_DATABASE"] = DATABASE
    console.print("Starting servers, API, workers, beat and the feed.")
    with serve(console.print) as settings, TemporaryDirectory() as name:
        folder = Path(name)
        with open_database(settings).client as client:
            # An earlier demo may have left data.
            client.drop_database(DATABASE)
            prepare_database(client[DATABASE], datetime.now(UTC))
        wait_for_api(settings)
        api = Api(settings)
        tickers = _prepare(console, settings, api, folder)
        _replay(console, settings, api, folder / DAY, tickers, speed)


def _prepare(console: Console, settings: Settings, api: Api, folder: Path) -> list[str]:
    """Store a month of bars and train on it; return the tickers."""
    done = subprocess.run(  # noqa: S603 -- our own command line
        die_with_parent([sys.executable, "-m", "runner.feed_day", str(folder)]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"the day could not be made: {done.stderr.strip()[-500:]}")
    words = ("bars", "import", str(folder / HISTORY), "--interval", INTERVAL, "--json")
    report = json.loads(run_command(settings, *words))
    tickers = [series["ticker"] for series in report["series"]]
    console.print(
        f"Bars: a month of made-up {INTERVAL} candles of {len(tickers)} tickers imported."
    )
    body: dict[str, Any] = {"market": MARKET, "interval": INTERVAL}
    run = follow_run(console, api, "Model: training", api.post("/models/train", body)["run_id"])
    console.print(f"Model: {run['model_version']} trained.")
    body = {"tickers": tickers, "interval": INTERVAL, "max_period": "max"}
    run_id = api.post("/anomalies/backfill", body)["run_id"]
    run = follow_run(console, api, "Backfill: detecting the month before", run_id)
    console.print(f"Backfill: {run['rows_processed']:,} bars scored.")
    watchlist = {"tickers": tickers, "interval": INTERVAL, "source": "feed"}
    api.post("/watchlists", {"name": WATCHLIST, **watchlist})
    return tickers


def _replay(
    console: Console, settings: Settings, api: Api, day: Path, tickers: list[str], speed: int
) -> None:
    command = ["feed", "publish", str(day), "--kind", "candles", "--interval", INTERVAL]
    command += ["--speed", str(speed), "--json"]
    time.sleep(1.5)  # The feed reads the watchlists once a second.
    console.print(
        f"\nReplaying a day of {len(tickers)} tickers at {speed} candles a second."
        " Alerts as they come:\n"
    )
    started = time.monotonic()
    shown: dict[str, int] = {}
    publishing = subprocess.Popen(  # noqa: S603 -- our own command line
        flask_command(*command),
        env=build_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    database = open_database(settings)
    with database.client, publishing as publisher:
        quiet_since = time.monotonic()
        while time.monotonic() - started < REPLAY_SECONDS:
            news = _show_news(console, api, shown)
            if news or publisher.poll() is None or _is_open(api, database):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > QUIET_SECONDS:
                break
            time.sleep(POLL_SECONDS)
        publisher.terminate()
        sent, said = publisher.communicate()
    if publisher.returncode:
        raise DemoFailed(f"the day was not sent whole: {said.strip()[-500:]}")
    console.print(
        f"\nThe day took {time.monotonic() - started:.0f} s: {json.loads(sent)['sent']:,} candles,"
        f" {len(shown)} alerts."
    )
    console.print("`flask feed publish FILE` sends your own; docs/feed.md says how others do.")


def _show_news(console: Console, api: Api, shown: dict[str, int]) -> bool:
    """Print the alerts that are new or have more bars than before; return whether there was any."""
    found = api.get("/alerts", limit=100)["items"]
    news = False
    for alert in sorted(found, key=lambda one: str(one["last_bar"])):
        if shown.get(alert["_id"], 0) >= alert["count"]:
            continue
        word = "more" if alert["_id"] in shown else "alert"
        shown[alert["_id"]] = alert["count"]
        news = True
        reasons = "; ".join(alert["reasons"][:SHOWN_REASONS])
        console.print(
            f"  {alert['last_bar'][11:16]}  {word:<5}  {alert['severity']:<8}"
            f"  {alert['entity_id']:<10}  {alert['direction']:<4}  {reasons}"
        )
    return news


def _is_open(api: Api, database: Db) -> bool:
    """Return whether candles wait, a run of the feed is open, or not all of its alerts are
    raised.
    """
    if any(one["lag_entries"] or one["waiting"] for one in find_positions(database)):
        return True
    if find_undelivered(database, limit=1):
        return True
    return any(
        api.get("/detection-runs", trigger="feed", status=status, limit=1)["items"]
        for status in ("queued", "in_progress")
    )

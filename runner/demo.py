"""`make demo`: imports real daily bars and shows their anomalies, over the public HTTP API."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from core.errors import TapewatchError
from core.grades import SEVERITIES
from core.naming import count_of
from core.settings import STATE_DIR, Settings, read_settings
from records.analytics.snapshots import find_snapshots
from records.database import Db, open_database
from records.findings.watermarks import find_watermarks
from records.keys import has_keys
from records.market.documents import SeriesDocument
from records.market.series import find_series
from records.models.models import find_models
from records.work.runs import OPEN_STATUSES
from runner.client import Api, ApiRefused
from runner.servers import die_with_parent, flask_command
from runner.service import build_environment, describe_addresses, serve, stay, wait_for_api

MARKET = "US"
INTERVAL = "1d"
TICKERS = ("AAPL", "FB", "GOOG", "IBM", "MSFT", "^GSPC", "^IXIC")
METRIC_BARS = 500
SHOWN_ANOMALIES = 12
SHOWN_REASONS = 2
POLL_SECONDS = 0.15
RUN_SECONDS = 300


class DemoFailed(TapewatchError):
    """A step of the demo failed."""

    reason = "demo_failed"


class RunGoesOn(DemoFailed):
    """A run takes longer than the demo waits."""


def run_demo(console: Console, *, once: bool) -> None:
    """Bring up the service, show what it finds in real bars, and serve until interrupted,
    or not with `once`.
    """
    started = time.monotonic()
    console.print("Starting servers, API, workers, beat and Flower.")
    shown = Event()
    with (
        _start_import() as importing,
        serve(console.print, shown) as settings,
        open_database(settings).client as client,
    ):
        database = client[settings.mongo_database]
        if has_keys(database):
            raise DemoFailed(
                "this folder has API keys, and the demo asks without one: serve what is here with"
                " `make up`, or run the demo in a clone of its own"
            )
        _bring_bars(console, settings, database, importing)
        wait_for_api(settings)
        api = Api(settings)
        _bring_model(console, api, database)
        _detect(console, api, database)
        # Not earlier: in a new folder two processes would compile the same kernels.
        metrics = _ask_for_metrics(api, database)
        _show_anomalies(console, api)
        console.print(f"\nFrom start to table: {time.monotonic() - started:.1f} s.\n")
        _follow_metrics(console, api, metrics)
        console.print(describe_addresses(settings))
        if not once:
            shown.set()
            stay(console)


@contextmanager
def _start_import() -> Iterator[subprocess.Popen[str]]:
    """Yield a process that imports the bars once it gets MongoDB's URL; see runner/demo_bars.py."""
    with subprocess.Popen(  # noqa: S603 -- our own module
        die_with_parent([sys.executable, "-m", "runner.demo_bars"]),
        env=build_environment(read_settings(env_file=None)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _bring_bars(
    console: Console, settings: Settings, database: Db, importing: subprocess.Popen[str]
) -> None:
    stored = _find_bars(database)
    if len(stored) == len(TICKERS):
        importing.kill()
        importing.wait()
        console.print(f"Bars: {_describe_bars(stored)} are here already.")
        return
    console.print("Bars: importing the real daily bars that come with bokeh_sampledata and arch.")
    said, problem = importing.communicate(f"{settings.mongo_url}\n")
    if importing.returncode:
        raise DemoFailed(f"the bars could not be imported: {problem.strip()}")
    console.print(f"Bars: {_describe_bars(_find_bars(database))} imported, {said} rejected.")


def _find_bars(database: Db) -> list[SeriesDocument]:
    return find_series(database, tickers=TICKERS, interval=INTERVAL)


def _describe_bars(series: list[SeriesDocument]) -> str:
    first, last = min(one["first_bar"] for one in series), max(one["last_bar"] for one in series)
    return (
        f"{sum(one['bars'] for one in series):,} of {len(series)} tickers, {first:%Y-%m-%d} to"
        f" {last:%Y-%m-%d},"
    )


def _bring_model(console: Console, api: Api, database: Db) -> None:
    champions = find_models(database, market=MARKET, state="champion")
    if champions:
        console.print(f"Model: {champions[0]['version']} is here already.")
        return
    run = follow_run(
        console, api, "Model: training", api.post("/models/train", {"market": MARKET})["run_id"]
    )
    console.print(
        f"Model: {run['model_version']} trained, an Isolation Forest of the market {MARKET}."
    )


def _detect(console: Console, api: Api, database: Db) -> None:
    last_bars = {series["ticker"]: series["last_bar"] for series in _find_bars(database)}
    marks = find_watermarks(database, TICKERS, INTERVAL)
    if all(
        t in marks and marks[t]["last_detected_timestamp"] == last for t, last in last_bars.items()
    ):
        console.print(
            f"Backfill: nothing to do, all {len(last_bars)} tickers were detected to their last bar"
            " before."
        )
        return
    body = {"tickers": list(TICKERS), "interval": INTERVAL, "max_period": "max"}
    try:
        run_id = api.post("/anomalies/backfill", body)["run_id"]
    except ApiRefused as error:
        # An earlier demo was interrupted, and its backfill goes on.
        if error.reason != "backfill_in_progress":
            raise
        run_id = error.problem["run_id"]
    run = follow_run(console, api, "Backfill: detecting", run_id)
    console.print(
        f"Backfill: {run['rows_processed']:,} bars scored in {run['duration_seconds']:.1f} s, "
        f"{run['anomalies_found']:,} anomalies (run {run_id})."
    )


def _ask_for_metrics(api: Api, database: Db) -> str | None:
    """Ask for metrics, which need no model; return the run, None where metrics exist already."""
    if all(
        find_snapshots(database, ticker, INTERVAL, limit=METRIC_BARS)[METRIC_BARS - 1 :]
        for ticker in TICKERS
    ):
        return None
    body = {"market": MARKET, "interval": INTERVAL, "bars": METRIC_BARS}
    return str(api.post("/analysis/compute", body)["run_id"])


def _follow_metrics(console: Console, api: Api, run_id: str | None) -> None:
    if run_id is None:
        console.print("Metrics: they are here already.")
        return
    try:
        ended = follow_run(console, api, "Metrics: computing", run_id)
    except RunGoesOn as error:  # With many own tickers it takes long; nothing waits for metrics.
        console.print(f"Metrics: {error.message}")
        return
    tickers = count_of(ended["progress"]["tickers_total"], "ticker")
    console.print(
        f"Metrics: of the last {METRIC_BARS} bars of {tickers},"
        f" in {ended['duration_seconds']:.1f} s."
    )


def run_command(settings: Settings, *command: str) -> str:
    """Return the output of a command of this service. Raises DemoFailed.

    The command runs in a process of its own, so that the runner does not keep numpy and the like in
    memory while it serves.
    """
    done = subprocess.run(  # noqa: S603 -- our own command line
        flask_command(*command),
        env=build_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"`flask {' '.join(command[:2])}` failed: {done.stderr.strip()}")
    return done.stdout


def follow_run(console: Console, api: Api, what: str, run_id: str) -> dict[str, Any]:
    """Show a run's progress from its document until it has ended; return it.

    Raises DemoFailed unless complete, RunGoesOn where it has not ended in time.
    """
    deadline = time.monotonic() + RUN_SECONDS
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=100)
        while True:
            run = api.get(f"/detection-runs/{run_id}")
            bar.update(task, completed=run["progress"]["percent"])
            if run["status"] not in OPEN_STATUSES:
                break
            if time.monotonic() > deadline:
                raise RunGoesOn(
                    f"run {run_id} is {run['status']} after {RUN_SECONDS} s; see"
                    f" {STATE_DIR}/logs/worker.log"
                )
            time.sleep(POLL_SECONDS)
    if run["status"] != "complete":
        failures = "; ".join(
            f"{failure['ticker']}: {failure['error']}" for failure in run["failures"]
        )
        raise DemoFailed(f"run {run_id} ended {run['status']}: {run['error'] or failures}")
    return run


def _tell_split(anomaly: dict[str, Any]) -> list[str]:
    """Return a suspected split as the first reason, where the jump has the size of one that is not
    recorded; else nothing.
    """
    ratio = anomaly["suspected_split"]
    return [f"looks like a split of {ratio:g} for 1"] if ratio else []


def _show_anomalies(console: Console, api: Api) -> None:
    strangest = api.get("/anomalies", sort="-grade", kind="event", limit=SHOWN_ANOMALIES)["items"]
    table = Table(title="The strangest events", title_justify="left")
    for name in ("ticker", "date"):
        table.add_column(name, no_wrap=True)
    for name in ("close", "return", "grade"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what stands out")
    for anomaly in strangest:
        table.add_row(
            anomaly["Ticker"],
            anomaly["Datetime"][:10],
            f"{anomaly['Close']:,.2f}",
            f"{anomaly['features']['return_1']:+.1%}",
            f"{anomaly['grade']:.0f}",
            "; ".join([*_tell_split(anomaly), *anomaly["reasons"]][:SHOWN_REASONS]),
        )
    console.print()
    console.print(table, soft_wrap=False)
    summary = api.get("/anomalies/summary")
    by_ticker = ", ".join(f"{entry['ticker']} {entry['count']}" for entry in summary["by_ticker"])
    counts = summary["by_severity"]
    by_severity = ", ".join(
        f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if severity in counts
    )
    console.print(f"{summary['total']:,} anomalies in all: {by_severity}. {by_ticker}.")

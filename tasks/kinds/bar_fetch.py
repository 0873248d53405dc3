"""The batch of a fetch brings the bars of a watchlist's tickers from its source."""

from datetime import UTC, datetime

from market.imports.fetching import fetch_from_folder, fetch_from_yahoo, list_came
from market.imports.folders import resolve_folder
from market.imports.report import SeriesReport
from market.imports.sources.yahoo import Yahoo, build_fetch
from records.work.batches import Batch
from records.work.documents import RunDocument
from tasks.engine.kind import Result
from tasks.kinds.import_results import close_import, list_failures
from tasks.kinds.parts import build_checkpoint, build_finish
from tasks.process.worker import Worker


def fetch_bars(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Fetch the bars of a run's tickers; the run's result says of each whether any came."""
    database, options, now = worker.database, run["options"], datetime.now(UTC)
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)

    def on_series(_series: SeriesReport, _total: int) -> None:
        checkpoint(0.0)

    if options["source"] == "yahoo":
        report = fetch_from_yahoo(
            database,
            Yahoo(build_fetch()),
            run["tickers"],
            interval=run["interval"],
            now=now,
            on_series=on_series,
        )
    else:
        folder = resolve_folder(worker.settings.watched_folder, options["folder"])
        report = fetch_from_folder(
            database,
            folder,
            interval=run["interval"],
            now=now,
            on_series=on_series,
            on_wait=lambda: checkpoint(0.0),
        )
    return close_import(
        database,
        run,
        report,
        finish,
        failures=list_failures(report, "fetch_failed"),
        tickers_done=len(run["tickers"]),
        noted=list_came(report, run["tickers"]),
    )

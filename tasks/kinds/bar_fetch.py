"""The batch of a fetch brings the bars of a watchlist's tickers from its source;
that of a fill asks a source for the sessions that lack bars.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from market.imports.fetching import (
    fetch_from_folder,
    fetch_from_yahoo,
    fill_from_yahoo,
    list_came,
    reaches,
)
from market.imports.folders import resolve_folder
from market.imports.importing import OnSeries
from market.imports.report import ImportReport, SeriesReport
from market.imports.sources.yahoo import Yahoo, build_fetch
from market.imports.trading import find_source_empty
from records.market.documents import GapDocument
from records.market.gaps import (
    find_filling,
    find_gaps,
    mark_filling,
    note_attempt,
    replace_gaps,
)
from records.work.batches import Batch
from records.work.documents import RunDocument
from tasks.engine.kind import Result
from tasks.kinds.import_results import close_import, list_failures
from tasks.kinds.parts import build_checkpoint, build_finish, build_guard
from tasks.process.worker import Worker


def fetch_bars(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Fetch the bars of a run's tickers; the run's result says of each whether any came."""
    database, now = worker.database, datetime.now(UTC)
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    if run["options"]["source"] == "yahoo":
        report = fetch_from_yahoo(
            database,
            Yahoo(build_fetch()),
            run["tickers"],
            interval=run["interval"],
            now=now,
            on_series=_report_to(checkpoint),
            guard=build_guard(database, batch),
        )
    else:
        report = _fetch_from_folder(worker, run, now, batch, checkpoint)
    return close_import(
        database,
        run,
        report,
        finish,
        failures=list_failures(report, "fetch_failed"),
        tickers_done=len(run["tickers"]),
        noted=list_came(report, run["tickers"]),
    )


def fill_gaps(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Ask the run's source for the bars that its gaps lack; the result says what became of them."""
    database, options, now = worker.database, run["options"], datetime.now(UTC)
    source = str(options["source"])
    mark_filling(database, options["gaps"], run_id=run["_id"], source=source, now=now)
    before = find_filling(database, run["_id"])
    report = _fill(worker, run, before, now, batch)
    empty = _find_empty(worker, run, before, report)

    def settle(session: ClientSession) -> None:
        settled = [
            note_attempt(
                gap,
                now,
                reason="source_empty" if gap["_id"] in empty else None,
                is_last=not reaches(source, run["interval"], gap["last"], now),
            )
            for gap in find_filling(database, run["_id"], session)
        ]
        replace_gaps(database, settled, session)

    ids = [gap["_id"] for gap in before]
    failures = [
        failure
        for failure in list_failures(report, "fetch_failed")
        if failure["ticker"] not in {series.ticker for series in report.series if series.is_empty}
    ]
    filled = {gap["_id"] for gap in find_gaps(database, ids=ids, states=["filled"])}
    return close_import(
        database,
        run,
        report,
        build_finish(database, batch),
        failures=failures,
        tickers_done=len(run["tickers"])
        - len({f["ticker"] for f in failures} & set(run["tickers"])),
        noted={
            "filled": sorted(filled),
            "lacking": sorted(set(ids) - filled),
            "source_empty": sorted(empty),
        },
        also=settle,
    )


def _fill(
    worker: Worker,
    run: RunDocument,
    gaps: list[GapDocument],
    now: datetime,
    batch: Batch,
) -> ImportReport:
    checkpoint = build_checkpoint(worker, batch)
    if run["options"]["source"] == "yahoo":
        since = {
            ticker: min(gap["first"] for gap in gaps if gap["ticker"] == ticker)
            for ticker in {gap["ticker"] for gap in gaps}
        }
        return fill_from_yahoo(
            worker.database,
            Yahoo(build_fetch()),
            since,
            interval=run["interval"],
            now=now,
            on_series=_report_to(checkpoint),
            guard=build_guard(worker.database, batch),
        )
    return _fetch_from_folder(worker, run, now, batch, checkpoint, again=True)


def _find_empty(
    worker: Worker, run: RunDocument, before: list[GapDocument], report: ImportReport
) -> set[str]:
    """Return the gaps for which a source that answered had no bars although their market traded."""
    if report.failures:
        return set()
    failed = {series.ticker for series in report.failed if not series.is_empty}
    held = {gap["_id"]: gap["bars_held"] for gap in before if gap["ticker"] not in failed}
    after = find_gaps(worker.database, ids=list(held))
    unmoved = [gap for gap in after if gap["bars_held"] == held[gap["_id"]]]
    return find_source_empty(worker.database, run["interval"], unmoved)


def _fetch_from_folder(
    worker: Worker,
    run: RunDocument,
    now: datetime,
    batch: Batch,
    checkpoint: Callable[[float], None],
    *,
    again: bool = False,
) -> ImportReport:
    return fetch_from_folder(
        worker.database,
        resolve_folder(worker.settings.watched_folder, run["options"]["folder"]),
        interval=run["interval"],
        now=now,
        on_series=_report_to(checkpoint),
        on_wait=lambda: checkpoint(0.0),
        guard=build_guard(worker.database, batch),
        again=again,
    )


def _report_to(checkpoint: Callable[[float], None]) -> OnSeries:
    def on_series(_series: SeriesReport, _total: int) -> None:
        checkpoint(0.0)

    return on_series

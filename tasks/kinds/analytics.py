"""Computing the metrics of a batch's tickers, with what their market did."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from analytics.market import MarketBar
from analytics.metric import SET
from market.markets import load_markets
from market.sessions.overrides import find_sessions
from records.analytics import markets, overview, snapshots
from records.analytics.documents import FailureDocument, SnapshotDocument
from records.database import Db, in_transaction
from records.market.documents import PanelSeries
from records.market.series import build_series_id
from records.work.batches import Batch
from records.work.documents import BatchResult, RunDocument, TickerFailure
from tasks.engine.kind import Result
from tasks.kinds.analytics_bars import Work, load
from tasks.kinds.analytics_snapshots import build_market_snapshot, describe
from tasks.kinds.parts import build_checkpoint, build_finish
from tasks.process.worker import Worker


def compute(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Compute and store the snapshots of the batch's tickers, and their market's."""
    database, market = worker.database, load_markets(worker.database).choose(str(batch.market))
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    sessions, bars = find_sessions(database, market), int(run["options"].get("bars", 1))
    work = Work(run["_id"], market, run["interval"], bars, sessions, datetime.now(UTC))
    checkpoint(0.0)
    loaded = load(database, work, batch.tickers)
    checkpoint(0.3)
    documents, market_bars = describe(work, loaded, checkpoint)
    failures: list[TickerFailure] = [
        {"ticker": ticker, "reason": reason, "error": error}
        for ticker, (reason, error) in loaded.failures.items()
    ]
    result: BatchResult = {
        "tickers_done": len(batch.tickers) - len(failures),
        "tickers_failed": len(failures),
        "failures": failures,
        "rows_loaded": 0 if loaded.panel is None else int(loaded.panel.times.size),
        "rows_processed": len(documents),
    }

    computed = sorted(
        {build_series_id(document["ticker"], work.interval) for document in documents}
    )
    unusable = [
        _build_failure(work, loaded.series[ticker], error)
        for ticker, (_, error) in loaded.failures.items()
        if ticker in loaded.series
    ]

    def write(session: ClientSession) -> None:
        write_documents(database, work, documents, market_bars, session)
        overview.note_failures(database, unusable, computed, session)
        finish(session, result)

    in_transaction(database, write)
    return {"detection_run_id": run["_id"], "snapshots": len(documents)}


def write_documents(
    database: Db,
    work: Work,
    documents: Sequence[SnapshotDocument],
    market_bars: Sequence[MarketBar],
    session: ClientSession,
) -> None:
    """Write snapshots, the overview of the latest of each series, and market snapshots."""
    latest = {document["ticker"]: document for document in documents}
    bars = {ticker: document["time"] for ticker, document in latest.items()}
    grades = overview.find_grades(database, work.interval, bars, session)
    shown = [
        overview.build_overview_document(document, work.market.code, grades.get(ticker))
        for ticker, document in latest.items()
    ]
    snapshots.write_snapshots(database, documents, session)
    overview.write_overview(database, shown, session)
    if shown:
        overview.raise_version(database, work.market.code, work.interval, session)
    markets.write_market_snapshots(
        database, [build_market_snapshot(work, bar) for bar in market_bars], session
    )


def _build_failure(work: Work, series: PanelSeries, error: str) -> FailureDocument:
    return {
        "_id": series["_id"],
        "as_of": series["last_bar"],
        "bars_revision": series["revision"],
        "set": SET,
        "error": error,
        "run_id": work.run_id,
    }

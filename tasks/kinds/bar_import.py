"""The batch of an import takes in bars that were pushed or uploaded."""

from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from market.imports.columns import is_ticker_column
from market.imports.importing import import_frame
from market.imports.sources.files import name_ticker, read_content
from records.database import in_transaction
from records.market.uploads import delete_upload, open_upload
from records.work.batches import Batch
from records.work.documents import BatchResult, RunDocument, TickerFailure
from records.work.runs import note_outcome
from tasks.engine.kind import Result
from tasks.kinds.parts import build_checkpoint, build_finish
from tasks.process.worker import Worker


def import_bars(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Import an upload, ticker by ticker; what it says of each is the run's report."""
    database, options = worker.database, run["options"]
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    with open_upload(database, options["upload_id"]) as upload:
        frame = read_content(upload.read(), options["filename"])
    ticker = options["ticker"]
    if ticker is None and not any(is_ticker_column(column) for column in frame.columns):
        ticker = name_ticker(options["filename"])
    report = import_frame(
        database,
        frame,
        interval=run["interval"],
        source=options["filename"],
        ticker=ticker,
        now=datetime.now(UTC),
        on_series=lambda _series, _total: checkpoint(0.0),
    )
    failures: list[TickerFailure] = [
        {"ticker": s.ticker, "reason": "import_failed", "error": s.error or ""} for s in report.failed
    ]
    result: BatchResult = {
        "rows_loaded": report.total("read"),
        "rows_processed": report.total("new") + report.total("changed"),
        "tickers_done": len(report.series) - len(failures),
        "tickers_failed": len(failures),
        "failures": failures,
    }

    def write(session: ClientSession) -> None:
        note_outcome(database, run["_id"], {"result": report.to_dict()}, session)
        finish(session, result)

    in_transaction(database, write)
    if not failures:  # what failed can be retried
        delete_upload(database, options["upload_id"])
    return {"detection_run_id": run["_id"]} | {name: report.total(name) for name in ("read", "new", "changed")}

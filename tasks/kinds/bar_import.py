"""The batch of an import takes in bars that were pushed or uploaded."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from core.errors import BadInput
from market.imports.bulk import import_candles, import_content
from market.imports.importing import Request
from market.imports.options import ReadingOptions
from market.imports.report import ImportReport
from market.markets import load_markets
from records.database import Db
from records.market.uploads import delete_upload, open_upload
from records.work.batches import Batch
from records.work.documents import RunDocument
from tasks.engine.kind import Result
from tasks.kinds.import_results import close_import, list_failures
from tasks.kinds.parts import build_checkpoint, build_finish, build_guard
from tasks.process.worker import Worker


def import_bars(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Import an upload, ticker by ticker; what it says of each is the run's report."""
    database, options = worker.database, run["options"]
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    with open_upload(database, options["upload_id"]) as upload:
        content = upload.read()
    code = options.get("market")
    request = Request(
        run["interval"],
        options["filename"],
        datetime.now(UTC),
        options["ticker"],
        load_markets(database).choose(code) if code else None,
        import_id=run["_id"],
        on_series=lambda _series, _total: checkpoint(0.0),
        on_wait=lambda: checkpoint(0.0),
        guard=build_guard(database, batch),
    )
    read = import_candles if options.get("pushed") else import_content
    report = _import(read, database, content, options, request)
    failures = list_failures(report, "import_failed")
    done = len(report.series) - len(report.failed)
    result = close_import(database, run, report, finish, failures=failures, tickers_done=done)
    if not failures:  # what failed can be retried
        delete_upload(database, options["upload_id"])
    return result


def _import(
    read: Callable[..., ImportReport],
    database: Db,
    content: bytes,
    options: Mapping[str, Any],
    request: Request,
) -> ImportReport:
    """Import content. If it takes too much memory, that is an error of the file, which another
    attempt would not mend.
    """
    try:
        return read(
            database,
            content,
            options["filename"],
            request,
            options=ReadingOptions(**options.get("reading") or {}),
        )
    except MemoryError as error:
        raise BadInput(
            "it takes more memory to import than there is; import it in parts"
        ) from error

"""Stores an import of the command line among the runs."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.words import EndStatus
from records.database import Db
from records.market.series import find_markets
from records.work.documents import RunOutcome, RunRecord
from records.work.endings import LISTED_ERRORS
from records.work.requests import COMMAND_LINE, RunRequest, insert_done_run

if TYPE_CHECKING:
    from market.imports.report import ImportReport

NAMED_TICKERS = 20_000


def note_import(database: Db, report: "ImportReport", started_at: datetime) -> None:
    """Store an import as an ended run, under the import id by which it can be undone."""
    if report.import_id is None or report.dry_run:
        return
    now, failed = datetime.now(UTC), {s.ticker: s.error or "" for s in report.failed}
    failures = failed | report.failures
    done = len(report.series) - len(report.failed)
    status: EndStatus = "complete" if not failures else "partial" if done else "failed"
    tickers = tuple(dict.fromkeys(series.ticker for series in report.series))
    request = RunRequest(
        "import",
        "manual",
        tickers=tickers[:NAMED_TICKERS],
        interval=report.interval,
        options={"filename": report.source, "by": COMMAND_LINE},
    )
    outcome: RunOutcome = {
        "tickers_total": done + len(failures),
        "tickers_done": done,
        "tickers_failed": len(failures),
        "rows_loaded": report.total("read"),
        "rows_preprocessed": 0,
        "rows_processed": report.total("new") + report.total("changed"),
        "anomalies_found": 0,
        "new_anomalies": 0,
        "status": status,
        "error": next((f"{name}: {error}" for name, error in failures.items()), None),
        "errors": list(dict.fromkeys(failures.values()))[:LISTED_ERRORS],
        "completed_at": now,
        "duration_seconds": (now - started_at).total_seconds(),
    }
    imported = ((series.ticker, series.interval) for series in report.series)
    record: RunRecord = {"result": report.to_record(), "markets": find_markets(database, imported)}
    insert_done_run(database, request, report.import_id, outcome, record, started_at=started_at)

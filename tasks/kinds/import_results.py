"""What an import did becomes its run's result and its batch's end."""

from collections.abc import Callable

from pymongo.client_session import ClientSession

from market.imports.report import ImportReport, take_with_room
from records.database import Db, in_transaction
from records.market.series import find_markets
from records.work.documents import BatchResult, RunDocument, RunRecord, TickerFailure
from records.work.runs import note_outcome
from tasks.engine.kind import Result


def list_failures(report: ImportReport, reason: str) -> list[TickerFailure]:
    """Return the tickers and files of which nothing could be stored,
    each with `reason` and its error.
    """
    failed = {series.ticker: series.error or "" for series in report.failed} | report.failures
    return [{"ticker": name, "reason": reason, "error": error} for name, error in failed.items()]


def close_import(
    database: Db,
    run: RunDocument,
    report: ImportReport,
    finish: Callable[[ClientSession, BatchResult], None],
    *,
    failures: list[TickerFailure],
    tickers_done: int,
    noted: dict[str, list[str]] | None = None,
    also: Callable[[ClientSession], None] | None = None,
) -> Result:
    """Store the report, and what is `noted` besides, as the run's result,
    and close its batch, with what is to be written `also`; return its counts.
    """
    result: BatchResult = {
        "rows_loaded": report.total("read"),
        "rows_processed": report.total("new") + report.total("changed"),
        "tickers_done": tickers_done,
        "tickers_failed": len(failures),
        "failures": list(take_with_room(failures)),
    }

    markets = find_markets(database, ((each.ticker, each.interval) for each in report.series))

    def write(session: ClientSession) -> None:
        if also is not None:
            also(session)
        outcome: RunRecord = {"result": report.to_record() | (noted or {}), "markets": markets}
        note_outcome(database, run["_id"], outcome, session)
        finish(session, result)

    in_transaction(database, write)
    return {"detection_run_id": run["_id"]} | {
        name: report.total(name) for name in ("read", "new", "changed")
    }

"""The batch of a correction applies a split or an exchange's session exception."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any

from pymongo.client_session import ClientSession

from core.errors import NotFound
from market.bars.arriving import Guard, write_split
from market.bars.session_exceptions import follow_exception, remove_exception, set_exception
from market.markets import load_markets
from records.database import Db, in_transaction
from records.market.series import get_series
from records.tenancy import of_owner
from records.work.batches import Batch
from records.work.documents import RunDocument
from records.work.runs import note_outcome
from tasks.engine.kind import Result
from tasks.kinds.parts import build_checkpoint, build_finish, build_guard, count_done
from tasks.process.worker import Worker


def correct(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Apply the correction that the run asks for; doing it again changes nothing."""
    database, options = worker.database, run["options"]
    finish, now = build_finish(database, batch), datetime.now(UTC)
    checkpoint = build_checkpoint(worker, batch)
    checkpoint(0.0)
    if "split" in options:
        guard = build_guard(database, batch)
        # The audit trail is that of the tenant that asked.
        result = _record_split(of_owner(database, run), run, options["split"], now, guard)
    else:
        on_series = partial(checkpoint, 0.5)
        result = _set_session(database, run, options["session"], now, on_series)

    def write(session: ClientSession) -> None:
        note_outcome(database, run["_id"], {"result": result}, session)
        finish(session, count_done(tickers=1))

    in_transaction(database, write)
    return {"detection_run_id": run["_id"], **result}


def _record_split(
    database: Db, run: RunDocument, split: Mapping[str, Any], now: datetime, guard: Guard
) -> dict[str, Any]:
    ticker, interval = str(run["ticker"]), run["interval"]
    day = date.fromisoformat(split["session"])
    # Requests of earlier versions name nobody.
    by = split.get("by", "system")
    write_split(database, ticker, interval, day, split["factor"], now, by=by, guard=guard)
    series = get_series(database, ticker, interval)
    known = [
        {"session": f"{each['session']:%Y-%m-%d}", "factor": each["factor"]}
        for each in series["splits"]
    ]
    return {"splits": known, "revision": series["revision"]}


def _set_session(
    database: Db,
    run: RunDocument,
    asked: Mapping[str, Any],
    now: datetime,
    on_series: Callable[[], None],
) -> dict[str, Any]:
    market, day = (
        load_markets(database).choose(str(run["market"])),
        date.fromisoformat(asked["day"]),
    )
    told = dict(asked)
    by = told.pop("by", "system")  # as above
    if asked["session"] == "calendar":
        try:
            remove_exception(database, market, day, now=now, by=by, on_series=on_series)
        except NotFound:  # An attempt before removed it, and may have died before the rest.
            follow_exception(database, market, day, on_series)
    else:
        hours = (
            (time.fromisoformat(asked["opens"]), time.fromisoformat(asked["closes"]))
            if asked["session"] == "open"
            else None
        )
        set_exception(
            database, market, day, hours, note=asked["note"], now=now, by=by, on_series=on_series
        )
    return {"market": market.code, **told}

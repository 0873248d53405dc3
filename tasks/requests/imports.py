"""Requests for bars: those of a file or of pushed candles, and those of a source."""

from dataclasses import dataclass
from datetime import datetime
from typing import IO

from celery import Celery

from market.imports.options import NO_OPTIONS, ReadingOptions
from market.markets import load_markets
from records.database import Db
from records.market import uploads
from records.work.documents import RunDocument, WatchlistDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run


@dataclass(frozen=True, slots=True)
class Sent:
    """Bars as they came in; the ending of the name says what they are.

    Checked: candles whose shape is known.
    """

    content: bytes | IO[bytes]
    filename: str
    is_checked: bool = False


def request_fetch(
    database: Db,
    celery: Celery,
    watchlist: WatchlistDocument,
    *,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a fetch of the bars of a watchlist's tickers from its source, and return its run."""
    request = RunRequest(
        "fetch",
        "scheduler",
        tickers=tuple(watchlist["tickers"]),
        interval=watchlist["interval"],
        watchlist=watchlist["_id"],
        options={"source": watchlist.get("source"), "folder": watchlist.get("folder")},
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def request_import(
    database: Db,
    celery: Celery,
    sent: Sent,
    *,
    interval: str,
    ticker: str | None,
    market: str | None,
    now: datetime,
    reading: ReadingOptions = NO_OPTIONS,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Keep what was sent and accept its import; return the run.

    Options of the run: upload_id, filename, ticker (whose the bars are where they do not say),
    reading (how the file is to be read where it does not settle that itself) and pushed (whether
    these are candles that the API has checked). Raises BadInput on a market that is not known.
    """
    code = load_markets(database).choose(market).code if market else None
    upload_id = uploads.store_upload(database, sent.filename, sent.content)
    request = RunRequest(
        "import",
        "manual",
        tickers=(ticker,) if ticker else (),
        interval=interval,
        market=code,
        options={
            "upload_id": upload_id,
            "filename": sent.filename,
            "ticker": ticker,
            "market": code,
            "reading": reading.to_dict(),
            "pushed": sent.is_checked,
        },
        once=once,
    )
    run = accept_run(database, celery, request, now=now)
    if run["options"]["upload_id"] != upload_id:  # the same request came in twice at once
        uploads.delete_upload(database, upload_id)
    return run

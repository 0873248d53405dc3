"""The API, the command line and beat ask for gaps to be filled through one function."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from celery import Celery

from core.errors import BadInput, NotFound
from core.words import Trigger
from records.database import Db
from records.market.documents import GapDocument
from records.market.gaps import FREE, find_gaps, mark_filling
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from records.work.watchlists import find_fetching
from tasks.engine.accept import accept_run

MOST_GAPS = 1_000


@dataclass(frozen=True, slots=True)
class GapSource:
    """Where bars are asked for: `yahoo`, or a `folder` below the watched one by its name."""

    source: str
    folder: str | None = None


def choose_gaps(
    database: Db,
    *,
    interval: str,
    ids: Sequence[str] | None,
    tickers: Sequence[str] | None,
    market: str | None,
) -> list[GapDocument]:
    """Return the gaps of an interval that can be filled, the newest first, at most 1,000.

    Raises NotFound where there are none.
    """
    found = find_gaps(
        database,
        ids=ids,
        tickers=tickers,
        market=market,
        interval=interval,
        states=FREE,
        limit=MOST_GAPS,
    )
    if not found:
        about = ", ".join(tickers or ids or ([market] if market else [])) or "what is stored"
        raise NotFound(
            f"nothing is to be filled of {about[:200]} ({interval}): `flask gaps list` says what is"
            " lacking, and what was accepted or is being filled already",
            reason="no_gaps",
        )
    return found


def check_source(source: str | None, folder: str | None) -> None:
    """Raise BadInput where a folder is named and is no source, or is the source and not named."""
    if (source == "folder") != (folder is not None):
        raise BadInput("give `folder` with the source `folder`, and with no other")


def choose_source(
    database: Db, gaps: Sequence[GapDocument], source: str | None, folder: str | None
) -> GapSource:
    """Return the source that was named, or that of the watchlists that hold the gaps' tickers.

    Raises BadInput where these name none, or several.
    """
    check_source(source, folder)
    if source is not None:
        return GapSource(source, folder)
    tickers = {gap["ticker"] for gap in gaps}
    sources = {
        GapSource(watchlist["source"], watchlist["folder"])
        for watchlist in find_fetching(database, gaps[0]["interval"])
        if tickers & set(watchlist["tickers"])
    }
    if len(sources) != 1:
        found = "none" if not sources else "several"
        raise BadInput(
            f"say where the bars are asked for, `source`: yahoo or folder; the watchlists of these"
            f" tickers name {found}"
        )
    return sources.pop()


def request_fill(
    database: Db,
    celery: Celery,
    gaps: Sequence[GapDocument],
    source: GapSource,
    *,
    now: datetime,
    trigger: Trigger = "manual",
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a run that asks a source for gaps of one interval, and return it."""
    ids = [gap["_id"] for gap in gaps]
    markets = {gap["market"] for gap in gaps}
    request = RunRequest(
        "fill",
        trigger,
        tickers=tuple(dict.fromkeys(gap["ticker"] for gap in gaps)),
        interval=gaps[0]["interval"],
        market=markets.pop() if len(markets) == 1 else None,
        options={"source": source.source, "folder": source.folder, "gaps": ids},
        once=once,
    )
    run = accept_run(database, celery, request, now=now)
    if run["options"]["gaps"] == ids:
        mark_filling(database, ids, run_id=run["_id"], source=source.source, now=now)
    return run

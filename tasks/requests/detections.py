"""Requests for detections: backfills, scans, and looks at what is found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import Celery

from core.errors import BadInput
from core.words import Trigger
from market.intervals import parse_period, period_start
from market.sessions.freshness import count_sessions_behind
from records.database import Db
from records.market.series import find_ends, find_sizes
from records.market.session_days import find_session_days
from records.models.champions import find_champions
from records.models.models import get_model_record
from records.work import watchlists
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run
from tasks.requests.selection import Selection, select_tickers

NAMED_STALE = 100
MOST_KEPT_SCORES = 5_000_000
LATEST_BARS = "5d"


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill asks besides its period.

    Attributes:
        force: cancel the open backfills of its series.
        walk_forward: score each stretch by the latest model that had not seen it, not by the
            champion.
        keep_scores: keep the score of every bar.
        raise_alerts: raise alerts for its anomalies, as a scan does.
    """

    force: bool = False
    walk_forward: bool = False
    keep_scores: bool = False
    raise_alerts: bool = False


@dataclass(frozen=True, slots=True)
class PeriodicScan:
    """The options of a periodic scan: its markets (None: all of its watchlist), and the fetch of
    bars that came before it.
    """

    only_markets: tuple[str, ...] | None = None
    fetch_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The options of a caller who waits for the result.

    Attributes:
        detector: the detector whose latest models are used; None for the champions.
        store: whether the anomalies are stored and raise alerts.
        include_explanation, include_root_cause: what the answer contains.
    """

    detector: str | None = None
    store: bool = True
    include_explanation: bool = True
    include_root_cause: bool = True


def request_look(
    database: Db,
    celery: Celery,
    selection: Selection,
    look: Look,
    *,
    interval: str,
    period: str | None,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a detection whose caller wants to see the result, and return its run.

    With `store` it scores the bars since each series' watermark or, with a period, is a backfill
    that raises alerts. Without it, it scores the last five days, or the period.

    Raises as `request_detection`, and BadInput if anomalies are to be stored and the detector is
    not the champion's.
    """
    if look.store and look.detector is not None:
        _check_detector(database, selection, interval, look.detector)
    is_backfill = look.store and period is not None
    return request_detection(
        database,
        celery,
        selection,
        interval=interval,
        period=period if look.store else period or LATEST_BARS,
        backfill=Backfill(raise_alerts=True) if is_backfill else None,
        look=look,
        now=now,
        once=once,
    )


def _check_detector(database: Db, selection: Selection, interval: str, detector: str) -> None:
    """Raise BadInput where a ticker's champion has another detector."""
    tickers, _ = select_tickers(database, selection, interval)
    markets = {series["market"] for series in find_ends(database, tickers, interval)}
    for market in sorted(markets):
        found = find_champions(database, market, interval, tickers, watchlist=selection.watchlist)
        for version in sorted({champion.version for champion in found.values()}):
            used = get_model_record(database, version)["parameters"]["detector"]
            if used != detector:
                raise BadInput(
                    f"what is stored is what the champion says, and {version} is of the detector"
                    f" {used}, not {detector}; ask with store false, or promote a model of it",
                    reason="not_the_champions_detector",
                )


def request_detection(
    database: Db,
    celery: Celery,
    selection: Selection,
    *,
    interval: str,
    now: datetime,
    trigger: Trigger = "manual",
    period: str | None = None,
    backfill: Backfill | None = None,
    scan: PeriodicScan | None = None,
    look: Look | None = None,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a detection and return its run: a backfill, or an incremental run of the bars since
    the last one.

    A periodic `scan` may cover only some markets of its watchlist. The run's options name the
    tickers without bars and, for a scheduled scan, those without a bar of the last session. A
    watchlist may ask for an overview of its markets in the run's result.

    Raises:
        NotFound: a ticker has no stored bars.
        Conflict: a backfill of one of these series is open (`run_id` names it).
        BadInput: the key of `once` belongs to another request, or the scores of so many bars cannot
            be kept.
    """
    only_markets = scan.only_markets if scan else None
    tickers, without_bars = select_tickers(database, selection, interval, only_markets)
    options: dict[str, Any] = {}
    if backfill is not None:
        if backfill.keep_scores:
            _check_kept(database, tickers, interval)
        options |= {
            "walk_forward": backfill.walk_forward,
            "keep_scores": backfill.keep_scores,
            "raise_alerts": backfill.raise_alerts,
        }
    options["without_bars"] = without_bars
    if look is not None:
        options |= {"detector": None if look.store else look.detector}
    if scan is not None:
        options |= {"only_markets": list(only_markets or ()), "fetch_run_id": scan.fetch_run_id}
        options["stale"] = _find_stale(database, tickers, interval, now)
    if selection.watchlist:
        watchlist = watchlists.get_watchlist(database, selection.watchlist)
        options["with_overview"] = watchlist.get("with_overview", False)
    options["not_looked_at"] = _find_left_out(database, tickers, interval, period)
    request = RunRequest(
        "incremental" if backfill is None else "backfill",
        trigger if backfill is None else "backfill",
        tickers=tickers,
        interval=interval,
        period=period,
        market=selection.market,
        watchlist=selection.watchlist,
        options={name: value for name, value in options.items() if value}
        | ({} if look is None else _describe_look(look)),
        once=once,
    )
    run = accept_run(
        database, celery, request, now=now, force=backfill is not None and backfill.force
    )
    is_stored = look is None or look.store
    if backfill is None and is_stored:
        watchlists.note_last_scan(database, run)
    return run


def _check_kept(database: Db, tickers: Sequence[str], interval: str) -> None:
    bars = sum(
        series["bars"] for series in find_sizes(database, tickers=tickers, interval=interval)
    )
    if bars > MOST_KEPT_SCORES:
        raise BadInput(
            f"these series have {bars:,} bars, and the scores of {MOST_KEPT_SCORES:,} at the most"
            " are kept; name fewer tickers",
            reason="too_many_bars",
        )


def _describe_look(look: Look) -> dict[str, Any]:
    return {
        "store": look.store,
        "include_explanation": look.include_explanation,
        "include_root_cause": look.include_root_cause,
    }


def _find_stale(
    database: Db, tickers: Sequence[str], interval: str, now: datetime
) -> dict[str, Any] | None:
    """Return how many tickers, with some of their names, have no bar of the last session."""
    noted = find_session_days(database)
    behind = {
        end["ticker"]: count_sessions_behind(end, noted.get(end["market"]), now, market=None)
        for end in find_ends(database, tickers, interval)
    }
    stale = sorted(ticker for ticker, sessions in behind.items() if sessions)
    return {"tickers": len(stale), "named": stale[:NAMED_STALE]} if stale else None


def _find_left_out(
    database: Db, tickers: Sequence[str], interval: str, period: str | None
) -> dict[str, Any] | None:
    """Return how many tickers have bars before a period, and between which days; None where none
    has.
    """
    if period is None:
        return None
    asked = parse_period(period)
    left = []
    for series in find_ends(database, tickers, interval):
        start = period_start(asked, series["last_bar"])
        if start is not None and series["first_bar"] < start:
            left.append((series["first_bar"], start))
    if not left:
        return None
    return {
        "tickers": len(left),
        "first": min(first for first, _ in left),
        "before": max(start for _, start in left),
    }

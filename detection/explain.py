"""Why a series has no result, in words: what is stored of it, how far it was detected,
and what is missing.
"""

from datetime import datetime, timedelta
from typing import TypedDict

from detection.features.feature_sets import DEFAULT_FEATURE_SET
from market.markets import get_market, load_markets
from market.sessions.freshness import count_sessions_behind
from records.database import Db
from records.findings import watermarks
from records.market.documents import SeriesDocument
from records.market.series import find_one_series
from records.market.session_days import find_sessions
from records.models import champions
from records.work import runs, scan_switch, watchlists
from records.work.documents import AuditDocument, LatestRun


class SeriesState(TypedDict):
    """What is known of one series.

    Attributes:
        bars_needed: how many it needs for a first result.
        watermark: the last bar that was looked at.
    """

    ticker: str
    interval: str
    market: str | None
    bars: int
    first_bar: datetime | None
    last_bar: datetime | None
    synthetic: bool
    bars_needed: int
    watermark: datetime | None
    model_version: str | None
    last_run: AuditDocument | LatestRun | None


class SeriesReason(SeriesState):
    """The same with why it has no result, or no newer one: a stable word, and the same in full."""

    reason: str
    message: str


class SeriesOutlook(SeriesReason):
    """The same with when it is scanned next,
    and how many sessions of its market have ended since its last bar's.
    """

    next_scan: datetime | None
    sessions_behind: int | None


def explain_series(database: Db, ticker: str, interval: str, now: datetime) -> SeriesOutlook:
    """Return what is known of one series and when it is scanned next,
    with the reason of `find_reason`.

    `sessions_behind` is None where the sessions are not known.
    """
    next_scan = watchlists.find_next_scan(database, ticker, interval)
    if next_scan is not None and not scan_switch.get_switch(database)["enabled"]:
        next_scan = None
    series = find_one_series(database, ticker, interval)
    known = find_reason(database, ticker, interval, series)
    behind = None
    if series is not None:
        market = get_market(database, series["market"])
        noted = find_sessions(database, market.code)
        behind = count_sessions_behind(
            series, noted, now, timedelta(seconds=market.tick_delay_seconds)
        )
    if behind:
        known["message"] += f"; the last bar came {behind:,} session{'s' * (behind != 1)} ago"
    return {**known, "next_scan": next_scan, "sessions_behind": behind}


def find_reason(
    database: Db, ticker: str, interval: str, series: SeriesDocument | None
) -> SeriesReason:
    """Return what is known of one series, with `reason` (a stable word)
    and `message` (the same in full).
    """
    market = series["market"] if series else _guess_market(database, ticker)
    watermark = watermarks.find_watermarks(database, [ticker], interval).get(ticker)
    found = champions.find_in_use(database, market, interval, ticker) if market else None
    champion, warm_up_bars = found or (None, None)
    known: SeriesState = {
        "ticker": ticker,
        "interval": interval,
        "market": market,
        "bars": series["bars"] if series else 0,
        "first_bar": series["first_bar"] if series else None,
        "last_bar": series["last_bar"] if series else None,
        "synthetic": bool(series and series["synthetic"]),
        "bars_needed": (
            1 + (DEFAULT_FEATURE_SET.warm_up_bars if warm_up_bars is None else warm_up_bars)
        ),
        "watermark": watermark["last_detected_timestamp"] if watermark else None,
        "model_version": champion.version if champion else None,
        "last_run": runs.find_latest(database, ticker, interval, "backfill", "incremental"),
    }
    reason, message = _find_obstacle(known) or _describe_state(known)
    return {**known, "reason": reason, "message": message}


def _find_obstacle(known: SeriesState) -> tuple[str, str] | None:
    """Return the first thing that stands between a series and any result,
    in the order in which to mend them.
    """
    ticker, interval, market = known["ticker"], known["interval"], known["market"]
    if not known["bars"]:
        return (
            "no_bars",
            f"no {interval} bars of {ticker} are stored; import some: `flask bars import FILE`",
        )
    if known["model_version"] is None:
        train = f"`flask models train --market {market} --interval {interval}`"
        return (
            "no_model",
            f"market {market} has no champion model for {interval} bars; train one: {train}",
        )
    if known["bars"] < known["bars_needed"]:
        return (
            "not_enough_bars",
            f"{ticker} has {known['bars']} bars; the first result takes {known['bars_needed']}",
        )
    return None


def _describe_state(known: SeriesState) -> tuple[str, str]:
    """Return how far a series that can be detected was."""
    ticker, run = known["ticker"], known["last_run"]
    watermark, last_bar = known["watermark"], known["last_bar"]
    if run is not None and run["status"] in runs.OPEN_STATUSES:
        return "in_progress", f"run {run['run_id']} is {run['status']}"
    if run is not None and run["status"] == "failed":
        return "failed", f"run {run['run_id']} failed: {run['error']}"
    if watermark is None or last_bar is None:
        return (
            "never_detected",
            f"{ticker} was never detected; start with `flask backfill run {ticker}`",
        )
    if watermark < last_bar:
        went = (
            f"detected up to {watermark:%Y-%m-%d %H:%M} UTC, bars go on to"
            f" {last_bar:%Y-%m-%d %H:%M}"
        )
        return "behind", f"{went}; catch up with `flask scan run {ticker}`"
    return "up_to_date", f"every stored bar up to {last_bar:%Y-%m-%d %H:%M} UTC was looked at"


def _guess_market(database: Db, ticker: str) -> str | None:
    """Return the market that a ticker without bars looks like, None where it looks like none."""
    found = load_markets(database).find_of(ticker)
    return found.code if found else None

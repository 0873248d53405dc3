"""Explains in words why a series has no result: what is stored, how far it was detected, and what
is missing.
"""

from datetime import datetime
from typing import Any, TypedDict

from core.naming import count_of
from detection.features.feature_sets import DEFAULT_FEATURE_SET
from market.markets import load_markets, read_market
from market.sessions.freshness import count_sessions_behind
from records.database import Db
from records.findings import watermarks
from records.market.documents import SeriesDocument
from records.market.markets import ask_market
from records.market.series import describe_choices, find_one_series
from records.market.session_days import ask_made_at, find_sessions
from records.models import champions
from records.questions import Question, ask
from records.work import latest_runs, runs, scan_switch, watchlists
from records.work.documents import AuditDocument, LatestRun


class SeriesState(TypedDict):
    """What is known of one series.

    Attributes:
        bars_needed: how many bars it needs for a first result.
        watermark: the last bar that was detected.
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
    """What is known of one series, and why it has no result, or no newer one: as a stable word and
    as a sentence.
    """

    reason: str
    message: str


class SeriesOutlook(SeriesReason):
    """What is known of one series, the reason, when it is scanned next, and how many sessions of
    its market have ended since that of its last bar.
    """

    next_scan: datetime | None
    sessions_behind: int | None


def explain_series(database: Db, ticker: str, interval: str, now: datetime) -> SeriesOutlook:
    """Return what is known of one series, the reason that `find_reason` gives, and when the series
    is scanned next.

    `sessions_behind` is None where the market's sessions are not known.
    """
    series = find_one_series(database, ticker, interval)
    next_scan = watchlists.ask_next_scan(database, ticker, interval)
    is_on = scan_switch.ask_is_on(database)
    behind = None
    if series is None:
        known = find_reason(database, ticker, interval, None, next_scan, is_on)
    else:
        code = series["market"]
        stored, made_at = ask_market(database, code), ask_made_at(database, code)
        known = find_reason(database, ticker, interval, series, next_scan, is_on, stored, made_at)
        market = read_market(stored.answer, code)
        noted = find_sessions(database, code, made_at.answer)
        behind = count_sessions_behind(series, noted, now, market)
    if behind:
        known["message"] += f"; the last bar came {count_of(behind, 'session')} ago"
    return {
        **known,
        "next_scan": next_scan.answer if is_on.answer else None,
        "sessions_behind": behind,
    }


def find_reason(
    database: Db,
    ticker: str,
    interval: str,
    series: SeriesDocument | None,
    *others: Question[Any],
) -> SeriesReason:
    """Return what is known of one series, with `reason` (a stable word) and `message` (a sentence).

    The questions `others` are asked in the same round trip to MongoDB.
    """
    market = series["market"] if series else _guess_market(database, ticker)
    watermark = watermarks.ask_watermark(database, ticker, interval)
    in_use = champions.ask_in_use(database, market or "", interval, ticker)
    last_run = latest_runs.ask_latest(database, ticker, interval, "backfill", "incremental")
    ask(database, watermark, in_use, last_run, *others)
    # A ticker without a market has no champion, not even that of all markets.
    champion, warm_up_bars = (market and in_use.answer) or (None, None)
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
        "watermark": (watermark.answer["last_detected_timestamp"] if watermark.answer else None),
        "model_version": champion.version if champion else None,
        "last_run": last_run.answer,
    }
    idle = series.get("coverage", {}).get("no_trade", 0) if series else 0
    if not known["bars"]:
        reason, message = (
            "no_bars",
            (
                f"no {interval} bars of {ticker} are stored; import some: `flask bars import FILE`;"
                f" {describe_choices(database, ticker)}"
            ),
        )
    else:
        reason, message = _find_obstacle(known, idle) or _describe_state(known)
    return {**known, "reason": reason, "message": message}


def _find_obstacle(known: SeriesState, idle: int) -> tuple[str, str] | None:
    """Return the first obstacle to any result of a series, in the order in which a user has to
    remove them; None where there is none. `idle` is how many of its bars did not trade.
    """
    ticker, interval, market = known["ticker"], known["interval"], known["market"]
    if known["model_version"] is None:
        train = f"`flask models train --market {market} --interval {interval}`"
        return (
            "no_model",
            f"market {market} has no champion model for {interval} bars; train one: {train}",
        )
    traded = known["bars"] - idle
    if traded < known["bars_needed"]:
        has = f"{ticker} has {traded} of the {known['bars_needed']} bars that a result takes"
        more = f"; {idle:,} more are no evidence, as nothing traded in them" if idle else ""
        return "not_enough_bars", has + more
    return None


def _describe_state(known: SeriesState) -> tuple[str, str]:
    """Return how far a series was detected that can be, as a stable word and a sentence."""
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
    """Return the market that the spelling of a ticker without bars tells, None where it
    tells none.
    """
    found = load_markets(database).find_of(ticker)
    return found.code if found else None

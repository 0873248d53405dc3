"""From a run's end to alerts: raises alerts of what it found, resolves those of what it no longer
finds.

Each step may be repeated: it looks at the stored alerts and does what is still missing. So the
process may be killed at any line. The event that causes it is marked as done in the last step
(tasks/periodic/notifications.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from sys import maxsize

from pymongo.client_session import ClientSession

from alerts.follow_up import NOTHING, build_ended, find_followed
from alerts.lifecycle import EXPIRED_AFTER
from alerts.market_wide import find_wide_bars, plan_market_wide
from alerts.raising import (
    ALERTED_DAYS,
    BarsBetween,
    IsRecent,
    is_confident,
    mute_alerts,
    passes,
    plan_alerts,
    raises,
)
from alerts.stopped_feed import FEED, build_stopped, extend_stopped, names_stopped
from market.intervals import INTERVALS
from market.markets import load_markets
from records.alerts import history, mutes, raised
from records.alerts.documents import AlertDocument, EndedAlert
from records.database import Db, in_transaction
from records.findings import anomalies
from records.findings.anomalies import count_new_by_ticker
from records.findings.anomaly_queries import find_new
from records.findings.documents import AnomalyDocument, FlaggedFields
from records.findings.watermarks import find_detected_ranges
from records.tenancy import each_tenant, get_tenant
from records.work.documents import RunDocument, WatchlistDocument
from records.work.runs import add_warning
from records.work.watchlists import find_holders
from tasks.engine.one_of_many import going_on
from tasks.periodic.fallen_alerts import follow_anomalies, step_all
from tasks.periodic.one_alert import raise_or_extend

# At most so many tickers, with so many anomalies together, are raised in one transaction; a first
# scan finds hundreds of a ticker.
CHUNK = 500
CHUNK_ANOMALIES = 2_000
# A large backfill is explained for at most this long at a time, so that detection gets the process
# in between.
EXPLAIN_SECONDS = 10.0
# At most this many alerts wake, expire or are archived in one round.
ROUND = 500
ARCHIVED_AFTER = timedelta(days=90)
# Closes are listed so many bars further than they are asked for.
MARGIN_BARS = 1_000
CAME = "the bars of the last session came"


class MarketBars:
    """Counts the bars between two of a market, by its sessions.

    A first scan of a series compares each of its anomalies with all before it. So the closes of a
    stretch are listed once. They are listed anew where an anomaly is outside, up to as far again as
    they were before, as anomalies come in their order.
    """

    def __init__(self, database: Db, interval: str) -> None:
        self._database, self._interval = database, interval
        self._markets = load_markets(database)
        self.of = cache(self._of)

    def _of(self, market: str) -> BarsBetween:
        # Calendars load slowly, and most rounds of the notifier raise no alert.
        from market.sessions.calendar import list_closes  # noqa: PLC0415 - as above
        from market.sessions.overrides import find_sessions  # noqa: PLC0415 - as above

        known = find_sessions(self._database, self._markets.choose(market))
        since, until = maxsize, -maxsize
        margin = MARGIN_BARS * INTERVALS[self._interval]
        closes = known.closes[:0]

        def count(first: datetime, later: datetime) -> int:
            nonlocal since, until, closes
            start, end = (int(bar.timestamp()) for bar in (first, later))
            if start < since or end > until:
                more = max(until - since, margin)
                if start < since:
                    since = start - more
                if end > until:
                    until = end + more
                closes = list_closes(known, self._interval, since, until)
            before, through = closes.searchsorted((start, end), side="right")
            return int(through - before)

        return count


def settle_run(database: Db, run: RunDocument, now: datetime) -> bool:
    """Raise the alerts of a run, and resolve those whose anomalies it superseded.

    Return False where some of its anomalies are not explained yet: no alert is raised before all
    are, and the next call explains the rest.
    """
    if run["task"] not in {"incremental", "backfill"}:
        return True
    from tasks.periodic.root_causes import (  # noqa: PLC0415 - numpy, which a sweep does without
        explain_run,
    )

    # An anomaly that cannot be explained still becomes an alert.
    is_explained = True
    with going_on("explanation_failed", run["_id"]):
        is_explained = explain_run(database, run, EXPLAIN_SECONDS)
    if not is_explained:
        return False
    for own in each_tenant(database):
        seen = see_run(own, run)
        if raises(run):
            _raise(own, seen, now, is_own=seen is run)
        if seen is run and names_stopped(run):
            _follow_feed(own, run, now)
        follow_anomalies(own, seen["tickers"], seen["interval"], now)
    return True


def see_run(own: Db, run: RunDocument) -> RunDocument:
    """Return a run as a tenant may see it; of another tenant's run, only its effect on the market's
    bars.
    """
    if run.get("tenant") == get_tenant(own):
        return run
    return {**run, "watchlist": None, "error": None, "warnings": [], "result": {}}


def has_due(database: Db, now: datetime) -> bool:
    """Whether an alert is due to wake, expire or move to the history."""
    return bool(
        history.find_awake(database, now, limit=1)
        or history.find_untouched(database, now - EXPIRED_AFTER, limit=1)
        or history.find_settled(database, now - ARCHIVED_AFTER, limit=1)
    )


def keep_time(database: Db, now: datetime) -> None:
    """Wake alerts whose snooze is over, expire untouched ones, archive those resolved long ago."""
    step_all(database, history.find_awake(database, now, limit=ROUND), "wake", now)
    untouched = history.find_untouched(database, now - EXPIRED_AFTER, limit=ROUND)
    step_all(database, untouched, "expire", now)
    for alert in history.find_settled(database, now - ARCHIVED_AFTER, limit=ROUND):
        with going_on("archive_failed", alert["_id"]):
            _archive(database, alert, now)


def _raise(database: Db, run: RunDocument, now: datetime, *, is_own: bool) -> None:
    counts = count_new_by_ticker(database, run["_id"])
    if not counts:
        return
    interval = run["interval"]
    watchlists = find_holders(database, list(counts), interval)
    if not is_own:  # whoever watches them has an alert of them, whoever had them looked at
        watched = {ticker for watchlist in watchlists for ticker in watchlist["tickers"]}
        counts = {ticker: count for ticker, count in counts.items() if ticker in watched}
    bars_between = MarketBars(database, interval)
    left = 0
    for chunk in _split(counts):
        found = find_new(database, run["_id"], min_grade=0.0, tickers=chunk)
        left += _raise_chunk(database, run, found, watchlists, bars_between, now)
    _raise_market_wide(database, run, watchlists, bars_between, now)
    if is_own and left:
        add_warning(database, run["_id"], _tell_left(left))


def _split(counts: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the tickers in parts that are not too many to raise at once."""
    part: list[str] = []
    anomalies_of_part = 0
    for ticker, count in counts.items():
        if part and (len(part) == CHUNK or anomalies_of_part + count > CHUNK_ANOMALIES):
            yield part
            part, anomalies_of_part = [], 0
        part.append(ticker)
        anomalies_of_part += count
    if part:
        yield part


def _tell_left(left: int) -> str:
    found = "1 new anomaly raised no alert, as its bar is"
    if left != 1:
        found = f"{left:,} new anomalies raised no alerts, as their bars are"
    return (
        f"{found} more than {ALERTED_DAYS} days older than the last bar of the series; they are"
        " listed with the other anomalies"
    )


def _tell_recent(database: Db, run: RunDocument, tickers: Sequence[str]) -> IsRecent:
    """Return what tells recent bars of these tickers from old ones; to a backfill that asked for
    alerts, all are recent.
    """
    if run["task"] == "backfill":
        return lambda _anomaly: True
    oldest = {
        ticker: detected["last_detected_timestamp"] - timedelta(days=ALERTED_DAYS)
        for ticker, detected in find_detected_ranges(database, tickers, run["interval"]).items()
    }
    return lambda anomaly: anomaly["Datetime"] >= oldest.get(anomaly["Ticker"], anomaly["Datetime"])


def _raise_chunk(
    database: Db,
    run: RunDocument,
    found: Sequence[AnomalyDocument],
    watchlists: Sequence[WatchlistDocument],
    bars_between: MarketBars,
    now: datetime,
) -> int:
    """Raise the alerts of some anomalies; return how many were left without one as they are old."""
    holders = _find_holders(found, watchlists)
    by_name = {watchlist["_id"]: watchlist for watchlist in watchlists}
    is_recent = _tell_recent(database, run, list(holders))

    def write(session: ClientSession) -> int:
        raised.take_turn(database, session)
        told = raised.find_told(database, [anomaly["_id"] for anomaly in found], session)
        # An anomaly that does not pass a watchlist's own threshold or confidence does not belong to
        # its alerts.
        told |= {
            (name, anomaly["_id"])
            for anomaly in found
            for name in holders[anomaly["Ticker"]]
            if name is not None and not _is_asked_for(by_name[name], anomaly, run)
        }
        active_mutes = mutes.find_active(database, now, session)
        silenced: list[str] = []
        left = 0
        for market, members in _group_by_market(found).items():
            tickers = sorted({anomaly["Ticker"] for anomaly in members})
            open_alerts = raised.find_open(database, tickers, run["interval"], session)
            plan = plan_alerts(
                members,
                holders,
                open_alerts,
                told,
                bars_between.of(market),
                is_recent,
                run_id=run["_id"],
                now=now,
            )
            left += len(plan.left)
            silenced += mute_alerts(plan, active_mutes, now)
            raised.write_raised(
                database, list(plan.new.values()), list(plan.later.items()), plan.trail, session
            )
        mutes.count_silenced(database, silenced, now, session)
        return left

    return in_transaction(database, write)


def _raise_market_wide(
    database: Db,
    run: RunDocument,
    watchlists: Sequence[WatchlistDocument],
    bars_between: MarketBars,
    now: datetime,
) -> None:
    by_name = {watchlist["_id"]: watchlist for watchlist in watchlists}
    markets = load_markets(database)
    for watchlist, market, first, last in raised.find_spans_of_run(database, run["_id"]):
        if watchlist is not None and watchlist not in by_name:  # it was removed meanwhile
            continue
        asking = None if watchlist is None else by_name[watchlist]
        listed = run["tickers"] if asking is None else asking["tickers"]
        tickers = [
            ticker
            for ticker in listed
            if (known := markets.find_of(ticker)) is None or known.code == market
        ]
        is_recent = _tell_recent(database, run, tickers)
        on_bars = anomalies.find_on_bars(database, tickers, run["interval"], first, last)
        on_bars = [anomaly for anomaly in on_bars if is_recent(anomaly)]
        if asking is not None:
            on_bars = [anomaly for anomaly in on_bars if _is_asked_for(asking, anomaly, run)]
        wide = find_wide_bars(on_bars, len(tickers))
        if wide:
            between = bars_between.of(market)
            _write_wide(
                database, run, (watchlist, market), wide, len(tickers), between=between, now=now
            )


def _is_asked_for(watchlist: WatchlistDocument, anomaly: FlaggedFields, run: RunDocument) -> bool:
    """Whether an anomaly passes a watchlist's own threshold and confidence. Anomalies of the
    watchlist's own scan have already passed its threshold.
    """
    is_its_own = (watchlist["_id"], run["_id"]) == (run["watchlist"], anomaly["detection_run_id"])
    return is_confident(watchlist, anomaly) and (
        is_its_own or passes(watchlist["threshold"], anomaly)
    )


def _write_wide(
    database: Db,
    run: RunDocument,
    subject: tuple[str | None, str],
    wide: Mapping[datetime, Sequence[FlaggedFields]],
    tickers: int,
    *,
    between: BarsBetween,
    now: datetime,
) -> None:
    watchlist, market = subject

    def write(session: ClientSession) -> dict[str, list[str]]:
        raised.take_turn(database, session)
        open_alerts = [
            alert
            for alert in raised.find_open(database, [market], run["interval"], session)
            if alert["entity_type"] == "market"
        ]
        plan, children = plan_market_wide(
            watchlist, wide, tickers, open_alerts, between, run_id=run["_id"], now=now
        )
        known = raised.find_known(database, list(plan.new), session)
        plan.new = {alert_id: a for alert_id, a in plan.new.items() if alert_id not in known}
        silenced = mute_alerts(plan, mutes.find_active(database, now, session), now)
        mutes.count_silenced(database, silenced, now, session)
        new = list(plan.new.values())
        trail = [entry for entry in plan.trail if entry["alert_id"] not in known]
        raised.write_raised(database, new, list(plan.later.items()), trail, session)
        return children

    # Within the transaction this would take ten times as long. A process that repeats it writes the
    # same.
    for parent_id, anomaly_ids in in_transaction(database, write).items():
        raised.adopt_children(database, parent_id, anomaly_ids, watchlist)


def _follow_feed(database: Db, run: RunDocument, now: datetime) -> None:
    """Raise an alert if bars did not come for a scan, and resolve it when all have come."""
    known = load_markets(database).find_of(run["tickers"][0])
    stopped = build_stopped(run, run["market"] or (known.code if known else "US"), now)
    came: list[str] = []

    def write(session: ClientSession) -> None:
        raised.take_turn(database, session)
        held = raised.find_open(database, [FEED], run["interval"], session)
        held = [alert for alert in held if alert["watchlist"] == run["watchlist"]]
        came[:] = [] if stopped else [alert["_id"] for alert in held]
        if stopped is None or any(alert["run_id"] == run["_id"] for alert in held):
            return
        raise_or_extend(database, stopped, held, extend_stopped, now, session)

    in_transaction(database, write)
    step_all(database, came, "supersede", now, CAME)


def _archive(database: Db, alert: AlertDocument, now: datetime) -> None:
    followed = (
        find_followed(database, alert["entity_id"], alert["interval"], alert["bar_time"])
        if alert["entity_type"] == "ticker"
        else NOTHING
    )
    conditions = history.find_conditions(
        database, alert["market"], alert["interval"], alert["bar_time"]
    )

    def end(latest: AlertDocument) -> EndedAlert:
        return build_ended(latest, followed, conditions, now)

    history.archive_alert(database, alert["_id"], end)


def _find_holders(
    found: Iterable[AnomalyDocument], watchlists: Sequence[WatchlistDocument]
) -> dict[str, Sequence[str | None]]:
    """Return the watchlists of each ticker, None where it is on none."""
    members = [(watchlist["_id"], set(watchlist["tickers"])) for watchlist in watchlists]
    return {
        ticker: [name for name, tickers in members if ticker in tickers] or [None]
        for ticker in {anomaly["Ticker"] for anomaly in found}
    }


def _group_by_market(
    found: Iterable[AnomalyDocument],
) -> dict[str, list[AnomalyDocument]]:
    grouped: dict[str, list[AnomalyDocument]] = {}
    for anomaly in found:
        grouped.setdefault(anomaly["market"], []).append(anomaly)
    return grouped

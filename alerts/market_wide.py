"""A bar that is strange for much of a watchlist becomes one alert for all of them.

It is pure: documents in, documents out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from alerts.new_alert import build_alert_id, build_beginning, leave_unexplained
from alerts.raising import (
    BarsBetween,
    Raised,
    extend,
    is_near,
    note_step,
    tell_direction,
)
from core.words import FaultName
from records.alerts.documents import AlertDocument, AskedAlert, ListedAlert
from records.findings.documents import FlaggedFields

# A bar is market-wide if at least this share of at least this many tickers is strange on it.
LEAST_TICKERS = 10
LEAST_SHARE = 0.3


def find_wide_bars(
    anomalies: Iterable[FlaggedFields], tickers: int
) -> dict[datetime, list[FlaggedFields]]:
    """Return the bars that are strange for enough of a watchlist's tickers of one market,
    each with its anomalies.
    """
    by_bar: dict[datetime, list[FlaggedFields]] = {}
    for anomaly in anomalies:
        by_bar.setdefault(anomaly["Datetime"], []).append(anomaly)
    if tickers < LEAST_TICKERS:
        return {}
    return {bar: each for bar, each in by_bar.items() if len(each) >= LEAST_SHARE * tickers}


def plan_market_wide(
    watchlist: str | None,
    bars: Mapping[datetime, Sequence[FlaggedFields]],
    tickers: int,
    open_alerts: Sequence[ListedAlert],
    bars_between: BarsBetween,
    *,
    run_id: str,
    now: datetime,
) -> tuple[Raised, dict[str, list[str]]]:
    """Return the alerts of market-wide bars, and by alert the anomalies whose alerts are its
    children.

    Args:
        watchlist: the watchlist whose tickers the bars belong to.
        bars: the result of `find_wide_bars`.
        tickers: the number of the watchlist's tickers in this market.
        open_alerts: the open alerts of the market.
        bars_between: counts the market's bars between two times.
        run_id: the run that ended.
        now: the present time.
    """
    raised, children = Raised(), dict[str, list[str]]()
    known = [alert for alert in open_alerts if alert["watchlist"] == watchlist]
    for bar, anomalies in sorted(bars.items()):
        fresh = _build_wide(watchlist, bar, anomalies, tickers, run_id, now)
        near = (
            a
            for a in known
            if (a["direction"], is_vendors(a)) == (fresh["direction"], is_vendors(fresh))
        )
        joined = next((a for a in near if is_near(a, bar, bars_between)), None)
        if joined is None:
            known.append(fresh)
            raised.new[fresh["_id"]] = fresh
            raised.trail.append(note_step(fresh, "raise", now, f"{len(anomalies)} of {tickers}"))
        elif bar not in joined["bars"] or fresh["grade"] > joined["grade"]:
            if bar in joined["bars"]:  # others of its tickers were detected later
                fresh["bars"], fresh["count"] = [], 0
            extend(raised, joined, fresh)
            raised.trail.append(note_step(joined, "extend", now, f"{len(anomalies)} of {tickers}"))
        parent = (joined or fresh)["_id"]
        children.setdefault(parent, []).extend(a["_id"] for a in anomalies)
    return raised, children


def _build_wide(
    watchlist: str | None,
    bar: datetime,
    anomalies: Sequence[FlaggedFields],
    tickers: int,
    run_id: str,
    now: datetime,
) -> AlertDocument:
    strangest = max(anomalies, key=lambda each: each["grade"])
    falls = sum(tell_direction(each) == "down" for each in anomalies)
    market, interval = strangest["market"], strangest["interval"]
    subject = f"market-{market}::{interval}::{bar.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    of = f"{len(anomalies)} of {tickers} tickers are strange on this bar"
    fault, count = find_common_fault(anomalies)
    is_vendors_fault = fault is not None and count >= LEAST_SHARE * tickers
    if is_vendors_fault:
        of = (
            f"the same fault ({fault}) in {count} of {tickers} tickers on this bar: the vendor's,"
            " not the market's"
        )
    return {
        "anomaly_score": strangest["anomaly_score"],
        "threshold": strangest["threshold"],
        "grade": strangest["grade"],
        "severity": strangest["severity"],
        "detection_timestamp": strangest["detection_timestamp"],
        "model_version": strangest["model_version"],
        **leave_unexplained(),
        "reasons": [of],
        "scope": None if is_vendors_fault else "market",
        "_id": build_alert_id(watchlist, subject),
        "watchlist": watchlist,
        "entity_type": "market",
        "entity_id": market,
        "market": market,
        "interval": interval,
        "direction": "down" if 2 * falls >= len(anomalies) else "up",
        "bar_time": bar,
        "last_bar": bar,
        "count": 1,
        "anomaly_ids": [],
        "bars": [bar],
        "breadth": {"strange": len(anomalies), "of": tickers},
        **build_beginning(run_id, now),  # type: ignore[typeddict-item]  # a muted one has more
    }


def find_common_fault(anomalies: Sequence[FlaggedFields]) -> tuple[FaultName | None, int]:
    """Return the most frequent fault of a bar's anomalies, and how many have it; None and 0 if none
    has.
    """
    faults = Counter(each["fault"] for each in anomalies if each.get("fault"))
    # Of two equally frequent faults the first by name, so that the order of arrival does not
    # matter.
    return max(sorted(faults.items(), key=str), key=lambda each: each[1], default=(None, 0))


def is_vendors(alert: AskedAlert) -> bool:
    """Whether an alert is about the same fault in many tickers of a market, which is no move of a
    market.
    """
    return alert["entity_type"] == "market" and alert["scope"] is None

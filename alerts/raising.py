"""Raising alerts: anomalies become alerts, at most one open alert for a series and direction within
three bars.

It is pure: documents in, documents out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alerts.new_alert import Weightiest, build_alert_id, build_beginning
from core.grades import grade_share
from core.words import Direction
from records.alerts.documents import AlertDocument, ListedAlert, StrangestFields, TrailDocument
from records.alerts.mutes import MuteDocument, matches
from records.alerts.raised import LaterFields
from records.alerts.trail import build_entry
from records.findings.documents import AnomalyDocument, FlaggedFields
from records.models.documents import PolicyFields
from records.work.documents import RunDocument, WatchlistDocument

# Strange bars at most this far apart are one event.
JOINED_WITHIN_BARS = 3
# A scan raises alerts of bars at most so much older than the newest detected bar of their series: a
# new champion, a correction or a first scan finds anomalies of years ago, which nobody has to look
# at today. It is more than any exchange stays closed or an outage should last, and as long as runs
# are kept, so that it does not matter how late after its end the alerts of a run are raised.
ALERTED_DAYS = 30
SYSTEM = "system"

BarsBetween = Callable[[datetime, datetime], int]
"""How many bars of an interval a market has from one bar to a later one."""
IsRecent = Callable[[FlaggedFields], bool]
"""Whether an anomaly's bar is recent enough to raise an alert."""


@dataclass(slots=True)
class Raised:
    """What must be written: new alerts, changes by later bars, and the trail; and the anomalies of
    old bars that are left without an alert.
    """

    new: dict[str, AlertDocument] = field(default_factory=dict)
    later: dict[str, LaterFields] = field(default_factory=dict)
    trail: list[TrailDocument] = field(default_factory=list)
    left: set[str] = field(default_factory=set)


def raises(run: RunDocument) -> bool:
    """Whether a run's anomalies become alerts: those of a scan do, those of a backfill if it asks
    for it.
    """
    if run["trigger"] == "verification":
        return False
    return run["task"] == "incremental" or (
        run["task"] == "backfill" and bool(run["options"].get("raise_alerts"))
    )


def tell_direction(anomaly: FlaggedFields) -> Direction:
    """Return the direction of the bar's close; one that did not move counts as up."""
    return "down" if anomaly["features"].get("return_1", 0.0) < 0 else "up"


def passes(policy: PolicyFields | None, anomaly: FlaggedFields) -> bool:
    """Whether an anomaly that another watchlist's scan found passes a watchlist's own threshold."""
    if policy is None:
        return True
    if policy["kind"] == "score":
        return anomaly["anomaly_score"] < policy["value"]
    value = policy["value"]
    return anomaly["grade"] >= (value if policy["kind"] == "grade" else grade_share(value))


def is_confident(watchlist: WatchlistDocument, anomaly: FlaggedFields) -> bool:
    """Whether an anomaly has the confidence that a watchlist asks for; a fault, which has none,
    passes.
    """
    return anomaly.get("confidence", 1.0) >= watchlist.get("min_confidence", 0.0)


def plan_alerts(
    anomalies: Iterable[AnomalyDocument],
    holders: Mapping[str, Sequence[str | None]],
    open_alerts: Sequence[ListedAlert],
    told: set[tuple[str | None, str]],
    bars_between: BarsBetween,
    is_recent: IsRecent,
    *,
    run_id: str,
    now: datetime,
) -> Raised:
    """Return the alerts that anomalies raise or extend.

    An anomaly of an old bar raises none. It extends an open alert near it, which stays that of the
    run before: it is nothing to send a message about, and keeps none about a later bar back.

    Args:
        anomalies: anomalies of one interval.
        holders: by ticker, the watchlists that it is on; None for no watchlist.
        open_alerts: the open alerts of these tickers.
        told: the anomalies that an alert already holds, by watchlist.
        bars_between: counts the bars of the tickers' market between two times.
        is_recent: tells old bars from recent ones.
        run_id: the run that found the anomalies.
        now: the present time.
    """
    raised = Raised()
    known: dict[tuple[object, ...], list[ListedAlert]] = {}
    for alert in open_alerts:
        known.setdefault(_key(alert), []).append(alert)

    def add(watchlist: str | None, anomaly: AnomalyDocument) -> bool:
        """Raise or extend an alert; return False if the bar is old and near no open alert."""
        key = watchlist, anomaly["Ticker"], anomaly["interval"], tell_direction(anomaly)
        near = known.setdefault(key, [])
        joined = next((a for a in near if is_near(a, anomaly["Datetime"], bars_between)), None)
        is_old = not is_recent(anomaly)
        if joined is not None:
            later = build_alert(watchlist, anomaly, joined["run_id"] if is_old else run_id, now)
            if is_old:
                later["untold_ids"] = [anomaly["_id"]]
            extend(raised, joined, later)
            raised.trail.append(note_step(joined, "extend", now, anomaly["_id"]))
        elif not is_old:
            fresh = build_alert(watchlist, anomaly, run_id, now)
            near.append(fresh)
            raised.new[fresh["_id"]] = fresh
            raised.trail.append(note_step(fresh, "raise", now, anomaly["_id"]))
        return joined is not None or not is_old

    left = [
        (watchlist, anomaly)
        for anomaly in sorted(anomalies, key=lambda each: (each["Datetime"], each["_id"]))
        for watchlist in holders.get(anomaly["Ticker"], (None,))
        if (watchlist, anomaly["_id"]) not in told and not add(watchlist, anomaly)
    ]
    # Backwards, as an old bar may belong to an alert that began after it. Then none that is left is
    # near an alert, and a process that repeats this finds the same.
    raised.left = {each["_id"] for name, each in reversed(left) if not add(name, each)}
    return raised


def build_alert(
    watchlist: str | None, anomaly: AnomalyDocument, run_id: str, now: datetime
) -> AlertDocument:
    """Return the alert of one anomaly."""
    return {
        **describe_strangest(anomaly),
        "_id": build_alert_id(watchlist, anomaly["_id"]),
        "watchlist": watchlist,
        "entity_type": "ticker",
        "entity_id": anomaly["Ticker"],
        "market": anomaly["market"],
        "interval": anomaly["interval"],
        "direction": tell_direction(anomaly),
        "bar_time": anomaly["Datetime"],
        "last_bar": anomaly["Datetime"],
        "count": 1,
        "anomaly_ids": [anomaly["_id"]],
        **build_beginning(run_id, now),  # type: ignore[typeddict-item]  # a market-wide one has more
    }


def mute_alerts(raised: Raised, mutes: Sequence[MuteDocument], now: datetime) -> list[str]:
    """Resolve those new alerts that a mute covers; return the mutes, one for each such alert.

    The alerts are stored and listed, but no message is sent.
    """
    silenced = []
    for alert in raised.new.values():
        mute = next((each for each in mutes if matches(each, alert)), None)
        if mute is None:
            continue
        silenced.append(mute["_id"])
        alert["state"], alert["muted_by"] = "resolved", mute["_id"]
        alert["resolved_at"], alert["resolved_by"] = now, SYSTEM
        alert["resolution_notes"] = f"muted by {mute['created_by']}: {mute['reason']}"
        raised.trail.append(
            build_entry(
                alert["_id"],
                "mute",
                by=SYSTEM,
                at=now,
                states=("active", "resolved"),
                details={"mute": mute["_id"], "reason": mute["reason"]},
            )
        )
    return silenced


def _name_weightiest(anomaly: AnomalyDocument) -> Weightiest:
    inputs = anomaly.get("inputs", [])
    shares = anomaly["attribution"]
    first = inputs[0] if inputs else None
    return {
        "metric_name": first["name"]
        if first
        else max(shares, key=lambda c: shares[c], default=None),
        "actual_value": first["actual"] if first else None,
        "expected_value": first["median"] if first else None,
        "inputs": inputs,
    }


def describe_strangest(anomaly: AnomalyDocument) -> StrangestFields:
    """Return the fields of an alert that describe the strangest of its bars."""
    return {
        "anomaly_score": anomaly["anomaly_score"],
        "threshold": anomaly["threshold"],
        "grade": anomaly["grade"],
        "severity": anomaly["severity"],
        "confidence": anomaly.get("confidence"),
        "detector_type": anomaly.get("detector"),
        "explanation": anomaly["attribution"],
        "reasons": anomaly["reasons"],
        "detection_timestamp": anomaly["detection_timestamp"],
        "model_version": anomaly["model_version"],
        **_name_weightiest(anomaly),
        "scope": anomaly.get("scope"),
        "root_causes": anomaly.get("root_causes", []),
        "root_cause": anomaly.get("root_cause"),
    }


_STRANGEST = tuple(StrangestFields.__annotations__)
_ADDED = ("anomaly_ids", "untold_ids", "bars")


def extend(raised: Raised, alert: ListedAlert, later: AlertDocument) -> None:
    """Add another bar to an alert: in memory, for the bars that follow, and in what must be
    written.
    """
    if alert["run_id"] != later["run_id"]:
        alert["grade_before"] = alert["grade"]
    if later["grade"] > alert["grade"]:
        alert.update({name: later[name] for name in _STRANGEST})  # type: ignore[typeddict-item,literal-required]  # of one type
    for name in _ADDED:
        if name in later:
            alert[name] = [*alert.get(name, []), *later[name]]  # type: ignore[literal-required,misc]  # lists
    if "breadth" in later and "breadth" in alert:
        alert["breadth"] = max(alert["breadth"], later["breadth"], key=lambda b: b["strange"])
    alert["bar_time"] = min(alert["bar_time"], later["bar_time"])
    alert["last_bar"] = max(alert["last_bar"], later["last_bar"])
    alert["count"] += later["count"]
    alert["run_id"], alert["updated_at"] = later["run_id"], later["updated_at"]
    if alert["_id"] not in raised.new:
        fields = {name: alert[name] for name in LaterFields.__annotations__ if name in alert}  # type: ignore[literal-required]  # its own
        raised.later[alert["_id"]] = fields  # type: ignore[assignment]  # made of its names


def _key(alert: ListedAlert) -> tuple[object, ...]:
    return alert["watchlist"], alert["entity_id"], alert["interval"], alert["direction"]


def is_near(alert: ListedAlert, bar: datetime, bars_between: BarsBetween) -> bool:
    """Whether a bar belongs to the same event as an alert."""
    first, last = alert["bar_time"], alert["last_bar"]
    if first <= bar <= last:
        return True
    distance = bars_between(last, bar) if bar > last else bars_between(bar, first)
    return distance <= JOINED_WITHIN_BARS


def note_step(alert: ListedAlert, step: str, now: datetime, found: str) -> TrailDocument:
    """Return the trail's entry for an alert that was raised or extended."""
    before = None if step == "raise" else alert["state"]
    return build_entry(
        alert["_id"],
        step,  # type: ignore[arg-type]  # one of the words
        by=SYSTEM,
        at=now,
        states=(before, alert["state"]),
        details={"found": found, "grade": alert["grade"]},
    )

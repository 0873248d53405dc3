"""The text of a message about a run, however many anomalies it found."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts.market_wide import is_vendors
from core.errors import BadInput
from core.grades import write_grade
from core.naming import count_of
from records.alerts.documents import AlertDocument, BreadthFields, RuleDocument, ToldAlert
from records.findings.documents import AnomalyDocument
from records.work.documents import RunDocument
from records.work.runs import describe_subject

LISTED_ANOMALIES = 10
DIGEST_AT = "08:00"
ESCALATED_AFTER_MINUTES = 15


def parse_clock(text: str) -> str:
    """Return a local time of day as it is stored, such as `07:00`.

    Raises BadInput on anything else.
    """
    try:
        return f"{time.fromisoformat(text.strip().zfill(5)):%H:%M}"
    except ValueError as error:
        raise BadInput(f"{text[:20]!r} is no time of day; write it as 22:00") from error


def parse_zone(text: str) -> str:
    """Return a time zone's IANA name. Raises BadInput where none is known by it."""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(
            f"no time zone is known by the name {text[:60]!r}; write one like Asia/Tokyo"
        ) from error


def is_concerned(rule: RuleDocument, run: RunDocument) -> bool:
    """Whether a rule applies to runs of this kind at all."""
    return run["trigger"] != "verification" and (rule["backfills"] or run["task"] != "backfill")


def tells_failure(rule: RuleDocument, run: RunDocument) -> bool:
    """Whether a rule asks for a message about how this run ended, as for a failure."""
    return rule["failures"] and run["status"] in {"failed", "partial"}


def build_title(run: RunDocument, anomalies: int, wide: Sequence[AlertDocument]) -> str:
    """Return the message's first line: of so many anomalies, and market-wide bars."""
    subject = run["watchlist"] or run["ticker"] or run["market"] or describe_subject(run)
    subject = subject or "Tapewatch"
    count = count_of(anomalies, "anomaly", "anomalies")
    if wide:
        markets = [a for a in wide if a["entity_type"] == "market"]
        moved = dict.fromkeys(a["market"] for a in markets if not is_vendors(a))
        wrong = dict.fromkeys(a["market"] for a in markets if is_vendors(a))
        said = f"the market {', '.join(moved)} moved" if moved else "bars stopped coming"
        if wrong and not moved:
            said = f"the same fault in many tickers of {', '.join(wrong)}"
        besides = f", and {count} besides" if anomalies else ""
        return f"{subject}: {said}{besides}"
    if not anomalies:
        return f"{subject}: {run['task']} {run['status']}"
    return f"{subject}: {count} in {run['interval']} bars"


def build_body(
    run: RunDocument,
    anomalies: Sequence[AnomalyDocument],
    total: int,
    wide: Sequence[AlertDocument] = (),
    link: str | None = None,
) -> str:
    """Return the message's text: market-wide bars, the strangest of `total` other anomalies with
    their reasons, what the markets did where the watchlist asks for it, what went wrong, and the
    run.
    """
    lines = [_describe_wide(alert) for alert in wide[:LISTED_ANOMALIES]]
    lines += [_describe(anomaly) for anomaly in anomalies[:LISTED_ANOMALIES]]
    if total > LISTED_ANOMALIES:
        lines.append(f"... and {total - LISTED_ANOMALIES} more")
    lines += [
        f"market {market['market']}: {'; '.join(market['words'])}"
        for market in (run.get("result") or {}).get("overview", [])
        if market["words"]
    ]
    if run["error"]:
        lines.append(f"{run['status']}: {run['error']}")
    lines += [link] if link else []
    lines.append(f"run {run['_id']} ({run['trigger']})")
    return "\n".join(lines)


def build_link(public_url: str, alerts: Sequence[AlertDocument]) -> str | None:
    """Return the address of the alert in a message, or of the inbox if there are several; None
    without an alert or without PUBLIC_URL.
    """
    if not public_url or not alerts:
        return None
    page = f"/{quote(alerts[0]['_id'], safe='')}" if len(alerts) == 1 else ""
    return f"{public_url.rstrip('/')}/#/alerts{page}"


def tell_alert(alert: AlertDocument, public_url: str) -> ToldAlert:
    """Return the JSON fields of an alert in a message."""
    return {
        "id": alert["_id"],
        "watchlist": alert["watchlist"],
        "entity_type": alert["entity_type"],
        "entity_id": alert["entity_id"],
        "market": alert["market"],
        "interval": alert["interval"],
        "direction": alert["direction"],
        "bar_time": _write_time(alert["bar_time"]),
        "last_bar": _write_time(alert["last_bar"]),
        "count": alert["count"],
        "grade": alert["grade"],
        "severity": alert["severity"],
        "scope": alert["scope"],
        "metric_name": alert["metric_name"],
        "actual_value": alert["actual_value"],
        "expected_value": alert["expected_value"],
        "reasons": alert["reasons"],
        "root_causes": alert["root_causes"],
        "breadth": _find_breadth(alert),
        "link": build_link(public_url, [alert]),
    }


def find_digest(rule: RuleDocument, now: datetime) -> datetime:
    """Return when a rule's next digest goes out: each day, or on Mondays, at its local time."""
    zone = ZoneInfo(rule["timezone"])
    local = now.astimezone(zone)
    at = time.fromisoformat(rule.get("digest_at", DIGEST_AT))
    day = local.date()
    while True:
        due = datetime.combine(day, at, zone)
        if due > now and (rule.get("digest") == "daily" or day.weekday() == 0):
            return due
        day += timedelta(days=1)


def build_digest_title(rule: RuleDocument, total: int) -> str:
    """Return a digest's first line, which begins with how many alerts there are."""
    period = "a day" if rule.get("digest") == "daily" else "a week"
    watchlist = f", {rule['watchlist']}" if rule["watchlist"] else ""
    return f"{count_of(total, 'alert')} of {period}{watchlist}"


def build_digest_line(alert: AlertDocument, public_url: str) -> str:
    """Return the line about an alert in a digest."""
    link = build_link(public_url, [alert])
    subject = alert["entity_id"] if alert["entity_type"] != "feed" else "feed"
    when = _write_bar(alert["last_bar"], alert["interval"])
    return f"{subject} {when}: {_tell_reasons(alert)}{_tell_scope(alert)}{f' {link}' * bool(link)}"


def find_due(rule: RuleDocument, now: datetime) -> datetime:
    """Return when a message may be sent: now or, within the quiet hours, at their end."""
    if rule["quiet_from"] is None or rule["quiet_until"] is None:
        return now
    start, end = time.fromisoformat(rule["quiet_from"]), time.fromisoformat(rule["quiet_until"])
    zone = ZoneInfo(rule["timezone"])
    local = now.astimezone(zone)
    clock = local.time().replace(tzinfo=None)
    is_quiet = start <= clock < end if start <= end else clock >= start or clock < end
    if not is_quiet:
        return now
    day = local.date() if clock < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, zone)


def _describe(anomaly: AnomalyDocument) -> str:
    when = _write_bar(anomaly["Datetime"], anomaly["interval"])
    fault = "fault, " if anomaly["kind"] == "fault" else ""
    return f"{anomaly['Ticker']} {when}: {fault}{_tell_reasons(anomaly)}{_tell_scope(anomaly)}"


def _tell_reasons(found: AnomalyDocument | AlertDocument) -> str:
    reasons = "; ".join(found["reasons"])
    return f"{found['severity']} (grade {write_grade(found['grade'])}), {reasons}"


def _tell_scope(found: AnomalyDocument | AlertDocument) -> str:
    """Return whose move it was, and how many others were flagged on the same bar, where that is
    known.
    """
    scope, cause = found.get("scope"), found.get("root_cause")
    words: list[str] = [scope] if scope else []
    if cause is not None and "flagged" in cause:
        on = "day" if found["interval"] == "1d" else "bar"
        words.append(f"{cause['flagged']} of {cause['of']} flagged on this {on}")
    return f" [{', '.join(words)}]" if words else ""


def _find_breadth(alert: AlertDocument) -> BreadthFields | None:
    """Return how many tickers were flagged on the same bar, and out of how many: of the market or,
    for a market-wide alert, of the watchlist. None where that is not known.
    """
    cause = alert["root_cause"]
    if cause is not None and "flagged" in cause:
        return {"strange": cause["flagged"], "of": cause["of"]}
    return alert.get("breadth")


def _write_time(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _describe_wide(alert: AlertDocument) -> str:
    if alert["entity_type"] == "feed":
        return _tell_reasons(alert)
    when = _write_bar(alert["last_bar"], alert["interval"])
    return f"market {alert['market']} {when}: {_tell_reasons(alert)}"


def _write_bar(when: datetime, interval: str) -> str:
    return f"{when:%Y-%m-%d}" if interval in {"1d", "1w"} else f"{when:%Y-%m-%d %H:%M} UTC"

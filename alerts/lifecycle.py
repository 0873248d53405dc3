"""The states of an alert as one table: which step leads from which state to which, and what it
writes.

A step that the table does not have for the alert's state is refused, with the state named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from pymongo.client_session import ClientSession

from alerts.market_wide import is_vendors
from core.errors import BadInput, Conflict, TapewatchError
from core.words import AlertEvent, AlertState, Feedback, FeedbackCause
from records.alerts import alerts, raised
from records.alerts.documents import AlertDocument, StepFields, TrailDocument
from records.alerts.mutes import MuteScope, add_mute
from records.alerts.trail import build_entry
from records.database import Db

REOPENED_WITHIN = timedelta(days=7)
EXPIRED_AFTER = timedelta(days=90)
LONGEST_SNOOZE = timedelta(days=90)
LONGEST_TEXT = 2_000
STATES: tuple[AlertState, ...] = get_args(AlertState)
OPEN = alerts.OPEN_STATES
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody says with a step; each step reads what is its own.

    Attributes:
        by: who takes the step.
        now: the time of the step.
        until: the end of a snooze.
        owner: the new owner of the alert; None for nobody.
        text: a comment, or the notes of a resolution.
        feedback, cause: fields of a resolution.
        mute_until: the end of a mute of alerts like this one, which a resolution as expected may
            set.
    """

    by: str
    now: datetime
    until: datetime | None = None
    owner: str | None = None
    text: str | None = None
    feedback: Feedback | None = None
    cause: FeedbackCause | None = None
    mute_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the table.

    Attributes:
        allowed: the states in which the step may be taken.
        leads_to: the state after the step; None if it stays the same.
        write: returns the fields that the step writes. Raises BadInput for an impossible request,
            Conflict if it is too late.
        takes_children: whether a step of a market-wide alert is also taken on its tickers' alerts.
    """

    allowed: tuple[AlertState, ...]
    leads_to: AlertState | None
    write: Callable[[AlertDocument, Asked], StepFields]
    takes_children: bool = False


def _acknowledge(_: AlertDocument, asked: Asked) -> StepFields:
    return {
        "acknowledged_at": asked.now,
        "acknowledged_by": asked.by,
        "snoozed_until": None,
    }


def _resolve(_: AlertDocument, asked: Asked) -> StepFields:
    if asked.cause is not None and asked.feedback is None:
        raise BadInput("a cause is said with a feedback: confirmed, expected, false_alarm or so")
    if asked.mute_until is not None and asked.feedback != "expected":
        raise BadInput("only what was `expected` is muted for a while: give that feedback with it")
    return {
        "resolved_at": asked.now,
        "resolved_by": asked.by,
        "resolution_notes": _check_text(asked.text),
        "feedback": asked.feedback,
        "cause": asked.cause,
        "snoozed_until": None,
    }


def _snooze(_: AlertDocument, asked: Asked) -> StepFields:
    if asked.until is None or not asked.now < asked.until <= asked.now + LONGEST_SNOOZE:
        raise BadInput(
            f"an alert is snoozed until a time that is still to come, {LONGEST_SNOOZE.days} days"
            f" ahead at the most, not until {asked.until}"
        )
    return {"snoozed_until": asked.until}


def _assign(_: AlertDocument, asked: Asked) -> StepFields:
    return {"owner": asked.owner}


def _comment(_: AlertDocument, asked: Asked) -> StepFields:
    if not (asked.text or "").strip():
        raise BadInput("a comment has at least one character that is no space")
    _check_text(asked.text)
    return {}


def _reopen(alert: AlertDocument, asked: Asked) -> StepFields:
    resolved_at = alert.get("resolved_at")
    if resolved_at is None or asked.now - resolved_at > REOPENED_WITHIN:
        raise Conflict(
            f"alert {alert['_id']} is resolved since {resolved_at:%Y-%m-%d %H:%M} UTC, and one is"
            f" reopened within {REOPENED_WITHIN.days} days only",
            reason="too_late",
            state=alert["state"],
        )
    return {
        "resolved_at": None,
        "resolved_by": None,
        "resolution_notes": None,
        "feedback": None,
        "cause": None,
    }


def _supersede(_: AlertDocument, asked: Asked) -> StepFields:
    return {
        "resolved_at": asked.now,
        "resolved_by": SYSTEM,
        "resolution_notes": asked.text,
        "snoozed_until": None,
    }


def _wake(_: AlertDocument, __: Asked) -> StepFields:
    return {"snoozed_until": None}


def _return(_: AlertDocument, __: Asked) -> StepFields:
    return {"resolved_at": None, "resolved_by": None, "resolution_notes": None}


TABLE: dict[AlertEvent, Step] = {
    "acknowledge": Step(("active", "snoozed"), "acknowledged", _acknowledge, takes_children=True),
    "resolve": Step((*OPEN, "expired"), "resolved", _resolve, takes_children=True),
    "snooze": Step(("active", "acknowledged", "snoozed"), "snoozed", _snooze, takes_children=True),
    "assign": Step(OPEN, None, _assign),
    "comment": Step(STATES, None, _comment),
    "reopen": Step(("resolved",), "active", _reopen, takes_children=True),
    # The steps that only the service itself takes.
    "supersede": Step(OPEN, "resolved", _supersede),
    "return": Step(("resolved",), "active", _return),
    "wake": Step(("snoozed",), "active", _wake),
    "expire": Step(OPEN, "expired", _wake),
}


def plan_step(
    alert: AlertDocument, name: AlertEvent, asked: Asked
) -> tuple[alerts.Change, TrailDocument]:
    """Return what a step writes into an alert, and into its trail.

    Raises Conflict with the state where the step cannot be taken from it, and BadInput.
    """
    step, state = TABLE[name], alert["state"]
    if state not in step.allowed:
        raise Conflict(
            f"alert {alert['_id']} is {state}; {name} is for one that is"
            f" {' or '.join(step.allowed)}",
            reason="wrong_step",
            state=state,
        )
    fields = step.write(alert, asked)
    leads_to = step.leads_to or state
    told: dict[str, object] = {"text": asked.text} if asked.text else {}
    told |= {key: value for key, value in fields.items() if value is not None and key in _TOLD}
    comment = asked.text.strip() if name == "comment" and asked.text else None
    entry = build_entry(
        alert["_id"], name, by=asked.by, at=asked.now, states=(state, leads_to), details=told
    )
    return alerts.Change(state, leads_to, fields, comment, asked.by, asked.now), entry


_TOLD = {"owner", "feedback", "cause", "snoozed_until"}


def take_step(database: Db, alert_id: str, name: AlertEvent, asked: Asked) -> AlertDocument:
    """Take a step and return the alert as it is afterwards, all in one transaction.

    A step on a market-wide alert is also taken on those of its tickers' alerts that allow it.
    Raises NotFound, Conflict with the state where the step cannot be taken, BadInput.
    """

    def plan(alert: AlertDocument) -> tuple[alerts.Change, TrailDocument]:
        return plan_step(alert, name, asked)

    def complete(alert: AlertDocument, session: ClientSession) -> None:
        if name == "reopen" and alert_id in raised.find_childless(database, session):
            raise Conflict(
                f"none of the tickers' alerts of {alert_id} is open, nor was resolved with it, so"
                " that it would be resolved again by the next run: reopen theirs first",
                reason="wrong_step",
                state=alert["state"],
            )
        if asked.mute_until is not None:
            add_mute(
                database,
                _describe_alike(alert),
                until=asked.mute_until,
                reason=asked.text or "expected",
                by=asked.by,
                now=asked.now,
                alert_id=alert_id,
                session=session,
            )

    allowed = TABLE[name].allowed if TABLE[name].takes_children else ()
    return alerts.change_alert(database, alert_id, plan, children_in=allowed, also=complete)


def _describe_alike(alert: AlertDocument) -> MuteScope:
    """Return the fields of a mute that silences alerts like this one."""
    if alert["entity_type"] not in {"ticker", "market"}:
        raise BadInput(
            f"alerts of a {alert['entity_type']} are not muted: snooze this one, or end its cause"
        )
    if is_vendors(alert):
        raise BadInput(
            "a fault of the vendor is not muted: a mute has no word for it alone, and would silence"
            " what else its market does; snooze this one, or mute the market for a while"
        )
    return {
        "watchlist": alert["watchlist"],
        "ticker": alert["entity_id"] if alert["entity_type"] == "ticker" else None,
        "market": alert["market"],
        "interval": alert["interval"],
        "direction": alert["direction"],
        "scope": alert["scope"],
    }


def take_steps(
    database: Db, alert_ids: Sequence[str], name: AlertEvent, asked: Asked
) -> tuple[list[str], list[tuple[str, TapewatchError]]]:
    """Take a step on many alerts, each by itself; return the alerts on which it was taken, and the
    reason for each of the others.
    """
    # Market-wide alerts come first, because their step is also taken on their tickers' alerts.
    market_wide = alerts.find_market_wide(database, alert_ids)
    taken, refused = [], []
    for alert_id in sorted(dict.fromkeys(alert_ids), key=market_wide.__contains__):
        try:
            take_step(database, alert_id, name, asked)
        except TapewatchError as error:
            refused.append((alert_id, error))
        else:
            taken.append(alert_id)
    return taken, refused


def _check_text(text: str | None) -> str | None:
    if text is not None and len(text) > LONGEST_TEXT:
        raise BadInput(f"notes and comments have {LONGEST_TEXT} characters at the most")
    return text

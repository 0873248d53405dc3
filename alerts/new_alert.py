"""The fields that every new alert begins with, whatever it is about."""

from datetime import datetime
from typing import TypedDict

from core.words import AlertState, MoveScope
from records.alerts.documents import CommentFields, StepFields
from records.findings.documents import InputFields, RootCauseFields

NEVER = -1.0


def build_alert_id(watchlist: str | None, subject: str) -> str:
    """Return the one `_id` that a watchlist's alert of this bar can have."""
    return f"{watchlist or '-'}::{subject}"


class Weightiest(TypedDict):
    """The inputs of a bar, and that with the largest share."""

    metric_name: str | None
    actual_value: float | None
    expected_value: float | None
    inputs: list[InputFields]


class Unexplained(Weightiest):
    """The fields of an alert about its strangest bar, for alerts that are not about a single
    bar.
    """

    confidence: float | None
    detector_type: str | None
    explanation: dict[str, float]
    scope: MoveScope | None
    root_causes: list[str]
    root_cause: RootCauseFields | None


def leave_unexplained() -> Unexplained:
    """Return the fields of an alert without a model's inputs and without a move."""
    return {
        "confidence": None,
        "detector_type": None,
        "explanation": {},
        "metric_name": None,
        "actual_value": None,
        "expected_value": None,
        "inputs": [],
        "scope": None,
        "root_causes": [],
        "root_cause": None,
    }


class Beginning(StepFields):
    """The fields that are the same in every new alert."""

    parent_id: None
    run_id: str
    grade_before: float
    state: AlertState
    comments: list[CommentFields]
    created_at: datetime
    updated_at: datetime


def build_beginning(run_id: str, now: datetime) -> Beginning:
    """Return the fields that every new alert begins with."""
    return {
        "parent_id": None,
        "run_id": run_id,
        "grade_before": NEVER,
        "state": "active",
        "owner": None,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "resolved_at": None,
        "resolved_by": None,
        "resolution_notes": None,
        "feedback": None,
        "cause": None,
        "snoozed_until": None,
        "comments": [],
        "created_at": now,
        "updated_at": now,
    }

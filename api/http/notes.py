"""A change by a person and its entry in the audit trail: either both are written or neither."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pymongo.client_session import ClientSession

from api.http.auth import get_person
from api.http.state import get_database, get_now
from core.words import AlertEvent
from records.alerts.trail import build_note, write_noted

Written = TypeVar("Written")


def change_noted(
    change: Callable[[ClientSession], Written],
    step: AlertEvent,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> Written:
    """Make a change and its entry in the trail, in the name of the request's key; return the
    change's result.
    """
    entry = build_note(step, subject, by=get_person(), at=get_now(), details=details)
    return write_noted(get_database(), change, [entry])

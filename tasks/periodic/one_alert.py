"""Alerts of which at most one is open for a subject: raised once, then updated."""

from collections.abc import Callable, Sequence
from datetime import datetime

from pymongo.client_session import ClientSession

from alerts.raising import note_step
from records.alerts import raised
from records.alerts.documents import AlertDocument, ListedAlert
from records.database import Db

Extend = Callable[[ListedAlert, AlertDocument], raised.LaterFields]
"""What a later alert changes of an open one."""


def raise_or_extend(
    database: Db,
    fresh: AlertDocument,
    held: Sequence[ListedAlert],
    extend: Extend,
    now: datetime,
    session: ClientSession,
) -> None:
    """Extend the open alerts of a subject by an alert; if none is open, raise it once."""
    text = fresh["reasons"][0]
    if held:
        later = [(alert["_id"], extend(alert, fresh)) for alert in held]
        trail = [note_step(alert, "extend", now, text) for alert in held]
        raised.write_raised(database, [], later, trail, session)
    elif not raised.find_known(database, [fresh["_id"]], session):
        trail = [note_step(fresh, "raise", now, text)]
        raised.write_raised(database, [fresh], [], trail, session)

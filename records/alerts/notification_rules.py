"""Notification rules: which channel is told of what, and when it is left in peace."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.errors import BadInput, NotFound
from records.database import Db, Document
from records.keyset import BY_ID, Position, find_page

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


def set_rule(database: Db, name: str, fields: Mapping[str, Any], now: datetime) -> Document:
    """Make a rule, or put another in its place; return it.

    Fields:
        channel: the channel's address, which often holds a secret; `shown_channel` is the same without it.
        watchlist: only anomalies of its tickers; None for all.
        min_grade: only anomalies of at least this grade.
        quiet_from, quiet_until, timezone: local times of day (`22:00`) between which nothing is sent; None for none.
        backfills: whether backfills are told too.
        failures: whether runs that failed, whole or in part, are told.
        enabled: whether the rule counts.

    Raises BadInput on a name that cannot be one.
    """
    if NAME.fullmatch(name) is None:
        raise BadInput(
            f"{name[:80]!r} cannot name a rule: letters, digits and ' ._-', at most 64, a letter or digit first"
        )
    rule = {"_id": name, "name": name, **fields, "updated_at": now}
    database.notification_rules.replace_one({"_id": name}, rule, upsert=True)
    return rule


def find_rules(
    database: Db, *, enabled: bool | None = None, after: Position | None = None, limit: int = 1_000
) -> list[Document]:
    """Return the rules whose names follow `after`, by name."""
    query = {} if enabled is None else {"enabled": enabled}
    return find_page(database.notification_rules, query, BY_ID, after=after, limit=limit)


def get_rule(database: Db, name: str) -> Document:
    """Return a rule. Raises NotFound with the names there are."""
    rule: Document | None = database.notification_rules.find_one({"_id": name})
    if rule is None:
        names = ", ".join(other["_id"] for other in find_rules(database, limit=10)) or "(none)"
        raise NotFound(f"there is no notification rule {name!r}; there are: {names}")
    return rule


def remove_rule(database: Db, name: str) -> None:
    """Remove a rule; what it has sent stays listed. Raises NotFound."""
    get_rule(database, name)
    database.notification_rules.delete_one({"_id": name})

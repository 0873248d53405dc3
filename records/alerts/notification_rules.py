"""Notification rules: which alerts are sent to which channel, and when nothing is sent."""

import re
from datetime import datetime

from pymongo.client_session import ClientSession

from core.errors import BadInput, NotFound
from records.alerts import deliveries
from records.alerts.documents import RuleDocument, RuleFields, rules_in
from records.database import Db
from records.keyset import BY_ID, Position, find_page

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


def set_rule(
    database: Db,
    name: str,
    fields: RuleFields,
    now: datetime,
    session: ClientSession | None = None,
) -> RuleDocument:
    """Create or replace a rule and return it. Its pending deliveries go to its new channels.

    Raises BadInput where `name` is not a valid name.
    """
    if NAME.fullmatch(name) is None:
        raise BadInput(
            f"{name[:80]!r} cannot name a rule: a name has at most 64 letters, digits, blanks and"
            " . _ -, and begins with a letter or digit"
        )
    rule: RuleDocument = {"_id": name, "name": name, **fields, "updated_at": now}
    rules_in(database).replace_one({"_id": name}, rule, upsert=True, session=session)
    deliveries.follow_rule(database, name, rule, session)
    return rule


def find_rules(
    database: Db, *, enabled: bool | None = None, after: Position | None = None, limit: int = 0
) -> list[RuleDocument]:
    """Return the rules whose names follow `after`, by name; all where `limit` is 0."""
    query = {} if enabled is None else {"enabled": enabled}
    return find_page(rules_in(database), query, BY_ID, after=after, limit=limit)


def find_rule(database: Db, name: str) -> RuleDocument | None:
    """Return a rule, or None."""
    return rules_in(database).find_one({"_id": name})


def get_rule(database: Db, name: str) -> RuleDocument:
    """Return a rule. Raises NotFound, which lists the names of rules."""
    rule = find_rule(database, name)
    if rule is None:
        names = ", ".join(other["_id"] for other in find_rules(database, limit=10)) or "(none)"
        raise NotFound(f"there is no notification rule {name!r}; the rules are: {names}")
    return rule


def remove_rule(database: Db, name: str, session: ClientSession) -> None:
    """Remove a rule, whose pending deliveries are then not sent; sent ones stay listed. Raises
    NotFound.
    """
    get_rule(database, name)
    rules_in(database).delete_one({"_id": name}, session=session)
    deliveries.follow_rule(database, name, None, session)

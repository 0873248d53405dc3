"""Notification rules: which channel is told of what, and when it is left in peace."""

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
    """Make a rule, or put another in its place; return it. What waits to be sent follows it.

    Raises BadInput on a name that cannot be one.
    """
    if NAME.fullmatch(name) is None:
        raise BadInput(
            f"{name[:80]!r} cannot name a rule: letters, digits and ' ._-', at most 64, a letter or"
            " digit first"
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
    """Return a rule. Raises NotFound with the names there are."""
    rule = find_rule(database, name)
    if rule is None:
        names = ", ".join(other["_id"] for other in find_rules(database, limit=10)) or "(none)"
        raise NotFound(f"there is no notification rule {name!r}; there are: {names}")
    return rule


def remove_rule(database: Db, name: str, session: ClientSession) -> None:
    """Remove a rule; what it has sent stays listed, and what waits is not sent. Raises NotFound."""
    get_rule(database, name)
    rules_in(database).delete_one({"_id": name}, session=session)
    deliveries.follow_rule(database, name, None, session)

"""Notifications: the rules by which people are told, and what was sent to them."""

from apiflask import APIBlueprint
from pydantic import ValidationError

from alerts.channels import build_rule, try_rule
from api.http.auth import needs_scope
from api.http.notes import change_noted
from api.http.paging import Listed, ask_page
from api.http.state import get_database, get_now, get_settings
from api.schemas.notifications import (
    DeliveryPage,
    DeliveryQuery,
    Rule,
    RuleBody,
    RulePage,
    RulePatch,
    RuleQuery,
    Tried,
)
from core.errors import BadInput, Transient
from records.alerts import deliveries, notification_rules
from records.alerts.documents import DeliveryDocument, RuleDocument
from records.alerts.trail import compare
from records.database import Document
from records.keyset import BY_ID
from records.work.watchlists import get_watchlist

notifications = APIBlueprint("notifications", __name__, tag="notifications")

EXAMPLE = {
    "channel": "json://127.0.0.1:8080/alerts",
    "min_grade": 75,
    "quiet_from": "22:00",
    "quiet_until": "07:00",
}


@notifications.get("/notifications/rules")
@notifications.input(RuleQuery, location="query")
@notifications.output(RulePage)
def list_rules(query_data: RuleQuery) -> Listed[Document]:
    """List the rules by which people are told."""
    page = ask_page(query_data, BY_ID)
    found = notification_rules.find_rules(get_database(), after=page.after, limit=page.limit)
    return page.build([show_rule(rule) for rule in found])


@notifications.put("/notifications/rules/<name>")
@needs_scope("admin", of_tenant=True)
@notifications.input(RuleBody, example=EXAMPLE)
@notifications.output(Rule)
def set_rule(name: str, json_data: RuleBody) -> Document:
    """Make a rule, or put another in its place."""
    return _store(name, json_data)


@notifications.patch("/notifications/rules/<name>")
@needs_scope("admin", of_tenant=True)
@notifications.input(RulePatch, example={"min_grade": 90, "timezone": "Europe/Berlin"})
@notifications.output(Rule)
def change_rule(name: str, json_data: RulePatch) -> Document:
    """Change what is named of a rule, and keep the rest: its channel and secret need not be known.

    null takes back what may be null; a `secret`, a `next_channel`, quiet hours, a digest.
    """
    held = notification_rules.get_rule(get_database(), name)
    said = json_data.model_dump(include=json_data.model_fields_set)
    kept = {key: value for key, value in held.items() if key in RuleBody.model_fields}
    try:
        body = RuleBody.model_validate({**kept, **said})
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"])) or "rule"
        raise BadInput(f"{where}: {found['msg'].removeprefix('Value error, ')}") from error
    return _store(name, body)


def _store(name: str, body: RuleBody) -> Document:
    database, allow_private = get_database(), get_settings().private_channels
    if body.watchlist is not None:
        get_watchlist(database, body.watchlist)
    fields = build_rule(body.model_dump(), allow_private=allow_private)
    held, now = notification_rules.find_rule(database, name), get_now()
    stored = change_noted(
        lambda session: notification_rules.set_rule(database, name, fields, now, session),
        "change" if held else "make",
        f"rule {name}",
        compare(held, fields),
    )
    return show_rule(stored)


def show_rule(rule: RuleDocument) -> Document:
    """Return a rule as it is shown."""
    return {**rule, "signed": bool(rule.get("secret"))}


@notifications.delete("/notifications/rules/<name>")
@needs_scope("admin", of_tenant=True)
@notifications.output({}, 204)
def remove_rule(name: str) -> str:
    """Remove a rule; what it has sent stays listed, and what waits is not sent."""
    database = get_database()
    change_noted(
        lambda session: notification_rules.remove_rule(database, name, session),
        "remove",
        f"rule {name}",
    )
    return ""


@notifications.post("/notifications/rules/<name>/test")
@needs_scope("admin", of_tenant=True)
@notifications.output(Tried)
def try_channel(name: str) -> Document:
    """Send a line to a rule's channel now."""
    rule = notification_rules.get_rule(get_database(), name)
    try:
        try_rule(rule, allow_private=get_settings().private_channels)
    except (BadInput, Transient) as error:
        return {"sent": False, "error": error.message}
    return {"sent": True}


@notifications.get("/notifications/deliveries")
@notifications.input(DeliveryQuery, location="query")
@notifications.output(DeliveryPage)
def list_deliveries(query_data: DeliveryQuery) -> Listed[DeliveryDocument]:
    """List what was sent, is to be sent, or could not be."""
    page = ask_page(query_data, deliveries.NEWEST_FIRST)
    found = deliveries.find_deliveries(
        get_database(),
        state=query_data.state,
        rule=query_data.rule,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)

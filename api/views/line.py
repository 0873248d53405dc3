"""LINE Login: a person logs in at LINE, and a rule's messages reach them there."""

from apiflask import APIBlueprint

from alerts import line_login
from alerts.channels import build_rule, is_webhook
from api.http.auth import get_client, needs_scope
from api.http.notes import change_noted
from api.http.state import get_database, get_now, get_settings
from api.schemas.line import LineBody, LineCallbackBody, LineLogin, LineTied
from api.schemas.notifications import RuleBody
from api.views.notifications import show_rule
from records.alerts import notification_rules
from records.alerts.trail import compare
from records.database import Document

line = APIBlueprint("line", __name__, tag="notifications")


@line.post("/auth/line")
@needs_scope("admin", of_tenant=True)
@line.input(LineBody, example={"rule": "me"})
@line.output(LineLogin)
def begin_line_login(json_data: LineBody) -> Document:
    """Return where a person logs in at LINE to be told what a rule asks for."""
    now = get_now()
    address = line_login.begin(get_settings(), json_data.rule, get_client(), now)
    return {"address": address, "expires_at": now + line_login.BEGUN_WITHIN}


@line.post("/auth/line/callback")
@needs_scope("admin", of_tenant=True)
@line.input(LineCallbackBody, example={"code": "b5fd32eacc791df", "state": "eyJhbGciOi..."})
@line.output(LineTied)
def finish_line_login(json_data: LineCallbackBody) -> Document:
    """Tie who came back from LINE to the rule that they logged in for.

    The code is exchanged at LINE and its ID token checked; then the rule's channel is that person's
    by the Messaging API. A rule that is not there yet is made.
    """
    settings, database, now = get_settings(), get_database(), get_now()
    user = line_login.finish(settings, json_data.code, json_data.state, get_client(), now)
    held = notification_rules.find_rule(database, user.rule)
    channel = line_login.build_channel(settings, user.user_id)
    kept = {key: value for key, value in (held or {}).items() if key in RuleBody.model_fields}
    said = RuleBody.model_validate({**kept, "channel": channel}).model_dump()
    if not is_webhook(said["next_channel"] or ""):
        said["secret"] = None  # no channel is a webhook, so it would sign nothing
    fields = build_rule(said, allow_private=settings.private_channels)
    stored = change_noted(
        lambda session: notification_rules.set_rule(database, user.rule, fields, now, session),
        "change" if held else "make",
        f"rule {user.rule}",
        {**compare(held, fields), "line_user": user.name},
    )
    return {"rule": show_rule(stored), "name": user.name, "is_friend": user.is_friend}

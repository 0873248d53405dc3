"""Alerts: lists, one with its trail, the steps of its life, and what all of them come to."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

from apiflask import APIBlueprint
from flask import Response, after_this_request

from alerts import lifecycle
from alerts.evidence import build_evidence
from alerts.follow_up import build_profile, follow_alike
from alerts.lifecycle import Asked
from api.http.auth import get_person, needs_scope
from api.http.conditional import NOT_MODIFIED, send_once
from api.http.paging import Listed, answer_stored, ask_page, build_page, name_list
from api.http.state import check_market, get_database, get_now
from api.schemas.alerts import (
    ActiveQuery,
    Alert,
    AlertDetail,
    AlertPage,
    AlertQuery,
    AssignBody,
    BulkAnswer,
    BulkBody,
    CommentBody,
    EndedPage,
    FollowedAlike,
    HistoryQuery,
    LabelPage,
    LabelQuery,
    ListedAlert,
    Profile,
    ProfileQuery,
    ResolveBody,
    SnoozeBody,
    Statistics,
    StatisticsQuery,
    StepBody,
    TrailPage,
    TrailQuery,
    TrendQuery,
    Trends,
)
from core.errors import TapewatchError
from core.words import AlertState, AlertStep
from market.tickers import normalize_ticker
from records.alerts import history, statistics, trail
from records.alerts.alerts import (
    ACTIVE_STATES,
    NEWEST_FIRST,
    ORDERS,
    build_query,
    find_alerts,
    get_alert,
)
from records.alerts.documents import AlertDocument, EndedAlert, TrailDocument
from records.database import Document
from records.findings import labels
from records.findings.documents import LabelDocument

alerts = APIBlueprint("alerts", __name__, tag="alerts")

# The steps and children that come with one alert; lists have the others.
SHOWN = 100

WRONG_STEP: Any = {409: "the step cannot be taken in the alert's `state`"}

EVIDENCE: Any = {
    200: {
        "description": "the files and their manifest",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    404: "there is no such alert",
}


@alerts.get("/alerts/active")
@alerts.input(ActiveQuery, location="query")
@alerts.output(AlertPage)
@alerts.doc(responses=NOT_MODIFIED)
def list_active_alerts(query_data: ActiveQuery) -> Response:
    """List the alerts that are not done: active ones, and acknowledged ones."""
    return _list(query_data, ACTIVE_STATES)


@alerts.get("/alerts")
@alerts.input(AlertQuery, location="query")
@alerts.output(AlertPage)
@alerts.doc(responses=NOT_MODIFIED)
def list_alerts(query_data: AlertQuery) -> Response:
    """List alerts in any state, those resolved long ago are in the history."""
    states = None if query_data.state is None else (query_data.state,)
    return _list(query_data, states)


@alerts.get("/alerts/<alert_id>")
@alerts.output(AlertDetail)
@alerts.doc(responses=NOT_MODIFIED)
def get_one_alert(alert_id: str) -> Document:
    """Return one alert, also one of the history, with its last steps and first children."""
    after_this_request(send_once)
    database = get_database()
    alert = get_alert(database, alert_id)
    steps = trail.find_entries(database, alert_id=alert_id, limit=SHOWN + 1)
    last = build_page(
        steps,
        SHOWN,
        trail.NEWEST_FIRST.locate,
        of=name_list("alerts.list_audit", alert_id=alert_id),
    )
    is_market = alert["entity_type"] == "market"
    of_it = build_query(parent_id=alert_id)
    alike = find_alerts(database, of_it, limit=SHOWN + 1) if is_market else []
    children = build_page(
        alike, SHOWN, NEWEST_FIRST.locate, of=name_list("alerts.list_alerts", parent_id=alert_id)
    )
    return {
        **alert,
        "trail": sorted(last["items"], key=lambda step: (step["at"], step["_id"])),
        "trail_cursor": last["next_cursor"],
        "children": children["items"],
        "children_cursor": children["next_cursor"],
        "archived": "archived_at" in alert,
    }


@alerts.get("/alerts/<alert_id>/followed")
@alerts.output(FollowedAlike)
def get_followed(alert_id: str) -> Document:
    """Return what followed anomalies like this alert's, whichever ticker's.

    Alike are those of the same market, interval, direction, severity and scope.
    """
    database = get_database()
    return dict(follow_alike(database, get_alert(database, alert_id)))


@alerts.get("/alerts/<alert_id>/evidence")
@alerts.doc(responses=EVIDENCE)
def get_evidence(alert_id: str) -> Response:
    """Return what an alert rests on, as a zip.

    It has the bars, the anomalies with their features, the models, what verifications said, a
    chart, the trail, and a manifest of hashes: `flask alerts evidence --check FILE` holds a file
    against it.
    """
    content = build_evidence(get_database(), alert_id, get_now())
    name = f"evidence-{sha256(alert_id.encode()).hexdigest()[:12]}.zip"
    return Response(
        content,
        content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@alerts.patch("/alerts/<alert_id>/acknowledge")
@needs_scope("respond")
@alerts.input(StepBody, example={})
@alerts.output(Alert)
@alerts.doc(responses=WRONG_STEP)
def acknowledge_alert(alert_id: str, json_data: StepBody) -> AlertDocument:
    """Say that somebody looks at an alert; of a market-wide one, at its tickers' too."""
    del json_data
    return _step(alert_id, "acknowledge")


@alerts.patch("/alerts/<alert_id>/resolve")
@needs_scope("respond")
@alerts.input(ResolveBody, example={"feedback": "confirmed", "cause": "earnings"})
@alerts.output(Alert)
@alerts.doc(responses=WRONG_STEP)
def resolve_alert(alert_id: str, json_data: ResolveBody) -> AlertDocument:
    """Resolve an alert, and say what it was; or take that back within 7 days."""
    if not json_data.is_resolved:
        return _step(alert_id, "reopen")
    return _step(
        alert_id,
        "resolve",
        text=json_data.resolution_notes,
        feedback=json_data.feedback,
        cause=json_data.cause,
        mute_until=json_data.mute_until,
    )


@alerts.post("/alerts/<alert_id>/comments")
@needs_scope("respond")
@alerts.input(CommentBody, example={"text": "results came out after the close"})
@alerts.output(Alert)
def comment_alert(alert_id: str, json_data: CommentBody) -> AlertDocument:
    """Write a comment under an alert, in whatever state it is."""
    return _step(alert_id, "comment", text=json_data.text)


@alerts.post("/alerts/<alert_id>/snooze")
@needs_scope("respond")
@alerts.input(SnoozeBody, example={"until": "2026-01-12T08:00:00Z"})
@alerts.output(Alert)
@alerts.doc(responses=WRONG_STEP)
def snooze_alert(alert_id: str, json_data: SnoozeBody) -> AlertDocument:
    """Put an alert away until a time; then it is active again."""
    return _step(alert_id, "snooze", until=json_data.until)


@alerts.post("/alerts/<alert_id>/assign")
@needs_scope("respond")
@alerts.input(AssignBody, example={"owner": "mia"})
@alerts.output(Alert)
@alerts.doc(responses=WRONG_STEP)
def assign_alert(alert_id: str, json_data: AssignBody) -> AlertDocument:
    """Make an alert somebody's, or nobody's."""
    return _step(alert_id, "assign", owner=json_data.owner)


@alerts.post("/alerts/bulk")
@needs_scope("respond")
@alerts.input(BulkBody, example={"ids": ["tech::AAPL::1d::x"], "action": "acknowledge"})
@alerts.output(BulkAnswer)
def change_many_alerts(json_data: BulkBody) -> Document:
    """Take one step of many alerts, each by itself."""
    names = ("until", "owner", "feedback", "cause", "mute_until")
    said = {name: getattr(json_data, name) for name in names}
    text = json_data.text if json_data.action == "comment" else json_data.resolution_notes
    asked = Asked(get_person(), get_now(), text=text, **said)
    taken, refused = lifecycle.take_steps(get_database(), json_data.ids, json_data.action, asked)
    return {"success": taken, "failed": [_tell_refusal(*each) for each in refused]}


@alerts.get("/alerts/statistics")
@alerts.input(StatisticsQuery, location="query")
@alerts.output(Statistics)
def get_alert_statistics(query_data: StatisticsQuery) -> statistics.AlertStatistics:
    """Count alerts, how long they take, and how many of the labelled ones were right."""
    return statistics.compute_statistics(get_database(), get_now(), watchlist=query_data.watchlist)


@alerts.get("/alerts/trends")
@alerts.input(TrendQuery, location="query")
@alerts.output(Trends)
def get_alert_trends(query_data: TrendQuery) -> Document:
    """Count the alerts that were raised on each day."""
    since = get_now() - timedelta(days=query_data.days)
    return {
        "days": statistics.compute_trends(get_database(), since, watchlist=query_data.watchlist)
    }


@alerts.get("/alerts/history")
@alerts.input(HistoryQuery, location="query")
@alerts.output(EndedPage)
def list_alert_history(query_data: HistoryQuery) -> Listed[EndedAlert]:
    """List alerts that were resolved more than 90 days ago, with what followed them."""
    page = ask_page(query_data, history.NEWEST_FIRST)
    asked = query_data.model_dump(exclude={"cursor", "limit"})
    found = history.find_ended(get_database(), **asked, after=page.after, limit=page.limit)
    return page.build(found)


@alerts.get("/labels")
@alerts.input(LabelQuery, location="query")
@alerts.output(LabelPage)
def list_labels(query_data: LabelQuery) -> Listed[LabelDocument]:
    """List what people said of anomalies when they resolved their alerts."""
    page = ask_page(query_data, labels.NEWEST_FIRST)
    found = labels.find_labels(
        get_database(),
        ticker=query_data.ticker,
        feedback=query_data.feedback,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@alerts.get("/audit")
@alerts.input(TrailQuery, location="query")
@alerts.output(TrailPage)
def list_audit(query_data: TrailQuery) -> Listed[TrailDocument]:
    """List who took which step of which alert, the latest first."""
    page = ask_page(query_data, trail.NEWEST_FIRST)
    found = trail.find_entries(
        get_database(),
        alert_id=query_data.alert_id,
        by=query_data.by,
        step=query_data.step,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@alerts.get("/tickers/<ticker>/profile")
@alerts.input(ProfileQuery, location="query")
@alerts.output(Profile)
def get_ticker_profile(ticker: str, query_data: ProfileQuery) -> Document:
    """Say what is known of a ticker's strange bars: how many, what they were, what followed."""
    return dict(build_profile(get_database(), normalize_ticker(ticker), query_data.interval))


def _list(asked: ActiveQuery, states: tuple[AlertState, ...] | None) -> Response:
    after_this_request(send_once)
    check_market(asked.market)
    query = build_query(states=states, **asked.build_filter())
    page = ask_page(asked, ORDERS[asked.sort])
    found = find_alerts(get_database(), query, sort=asked.sort, after=page.after, limit=page.limit)
    return answer_stored(page.build(found), ListedAlert)


def _step(alert_id: str, step: AlertStep, **said: Any) -> AlertDocument:
    asked = Asked(get_person(), get_now(), **said)
    return lifecycle.take_step(get_database(), alert_id, step, asked)


def _tell_refusal(alert_id: str, error: TapewatchError) -> Document:
    state = error.details.get("state")
    return {"id": alert_id, "reason": error.reason, "error": error.message, "state": state}

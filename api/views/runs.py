"""Runs: what was asked for, how far it is, how it ended."""

from apiflask import APIBlueprint
from flask import Response

from api.http.auth import require_scope
from api.http.events import STREAM, answer_stream, follow_run
from api.http.idempotency import enqueues
from api.http.links import LinkedRun, link_run, link_tickers
from api.http.paging import Listed, ask_page
from api.http.state import check_market, get_database, get_now, get_state
from api.schemas.runs import EventHeaders, Run, RunPage, RunQuery, TickerAuditPage, TickerAuditQuery
from records.work import audits, endings, runs
from records.work.documents import AuditDocument, ListedRun, RunDocument
from records.work.requests import Once
from tasks.requests.retries import request_retry

detection_runs = APIBlueprint("runs", __name__, tag="runs")


@detection_runs.get("/detection-runs")
@detection_runs.input(RunQuery, location="query")
@detection_runs.output(RunPage)
def get_detection_runs(query_data: RunQuery) -> Listed[ListedRun]:
    """List runs, the newest first."""
    check_market(query_data.market)
    query = runs.build_query(**query_data.model_dump(exclude={"cursor", "limit"}))
    page = ask_page(query_data, runs.NEWEST_FIRST)
    return page.build(runs.find_runs(get_database(), query, after=page.after, limit=page.limit))


@detection_runs.get("/detection-runs/<run_id>")
@detection_runs.output(Run)
def get_detection_run(run_id: str) -> LinkedRun:
    """Return a run: live while it works, its audit record afterwards."""
    return link_run(runs.get_run(get_database(), run_id))


@detection_runs.get("/detection-runs/<run_id>/tickers")
@detection_runs.input(TickerAuditQuery, location="query")
@detection_runs.output(TickerAuditPage)
def list_run_tickers(run_id: str, query_data: TickerAuditQuery) -> Listed[AuditDocument]:
    """List the audit records of a run: what happened to each of its tickers."""
    runs.check_run(get_database(), run_id)
    page = ask_page(query_data, audits.BY_TICKER)
    found = audits.find_audits(
        get_database(),
        run_id,
        status=query_data.status,
        reason=query_data.reason,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@detection_runs.post("/detection-runs/<run_id>/cancel")
@detection_runs.output(Run, 202)
def cancel_detection_run(run_id: str) -> LinkedRun:
    """Ask a run to end: what waits ends now, what is at work ends between two steps.

    A run that has ended stays as it is.
    """
    return link_run(endings.request_cancel(get_database(), run_id, get_now()))


@detection_runs.post("/detection-runs/<run_id>/retry")
@enqueues(detection_runs)
def retry_detection_run(run_id: str, once: Once) -> RunDocument:
    """Take up again what a run left undone: the tickers that failed, and those it never came to.

    A training that may put its model in use, and what sets an exchange's session, are retried by a
    key that may do so directly.
    """
    state = get_state()
    run = runs.get_run(state.database, run_id)
    if run["task"] == "train" and run["options"].get("promote") is not False:
        require_scope("admin", f"to retry run {run_id}, a training that may put its model in use,")
    if "session" in run["options"]:
        require_scope("admin", f"to retry run {run_id}, which sets an exchange's session,")
    return request_retry(state.database, state.celery, run_id, now=get_now(), once=once)


@detection_runs.get("/detection-runs/<run_id>/events")
@detection_runs.input(EventHeaders, location="headers")
@detection_runs.doc(responses=STREAM)
def stream_detection_run(run_id: str, headers_data: EventHeaders) -> Response:
    """Send the run as server-sent events: at once, with each change, and when it has ended."""
    state = get_state()
    runs.get_run(state.database, run_id)
    seen = headers_data.last_event_id
    return answer_stream(follow_run(state.database, run_id, link_tickers(run_id), seen))

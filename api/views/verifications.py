"""Verifications: a caller asks for stored anomalies to be derived again."""

from apiflask import APIBlueprint

from api.http.idempotency import enqueues
from api.http.paging import Listed, ask_page
from api.http.state import get_database, get_now, get_state
from api.schemas.verifications import Verification, VerificationPage, VerificationQuery, VerifyBody
from records.findings.documents import VerificationDocument
from records.findings.verifications import find_verifications
from records.keyset import BY_ID
from records.work.documents import RunDocument, ShownRun
from records.work.requests import Once
from records.work.runs import check_run
from tasks.requests.verifications import request_verification

verifications = APIBlueprint("verifications", __name__, tag="verifications")


def _find_comparison(run: ShownRun) -> Verification | None:
    """Return the verdict of a finished run on its one anomaly; None where it failed."""
    found = find_verifications(get_database(), run["_id"], limit=1)
    return Verification.model_validate(found[0]) if found else None


@verifications.post("/anomalies/verify/<anomaly_id>")
@enqueues(verifications, Verification, _find_comparison)
def verify_anomaly(anomaly_id: str, once: Once) -> RunDocument:
    """Derive one anomaly again, and say whether model, code or data moved."""
    state = get_state()
    return request_verification(
        state.database, state.celery, {"anomaly_ids": [anomaly_id]}, now=get_now(), once=once
    )


@verifications.post("/anomalies/verify")
@verifications.input(VerifyBody, example={"ticker": "AAPL"})
@enqueues(verifications)
def verify_many(json_data: VerifyBody, once: Once) -> RunDocument:
    """Derive the anomalies of a run, a ticker or a model version again."""
    state = get_state()
    options = json_data.model_dump(exclude_none=True)
    return request_verification(state.database, state.celery, options, now=get_now(), once=once)


@verifications.get("/detection-runs/<run_id>/verifications")
@verifications.input(VerificationQuery, location="query")
@verifications.output(VerificationPage)
def list_verifications(run_id: str, query_data: VerificationQuery) -> Listed[VerificationDocument]:
    """List what a verification said of each anomaly."""
    check_run(get_database(), run_id)
    page = ask_page(query_data, BY_ID)
    found = find_verifications(
        get_database(), run_id, verdict=query_data.verdict, after=page.after, limit=page.limit
    )
    return page.build(found)

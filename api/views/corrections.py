"""Corrections: what people set right where they see it, a split, a session, a threshold."""

from apiflask import APIBlueprint
from pymongo.client_session import ClientSession

from api.http.auth import get_person, needs_scope
from api.http.idempotency import enqueues
from api.http.notes import change_noted
from api.http.state import get_database, get_markets, get_now, get_state
from api.schemas.corrections import (
    SessionBody,
    SessionExceptions,
    SplitBody,
    TickerThreshold,
    TickerThresholdBody,
)
from detection.models import registry
from detection.models.plan import ThresholdPolicy
from market.sessions.proposals import find_proposed_sessions
from market.tickers import normalize_ticker
from records.database import Document
from records.market.session_overrides import find_overrides
from records.models.champions import Scope
from records.models.documents import PolicyFields
from records.models.thresholds import (
    clear_threshold,
    compare_thresholds,
    find_threshold,
)
from records.work.documents import RunDocument
from records.work.requests import Once
from tasks.requests.corrections import request_session, request_split

corrections = APIBlueprint("corrections", __name__, tag="bars")


@corrections.post("/tickers/<ticker>/splits")
@corrections.input(SplitBody, example={"session": "2005-02-28", "factor": 2})
@enqueues(corrections)
def record_split(ticker: str, json_data: SplitBody, once: Once) -> RunDocument:
    """Record a split: bars stay stored as they were quoted, and are adjusted when read."""
    state = get_state()
    return request_split(
        state.database,
        state.celery,
        normalize_ticker(ticker),
        json_data.interval,
        session=json_data.session,
        factor=json_data.factor,
        by=get_person(),
        now=get_now(),
        once=once,
    )


@corrections.get("/markets/<code>/sessions")
@corrections.output(SessionExceptions)
def list_session_exceptions(code: str) -> Document:
    """List the days on which an exchange does not keep to its calendar.

    `proposed` are those on which it cannot have: most of its market traded.
    """
    market = get_markets().choose(code)
    return {
        "sessions": find_overrides(get_database(), market.code),
        "proposed": find_proposed_sessions(get_database(), market),
    }


@corrections.post("/markets/<code>/sessions")
@needs_scope("admin")  # it changes what counts as a gap, and when watchlists are scanned
@corrections.input(SessionBody, example={"day": "2025-01-09", "session": "shut"})
@enqueues(corrections)
def set_session_exception(code: str, json_data: SessionBody, once: Once) -> RunDocument:
    """Say that an exchange is shut on a day, or open at other hours, or as its calendar says."""
    state = get_state()
    market = get_markets().choose(code).code
    asked = json_data.model_dump(mode="json")
    return request_session(
        state.database,
        state.celery,
        market,
        asked,
        by=get_person(),
        now=get_now(),
        once=once,
    )


@corrections.get("/tickers/<ticker>/threshold")
@corrections.output(TickerThreshold)
def get_ticker_threshold(ticker: str) -> Document:
    """Say what passes as an anomaly of a ticker, where that was set for it alone."""
    name = normalize_ticker(ticker)
    policy = find_threshold(get_database(), Scope("ticker", name))
    shown = policy and {"kind": policy["kind"], "value": policy["value"]}
    return {"ticker": name, "threshold": shown}


@corrections.put("/tickers/<ticker>/threshold")
@needs_scope("admin")
@corrections.input(TickerThresholdBody, example={"threshold": {"kind": "grade", "value": 75}})
@corrections.output(TickerThreshold)
@corrections.doc(responses={409: "by such a score its champion flags nothing, or far too much"})
def set_ticker_threshold(ticker: str, json_data: TickerThresholdBody) -> Document:
    """Set what passes as an anomaly of a ticker; the next detection goes by it."""
    name = normalize_ticker(ticker)
    scope, given = Scope("ticker", name), json_data.threshold
    database, now = get_database(), get_now()
    policy = None if given is None else ThresholdPolicy.choose({given.kind: given.value})

    def change(session: ClientSession) -> None:
        if policy is None:
            clear_threshold(database, scope, now, session)
        else:
            registry.set_threshold(database, scope, policy, now, session)

    after: PolicyFields | None = None
    if policy is not None:
        after = {"kind": policy.kind, "value": policy.value}
    change_noted(change, "threshold", str(scope), compare_thresholds(database, scope, after))
    return {"ticker": name, "threshold": given}

"""Mutes, and thresholds that labels suggest: what feedback changes, and who said so."""

from apiflask import APIBlueprint

from alerts.learned import Suggestion as SuggestionFields
from alerts.learned import apply_threshold, suggest_threshold
from api.http.auth import get_person, needs_scope
from api.http.paging import Listed, ask_page
from api.http.state import check_market, get_database, get_now
from api.schemas.mutes import (
    Mute,
    MuteBody,
    MutePage,
    MuteQuery,
    SuggestedThresholdBody,
    Suggestion,
)
from records.alerts import mutes as records
from records.alerts.mutes import MuteDocument
from records.work.watchlists import get_watchlist

mutes = APIBlueprint("mutes", __name__, tag="alerts")

EXAMPLE = {
    "ticker": "AAPL",
    "scope": "own",
    "until": "2026-02-01T00:00:00Z",
    "reason": "results and a split are due this month",
}


@mutes.get("/mutes")
@mutes.input(MuteQuery, location="query")
@mutes.output(MutePage)
def list_mutes(query_data: MuteQuery) -> Listed[MuteDocument]:
    """List mutes with how many alerts each silenced, those that ended too."""
    page = ask_page(query_data, records.NEWEST_FIRST)
    found = records.find_mutes(
        get_database(),
        now=get_now(),
        active=query_data.active,
        ticker=query_data.ticker,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@mutes.post("/mutes")
@needs_scope("respond")
@mutes.input(MuteBody, example=EXAMPLE)
@mutes.output(Mute, 201)
@mutes.doc(responses={404: "there is no such watchlist"})
def add_mute(json_data: MuteBody) -> MuteDocument:
    """Say what is expected until a time.

    Alerts of it are raised, listed and counted, and resolved at once, so that nobody is told.
    """
    said = json_data.model_dump(exclude={"until", "reason"})
    said["market"] = check_market(json_data.market)
    if json_data.watchlist is not None:
        get_watchlist(get_database(), json_data.watchlist)
    return records.add_mute(
        get_database(),
        said,  # type: ignore[arg-type]  # its fields
        until=json_data.until,
        reason=json_data.reason,
        by=get_person(),
        now=get_now(),
    )


@mutes.delete("/mutes/<mute_id>")
@needs_scope("respond")
@mutes.output({}, 204)
@mutes.doc(responses={409: "it has ended"})
def end_mute(mute_id: str) -> str:
    """End a mute now; it stays listed with what it silenced."""
    records.end_mute(get_database(), mute_id, by=get_person(), now=get_now())
    return ""


@mutes.get("/watchlists/<name>/suggested-threshold")
@mutes.output(Suggestion)
def get_suggested_threshold(name: str) -> SuggestionFields:
    """Return the grade that keeps true anomalies and false alarms apart best, by labels.

    It has the alerts of the last 90 days that would be gained and lost. Nothing is changed.
    """
    return suggest_threshold(get_database(), name, get_now())


@mutes.put("/watchlists/<name>/suggested-threshold")
@needs_scope("admin", of_tenant=True)
@mutes.input(SuggestedThresholdBody, example={"grade": 80.0})
@mutes.output(Suggestion)
def apply_suggested_threshold(name: str, json_data: SuggestedThresholdBody) -> SuggestionFields:
    """Have a watchlist raise alerts from this grade on; the audit names who said so."""
    database, now = get_database(), get_now()
    apply_threshold(database, name, json_data.grade, by=get_person(), now=now)
    return suggest_threshold(database, name, now)

"""Anomalies: lists, one with its lineage, and counts."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from alerts.conditions import find_conditions
from api.http.paging import answer_stored, ask_page
from api.http.state import check_market, get_database
from api.schemas.anomalies import (
    Anomaly,
    AnomalyFilter,
    AnomalyHistogram,
    AnomalyInFull,
    AnomalyPage,
    AnomalyQuery,
    AnomalySummary,
    HistogramQuery,
)
from market.intervals import DAY_SECONDS
from records.alerts.alerts import ask_reviews, find_reviews
from records.database import Query
from records.findings.anomalies import ask_anomaly, check_found
from records.findings.anomaly_queries import (
    ORDERS,
    build_query,
    count_by_span,
    find_anomalies,
    find_anomaly_parts,
    summarize_anomalies,
)
from records.findings.documents import AnomalyCounts
from records.questions import ask
from records.work.watchlists import find_watched_tickers

anomalies = APIBlueprint("anomalies", __name__, tag="anomalies")

RESOLUTION = timedelta(milliseconds=1)  # the precision of the times that MongoDB stores


@anomalies.get("/anomalies")
@anomalies.input(AnomalyQuery, location="query")
@anomalies.output(AnomalyPage)
def list_anomalies(query_data: AnomalyQuery) -> Response:
    """List anomalies by time, grade, score or ticker."""
    database = get_database()
    query, fields = _build_query(query_data), query_data.list_fields()
    asked = ask_page(query_data, ORDERS[query_data.sort])
    after, limit = asked.after, asked.limit
    found: Sequence[Mapping[str, Any]]
    if fields is None:
        found = find_anomalies(database, query, sort=query_data.sort, after=after, limit=limit)
    else:
        found = find_anomaly_parts(
            database, query, fields, sort=query_data.sort, after=after, limit=limit
        )
    if query_data.wants_review:
        reviews = find_reviews(database, [one["_id"] for one in found])
        found = [{**one, "review": reviews.get(one["_id"])} for one in found]
    page = asked.build(found)
    return answer_stored(page, Anomaly) if fields is None else jsonify(page)


def _build_query(asked: AnomalyFilter) -> Query:
    """Return the query of a filter. Raises BadInput, NotFound on a market or watchlist that is
    nowhere.
    """
    check_market(asked.market)
    watched = find_watched_tickers(get_database(), asked.watchlist)
    return build_query(**asked.build_filter(watched))


@anomalies.get("/anomalies/<anomaly_id>")
@anomalies.output(AnomalyInFull)
def get_one_anomaly(anomaly_id: str) -> dict[str, Any]:
    """Return one anomaly with its full lineage: model, hash, feature set, bars, run.

    It has what its market was like at that bar, too, where that was computed.
    """
    database = get_database()
    asked, reviews = ask_anomaly(database, anomaly_id), ask_reviews(database, [anomaly_id])
    ask(database, asked, reviews)
    anomaly = check_found(asked.answer, anomaly_id)
    names = (anomaly["market"], anomaly["Ticker"], anomaly["interval"], anomaly["Datetime"])
    return {
        **anomaly,
        "review": reviews.answer.get(anomaly_id),
        "market_conditions": find_conditions(database, *names),
    }


@anomalies.get("/anomalies/summary")
@anomalies.input(AnomalyFilter, location="query")
@anomalies.output(AnomalySummary)
def count_anomalies(query_data: AnomalyFilter) -> AnomalyCounts:
    """Count anomalies by kind, severity, market and ticker."""
    return summarize_anomalies(get_database(), _build_query(query_data))


@anomalies.get("/anomalies/histogram")
@anomalies.input(HistogramQuery, location="query")
@anomalies.output(AnomalyHistogram)
def count_anomalies_by_time(query_data: HistogramQuery) -> dict[str, Any]:
    """Count anomalies over time, by severity, in at most `bins` spans of whole days."""
    start, end = query_data.start, query_data.end
    seconds = DAY_SECONDS * ceil((end - start + RESOLUTION) / timedelta(days=query_data.bins))
    counts = count_by_span(get_database(), _build_query(query_data), start, seconds)
    spans = [
        {"start": start + number * timedelta(seconds=seconds), "by_severity": counts[number]}
        for number in sorted(counts)
    ]
    return {"start": start, "span_seconds": seconds, "spans": spans}

"""Anomalies: lists, one with its lineage, and counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from apiflask import APIBlueprint

from alerts.conditions import find_conditions
from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import check_market, get_database
from api.schemas.anomalies import (
    AnomalyFilter,
    AnomalyInFull,
    AnomalyPage,
    AnomalyQuery,
    AnomalySummary,
)
from records.findings.anomalies import (
    ORDERS,
    build_query,
    find_anomalies,
    find_anomaly_parts,
    get_anomaly,
    summarize_anomalies,
)
from records.findings.documents import AnomalyCounts

anomalies = APIBlueprint("anomalies", __name__, tag="anomalies")


@anomalies.get("/anomalies")
@anomalies.input(AnomalyQuery, location="query")
@anomalies.output(AnomalyPage)
def list_anomalies(query_data: AnomalyQuery) -> Listed[Mapping[str, Any]]:
    """List anomalies, the latest or the strangest first."""
    check_market(query_data.market)
    order = ORDERS[query_data.sort]
    database, query, fields = (
        get_database(),
        build_query(**query_data.build_filter()),
        query_data.list_fields(),
    )
    after, limit = decode_cursor(query_data.cursor, order.types), query_data.limit + 1
    found: Sequence[Mapping[str, Any]]
    if fields is None:
        found = find_anomalies(database, query, sort=query_data.sort, after=after, limit=limit)
    else:
        found = find_anomaly_parts(
            database, query, fields, sort=query_data.sort, after=after, limit=limit
        )
    return build_page(found, query_data.limit, order.locate)


@anomalies.get("/anomalies/<anomaly_id>")
@anomalies.output(AnomalyInFull)
def get_one_anomaly(anomaly_id: str) -> dict[str, Any]:
    """Return one anomaly with its full lineage: model, hash, feature set, bars, run;
    and what its market was like at that bar, where that was computed.
    """
    anomaly = get_anomaly(get_database(), anomaly_id)
    names = (anomaly["market"], anomaly["Ticker"], anomaly["interval"], anomaly["Datetime"])
    return {**anomaly, "market_conditions": find_conditions(get_database(), *names)}


@anomalies.get("/anomalies/summary")
@anomalies.input(AnomalyFilter, location="query")
@anomalies.output(AnomalySummary)
def count_anomalies(query_data: AnomalyFilter) -> AnomalyCounts:
    """Count anomalies by severity and ticker."""
    check_market(query_data.market)
    return summarize_anomalies(get_database(), build_query(**query_data.build_filter()))

"""Anomalies: lists, one with its lineage, and counts."""

from apiflask import APIBlueprint

from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import get_database
from api.schemas.anomalies import Anomaly, AnomalyFilter, AnomalyPage, AnomalyQuery, AnomalySummary
from records.database import Document
from records.findings.anomalies import ORDERS, build_query, find_anomalies, get_anomaly, summarize_anomalies

anomalies = APIBlueprint("anomalies", __name__, tag="anomalies")


@anomalies.get("/anomalies")
@anomalies.input(AnomalyQuery, location="query")
@anomalies.output(AnomalyPage)
def list_anomalies(query_data: AnomalyQuery) -> Listed[Document]:
    """List anomalies, the newest or the strangest first."""
    order = ORDERS[query_data.sort]
    found = find_anomalies(
        get_database(),
        build_query(**query_data.build_filter()),
        sort=query_data.sort,
        after=decode_cursor(query_data.cursor, order.types),
        limit=query_data.limit + 1,
        fields=query_data.list_fields(),
    )
    return build_page(found, query_data.limit, order.locate)


@anomalies.get("/anomalies/<anomaly_id>")
@anomalies.output(Anomaly)
def get_one_anomaly(anomaly_id: str) -> Document:
    """Return one anomaly with its full lineage: model, hash, feature set, bars, run."""
    return get_anomaly(get_database(), anomaly_id)


@anomalies.get("/anomalies/summary")
@anomalies.input(AnomalyFilter, location="query")
@anomalies.output(AnomalySummary)
def count_anomalies(query_data: AnomalyFilter) -> Document:
    """Count anomalies by severity and ticker."""
    return summarize_anomalies(get_database(), build_query(**query_data.build_filter()))

"""Exports: tables of what is stored, streamed as they are read."""

from apiflask import APIBlueprint
from flask import Response, stream_with_context

from analytics.catalogue import METRICS
from api.http.deadlines import lift_deadline
from api.http.idempotency import Answers
from api.http.state import check_market, get_database
from api.schemas.exports import MOST_ROWS, ExportQuery
from core.errors import BadInput, NotFound
from market.exports.selecting import select_tickers
from market.exports.tables import TABLES, Asked, open_table
from market.exports.writing import MIMETYPES, write_text
from market.tickers import normalize_ticker

exports = APIBlueprint("exports", __name__, tag="exports")

ANSWERS: Answers = {
    200: {
        "description": "the table, row by row",
        "content": {kind: {"schema": {"type": "string"}} for kind in MIMETYPES.values()},
    },
}


@exports.get("/export/<table>")
@exports.input(ExportQuery, location="query")
@exports.doc(responses=ANSWERS)
def export_table(table: str, query_data: ExportQuery) -> Response:
    """Stream bars, anomalies, analytics, trades or funding as CSV or JSON lines.

    Tables of up to a million rows; larger ones, and Parquet, are written by `flask export write`.
    In CSV, text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    name = next((known for known in TABLES if known == table), None)
    if name is None:
        raise NotFound(f"there is no table {table[:40]!r} to export: {', '.join(TABLES)}")
    database = get_database()
    tickers = tuple(map(normalize_ticker, filter(None, (query_data.tickers or "").split(","))))
    asked = Asked(
        name,
        select_tickers(
            database,
            name,
            query_data.interval,
            tickers=tickers,
            market=check_market(query_data.market),
            watchlist=query_data.watchlist,
        ),
        query_data.interval,
        query_data.start,
        query_data.end,
        query_data.adjusted,
        query_data.layout,
        query_data.field,
        tuple(metric.name for metric in METRICS),
    )
    opened = open_table(database, asked)
    if opened.most_rows > MOST_ROWS:
        raise BadInput(
            f"these are up to {opened.most_rows:,} rows; over HTTP it is {MOST_ROWS:,} at the most:"
            f" ask for less (tickers, start, end), or write it with `flask export write {name}"
            " FOLDER`",
            reason="too_many_rows",
        )
    if query_data.columns:
        opened = opened.choose(query_data.columns.split(","))
    lift_deadline()  # for as long as the caller reads
    headers = {"Content-Disposition": f'attachment; filename="{name}.{query_data.format}"'}
    return Response(
        stream_with_context(write_text(opened, query_data.format)),
        headers=headers,
        content_type=MIMETYPES[query_data.format],
    )

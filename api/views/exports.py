"""Exports: tables of what is stored, streamed as they are read, or written by a worker."""

import json

from apiflask import APIBlueprint
from flask import Response, stream_with_context, url_for

from analytics.catalogue import METRICS
from api.http.auth import require_scope
from api.http.conditional import build_etag, find_unchanged, get_validators
from api.http.deadlines import lift_deadline
from api.http.idempotency import Answers, answer_accepted, enqueues, wait_for_end
from api.http.openapi import describe_json
from api.http.state import check_market, get_database, get_now, get_state
from api.schemas.exports import MOST_ROWS, Export, ExportBody, ExportQuery
from core.errors import BadInput, Conflict, NotFound
from market.exports.opening import open_table
from market.exports.selecting import select_tickers
from market.exports.tables import MANIFEST, TABLES, Asked, TableName
from market.exports.writing import MIMETYPES, write_text
from market.tickers import normalize_ticker
from records.database import Db, Document
from records.market.series import find_series
from records.work.documents import RunDocument
from records.work.export_files import (
    ExportFile,
    find_export_files,
    open_export_file,
    stream_export_file,
)
from records.work.requests import Once
from tasks.requests.exports import request_export

exports = APIBlueprint("exports", __name__, tag="exports")

# A caller waits at most this long for a table that a worker writes, and then gets its address.
WAIT_SECONDS = 30
TABLE: Answers = {
    200: {
        "description": "the table, row by row",
        "content": {kind: {"schema": {"type": "string"}} for kind in MIMETYPES.values()},
    },
    202: {
        "description": "a worker still writes it: the run is named, `/exports/RUN` has it then",
        "content": describe_json("Accepted"),
    },
    304: {"description": "bars that the caller has already"},
}
FILE: Answers = {
    200: {
        "description": "the file",
        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
    },
    304: {"description": "the caller has it already"},
}


@exports.get("/export/<table>")
@exports.input(ExportQuery, location="query")
@exports.doc(responses=TABLE)
def export_table(table: str, query_data: ExportQuery) -> Response:
    """Stream a table of up to a million rows.

    There are bars, anomalies, scores, features, analytics, alerts, labels, trades and funding. CSV
    and JSON lines come as they are read. Parquet, and features, are written by a worker while the
    caller waits; where that takes long the answer names the run. In CSV, text that a spreadsheet
    would take for a formula has an apostrophe before it.
    """
    name = next((known for known in TABLES if known == table), None)
    if name is None:
        raise NotFound(f"there is no table {table[:40]!r} to export: {', '.join(TABLES)}")
    named = tuple(map(normalize_ticker, filter(None, (query_data.tickers or "").split(","))))
    columns = tuple(filter(None, (query_data.columns or "").split(",")))
    database = get_database()
    asked = _ask(name, query_data, named)
    etag = _build_etag(database, asked, query_data)
    if etag and (unchanged := find_unchanged(etag)):
        return unchanged
    if query_data.format == "parquet" or name == "features":
        answer = _answer_written(asked, query_data, columns)
    else:
        answer = _answer_read(asked, query_data, columns)
    if etag and answer.status_code == 200:
        answer.headers.update(get_validators(etag))
    return answer


def _ask(name: TableName, said: ExportQuery | ExportBody, named: tuple[str, ...]) -> Asked:
    tickers = select_tickers(
        get_database(),
        name,
        said.interval,
        tickers=named,
        market=check_market(said.market),
        watchlist=said.watchlist,
    )
    return Asked(
        table=name,
        tickers=tickers,
        interval=said.interval,
        start=said.start,
        end=said.end,
        adjusted=said.adjusted,
        layout=said.layout,
        field=said.field,
        metrics=tuple(metric.name for metric in METRICS) if name == "analytics" else (),
        run_id=said.run,
        severity=said.severity,
        kind=said.kind,
        scope=said.scope,
        watchlist=said.watchlist,
    )


def _build_etag(database: Db, asked: Asked, query: ExportQuery) -> str | None:
    """Return an ETag for bars; other tables have none."""
    if asked.table != "bars":
        return None
    series = find_series(database, tickers=asked.tickers, interval=asked.one_interval)
    prints = (f"{one['_id']} {one['fingerprint']}" for one in series)
    return build_etag(query.model_dump_json(), *prints)


def _answer_read(asked: Asked, query: ExportQuery, columns: tuple[str, ...]) -> Response:
    opened = open_table(get_database(), asked)
    if opened.most_rows > MOST_ROWS:
        raise BadInput(
            f"these are up to {opened.most_rows:,} rows; over HTTP it is {MOST_ROWS:,} at the most:"
            " ask for less (tickers, start, end), have it written (POST /py/exports), or write it"
            f" with `flask export write {asked.table} FOLDER`",
            reason="too_many_rows",
        )
    if columns:
        opened = opened.choose(columns)
    lift_deadline()  # as long as the caller reads
    return Response(
        stream_with_context(write_text(opened, query.format)),
        headers=_attach(f"{asked.table}.{query.format}"),
        content_type=MIMETYPES[query.format],
    )


def _answer_written(asked: Asked, query: ExportQuery, columns: tuple[str, ...]) -> Response:
    require_scope("enqueue", f"to have {asked.table} written as {query.format} by a worker")
    state = get_state()
    database = state.database
    run = request_export(
        database,
        state.celery,
        asked,
        query.format,
        columns,
        most_rows=MOST_ROWS,
        now=get_now(),
    )
    ended = wait_for_end(run["_id"], WAIT_SECONDS)
    if ended is None:
        return answer_accepted(run)
    _, files = find_export_files(database, run["_id"])
    parts = [file for name, file in files.items() if name != MANIFEST]
    if not parts:
        raise Conflict(
            f"run {run['_id']}, which was to write it, is {ended['status']}: {ended['error']}",
            reason=ended.get("reason") or "export_failed",
            run_id=run["_id"],
        )
    return _send(parts[0], f"{asked.table}.{query.format}", MIMETYPES[query.format])


@exports.post("/exports")
@exports.input(ExportBody, example={"table": "bars", "market": "US", "interval": "1d"})
@enqueues(exports)
def start_export(json_data: ExportBody, once: Once) -> RunDocument:
    """Have a worker write a table of up to 100 million rows to files, which are kept for a week.

    `GET /exports/RUN` has the manifest and the address of each file.
    """
    state = get_state()
    return request_export(
        state.database,
        state.celery,
        _ask(json_data.table, json_data, tuple(json_data.tickers)),
        json_data.format,
        tuple(json_data.columns),
        now=get_now(),
        once=once,
    )


@exports.get("/exports/<run_id>")
@exports.output(Export)
def get_export(run_id: str) -> Document:
    """Return how far an export is and, once it is written, its manifest and files."""
    database = get_database()
    run, files = find_export_files(database, run_id)
    manifest = None
    if MANIFEST in files:
        with open_export_file(database, files[MANIFEST]["id"]) as kept:
            manifest = json.load(kept)
    return {
        "run_id": run["_id"],
        "status": run["status"],
        "manifest": manifest,
        "files": {
            name: url_for("exports.get_export_file", run_id=run["_id"], name=name) for name in files
        },
    }


@exports.get("/exports/<run_id>/<name>")
@exports.doc(responses=FILE)
def get_export_file(run_id: str, name: str) -> Response:
    """Send a file of an export."""
    _, files = find_export_files(get_database(), run_id)
    if name not in files:
        raise NotFound(
            f"export {run_id[:64]} has no file {name[:80]!r}; it has"
            f" {', '.join(list(files)[:10]) or 'none yet'}"
        )
    etag = files[name]["id"]
    unchanged = find_unchanged(etag)
    if unchanged is not None:
        return unchanged
    answer = _send(files[name], name, "application/octet-stream")
    answer.headers.update(get_validators(etag))
    return answer


def _send(file: ExportFile, name: str, mimetype: str) -> Response:
    content = stream_export_file(get_database(), file["id"])
    lift_deadline()
    headers = {**_attach(name), "Content-Length": str(file["bytes"])}
    return Response(stream_with_context(content), headers=headers, content_type=mimetype)


def _attach(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}

"""Bars: pushed, uploaded and read back; which series there are, and why one has no result."""

from datetime import UTC, datetime
from pathlib import PurePath

from apiflask import APIBlueprint
from flask import json

from api.http.bodies import MIB, takes_body
from api.http.idempotency import enqueues
from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import get_database, get_now, get_state
from api.schemas.bars import (
    CandlePage,
    CandleQuery,
    CandlesBody,
    ImportForm,
    ImportReport,
    SeriesPage,
    SeriesQuery,
    SeriesStatus,
)
from api.schemas.common import IntervalQuery
from core.errors import BadInput
from detection.explain import SeriesOutlook, explain_series
from market.bars.reading import read_bars
from market.tickers import normalize_ticker
from records.database import Document
from records.findings.anomalies import count_by_series
from records.findings.watermarks import find_watermark_times
from records.keyset import BY_ID
from records.market.series import list_series
from records.work.documents import RunDocument, ShownRun
from tasks.requests.runs import Once, Sent, request_import

bars = APIBlueprint("bars", __name__, tag="bars")

ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", ".parquet", ".json")


def _find_report(run: ShownRun) -> ImportReport | None:
    """Return what a finished import did; None where it failed as a whole."""
    result = run.get("result")
    if result is None:
        return None
    return ImportReport.model_validate({**result, "run_id": run["_id"], "status": run["status"]})


@bars.post("/data/candles")
@takes_body(most_bytes=32 * MIB)
@bars.input(
    CandlesBody,
    example={
        "ticker": "AAPL",
        "interval": "1d",
        "candles": [
            {"time": "2013-03-01", "open": 438.0, "high": 438.18, "low": 429.98, "close": 430.47, "volume": 19730300}
        ],
    },
)
@enqueues(bars, ImportReport, _find_report)
def push_candles(json_data: CandlesBody, once: Once) -> RunDocument:
    """Take in bars. Pushing them again changes nothing; a bar that differs from the stored one is a correction."""
    state = get_state()
    unnamed = sum(candle.ticker is None for candle in json_data.candles)
    if unnamed and json_data.ticker is None:
        raise BadInput(f"{unnamed} candles name no ticker; give `ticker` for all of them, or in each")
    rows = [candle.model_dump() | {"ticker": candle.ticker or json_data.ticker} for candle in json_data.candles]
    return request_import(
        state.database,
        state.celery,
        Sent(json.dumps(rows).encode(), "candles.json"),
        interval=json_data.interval,
        ticker=None,  # each row names its own
        now=get_now(),
        once=once,
    )


@bars.post("/data/import")
@takes_body(most_bytes=128 * MIB, mimetype="multipart/form-data")
@bars.input(ImportForm, location="form_and_files", arg_name="form")
@enqueues(bars, ImportReport, _find_report)
def import_file(form: ImportForm, once: Once) -> RunDocument:
    """Take in a file with a ticker column, or of one ticker."""
    state = get_state()
    name = PurePath(form.file.filename or "").name
    if not name.lower().endswith(ENDINGS):
        raise BadInput(f"{name!r} is no file of bars by its name; it ends in one of {', '.join(ENDINGS)}")
    return request_import(
        state.database,
        state.celery,
        Sent(form.file.stream, name),
        interval=form.interval,
        ticker=form.ticker,
        now=get_now(),
        once=once,
    )


@bars.get("/data/candles")
@bars.input(CandleQuery, location="query")
@bars.output(CandlePage)
def get_candles(query_data: CandleQuery) -> Document:
    """Return stored bars, adjusted for known splits."""
    (end,) = decode_cursor(query_data.cursor, (datetime,)) or (query_data.end,)
    found = read_bars(
        get_database(),
        query_data.ticker,
        query_data.interval,
        start=query_data.start,
        end=end,
        limit=query_data.limit + 1,
    )
    # The bar before the first one shown ends the next page.
    page = build_page(found[::-1], query_data.limit, lambda _: (datetime.fromtimestamp(found[0].time, UTC),))
    return {**page, "items": page["items"][::-1], "ticker": query_data.ticker, "interval": query_data.interval}


@bars.get("/tickers")
@bars.input(SeriesQuery, location="query")
@bars.output(SeriesPage)
def list_tickers(query_data: SeriesQuery) -> Listed[Document]:
    """List the series that have stored bars, with how many anomalies each has."""
    found = list_series(
        get_database(),
        ticker=query_data.ticker,
        market=query_data.market,
        interval=query_data.interval,
        after=decode_cursor(query_data.cursor, BY_ID.types),
        limit=query_data.limit + 1,
    )
    watermarks = find_watermark_times(get_database(), [series["_id"] for series in found])
    counts = count_by_series(get_database(), [series["ticker"] for series in found])
    known = [
        series | {"watermark": watermarks.get(series["_id"]), "anomalies": counts.get(series["_id"], {})}
        for series in found
    ]
    return build_page(known, query_data.limit, BY_ID.locate)


@bars.get("/tickers/<ticker>/status")
@bars.input(IntervalQuery, location="query")
@bars.output(SeriesStatus)
def get_ticker_status(ticker: str, query_data: IntervalQuery) -> SeriesOutlook:
    """Say why a series has results up to where it has, or none."""
    return explain_series(get_database(), normalize_ticker(ticker), query_data.interval)

"""Bars: pushed, uploaded and read back; which series there are, and why one has no result."""

from datetime import UTC, datetime
from pathlib import PurePath
from threading import BoundedSemaphore

from apiflask import APIBlueprint
from flask import Response, json

from api.http.auth import get_person, needs_scope
from api.http.bodies import MIB, takes_body
from api.http.conditional import build_etag, find_unchanged, get_validators
from api.http.idempotency import Answers, enqueues
from api.http.openapi import describe_json
from api.http.paging import Listed, ask_page, build_page, decode_cursor
from api.http.state import check_market, get_database, get_markets, get_now, get_state
from api.schemas.bars import (
    CandlePage,
    CandleQuery,
    CandlesBody,
    DeleteQuery,
    FileForm,
    ImportForm,
    ImportReport,
    Preview,
    SeriesPage,
    SeriesQuery,
    SeriesStatus,
    SeriesTotal,
    SeriesTotalQuery,
)
from api.schemas.common import IntervalQuery
from api.schemas.ticks import CcxtCandles
from core.errors import BadInput, Conflict, Transient
from detection.explain import SeriesOutlook, explain_series
from market.bars.deleting import delete_bars
from market.bars.reading import read_series
from market.imports.columns import build_missing, choose_columns, find_missing
from market.imports.names import find_suffix
from market.imports.options import ReadingOptions
from market.imports.readers.process import open_reader
from market.sessions.freshness import count_sessions_behind
from market.spellings import read_pair, read_spelling
from market.tickers import normalize_ticker
from market.ticks.ccxt import write_candle
from market.ticks.fields import MICROSECONDS
from records.database import Document
from records.findings.anomaly_queries import count_by_series
from records.findings.watermarks import find_watermark_times
from records.keyset import BY_ID
from records.market.documents import SeriesTotal as Total
from records.market.series import get_series, list_series, sum_up_series
from records.market.session_days import find_session_days
from records.models.champions import find_bars_needed
from records.work.documents import RunDocument, ShownRun
from records.work.requests import Once
from records.work.runs import find_open_run
from records.work.watchlists import find_watched_tickers
from tasks.periodic.fallen_alerts import follow_gone_bars
from tasks.requests.imports import Sent, request_import

bars = APIBlueprint("bars", __name__, tag="bars")

MOST_NAMES = 100
MOST_FILENAME = 200
# A separate process reads a preview; several at once would starve other requests.
PREVIEW_SECONDS = 30.0
_previews = BoundedSemaphore(1)
CANDLE_ANSWERS: Answers = {
    200: {"description": "bars", "content": describe_json("CandlePage", "CcxtCandles")}
}


def _find_report(run: ShownRun) -> ImportReport | None:
    """Return the report of a finished import; None where it failed as a whole."""
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
            {
                "time": "2013-03-01",
                "open": 438.0,
                "high": 438.18,
                "low": 429.98,
                "close": 430.47,
                "volume": 19730300,
            }
        ],
    },
)
@enqueues(bars, ImportReport, _find_report)
def push_candles(json_data: CandlesBody, once: Once) -> RunDocument:
    """Take in bars.

    Pushing them again changes nothing; a bar that differs from the stored one is a correction.
    """
    state = get_state()
    options = json_data.build_options(
        [f"{name}={column}" for name, column in json_data.columns.items()]
    )
    rows = _complete_candles(json_data.candles, json_data.ticker, options, json_data.market)
    _check_tickers({str(row.get("ticker") or "") for row in rows} - {""}, json_data.market)
    return request_import(
        state.database,
        state.celery,
        Sent(json.dumps(rows).encode(), "candles.json", is_checked=True),
        interval=json_data.interval,
        ticker=None,  # each row has its own
        market=json_data.market,
        now=get_now(),
        reading=options,
        once=once,
    )


def _complete_candles(
    candles: list[Document], ticker: str | None, options: ReadingOptions, market: str | None
) -> list[Document]:
    """Return the candles with their ticker in each."""
    names = list(dict.fromkeys(name for candle in candles for name in candle))
    if len(names) > MOST_NAMES:
        raise BadInput(
            f"the candles have {len(names):,} different names between them; bars have nine at most"
        )
    chosen = choose_columns(names, options.columns)
    if missing := find_missing(chosen):
        raise build_missing(names, missing)
    position = chosen.positions.get("ticker")
    name = names[position] if position is not None else "ticker"
    unnamed = sum(candle.get(name) is None for candle in candles)
    if unnamed and ticker is None:
        raise BadInput(
            f"{unnamed} candles name no ticker; give `ticker` for all of them, or in each"
        )
    for text in {str(candle[name]) for candle in candles if candle.get(name) is not None}:
        if read_spelling(text) is None and read_pair(text, market or "") is None:
            normalize_ticker(text)
    return [
        candle if candle.get(name) is not None else candle | {name: ticker} for candle in candles
    ]


def _check_tickers(tickers: set[str], market: str | None) -> None:
    """Raise BadInput where there is not one ticker whose market can be told."""
    markets = get_markets()
    if (
        market is None
        and tickers
        and not any(markets.find_of(markets.spell(ticker)) for ticker in tickers)
    ):
        markets.get_of(markets.spell(min(tickers)))


@bars.post("/data/import")
@takes_body(most_bytes=128 * MIB, mimetype="multipart/form-data")
@bars.input(ImportForm, location="form_and_files", arg_name="form")
@enqueues(bars, ImportReport, _find_report)
def import_file(form: ImportForm, once: Once) -> RunDocument:
    """Take in a file with a ticker column, or of one ticker."""
    state = get_state()
    return request_import(
        state.database,
        state.celery,
        Sent(form.file.stream, _check_name(form)),
        interval=form.interval,
        ticker=form.ticker,
        market=form.market,
        now=get_now(),
        reading=form.build_options(form.list_columns()),
        once=once,
    )


@bars.post("/data/preview")
@takes_body(most_bytes=32 * MIB, mimetype="multipart/form-data")
@bars.input(FileForm, location="form_and_files", arg_name="form")
@bars.output(Preview)
def preview_file(form: FileForm) -> Document:
    """Show how a file of bars is read: columns and which is which, first rows, what is open.

    Nothing is stored. A file that can be read two ways is no error here: `problem` says what
    settles it.
    """
    name = _check_name(form)
    options = form.build_options(form.list_columns())
    if not _previews.acquire(timeout=PREVIEW_SECONDS):
        raise Transient("other files are being looked at; try again in a moment")
    try:
        with open_reader(wait_seconds=PREVIEW_SECONDS) as reader:
            return reader.preview(form.file.stream.read(), name, options)
    finally:
        _previews.release()


def _check_name(form: FileForm) -> str:
    """Return the name of a form's file, without folders.

    Raises BadInput on one that is no file of bars.
    """
    name = PurePath(form.file.filename or "").name
    find_suffix(name)
    if len(name) > MOST_FILENAME or not name.isprintable():
        raise BadInput(
            f"{name[:60]!r} is no file's name: it has at most {MOST_FILENAME} characters, all"
            " printable"
        )
    return name


@bars.get("/data/candles")
@bars.input(CandleQuery, location="query")
@bars.doc(responses=CANDLE_ANSWERS)
def get_candles(query_data: CandleQuery) -> Response:
    """Return stored bars, adjusted for known splits; who has them already is answered 304."""
    (end,) = decode_cursor(query_data.cursor, (datetime,)) or (query_data.end,)
    series = get_series(get_database(), query_data.ticker, query_data.interval)
    etag = build_etag(series["last_bar"], series["fingerprint"], query_data.model_dump_json())
    unchanged = find_unchanged(etag)
    if unchanged is not None:
        return unchanged
    validators = get_validators(etag)
    found = read_series(
        get_database(),
        series,
        start=query_data.start,
        end=end,
        limit=query_data.limit + 1,
    )
    # The next page ends with the bar before the first one shown.
    page = build_page(
        found[::-1], query_data.limit, lambda _: (datetime.fromtimestamp(found[0].time, UTC),)
    )
    shown = page["items"][::-1]
    if query_data.format == "ccxt":
        rows = [write_candle(bar.time * MICROSECONDS, bar[1:5], bar.volume) for bar in shown]
        return Response(
            CcxtCandles(rows).model_dump_json(), headers=validators, content_type="application/json"
        )
    whose = {"ticker": query_data.ticker, "interval": query_data.interval}
    items = [bar._asdict() for bar in shown]
    answer = CandlePage.model_validate({**page, "items": items, **whose})
    return Response(answer.model_dump_json(), headers=validators, content_type="application/json")


@bars.get("/tickers")
@bars.input(SeriesQuery, location="query")
@bars.output(SeriesPage)
def list_tickers(query_data: SeriesQuery) -> Listed[Document]:
    """List the series that have stored bars, with how many anomalies each has."""
    page = ask_page(query_data, BY_ID)
    found = list_series(
        get_database(),
        tickers=query_data.choose_tickers(
            find_watched_tickers(get_database(), query_data.watchlist)
        ),
        contains=query_data.contains,
        prefix=(query_data.prefix or "").upper(),
        market=check_market(query_data.market),
        interval=query_data.interval,
        after=page.after,
        limit=page.limit,
    )
    watermarks = find_watermark_times(get_database(), [series["_id"] for series in found])
    counts = count_by_series(get_database(), [series["ticker"] for series in found])
    find_needed = find_bars_needed(get_database())
    noted, markets, now = find_session_days(get_database()), get_markets(), get_now()
    known = [
        series
        | {"watermark": watermarks.get(series["_id"]), "anomalies": counts.get(series["_id"], {})}
        | {
            "bars_needed": find_needed(series["market"], series["interval"], series["ticker"]),
            "sessions_behind": count_sessions_behind(
                series, noted.get(series["market"]), now, markets.get(series["market"])
            ),
        }
        for series in found
    ]
    return page.build(known)


@bars.get("/tickers/summary")
@bars.input(SeriesTotalQuery, location="query")
@bars.output(SeriesTotal)
def sum_up_tickers(query_data: SeriesTotalQuery) -> Total:
    """Sum up the series that have stored bars: how many, and what they lack."""
    return sum_up_series(
        get_database(), contains=query_data.contains, market=check_market(query_data.market)
    )


@bars.delete("/tickers/<ticker>")
@needs_scope("admin")
@bars.input(DeleteQuery, location="query")
@bars.output({}, 204)
@bars.doc(responses={409: "a run that looks at them goes on"})
def delete_ticker(ticker: str, query_data: DeleteQuery) -> str:
    """Delete the bars of a ticker.

    Its anomalies, models and runs stay, and say that their bars are gone.
    """
    database, name = get_database(), normalize_ticker(ticker)
    run_id = find_open_run(database, name, query_data.interval)
    if run_id is not None:
        raise Conflict(f"run {run_id} looks at {name}; wait for it, or cancel it", run_id=run_id)
    gone = delete_bars(database, name, query_data.interval, get_now(), by=get_person())
    follow_gone_bars(database, [(one["ticker"], one["interval"]) for one in gone], get_now())
    return ""


@bars.get("/tickers/<ticker>/status")
@bars.input(IntervalQuery, location="query")
@bars.output(SeriesStatus)
def get_ticker_status(ticker: str, query_data: IntervalQuery) -> SeriesOutlook:
    """Say why a series has results up to where it has, or none."""
    return explain_series(get_database(), normalize_ticker(ticker), query_data.interval, get_now())

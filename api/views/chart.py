"""Charts: stored bars with indicators and anomalies, at once;
what is not detected yet is set to work.
"""

from bisect import bisect_left
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from alerts.counterparts import find_counterparts
from api.http.auth import has_scope
from api.http.conditional import build_etag, find_unchanged, get_validators
from api.http.state import State, get_database, get_markets, get_now, get_state
from api.schemas.chart import Chart, ChartQuery, Comparison, ComparisonQuery
from core.errors import BadInput
from detection.explain import SeriesReason, find_reason
from detection.indicators import Line, compute_indicator
from market.bars.baskets import Close, compute_basket
from market.bars.history import count_history_bars
from market.bars.reading import Bar, number_sessions, read_series
from market.intervals import parse_period, period_start
from records.database import Db, Document
from records.findings.anomaly_queries import ask_latest_parts, build_query
from records.market.documents import SeriesDocument
from records.market.series import get_series
from records.questions import ask
from tasks.requests.detections import request_detection
from tasks.requests.selection import Selection

charts = APIBlueprint("chart", __name__, tag="chart")

MOST_BARS = 20_000
MOST_MARKERS = 5_000
MARKED = ("Datetime", "grade", "severity", "anomaly_score", "reasons")


@charts.get("/chart")
@charts.input(ChartQuery, location="query")
@charts.output(Chart)
def get_chart(query_data: ChartQuery) -> Response:
    """Return what a chart of one series shows; who has it already is answered 304.

    Where bars came since the last detection, a run that looks at them is enqueued, if the key may,
    and named.
    """
    state = get_state()
    database, ticker, interval = state.database, query_data.ticker, query_data.interval
    series = get_series(database, ticker, interval)
    start = period_start(parse_period(query_data.period), series["last_bar"])
    query = build_query(tickers=[ticker], interval=interval, start=start)
    markers = ask_latest_parts(database, query, MARKED, limit=MOST_MARKERS)
    # A client that sends an ETag mostly has the present chart already, and then needs no markers.
    has_one = bool(request.if_none_match)
    known = find_reason(database, ticker, interval, series, *(() if has_one else (markers,)))
    run_id = _catch_up(state, known)
    etag = _build_etag(query_data, series, known, run_id)
    unchanged = find_unchanged(etag)
    if unchanged is not None:
        return unchanged
    if has_one:
        ask(database, markers)
    bars, lines = _compute(database, series, start, query_data.indicators)
    chart = {
        "ticker": ticker,
        "interval": interval,
        "period": query_data.period,
        "synthetic": known["synthetic"],
        "bars": [
            {
                "time": datetime.fromtimestamp(time, UTC),
                "open": opened,
                "high": high,
                "low": low,
                "close": close,
                "volume": volume,
            }
            for time, opened, high, low, close, volume in bars
        ],
        "cut_at": _find_cut(series, start, bars),
        "indicators": lines,
        "markers": markers.answer[::-1],
        "watermark": known["watermark"],
        "run_id": run_id,
    }
    # Already in the form of the schema, whose validation of so many bars takes as long as all the
    # rest.
    answer = jsonify(chart)
    answer.headers.update(get_validators(etag))
    return answer


def _build_etag(
    query: ChartQuery, series: SeriesDocument, known: SeriesReason, run_id: str | None
) -> str:
    """Return the ETag of a chart: it depends on the bars, the model, and the last detection."""
    last = known["last_run"]
    looked = (last["run_id"], last["status"]) if last is not None else ()
    whose = (series["last_bar"], series["fingerprint"], series["synthetic"])
    model = (known["model_version"], known["watermark"])
    return build_etag(query.model_dump_json(), *whose, *model, *looked, run_id)


@charts.get("/chart/comparison")
@charts.input(ComparisonQuery, location="query")
@charts.output(Comparison)
def compare(query_data: ComparisonQuery) -> Document:
    """Return the closes of a ticker beside those of another, of its index or of its sector.

    The last 20,000 bars of each; of a sector up to 50 tickers count, in the order of the alphabet.
    """
    if query_data.other is not None and query_data.against is not None:
        raise BadInput("give `other` or `against`, not both: a ticker is compared with one thing")
    database, ticker, interval = get_database(), query_data.ticker, query_data.interval
    series = get_series(database, ticker, interval)
    choices = find_counterparts(database, get_markets(), series)
    counterpart = choices.choose(query_data.other, query_data.against)
    span = (query_data.start, query_data.end)

    def read(name: str) -> list[Close]:
        found = series if name == ticker else get_series(database, name, interval)
        bars = read_series(database, found, start=span[0], end=span[1], limit=MOST_BARS)
        return [(bar.time, bar.close) for bar in bars]

    own = dict(read(ticker))
    lines = {name: closes for name in counterpart.tickers if (closes := read(name))}
    other = dict(
        compute_basket(lines.values()) if counterpart.kind == "sector" else chain(*lines.values())
    )
    times = sorted({*own, *other})
    return {
        "ticker": ticker,
        "interval": interval,
        "market": series["market"],
        "index": choices.index,
        "sector": choices.sector,
        **counterpart._asdict(),
        "tickers": list(lines),
        "times": [datetime.fromtimestamp(time, UTC) for time in times],
        "closes": [own.get(time) for time in times],
        "others": [other.get(time) for time in times] if counterpart.kind else [],
    }


def _find_cut(series: SeriesDocument, start: datetime | None, bars: list[Bar]) -> datetime | None:
    """Return the first bar that is shown if earlier stored bars are left out by the period, else
    None.
    """
    if len(bars) < MOST_BARS:
        return None
    first = datetime.fromtimestamp(bars[0].time, UTC)
    return first if first > max(series["first_bar"], start or series["first_bar"]) else None


def _compute(
    database: Db, series: SeriesDocument, start: datetime | None, indicators: str
) -> tuple[list[Bar], dict[str, Line]]:
    """Return the bars from `start` on, and the values of each line at them."""
    names = [name for name in indicators.split(",") if name]
    if not names:
        return read_series(database, series, start=start, end=None, limit=MOST_BARS), {}
    # Only lines need the bars before the first one shown.
    history_bars = count_history_bars(series["interval"])
    loaded = read_series(database, series, start=None, end=None, limit=MOST_BARS + history_bars)
    first = 0 if start is None else bisect_left(loaded, start.timestamp(), key=attrgetter("time"))
    first = max(first, len(loaded) - MOST_BARS)
    history = max(0, first - history_bars)
    seen = loaded[history:]
    lines: dict[str, Line] = {}
    sessions = number_sessions(seen, series)
    for name in names:
        lines |= compute_indicator(name, seen, sessions)
    return loaded[first:], {name: line[first - history :] for name, line in lines.items()}


def _catch_up(state: State, known: SeriesReason) -> str | None:
    """Return the run that detects what came since the watermark,
    enqueued now or already open; None without need.
    """
    ticker, interval = known["ticker"], known["interval"]
    last_run = known["last_run"]
    if known["reason"] == "in_progress" and last_run is not None:
        return last_run["run_id"]
    if known["reason"] != "behind" or not has_scope("enqueue"):
        return None
    run = request_detection(
        state.database,
        state.celery,
        Selection((ticker,)),
        interval=interval,
        now=get_now(),
        trigger="chart_request",
    )
    return run["_id"]

"""Charts: stored bars with indicators and anomalies, at once; what is not detected yet is set to work."""

from datetime import UTC, datetime

from apiflask import APIBlueprint

from api.auth import has_scope
from api.schemas.chart import Chart, ChartQuery
from api.state import State, get_now, get_state
from detection.bars.intervals import parse_period, period_start
from detection.bars.reading import Bar, read_bars
from detection.explain import explain_series
from detection.features.history import HISTORY_BARS
from detection.indicators import INDICATORS, Line
from detection.records.anomalies import build_query, find_anomalies
from detection.records.database import Db, Document
from detection.records.series import get_series
from tasks.requests import request_incremental
from tasks.selection import Selection

charts = APIBlueprint("chart", __name__, tag="chart")

MOST_BARS = 20_000
MOST_MARKERS = 5_000


@charts.get("/chart")
@charts.input(ChartQuery, location="query")
@charts.output(Chart)
def get_chart(query_data: ChartQuery) -> Document:
    """Return what a chart of one series shows.

    Where bars came since the last detection, a run that looks at them is enqueued, if the key may, and named.
    """
    state = get_state()
    database, ticker, interval = state.database, query_data.ticker, query_data.interval
    series = get_series(database, ticker, interval)
    start = period_start(parse_period(query_data.period), series["last_bar"])
    bars, lines = _compute(database, ticker, interval, start, query_data.indicators)
    known = explain_series(database, ticker, interval)
    query = build_query(tickers=[ticker], interval=interval, start=start)
    return {
        "ticker": ticker,
        "interval": interval,
        "period": query_data.period,
        "synthetic": known["synthetic"],
        "bars": [bar._asdict() | {"time": datetime.fromtimestamp(bar.time, UTC)} for bar in bars],
        "indicators": lines,
        "markers": find_anomalies(database, query, limit=MOST_MARKERS)[::-1],
        "watermark": known["watermark"],
        "run_id": _catch_up(state, known),
    }


def _compute(
    database: Db, ticker: str, interval: str, start: datetime | None, indicators: str
) -> tuple[list[Bar], dict[str, Line]]:
    """Return the bars from `start` on and a value of each line for each of them."""
    loaded = read_bars(database, ticker, interval, start=None, end=None, limit=MOST_BARS)
    first = next((n for n, bar in enumerate(loaded) if start is None or bar.time >= start.timestamp()), len(loaded))
    history = max(0, first - HISTORY_BARS)
    lines: dict[str, Line] = {}
    for name in filter(None, indicators.split(",")):
        lines |= INDICATORS[name](loaded[history:])
    return loaded[first:], {name: line[first - history :] for name, line in lines.items()}


def _catch_up(state: State, known: Document) -> str | None:
    """Return the run that detects what came since the watermark, enqueued now or already open; None without need."""
    ticker, interval = known["ticker"], known["interval"]
    if known["reason"] == "in_progress":
        run_id: str = known["last_run"]["run_id"]
        return run_id
    if known["reason"] != "behind" or not has_scope("enqueue"):
        return None
    run = request_incremental(
        state.database,
        state.celery,
        Selection((ticker,)),
        interval=interval,
        now=get_now(),
        trigger="chart_request",
    )
    return str(run["_id"])

"""Detections: a caller asks for backfills and incremental runs, and how the last backfill went."""

from apiflask import APIBlueprint

from api.http.idempotency import enqueues
from api.http.state import get_database, get_now, get_state
from api.schemas.common import IntervalQuery
from api.schemas.runs import TickerAudit
from api.schemas.selection import BackfillBody, SelectionBody
from core.errors import NotFound
from market.tickers import normalize_ticker
from records.work import runs
from records.work.documents import AuditDocument, LatestRun, RunDocument
from tasks.requests.runs import Once, request_detection

detections = APIBlueprint("detections", __name__, tag="detections")


@detections.post("/anomalies/backfill")
@detections.input(BackfillBody, example={"ticker": "AAPL", "max_period": "5y", "interval": "1d"})
@enqueues(detections)
def start_backfill(json_data: BackfillBody, once: Once) -> RunDocument:
    """Detect histories: the last five years of each, or as far back as `max_period` says.

    The run's `options.not_looked_at` says of how many tickers, and from when on, bars are left out.

    409 with the `run_id` in the way where a backfill of one of these series is open, unless `force`
    replaces it.
    """
    state = get_state()
    return request_detection(
        state.database,
        state.celery,
        json_data.select(),
        task="backfill",
        trigger="backfill",
        interval=json_data.interval,
        period=json_data.max_period,
        force=json_data.force,
        walk_forward=json_data.walk_forward,
        raise_alerts=json_data.raise_alerts,
        now=get_now(),
        once=once,
    )


@detections.get("/anomalies/backfill/<ticker>")
@detections.input(IntervalQuery, location="query")
@detections.output(TickerAudit)
def get_backfill(ticker: str, query_data: IntervalQuery) -> AuditDocument | LatestRun:
    """How the latest backfill of a ticker went, or how it is going."""
    ticker = normalize_ticker(ticker)
    found = runs.find_latest(get_database(), ticker, query_data.interval, "backfill")
    if found is None:
        raise NotFound(
            f"there was no {query_data.interval} backfill of {ticker} in the last 30 days; "
            'start one: POST /anomalies/backfill {"ticker": "' + ticker + '"}'
        )
    return found


@detections.post("/anomalies/incremental")
@detections.input(SelectionBody, example={"tickers": ["AAPL", "MSFT"], "interval": "1d"})
@enqueues(detections)
def start_incremental(json_data: SelectionBody, once: Once) -> RunDocument:
    """Detect what came, or was corrected, since each series' watermark."""
    state = get_state()
    return request_detection(
        state.database,
        state.celery,
        json_data.select(),
        interval=json_data.interval,
        now=get_now(),
        once=once,
    )

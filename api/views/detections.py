"""Detections: a caller asks for backfills and incremental runs, and how the last backfill went."""

from collections import Counter

from apiflask import APIBlueprint

from api.http.idempotency import enqueues
from api.http.state import get_database, get_now, get_state
from api.schemas.alerts import Alert
from api.schemas.anomalies import Anomaly
from api.schemas.common import IntervalQuery
from api.schemas.detect import Detected
from api.schemas.runs import TickerAudit
from api.schemas.selection import BackfillBody, DetectBody, SelectionBody
from core.errors import NotFound
from market.tickers import normalize_ticker
from records.alerts.raised import find_of_run
from records.database import Document
from records.findings.anomaly_queries import count_new, find_new
from records.findings.documents import AnomalyDocument
from records.work import latest_runs
from records.work.documents import AuditDocument, LatestRun, RunDocument, ShownRun
from records.work.requests import Once
from records.work.runs import get_run
from tasks.requests.detections import Backfill, Look, request_detection, request_look
from tasks.requests.waiting import wait_for_alerts

LISTED = 1_000

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
        interval=json_data.interval,
        period=json_data.max_period,
        backfill=Backfill(
            force=json_data.force,
            walk_forward=json_data.walk_forward,
            keep_scores=json_data.keep_scores,
            raise_alerts=json_data.raise_alerts,
        ),
        now=get_now(),
        once=once,
    )


@detections.get("/anomalies/backfill/<ticker>")
@detections.input(IntervalQuery, location="query")
@detections.output(TickerAudit)
def get_backfill(ticker: str, query_data: IntervalQuery) -> AuditDocument | LatestRun:
    """How the latest backfill of a ticker went, or how it is going."""
    ticker = normalize_ticker(ticker)
    found = latest_runs.find_latest(get_database(), ticker, query_data.interval, "backfill")
    if found is None:
        raise NotFound(
            f"there was no {query_data.interval} backfill of {ticker} in the last 30 days; "
            'start one: POST /anomalies/backfill {"ticker": "' + ticker + '"}'
        )
    return found


def _rank(anomaly: AnomalyDocument) -> tuple[float, float, str]:
    """Order the strangest first, as `find_new` does."""
    return -anomaly["grade"], anomaly["anomaly_score"], anomaly["_id"]


def _find_detected(run: ShownRun) -> Detected | None:
    """Return the anomalies of a detection, once its alerts are raised; None where it failed."""
    if run["status"] not in {"complete", "partial"}:
        return None
    database, options = get_database(), run["options"]
    if options["store"]:
        wait_for_alerts(database, run["_id"])
        run = get_run(database, run["_id"])  # with the warnings of raising
        found = find_new(database, run["_id"], min_grade=0.0, tickers=None, limit=LISTED)
        counts = count_new(database, run["_id"])
        checked = run["progress"]["tickers_done"]
        raised = find_of_run(database, run["_id"], limit=LISTED)
    else:
        result = run.get("result") or {}
        found = sorted(result.get("found", []), key=_rank)
        counts = Counter(result.get("counts", {}))
        checked, raised = result.get("checked", 0), []
    left_out: Document = {
        **({} if options["include_explanation"] else {"inputs": [], "attribution": {}}),
        **({} if options["include_root_cause"] else {"root_causes": [], "root_cause": None}),
    }
    of_alerts = left_out | ({} if options["include_explanation"] else {"explanation": {}})
    return Detected(
        run_id=run["_id"],
        status=run["status"],
        total_entities_checked=checked,
        anomalies_detected=counts.total(),
        critical_count=counts["critical"],
        high_count=counts["high"],
        medium_count=counts["medium"],
        low_count=counts["low"],
        warnings=run["warnings"],
        alerts=[Alert.model_validate({**alert, **of_alerts}) for alert in raised],
        anomalies=[Anomaly.model_validate({**each, **left_out}) for each in found[:LISTED]],
        execution_time_ms=(get_now() - run["requested_at"]).total_seconds() * 1_000,
    )


@detections.post("/anomalies/detect")
@detections.input(DetectBody, example={"tickers": ["AAPL", "MSFT"], "interval": "1d"})
@enqueues(detections, Detected, _find_detected)
def detect(json_data: DetectBody, once: Once) -> RunDocument:
    """Detect now, and with `wait` see what is strange, why, and which alerts were raised.

    What is stored is what the champions say; another detector is asked with `store` false.
    """
    state = get_state()
    look = Look(
        json_data.detector,
        store=json_data.store,
        include_explanation=json_data.include_explanation,
        include_root_cause=json_data.include_root_cause,
    )
    return request_look(
        state.database,
        state.celery,
        json_data.select(),
        look,
        interval=json_data.interval,
        period=json_data.max_period,
        now=get_now(),
        once=once,
    )


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

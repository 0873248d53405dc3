"""What a batch of each task does: call one function of detection, then commit under the batch's fence."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic

import structlog
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from detection.models.fitting import fit_model
from detection.models.manager import ModelManager
from detection.models.plan import TrainingPlan
from detection.models.training import save_model
from detection.pipeline import detect as pipeline
from detection.pipeline.detect import PART_TICKERS
from detection.pipeline.job import Job
from detection.pipeline.work_counts import add_detection
from detection.verify import verify as rederive
from market.imports.columns import is_ticker_column
from market.imports.importing import import_frame
from market.imports.sources.files import name_ticker, read_content
from records.database import Db, Document
from records.findings import verifications
from records.market.uploads import delete_upload, open_upload
from records.work import batches, runs
from records.work.batches import Batch
from records.work.counters import MODEL_CACHE, add_counts
from records.work.heartbeats import beat
from tasks.engine.execution import Result
from tasks.process.worker import Worker, get_worker

# A cancelled run notices within this time, and a batch that takes less is no trouble.
CHECK_SECONDS = 0.5

log = structlog.get_logger()


@lru_cache(maxsize=1)
def get_models() -> ModelManager:
    """Return this process' model cache."""
    return ModelManager(get_worker().database)


def detect(worker: Worker, run: Document, batch: Batch) -> list[Document]:
    """Detect the batch's tickers, for a backfill or an incremental run."""
    job = build_job(run, batch, run["interval"])
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(worker.database, batch)
    outcomes, results = pipeline.detect_and_commit(worker.database, get_models(), job, checkpoint, finish)
    report_models(worker)
    add_detection(worker.database, job, outcomes, results, datetime.now(UTC))
    return results


def verify(worker: Worker, run: Document, batch: Batch) -> list[Document]:
    """Derive the run's anomalies of the batch's tickers again; watermarks and anomalies stay as they are."""
    database, options = worker.database, run["options"]
    selection = verifications.build_selection(options) | {"Ticker": {"$in": list(batch.tickers)}}
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    documents: list[Document] = []
    for interval in database.anomalies.distinct("interval", selection):
        job = build_job(run, batch, interval)
        stored = list(database.anomalies.find(selection | {"interval": interval}))
        spans = verifications.find_spans(database, options, batch.tickers, interval)
        documents += rederive(database, get_models(), job, stored, spans, checkpoint)
    report_models(worker)

    def write(session: ClientSession) -> None:
        finish(session, {"tickers_done": len(batch.tickers), "tickers_failed": 0, "failures": []})
        verifications.write_verifications(database, documents, session)

    with database.client.start_session() as session:
        session.with_transaction(write)
    return [{name: document[name] for name in ("anomaly_id", "verdict", "cause")} for document in documents[:20]]


def train(worker: Worker, run: Document, batch: Batch) -> Document:
    """Fit a model of the run's market and store it under its next version."""
    plan = TrainingPlan.from_options(
        run["market"], interval=run["interval"], tickers=run["tickers"], options=run["options"]
    )
    database, finish = worker.database, build_finish(worker.database, batch)
    fit = fit_model(database, plan, build_checkpoint(worker, batch))

    def finish_training(session: ClientSession, record: Document) -> None:
        trained = {"model_version": record["version"], "model_hash": record["sha256"]}
        database.detection_runs.update_one({"_id": run["_id"]}, {"$set": trained}, session=session)
        finish(session, {"tickers_done": 0, "tickers_failed": 0, "failures": []})

    record = save_model(database, fit, now=datetime.now(UTC), run_id=run["_id"], finish=finish_training)
    return {"detection_run_id": run["_id"], "model_version": record["version"], "model_hash": record["sha256"]}


def import_bars(worker: Worker, run: Document, batch: Batch) -> Document:
    """Import an upload, ticker by ticker; what it says of each is the run's report."""
    database, options = worker.database, run["options"]
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    with open_upload(database, options["upload_id"]) as upload:
        frame = read_content(upload.read(), options["filename"])
    ticker = options["ticker"]
    if ticker is None and not any(is_ticker_column(column) for column in frame.columns):
        ticker = name_ticker(options["filename"])
    report = import_frame(
        database,
        frame,
        interval=run["interval"],
        source=options["filename"],
        ticker=ticker,
        now=datetime.now(UTC),
        on_series=lambda _series, _total: checkpoint(0.0),
    )
    failures = [{"ticker": s.ticker, "reason": "import_failed", "error": s.error} for s in report.failed]
    counts = {"rows_loaded": report.total("read"), "rows_processed": report.total("new") + report.total("changed")}
    result = {"tickers_done": len(report.series) - len(failures), "tickers_failed": len(failures), "failures": failures}

    def write(session: ClientSession) -> None:
        database.detection_runs.update_one({"_id": run["_id"]}, {"$set": {"report": report.to_dict()}}, session=session)
        finish(session, counts | result)

    with database.client.start_session() as session:
        session.with_transaction(write)
    if not failures:  # what failed can be retried
        delete_upload(database, options["upload_id"])
    return {"detection_run_id": run["_id"]} | {name: report.total(name) for name in ("read", "new", "changed")}


def report_models(worker: Worker) -> None:
    """Say what this process' model cache holds, for those who ask the workers, and count its use.

    Never raises: a batch that is committed must not look as if it had failed.
    """
    try:
        beat(worker.database, worker.name, **get_models().get_cache_stats())
    except PyMongoError as error:
        log.warning("models_not_reported", error=str(error))
    add_counts(worker.database, {MODEL_CACHE: get_models().take_counts()})


def build_job(run: Document, batch: Batch, interval: str) -> Job:
    """Return the part of a run that falls to a batch."""
    return Job(
        run_id=run["_id"],
        task=run["task"],
        trigger=run["trigger"],
        market=str(batch.market),
        tickers=batch.tickers,
        interval=interval,
        period=run["period"],
        started_at=datetime.now(UTC),
        watchlist=run["watchlist"],
        walk_forward=bool(run["options"].get("walk_forward")),
    )


def build_checkpoint(worker: Worker, batch: Batch) -> Callable[[float], None]:
    """Return what long work calls between two steps. It raises LeaseLost and Cancelled.

    A call soon after the last one, or after the claim, does nothing: steps may be short, and there may be thousands.
    """
    checked = renewed = monotonic()
    # Written part by part, a batch has a transaction open that ends with the batch's own document: a renewal in
    # between means that all is written once more.
    in_parts = len(batch.tickers) > PART_TICKERS
    renew_seconds = worker.settings.lease_seconds / 3 if in_parts else CHECK_SECONDS

    def checkpoint(fraction: float) -> None:
        nonlocal checked, renewed
        now = monotonic()
        if now - checked < CHECK_SECONDS:
            return
        checked = now
        runs.get_active(worker.database, batch.run_id)
        if now - renewed < renew_seconds:
            return
        renewed = now
        batches.renew_lease(worker.database, batch, lease_seconds=worker.settings.lease_seconds, progress=fraction)

    return checkpoint


def build_finish(database: Db, batch: Batch) -> Callable[[ClientSession, Document], None]:
    """Return what closes the batch inside the transaction of its effects."""

    def finish(session: ClientSession, result: Document) -> None:
        batches.finish_batch(database, batch, session, result=result, now=datetime.now(UTC))

    return finish


HANDLERS: Mapping[str, Callable[[Worker, Document, Batch], Result]] = {
    "backfill": detect,
    "incremental": detect,
    "verify": verify,
    "train": train,
    "import": import_bars,
}

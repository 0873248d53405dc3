"""The batch of a training fits a model and stores it."""

from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from alerts.measured_weights import choose_measured_weights
from detection.detectors.weights import MEASURED
from detection.models.fitting import fit_model
from detection.models.plan import TrainingPlan
from detection.models.training import save_model
from market.markets import load_markets
from records.models.documents import ModelDocument
from records.tenancy import of_owner
from records.work.batches import Batch
from records.work.documents import RunDocument, RunRecord
from records.work.runs import note_outcome
from tasks.engine.kind import Result
from tasks.kinds.parts import build_checkpoint, build_finish, count_done
from tasks.process.worker import Worker


def train(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Fit a model of the run's market and store it under its next version."""
    market, options = str(run["market"]), dict(run["options"])
    if options.get("weights") == MEASURED:
        own = of_owner(worker.database, run)
        options["weights"] = choose_measured_weights(own, market, run["interval"])
    plan = TrainingPlan.from_options(
        market,
        markets=load_markets(worker.database),
        interval=run["interval"],
        tickers=run["tickers"],
        options=options,
    )
    database, finish = worker.database, build_finish(worker.database, batch)
    fit = fit_model(database, plan, build_checkpoint(worker, batch))

    def finish_training(session: ClientSession, record: ModelDocument) -> None:
        trained: RunRecord = {
            "model_version": record["version"],
            "model_hash": record["sha256"],
            "warnings": list(fit.warnings),
        }
        note_outcome(database, run["_id"], trained, session)
        finish(session, count_done(tickers=0))

    record = save_model(
        database, fit, now=datetime.now(UTC), run_id=run["_id"], finish=finish_training
    )
    return {
        "detection_run_id": run["_id"],
        "model_version": record["version"],
        "model_hash": record["sha256"],
    }

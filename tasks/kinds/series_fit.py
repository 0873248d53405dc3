"""Fitting a model to a long single series."""

from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from detection.models.single_series import FitRequest, describe_version, fit_series
from detection.series.catalogue import get_kind
from detection.series.contract import Parameters
from records.models.documents import SeriesVersion
from records.models.single_series import read_points
from records.work.batches import Batch
from records.work.documents import RunDocument
from records.work.runs import note_outcome
from tasks.engine.kind import Result
from tasks.kinds.parts import build_checkpoint, build_finish, count_done
from tasks.process.worker import Worker


def fit(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Fit the history that was stored for the run, and store the model under its next version."""
    database, options = worker.database, run["options"]
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    timestamps, values = read_points(database, options["fit_id"])
    request = FitRequest(
        options["series_id"],
        get_kind(options["detector"]),
        Parameters(**options["parameters"]),
        timestamps,
        values,
    )

    checkpoint(0.3)

    def finish_fit(session: ClientSession, record: SeriesVersion) -> None:
        note_outcome(database, run["_id"], {"result": describe_version(record)}, session)
        finish(session, count_done(tickers=0, rows=request.count))

    record = fit_series(
        database, request, datetime.now(UTC), fit_id=options["fit_id"], finish=finish_fit
    )
    return {
        "detection_run_id": run["_id"],
        "series_id": record["series_id"],
        "version": record["version"],
    }

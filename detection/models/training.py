"""Trains models: gives a fitted model its version, artefact and record."""

from collections.abc import Callable, Sequence
from datetime import datetime

from gridfs.errors import FileExists
from pymongo.client_session import ClientSession

from core.errors import TapewatchError
from detection.models.artefacts import store_artefact
from detection.models.fitting import Fit, describe_fit, fit_model
from detection.models.learning import Checkpoint
from detection.models.libraries import find_library_versions
from detection.models.plan import TrainingPlan
from detection.models.registry import promote_within
from detection.models.sealed import compute_sha256
from detection.models.versions import Change, ModelVersion
from records.database import Db, in_transaction
from records.models import champions, models
from records.models.artefacts import delete_artefact
from records.models.champions import Scope
from records.models.documents import LineageFields, ModelDocument, ModelRecord

Finish = Callable[[ClientSession, ModelDocument], None]


def train_model(
    database: Db, plan: TrainingPlan, *, now: datetime, checkpoint: Checkpoint = lambda _: None
) -> ModelRecord:
    """Fit a model and save it; return its record.

    Raises BadInput where there are no bars, or too few.
    """
    return save_model(database, fit_model(database, plan, checkpoint), now=now)


def save_model(
    database: Db,
    fit: Fit,
    *,
    now: datetime,
    run_id: str | None = None,
    finish: Finish = lambda _session, _record: None,
) -> ModelRecord:
    """Store a fitted model under the next version of its market and return its record.

    The artefact is stored first, which also reserves the version. Then one transaction writes the
    record, promotes the model where its plan says so, and calls `finish(session, record)`; an
    exception from `finish` undoes the transaction.
    """
    content = fit.artefact
    version = _reserve_version(database, fit)
    record: ModelDocument = {
        **describe_fit(fit, now),
        "_id": version,
        "version": version,
        "sha256": compute_sha256(content),
        "artefact_bytes": len(content),
        "artefact_sha256": None,
        "library_versions": find_library_versions(),
        "training_run_id": run_id,
        "created_at": now,
        "promoted_at": None,
        "retired_at": None,
    }

    def write(session: ClientSession) -> None:
        models.insert_model(database, record, session)
        scope = Scope("market", fit.plan.market)
        if fit.plan.promote or (
            fit.plan.promote is None and _has_none(database, scope, fit.plan.interval, session)
        ):
            promote_within(database, record, scope, now, session)
        finish(session, record)

    try:
        in_transaction(database, write)
    except TapewatchError:
        # One of this project's checks undid the transaction. After any other error the transaction
        # may have been committed, so the artefact stays.
        delete_artefact(database, version)
        raise
    return models.get_model_record(database, version)


def propose_version(
    lineage: Sequence[LineageFields], plan: TrainingPlan
) -> tuple[ModelVersion, Change]:
    """Return the version that follows the latest one of a market, and how the model differs from
    the latest one of its interval.
    """
    if not lineage:
        return ModelVersion.first(plan.market), "patch"
    latest = max(lineage, key=_read_version)
    # Versions are numbered by market; the change is relative to the latest of the same interval.
    alike = [record for record in lineage if record["parameters"].get("interval") == plan.interval]
    before = max(alike, key=_read_version, default=None)
    change: Change = "patch"
    if before is None or before["parameters"] != plan.describe_parameters():
        change = "minor"
    if before is not None and before["feature_set"] != plan.feature_set.label:
        change = "major"
    return ModelVersion.parse(latest["_id"]).bump(change), change


def _read_version(record: LineageFields) -> ModelVersion:
    return ModelVersion.parse(record["_id"])


def _reserve_version(database: Db, fit: Fit) -> str:
    """Store the artefact under the next free version.

    Where another training has just taken a version, or has died after taking it, the next version
    is taken.
    """
    taken: set[ModelVersion] = set()
    while True:
        version, change = propose_version(models.find_lineage(database, fit.plan.market), fit.plan)
        while version in taken:
            version = version.bump(change)
        try:
            store_artefact(database, str(version), fit.artefact)
        except FileExists:
            taken.add(version)
        else:
            return str(version)


def _has_none(database: Db, scope: Scope, interval: str, session: ClientSession) -> bool:
    pointer = champions.find_pointer(database, scope, interval, session)
    return pointer is None or pointer["version"] is None

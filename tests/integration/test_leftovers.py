"""Files in GridFS that are left when the runs that needed them have ended, or their writers
died.
"""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from flask.testing import FlaskClient
from gridfs import GridFSBucket

from core.settings import Settings
from detection.models.sealed import read_sealed
from records.database import Db
from records.indexes import INDEXES
from records.leftovers import delete_leftovers
from records.market.uploads import BUCKET as UPLOADS
from records.market.uploads import store_upload
from records.models.artefacts import BUCKET as ARTEFACTS
from records.models.artefacts import store_artefact
from records.work import batches, endings, runs
from records.work.progress import count_progress
from records.work.requests import RunRequest, insert_run
from tasks.engine.sweeper import sweep
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.integration.modelling import add_model
from tests.integration.stored import NOW

LATER = datetime.now(UTC) + timedelta(days=2)


def add_upload(database: Db, status: str | None, ended: datetime | None = None) -> str:
    """Store an upload, with an import of it in this status; with no import if the request was
    interrupted.
    """
    upload_id = store_upload(database, "bars.csv", b"Date,Close\n")
    if status is not None:
        run = insert_run(
            database, RunRequest("import", "manual", options={"upload_id": upload_id}), NOW
        )
        database.detection_runs.update_one(
            {"_id": run["_id"]}, {"$set": {"status": status, "completed_at": ended}}
        )
    return upload_id


def count(database: Db, bucket: str) -> tuple[int, int]:
    return tuple(database[f"{bucket}.{part}"].count_documents({}) for part in ("files", "chunks"))  # type: ignore[return-value]


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_upload_is_kept_while_its_import_is_to_read_it(database: Db, status: str) -> None:
    add_upload(database, status)
    assert delete_leftovers(database, LATER + timedelta(days=60)) == 0
    assert count(database, UPLOADS) == (1, 1)


@pytest.mark.parametrize("status", ["failed", "partial", "cancelled"])
def test_an_upload_whose_import_failed_is_kept_for_three_days(
    client: FlaskClient, database: Db, status: str
) -> None:
    add_upload(database, status, ended=NOW)
    run = database.detection_runs.find_one({"options.upload_id": {"$exists": True}})
    assert run is not None
    database[f"{UPLOADS}.files"].update_many({}, {"$set": {"uploadDate": NOW}})
    assert delete_leftovers(database, NOW + timedelta(days=2, hours=23)) == 0
    assert delete_leftovers(database, NOW + timedelta(days=3, hours=1)) == 1
    assert count(database, UPLOADS) == (0, 0)
    refused = client.post(f"/py/detection-runs/{run['_id']}/retry")
    assert (refused.status_code, refused.json["reason"]) == (409, "upload_gone")


def test_an_upload_is_removed_with_the_run_that_could_be_retried(database: Db) -> None:
    add_upload(database, "failed", ended=NOW)
    database.detection_runs.delete_many({})  # As its TTL does.
    assert delete_leftovers(database, LATER) == 1
    assert count(database, UPLOADS) == (0, 0)


@pytest.mark.parametrize("status", ["complete", None])
def test_an_upload_that_no_import_will_read_is_removed_after_a_day(
    database: Db, status: str | None
) -> None:
    add_upload(database, status)
    assert delete_leftovers(database, datetime.now(UTC)) == 0
    assert delete_leftovers(database, LATER) == 1
    assert count(database, UPLOADS) == (0, 0)


def test_an_upload_that_one_import_read_is_kept_for_another_that_failed(database: Db) -> None:
    upload_id = add_upload(database, "complete")
    run = insert_run(
        database, RunRequest("import", "manual", options={"upload_id": upload_id}), NOW
    )
    failed = {"status": "failed", "completed_at": LATER - timedelta(days=1)}
    database.detection_runs.update_one({"_id": run["_id"]}, {"$set": failed})
    assert delete_leftovers(database, LATER) == 0


def test_an_artefact_without_a_model_is_removed_after_a_day_and_others_stay(database: Db) -> None:
    version = add_model(database)
    store_artefact(database, "US_model-7.0.0", b"whose training died", {})
    assert delete_leftovers(database, datetime.now(UTC)) == 0
    assert delete_leftovers(database, LATER) == 1
    assert [file["_id"] for file in database[f"{ARTEFACTS}.files"].find()] == [version]
    record = database.models.find_one({"_id": version})
    assert record is not None
    read_sealed(database, version, record["sha256"])


@pytest.mark.parametrize("bucket", [UPLOADS, ARTEFACTS])
def test_chunks_of_a_file_whose_writer_died_are_removed_after_a_day(
    database: Db, bucket: str
) -> None:
    GridFSBucket(database, bucket, chunk_size_bytes=1_024).upload_from_stream_with_id(
        "x", "x", bytes(5_000)
    )
    # The document of the file is written last.
    database[f"{bucket}.files"].delete_one({"_id": "x"})
    assert count(database, bucket) == (0, 5)
    assert delete_leftovers(database, datetime.now(UTC)) == 0
    assert delete_leftovers(database, LATER) == 1
    assert count(database, bucket) == (0, 0)


def test_the_sweeper_cleans_up_once_an_hour(settings: Settings, database: Db) -> None:
    worker = Worker(settings, database, build_celery(settings), "test")
    days_ago = ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=2))
    chunk = {"files_id": "x", "n": 0, "data": b""}
    database[f"{UPLOADS}.chunks"].insert_one({"_id": days_ago, **chunk})
    assert sweep(worker)["leftover_deleted"] == 1
    database[f"{UPLOADS}.chunks"].insert_one({"_id": days_ago, **chunk})
    assert sweep(worker) == {}
    assert count(database, UPLOADS) == (0, 1)


def expire(database: Db, now: datetime) -> None:
    """Delete what MongoDB's TTL monitor and a sweep would have deleted by then."""
    for name in INDEXES:
        for index in database[name].list_indexes():
            if "expireAfterSeconds" in index:
                before = now - timedelta(seconds=index["expireAfterSeconds"])
                is_old = {field: {"$lt": before} for field in index["key"]}
                database[name].delete_many({**is_old, **index.get("partialFilterExpression", {})})
    delete_leftovers(database, now)


def test_a_run_that_waited_for_a_year_has_all_its_batches_and_is_kept_for_a_month(
    database: Db,
) -> None:
    began = NOW - timedelta(days=400)
    run = insert_run(database, RunRequest("backfill", "backfill", ("AAPL", "MSFT")), began)
    plan = [
        batches.build_batch(run["_id"], f"{n:05d}", [ticker], "US", began)
        for n, ticker in enumerate(run["tickers"])
    ]
    assert runs.start_run(database, run["_id"], plan, began)
    for batch, now in zip(plan, (began, NOW), strict=True):
        # Between the first batch and the second the service was stopped.
        expire(database, now)
        assert count_progress(database, run["_id"])["tickers_total"] == 2
        held = batches.claim_batch(database, batch["_id"], "w", lease_seconds=60, max_attempts=3)
        assert held is not None
        with database.client.start_session() as session, session.start_transaction():
            batches.finish_batch(database, held, session, result={"tickers_done": 1}, now=now)  # type: ignore[typeddict-item]
    assert endings.finish_run(database, run["_id"], NOW) is not None
    expire(database, NOW + timedelta(days=29))
    ended = runs.get_run(database, run["_id"])
    assert (ended["status"], ended["progress"]["tickers_done"]) == ("complete", 2)
    expire(database, NOW + timedelta(days=31))
    assert runs.find_run(database, run["_id"]) is None
    assert database.batches.count_documents({}) == 0

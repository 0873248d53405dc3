"""Work that takes long: it is bounded before it is accepted, hears of its end,
and leaves a process to others.
"""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sklearn.ensemble import IsolationForest

from core.errors import BadInput, Cancelled, LeaseLost
from core.settings import Settings
from detection.detectors.catalogue import DETECTORS, get_detector
from detection.detectors.isolation_forest import fit_forest
from detection.detectors.trees import collect_nodes
from records.database import Db, open_database
from records.work import batches, runs
from records.work.batches import build_batch, claim_batch
from records.work.requests import RunRequest, insert_run
from tasks.engine import planning
from tasks.engine.execution import execute_batch
from tasks.engine.kind import KINDS
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.integration.detecting import make_bars, store
from tests.integration.stored import add_series
from tests.processes import wait_until

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LEASE = {"lease_seconds": 45, "max_attempts": 5}


@pytest.fixture
def worker(settings: Settings, database: Db) -> Iterator[Worker]:
    own = open_database(settings)
    with build_celery(settings) as celery:
        yield Worker(settings.model_copy(update={"lease_seconds": 3}), own, celery, "test:1")
    own.client.close()


def add_training(database: Db, **options: Any) -> str:
    request = RunRequest("train", "manual", market="US", options=options)
    run_id: str = insert_run(database, request, datetime.now(UTC))["_id"]
    return run_id


def add_heavy(database: Db, number: int, *, heavy: bool = True) -> str:
    batch = build_batch(f"run{number}", "00000", [], "US", NOW, heavy=heavy)
    database.batches.insert_one(batch)
    return str(batch["_id"])


@pytest.mark.parametrize(
    "body", [{"trees": 1_000, "sample": 16_384}, {"trees": 10_000}, {"sample": 1_000_000}]
)
def test_a_training_that_would_take_everything_is_422_and_no_run(
    client: FlaskClient, database: Db, body: dict[str, int]
) -> None:
    add_series(database, "AAPL")
    refused = client.post("/py/models/train", json={"market": "US", **body})
    assert refused.status_code == 422
    assert "trees" in refused.json["detail"] or "sample" in refused.json["detail"]
    assert database.detection_runs.count_documents({}) == 0


def test_every_detector_bounds_the_product_of_its_parameters() -> None:
    for kind in DETECTORS.values():
        assert np.prod([p.default for p in kind.parameters.values()]) <= kind.most_product
        most = {name: parameter.high for name, parameter in kind.parameters.items()}
        if np.prod(list(most.values())) > kind.most_product:
            with pytest.raises(BadInput, match=f"{kind.most_product:,} at the most"):
                kind.read_parameters(most)


@pytest.mark.parametrize(("trees", "sample"), [(1, 64), (10, 64), (37, 256), (3, 900)])
def test_a_forest_grown_in_steps_is_the_one_grown_at_once(trees: int, sample: int) -> None:
    rows = np.random.default_rng(1).standard_t(4, (900, 5)).astype(np.float32)
    at_once = IsolationForest(n_estimators=trees, max_samples=sample, random_state=3).fit(rows)
    fractions: list[float] = []
    grown = fit_forest(rows, trees=trees, sample=sample, seed=3, checkpoint=fractions.append)
    np.testing.assert_array_equal(grown.score_samples(rows), at_once.score_samples(rows))
    one, other = collect_nodes(grown), collect_nodes(at_once)
    assert all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("thresholds", "left", "lengths")
    )
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize("kind", DETECTORS.values(), ids=list(DETECTORS))
def test_growing_ends_at_the_checkpoint_that_says_so(kind: Any) -> None:
    rows = np.random.default_rng(1).standard_t(4, (2_000, 5)).astype(np.float32)

    def cancel(_fraction: float) -> None:
        raise Cancelled("the run was cancelled")

    with pytest.raises(Cancelled):
        get_detector(kind.name).fit(rows, seed=1, parameters=kind.get_defaults(), checkpoint=cancel)


def test_a_training_at_work_hears_of_its_cancellation_and_keeps_its_lease(
    worker: Worker, database: Db
) -> None:
    """The lease is 3 s, and the growing takes longer; a cancellation ends it within a few steps."""
    store(database, "AAPL", make_bars(2_000))
    run_id = add_training(database, trees=1_000, sample=1_000)
    thread = threading.Thread(target=planning.start, args=(worker, run_id))
    thread.start()
    batch_id = f"{run_id}:00000"
    try:
        wait_until(lambda: get_batch(database, batch_id).get("progress", 0) > 0.7, "it grows")
        first = get_batch(database, batch_id)["lease_until"]
        wait_until(
            lambda: (
                get_batch(database, batch_id).get("lease_until", first) != first
                or not thread.is_alive()
            ),
            "",
        )
        assert get_batch(database, batch_id)["fence"] == 1
        asked = time.monotonic()
        runs.request_cancel(database, run_id, datetime.now(UTC))
        thread.join(60)
        assert not thread.is_alive(), (
            f"still at work {time.monotonic() - asked:.0f} s after it was cancelled"
        )
    finally:
        thread.join(60)
    assert runs.get_run(database, run_id)["status"] == "cancelled"
    assert database.models.count_documents({}) == 0


def get_batch(database: Db, batch_id: str) -> dict[str, Any]:
    return database.batches.find_one({"_id": batch_id}) or {}


def test_heavy_batches_have_few_slots_among_all_workers(database: Db) -> None:
    first, second, third = (add_heavy(database, number) for number in range(3))
    light = add_heavy(database, 3, heavy=False)
    held = claim_batch(database, first, "a", **LEASE)
    assert held is not None
    assert claim_batch(database, second, "b", **LEASE) is None
    assert claim_batch(database, light, "b", **LEASE) is not None
    other = claim_batch(database, second, "b", heavy_at_once=2, **LEASE)
    assert other is not None
    assert claim_batch(database, third, "c", heavy_at_once=2, **LEASE) is None
    assert get_batch(database, third)["attempts"] == 0, "waiting is no attempt"
    batches.release_batch(database, held, "it failed")
    assert claim_batch(database, third, "c", heavy_at_once=2, **LEASE) is not None


@pytest.mark.parametrize("end", ["cancelled", "released", "expired"])
def test_a_slot_is_free_however_its_batch_ended(database: Db, end: str) -> None:
    first, second = add_heavy(database, 1), add_heavy(database, 2)
    held = claim_batch(database, first, "a", **LEASE)
    assert held is not None
    if end == "cancelled":
        batches.cancel_batch(database, held, NOW)
    elif end == "released":
        batches.release_batch(database, held, "no")
    else:
        database.batches.update_one({"_id": first}, {"$set": {"lease_until": NOW}})
        assert batches.free_expired(database) == 1
    assert claim_batch(database, second, "b", **LEASE) is not None
    if end == "expired":
        with pytest.raises(LeaseLost):
            batches.renew_lease(database, held, lease_seconds=3)


def test_claimed_at_once_only_one_heavy_batch_is_taken(database: Db) -> None:
    ids = [add_heavy(database, number) for number in range(8)]
    barrier, taken = threading.Barrier(len(ids)), []

    def claim(batch_id: str) -> None:
        barrier.wait()
        if claim_batch(database, batch_id, "a", **LEASE):
            taken.append(batch_id)

    threads = [threading.Thread(target=claim, args=(batch_id,)) for batch_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_a_second_training_waits_and_is_sent_again_when_the_first_has_ended(
    worker: Worker, database: Db
) -> None:
    store(database, "AAPL", make_bars(500))
    first, second = add_training(database, trees=5), add_training(database, trees=5)
    blocking = claim_batch(database, add_heavy(database, 9), "another", **LEASE)
    assert blocking is not None
    assert planning.start(worker, second) is None
    assert runs.get_run(database, second)["status"] == "in_progress"
    batches.cancel_batch(database, blocking, NOW)
    planning.start(worker, first)
    assert runs.get_run(database, first)["status"] == "complete"
    assert get_batch(database, f"{second}:00000")["published_at"] is not None, "it was sent again"
    execute_batch(worker, f"{second}:00000")
    assert runs.get_run(database, second)["status"] == "complete"


def test_what_takes_long_is_heavy() -> None:
    assert {kind.task for kind in KINDS.values() if kind.heavy} >= {"train"}

"""Work that takes long: its size is checked before it is accepted, it notices its cancellation, and
it leaves a process for other work.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flask.testing import FlaskClient
from sklearn.ensemble import IsolationForest

from analytics.sets import compute_cointegration
from core.errors import BadInput, Cancelled, LeaseLost
from core.settings import Settings
from core.words import Task
from detection.detectors.catalogue import DETECTORS, get_detector
from detection.detectors.contract import Parameter
from detection.detectors.isolation_forest import fit_forest
from detection.detectors.rows import SeriesRows
from detection.detectors.trees import collect_nodes
from detection.features.feature_sets import get_feature_set
from detection.models.single_series import read_fit
from market.exports.tables import Asked
from market.imports.readers import process
from market.imports.readers.process import open_reader
from records.database import Db, open_database
from records.market.uploads import store_upload
from records.work import batches, endings, runs
from records.work.batches import build_batch, claim_batch
from records.work.requests import RunRequest, insert_run
from tasks.engine import planning
from tasks.engine.execution import execute_batch
from tasks.engine.kind import KINDS
from tasks.engine.splitting import HEAVY_EXPORT_ROWS, HEAVY_UPLOAD_BYTES
from tasks.kinds import parts
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tasks.requests.evaluations import EvaluationRequest, request_evaluation
from tasks.requests.exports import request_export
from tasks.requests.trainings import request_series_fit
from tests.integration.detecting import make_bars, store, train
from tests.integration.detecting import run as detect
from tests.integration.stored import add_series
from tests.processes import wait_until
from tests.unit.analytics.panels import build_panel, draw_bars

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
def test_a_training_that_is_too_large_is_422_and_no_run(
    client: FlaskClient, database: Db, body: dict[str, int]
) -> None:
    add_series(database, "AAPL")
    refused = client.post("/py/models/train", json={"market": "US", **body})
    assert refused.status_code == 422
    assert "trees" in refused.json["detail"] or "sample" in refused.json["detail"]
    assert database.detection_runs.count_documents({}) == 0


def test_every_detector_bounds_the_product_of_its_parameters() -> None:
    for kind in DETECTORS.values():
        numbers = {n: p for n, p in kind.parameters.items() if isinstance(p, Parameter)}
        assert np.prod([p.default for p in numbers.values()]) <= kind.most_product
        most = {name: parameter.high for name, parameter in numbers.items()}
        if np.prod(list(most.values())) > kind.most_product:
            with pytest.raises(BadInput, match=f"{kind.most_product:,} at the most"):
                kind.read_parameters(most)


@pytest.mark.parametrize(("trees", "sample"), [(1, 64), (10, 64), (37, 256), (3, 900)])
def test_a_forest_trained_in_steps_equals_one_trained_at_once(trees: int, sample: int) -> None:
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
def test_training_ends_at_a_checkpoint_that_raises(kind: Any) -> None:
    width = len(get_feature_set(kind.feature_set).columns)
    drawn = np.random.default_rng(1).standard_t(4, (2_000, width)).astype(np.float32)
    rows = SeriesRows.of_one(drawn)
    rows = rows.want(rows.wanted[kind.history_bars :])

    def cancel(_fraction: float) -> None:
        raise Cancelled("the run was cancelled")

    with pytest.raises(Cancelled):
        get_detector(kind.name).fit(rows, seed=1, parameters=kind.get_defaults(), checkpoint=cancel)


def test_a_training_notices_its_cancellation_and_keeps_its_lease(
    worker: Worker, database: Db
) -> None:
    """The lease is 3 s, and the training takes longer; a cancellation ends it within a few
    steps.
    """
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
        endings.request_cancel(database, run_id, datetime.now(UTC))
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


def test_heavy_batches_share_a_few_slots_of_all_workers(database: Db) -> None:
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


def add_suspect(database: Db, run_id: str, label: str) -> str:
    attempts = batches.SPLIT_AFTER_ATTEMPTS
    batch = build_batch(run_id, label, [f"T{label}"], "US", NOW, attempts=attempts)
    database.batches.insert_one({**batch})
    return batch["_id"]


def test_suspect_batches_of_a_run_are_tried_one_after_the_other(database: Db) -> None:
    """Otherwise a batch that takes its worker down could use up the last attempt of another one."""
    first, second = (add_suspect(database, "run1", label) for label in ("00000.0", "00000.1"))
    of_another = add_suspect(database, "run2", "00000.0")
    held = claim_batch(database, first, "a", **LEASE)
    assert held is not None
    assert claim_batch(database, second, "b", **LEASE) is None
    assert get_batch(database, second)["attempts"] == batches.SPLIT_AFTER_ATTEMPTS
    assert claim_batch(database, of_another, "b", **LEASE) is not None
    batches.mark_published(database, [second])
    assert batches.find_waiting_suspect(database, "run1") == [], "its message is on its way"
    batches.note_refused(database, second)
    assert [one["_id"] for one in batches.find_waiting_suspect(database, "run1")] == [second]
    batches.release_batch(database, held, "it failed")
    assert claim_batch(database, second, "b", **LEASE) is not None


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


def test_of_simultaneous_claims_only_one_heavy_batch_is_taken(database: Db) -> None:
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


# For each kind of run: whether its largest batch may take more than some ten seconds, and so needs
# a slot of heavy work. A new kind must be added here.
HEAVY: dict[str, bool] = {
    "backfill": False,  # BATCH_BARS bars, scored and written in seconds.
    "incremental": False,
    "verify": False,
    "train": True,  # As many trees and rows as the detector's limit allows.
    "evaluate": True,  # Five million bars, by two models.
    "import": False,  # Except large files, see below.
    "fit_series": False,  # A million points take two seconds.
    "analytics": False,  # A thousand series take one second.
    "correlation": False,  # A hundred tickers and 45 pairs at most.
    "fetch": True,  # As long as its vendor takes.
    "fill": True,  # As long as its vendor takes.
    "correct": False,  # One series, except for the sessions of a market.
    "export": False,  # A million rows take two seconds; exports of more are heavy, see below.
}


def test_every_kind_of_run_is_listed_as_heavy_or_not() -> None:
    assert {kind.task: kind.heavy for kind in KINDS.values()} == HEAVY


@pytest.mark.parametrize(("size", "heavy"), [(HEAVY_UPLOAD_BYTES, False), (10**7, True)])
def test_import_of_a_large_file_is_heavy(
    worker: Worker, database: Db, size: int, *, heavy: bool
) -> None:
    upload_id = store_upload(database, "a.csv", b" " * size)
    run_id = add_run(database, "import", options={"upload_id": upload_id})
    (batch,) = KINDS["import"].split(worker, runs.get_run(database, run_id), NOW)
    assert batch["heavy"] is heavy
    database["uploads.files"].delete_many({})
    database["uploads.chunks"].delete_many({})


@pytest.mark.parametrize(("rows", "heavy"), [(HEAVY_EXPORT_ROWS, False), (10**7, True)])
def test_export_of_many_rows_is_heavy(
    worker: Worker, database: Db, rows: int, *, heavy: bool
) -> None:
    run_id = add_run(database, "export", options={"most_rows": rows})
    (batch,) = KINDS["export"].split(worker, runs.get_run(database, run_id), NOW)
    assert batch["heavy"] is heavy


def add_run(database: Db, task: str, **fields: Any) -> str:
    fields = {"market": "US"} | fields
    run_id: str = insert_run(
        database, RunRequest(cast("Task", task), "manual", **fields), datetime.now(UTC)
    )["_id"]
    return run_id


def ask_for(database: Db, worker: Worker, task: str, folder: Path) -> str:
    """Store a run of a kind, with the data it works on; return its id."""
    names = ("AAPL", "MSFT")
    for seed, ticker in enumerate(names):
        store(database, ticker, make_bars(400, seed, shocks=(350,)))
    csv = b"date,open,high,low,close,volume\n2013-03-01,1,1,1,1,1\n"
    options: dict[str, Any] = {}
    if task in {"backfill", "incremental", "verify"}:
        train(database)
        detect(database, "backfill", "AAPL")
        options = {"ticker": "AAPL"} if task == "verify" else {}
    elif task == "train":
        options = {"trees": 50}
    elif task == "evaluate":
        train(database)
        asked = EvaluationRequest(("US_model-0.1.0",))
        options = request_evaluation(database, worker.celery, asked, now=NOW)["options"]
    elif task == "import":
        options = {"upload_id": store_upload(database, "a.csv", csv), "filename": "a.csv"}
        options |= {"ticker": "AAPL", "market": "US"}
    elif task == "fit_series":
        request = read_fit("a", [1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0], least_points=3)
        options = request_series_fit(database, worker.celery, request, now=NOW)["options"]
    elif task == "analytics":
        options = {"bars": 1}
    elif task == "export":
        asked = Asked("bars", names)
        exported = request_export(database, worker.celery, asked, "csv", now=NOW)
        options = exported["options"]
    elif task == "correct":
        options = {"session": {"day": "2024-03-07", "session": "shut", "note": ""}}
    elif task == "correlation":
        options = {"set_id": "a", "as_of": None, "bars_key": "b"}
    else:
        assert task in {"fetch", "fill"}, (
            f"how a run of the kind {task} is asked for is not said here"
        )
        (folder / "bars").mkdir()
        (folder / "bars" / "AAPL.csv").write_bytes(csv)
        options = {"source": "folder", "folder": "bars", "gaps": []}
    tickers = () if task in {"train", "evaluate", "import", "fit_series"} else names
    return add_run(database, task, tickers=tickers, period="max", options=options)


@pytest.mark.parametrize("task", KINDS)
def test_every_kind_of_run_notices_its_cancellation_while_it_works(
    worker: Worker, database: Db, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noticed by the checkpoint, which also renews the lease."""
    monkeypatch.setattr(parts, "CHECK_SECONDS", 0.0)
    settings = worker.settings.model_copy(update={"watched_folder": str(tmp_path)})
    worker = replace(worker, settings=settings)
    run_id = ask_for(database, worker, task, tmp_path)
    run = runs.claim_run(database, run_id, lease_seconds=45, max_attempts=5)
    assert run is not None
    plan = KINDS[task].split(worker, run, NOW)
    assert runs.start_run(database, run_id, plan, NOW)
    batch = claim_batch(database, plan[0]["_id"], "a", **LEASE)
    assert batch is not None
    endings.request_cancel(database, run_id, NOW)
    with pytest.raises(Cancelled):
        KINDS[task].load_handler()(worker, run, batch)
    assert get_batch(database, batch.id)["state"] == "leased", "nothing of it was committed"


def test_cointegration_of_pairs_is_tested_between_checkpoints() -> None:
    panel = build_panel({f"T{n}": draw_bars(n, 260) for n in range(10)})
    fractions: list[float] = []
    found = compute_cointegration(panel, int(panel.times.max()), fractions.append)
    assert len(found) == len(fractions) == 45
    assert fractions == sorted(fractions)

    def cancel(_fraction: float) -> None:
        raise Cancelled("the run was cancelled")

    with pytest.raises(Cancelled):
        compute_cointegration(panel, int(panel.times.max()), cancel)


def test_a_caller_that_waits_for_a_reader_process_is_called_back_and_can_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading may take longer than a lease. An exception raised while waiting ends the child
    process.
    """
    monkeypatch.setattr(process, "TOLD_SECONDS", 0.01)
    content = b"date,open,high,low,close,volume\n" + b"2013-03-01,1,1,1,1,1\n" * 50_000
    told: list[int] = []
    with open_reader(on_wait=lambda: told.append(1)) as reader:
        (part,) = reader.read_content(content, "a.csv")
    assert part.error is None
    assert len(told) > 1

    def cancel() -> None:
        raise Cancelled("the run was cancelled")

    with open_reader(on_wait=cancel) as reader:
        with pytest.raises(Cancelled):
            list(reader.read_content(content, "a.csv"))
        assert reader.pid is None

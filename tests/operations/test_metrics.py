"""The figures that the running service serves to Prometheus."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from records.work.runs import has_ended
from tests.operations.conftest import TICKERS, Service
from tests.processes import find_processes, frozen, wait_until
from tests.scraping import Samples, read_samples


def test_detections_of_pool_processes_are_counted_once(service: Service) -> None:
    bars = ("tapewatch_bars_detected_total", ("trigger", "backfill"))
    # A batch is counted after its commit, which may already have ended the run.
    wait_until(
        lambda: read_samples(service.read("/metrics"))[bars] >= service.run["rows_processed"],
        "all is counted",
    )
    samples = read_samples(service.read("/metrics"))
    assert samples[bars] == service.run["rows_processed"]
    assert samples["tapewatch_tickers_detected_total", ("trigger", "backfill")] == len(TICKERS)
    assert (
        samples["tapewatch_anomalies_found_total", ("trigger", "backfill")]
        == service.run["anomalies_found"]
    )
    ended = ("tapewatch_runs_ended_total", ("status", "complete"), ("trigger", "backfill"))
    wait_until(lambda: read_samples(service.read("/metrics"))[ended] == 1, "its end is counted")


def test_the_heartbeats_of_beat_and_its_tasks_are_recent(service: Service) -> None:
    for name in ("sweeper", "scheduler"):
        age = ("tapewatch_heartbeat_age_seconds", ("name", name))
        wait_until(
            lambda age=age: 0 <= read_samples(service.read("/metrics"))[age] < 30,
            f"{name} was heard of",
        )


def test_model_caches_of_all_processes_are_summed(service: Service) -> None:
    # Each batch of a backfill asks for the model once, and again if the loaded model needs the
    # market's days. Other tests may have asked for more models.
    backfills = service.database.detection_runs.distinct("_id", {"task": "backfill"})
    asked = service.database.batches.count_documents({"run_id": {"$in": backfills}})
    assert asked >= len(TICKERS)

    def count_uses(samples: Samples) -> float:
        return sum(
            samples["tapewatch_model_cache_total", ("outcome", outcome)]
            for outcome in ("hits", "misses")
        )

    wait_until(
        lambda: count_uses(read_samples(service.read("/metrics"))) >= asked, "all is counted"
    )
    samples = read_samples(service.read("/metrics"))
    loads = samples["tapewatch_model_cache_total", ("outcome", "loads")]
    assert 1 <= loads <= 2
    assert asked <= count_uses(samples) <= asked + loads


def test_requests_to_all_processes_of_the_api_are_counted(service: Service) -> None:
    labels = (("endpoint", "anomalies.list_anomalies"), ("method", "GET"), ("status", "200"))
    count = ("tapewatch_request_seconds_count", *labels)
    before = read_samples(service.read("/metrics")).get(count, 0)
    for _ in range(20):
        service.read("/py/anomalies?limit=1")
    assert read_samples(service.read("/metrics"))[count] == before + 20


@contextmanager
def frozen_workers(service: Service) -> Iterator[None]:
    """Freeze all workers; they then neither work nor answer."""
    pids = [pid for pid, command in find_processes(service.folder) if " worker " in command]
    assert len(pids) >= 2
    with frozen(*pids):
        yield


@pytest.mark.slow
def test_the_waiting_time_of_a_queued_run_grows_while_all_workers_are_frozen(
    service: Service,
) -> None:
    def read(name: str, *labels: tuple[str, str]) -> float:
        return read_samples(service.read("/metrics"))[(name, *labels)]

    queues = [("queue", queue) for queue in ("interactive", "backfill", "control")]
    for queue in queues:
        wait_until(
            lambda queue=queue: read("tapewatch_queue_consumers", queue) == 1, "a worker answers"
        )
    with frozen_workers(service):
        body = {"ticker": TICKERS[0]}
        run_id = service.post("/py/anomalies/incremental", body)["run_id"]
        first = wait_until(lambda: read("tapewatch_oldest_pending_seconds"), "it waits")
        wait_until(lambda: read("tapewatch_oldest_pending_seconds") > first + 2, "and goes on to")
        health = json.loads(service.read("/py/health"))
        assert health["oldest_pending_seconds"] > first
        for queue in queues:
            wait_until(
                lambda queue=queue: read("tapewatch_queue_consumers", queue) == 0, "nobody answers"
            )
        assert json.loads(service.read(f"/py/detection-runs/{run_id}"))["status"] == "queued"
    wait_until(lambda: has_ended(service.database, run_id), "it is done when they go on")
    wait_until(lambda: read("tapewatch_oldest_pending_seconds") == 0, "nothing waits")


def test_the_age_of_the_champion_is_served(service: Service) -> None:
    samples = read_samples(service.read("/metrics"))
    assert (
        samples["tapewatch_model_age_seconds", ("market", "US"), ("version", "US_model-0.1.0")] > 0
    )

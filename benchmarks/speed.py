"""The measurements: all sides take turns, round after round."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import market, naive, sides
from benchmarks.clock import Clock
from benchmarks.service import find_peak_mib, run_service
from core.settings import Settings
from detection.features.feature_sets import DEFAULT_FEATURE_SET
from runner.client import Api
from tasks.engine.telling import ask_notifier
from tasks.process.broker import build_celery
from tasks.process.memory import keep_freed_memory, spare_collections
from tasks.process.worker import get_worker

Say = Callable[[str], None]
Tickers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    tickers: int
    many_tickers: int
    rounds: int
    requests: int


FULL = Size(tickers=1_000, many_tickers=10_000, rounds=5, requests=40)
QUICK = Size(tickers=100, many_tickers=400, rounds=2, requests=10)


def measure(
    settings: Settings, size: Size, folder: Path, say: Say
) -> tuple[dict[str, float], Clock]:
    """Return the figures by name, and the times they come from."""
    clock = Clock()
    many = tuple(f"T{number:05d}" for number in range(size.many_tickers))
    few = many[: size.tickers]
    say(f"Generating {market.BARS:,} bars of each of {len(many):,} tickers, and training a model.")
    market.fill(get_worker().database, many, few)
    with run_service(settings, folder) as worker_pid:
        warm_up(settings, few)
        gap = compare_ways(settings, few, size.rounds, folder, clock, say)
        compare_sizes(settings, few, many, size.rounds, clock, say)
        peak = find_peak_mib(worker_pid)
        time_requests(settings, many[: size.requests], clock, say)
        gap = max(gap, compare_default(few, size.rounds, clock, say))
    figures = {
        "backfill_over_bare_scoring": clock.ratio("bare scoring", "backfill"),
        "default_backfill_over_bare_scoring": clock.ratio(
            "bare scoring, default model", "backfill, default model"
        ),
        "ensemble_backfill_over_default_backfill": clock.ratio(
            "backfill, ensemble", "backfill, default model"
        ),
        "backfill_over_naive": clock.ratio("naive backfill", "backfill"),
        "scan_naive_over_ours": clock.ratio("naive scan", "scan"),
        "score_max_abs_difference": gap,
        "celery_two_workers_over_one_process": clock.ratio("backfill", "backfill by the workers"),
        "cost_per_ticker_10000_over_1000": (
            clock.ratio("many tickers", "few tickers") * len(few) / len(many)
        ),
        "worker_peak_mib_10000_tickers": peak,
        "scan_seconds_10000_tickers": clock.median("scan of many tickers"),
        "one_ticker_latency_ms": clock.median("one ticker over HTTP") * 1_000,
    }
    return figures, clock


def warm_up(settings: Settings, tickers: Tickers) -> None:
    """Have every process load its model and compiled code."""
    database = get_worker().database
    sides.run_by_workers(database, build_celery(settings), sides.ask("backfill", tickers))
    market.forget_results(database)
    sides.run_here(get_worker(), sides.ask("backfill", tickers[:10]))
    # As the workers do.
    spare_collections()
    keep_freed_memory()


def compare_ways(
    settings: Settings, tickers: Tickers, rounds: int, folder: Path, clock: Clock, say: Say
) -> float:
    """Time scikit-learn alone, the naive way and ours, and return the largest difference between
    scores.

    The naive way does another part of the tickers each round, and has done all of them after the
    last round.
    """
    worker, celery = get_worker(), build_celery(settings)
    database, model = worker.database, worker.models.get_model(market.MARKET, "1d")
    forest, matrix = (
        market.refit(database, model, tickers),
        market.build_matrix(database, tickers, model),
    )
    model_file = market.store_file(forest, folder)
    for number in range(rounds):
        say(f"Round {number + 1} of {rounds}, {len(tickers):,} tickers.")
        part, share = tickers[number::rounds], 1 / rounds
        with clock.time("bare scoring"):
            scores = forest.score_samples(matrix)
        market.forget_results(database)
        with clock.time("backfill by the workers"):
            sides.run_by_workers(database, celery, sides.ask("backfill", tickers))
        with clock.time("its alerts, afterwards"):
            sides.wait_for_alerts(database, partial(ask_notifier, worker))
        market.forget_results(database)
        with clock.time("backfill"):
            run = sides.run_here(worker, sides.ask("backfill", tickers))
        assert run["progress"]["rows_processed"] == len(matrix)
        sides.leave_alerts(database)
        with clock.time("naive backfill", share=share):
            for ticker in part:
                naive.backfill(database, ticker, model_file)
        market.forget_last_bar(database, tickers[0])
        with clock.time("scan"):
            run = sides.run_here(worker, sides.ask("incremental", tickers))
        assert run["progress"]["rows_processed"] == len(tickers)
        sides.leave_alerts(database)
        with clock.time("naive scan", share=share):
            for ticker in part:
                naive.scan(database, ticker, forest)
    ours = model.detector.score_samples(matrix)
    found, found_naively = (
        market.find_bars_found(database, name) for name in ("anomalies", "naive_anomalies")
    )
    # The naive way has no faults: it may call such a bar an anomaly, or not.
    differing = (found ^ found_naively) - market.find_bars_found(database, "anomalies", "fault")
    assert len(differing) <= len(found) / 1_000, "the naive way found other anomalies"
    assert np.array_equal(ours < model.threshold, forest.predict(matrix) == -1), (
        "a label differs from scikit-learn's"
    )
    return float(np.abs(ours - scores).max())


def compare_default(tickers: Tickers, rounds: int, clock: Clock, say: Say) -> float:
    """Time scikit-learn alone and ours with the default model's inputs, instead of the 14
    documented features, and an ensemble's backfill beside it; return the largest difference between
    scores.
    """
    worker = get_worker()
    database = worker.database
    market.train_ensemble(database, tickers)
    market.train(database, tickers, DEFAULT_FEATURE_SET)
    model = worker.models.get_model(market.MARKET, "1d")
    forest = market.refit(database, model, tickers)
    matrix = market.build_matrix(database, tickers, model)
    backfills = {"backfill, default model": None, "backfill, ensemble": "ensemble"}
    for detector in backfills.values():  # What is loaded and computed once.
        market.forget_results(database)
        sides.run_here(worker, sides.ask("backfill", tickers, detector))
        sides.leave_alerts(database)
    for number in range(rounds):
        say(f"Round {number + 1} of {rounds}, {len(tickers):,} tickers by the default model.")
        with clock.time("bare scoring, default model"):
            scores = forest.score_samples(matrix)
        for side, detector in backfills.items():
            market.forget_results(database)
            with clock.time(side):
                run = sides.run_here(worker, sides.ask("backfill", tickers, detector))
            assert run["progress"]["rows_processed"] == len(matrix)
            sides.leave_alerts(database)
    return float(np.abs(model.detector.score_samples(matrix) - scores).max())


def compare_sizes(
    settings: Settings, few: Tickers, many: Tickers, rounds: int, clock: Clock, say: Say
) -> None:
    """Time backfills of few and of many tickers by the workers, and scans of the many."""
    database, celery = get_worker().database, build_celery(settings)
    for number in range(rounds):
        say(f"Round {number + 1} of {rounds}, {len(few):,} tickers and {len(many):,}.")
        for side, tickers in (("few tickers", few), ("many tickers", many)):
            market.forget_results(database)
            with clock.time(side):
                sides.run_by_workers(database, celery, sides.ask("backfill", tickers))
            sides.leave_alerts(database)
        market.forget_last_bar(database, many[0])
        with clock.time("scan of many tickers"):
            run = sides.run_by_workers(database, celery, sides.ask("incremental", many))
        assert run["progress"]["rows_processed"] == len(many)
        sides.leave_alerts(database)


def time_requests(settings: Settings, tickers: Tickers, clock: Clock, say: Say) -> None:
    """Time the backfill of one ticker over HTTP, repeatedly, each of a ticker that was not detected
    yet, and while nothing else is at work.
    """
    say(f"{len(tickers)} backfills of one ticker over HTTP.")
    database = get_worker().database
    market.forget_results(database)
    api = Api(settings)
    for ticker in tickers:
        # Explaining the anomalies of the backfill before reads the bars of its whole market, on the
        # same cores.
        sides.leave_alerts(database)
        with clock.time("one ticker over HTTP"):
            sides.run_over_http(api, ticker)

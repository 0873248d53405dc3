"""Metrics about work for Prometheus, from MongoDB; only small collections and indexes are read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, product
from typing import Any, Literal, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from core.words import Status, Trigger
from market.imports.rejection import REASONS
from market.markets import load_markets
from market.ticks.arrivals import KINDS
from market.ticks.checks import REASONS as TICK_REASONS
from records.alerts import deliveries
from records.database import Db, get_server_time
from records.models.champions import find_market_ages
from records.models.documents import ChampionAge
from records.models.drifts import find_latest_drifts
from records.ticks.positions import find_positions
from records.work import batches, counters, runs
from records.work.heartbeats import SCHEDULER, SWEEPER, find_heartbeats
from tasks.names import ALL_QUEUES

TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
ENDED: tuple[str, ...] = tuple(
    status for status in get_args(Status) if status not in runs.OPEN_STATUSES
)
NEVER = float("inf")

Count = Literal["records", "rejected", "doubles", "missing", "runs"]
Counts = Mapping[str, Mapping[str, float]]
# By the values of the labels: a tuple with one entry for each label.
Samples = Mapping[Any, float]


def build_work_figures(database: Db, consumed: Iterable[str]) -> CollectorRegistry:
    """Return a registry that reads MongoDB when it is scraped.

    `consumed` has the queues that each worker takes messages from, those of all workers in one
    list.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Work(database, consumed))
    return registry


class _Work:
    """Gauges of the present state, and counters of work done, which rise for as long as the
    database exists.
    """

    def __init__(self, database: Db, consumed: Iterable[str]) -> None:
        self._database = database
        self._consumers = Counter(consumed)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        yield from _describe_waiting(self._database)
        yield _gauge(
            "queue_consumers",
            "Workers that answer and take messages from the queue.",
            ("queue",),
            {(queue,): self._consumers[queue] for queue in ALL_QUEUES},
        )
        counts = counters.read_counts(self._database)
        yield from _describe_runs(counts)
        yield from _describe_detection(counts)
        yield _describe_unreadable(counts)
        yield from _describe_models(self._database, counts)
        yield from _describe_imports(counts)
        yield from _describe_ticks(counts)
        yield from _describe_feed(self._database)
        yield _build_latency(counts.get(counters.LATENCY, {}))


def _describe_waiting(database: Db) -> Iterator[Metric]:
    none: dict[tuple[Trigger, Status], int] = dict.fromkeys(
        product(TRIGGERS, runs.OPEN_STATUSES), 0
    )
    open_runs = none | runs.count_open_runs(database)
    yield _gauge("open_runs", "Runs that are still to end.", ("trigger", "status"), open_runs)
    states = {(state,): count for state, count in batches.count_states(database).items()}
    yield _gauge(
        "batches",
        "Batches that wait, are at work, or were given up in the last 30 days.",
        ("state",),
        states,
    )
    oldest = runs.find_oldest_waiting_seconds(database) or 0.0
    yield _gauge(
        "oldest_pending_seconds",
        "For how long the run or batch waits that waits longest; 0: none.",
        (),
        {(): oldest},
    )
    told = {(state,): count for state, count in deliveries.count_states(database).items()}
    yield _gauge(
        "deliveries",
        "Notifications that wait, were taken, or were given up, in 30 days.",
        ("state",),
        told,
    )
    heard = find_heartbeats(database, [SWEEPER, SCHEDULER])
    ages = {
        (name,): heard[name]["age_seconds"] if name in heard else NEVER
        for name in (SWEEPER, SCHEDULER)
    }
    yield _gauge(
        "heartbeat_age_seconds",
        "How long ago beat had this done last; +Inf: not in a day.",
        ("name",),
        ages,
    )


def _describe_runs(counts: Counts) -> Iterator[Metric]:
    known = [f"{trigger}:{status}" for trigger, status in product(TRIGGERS, ENDED)]
    ended = {
        tuple(name.split(":")): count
        for name, count in _with_zeros(counts, counters.RUNS_ENDED, known).items()
    }
    yield _counter("runs_ended", "Runs that came to an end.", ("trigger", "status"), ended)
    actions = _with_zeros(counts, counters.SWEEPER, counters.SWEEPER_ACTIONS)
    yield _counter("sweeper_actions", "What the sweeper had to do.", ("action",), _by_name(actions))


def _describe_unreadable(counts: Counts) -> Metric:
    found = _with_zeros(counts, counters.UNREADABLE, ALL_QUEUES)
    return _counter(
        "unreadable_messages",
        "Messages set aside that nobody here sends.",
        ("queue",),
        _by_name(found),
    )


def _describe_detection(counts: Counts) -> Iterator[Metric]:
    texts = {
        "bars": ("bars_detected", "Bars scored and committed."),
        "tickers": ("tickers_detected", "Tickers detected and committed; each counts once a run."),
        "anomalies": ("anomalies_found", "Anomalies that were not known before."),
    }
    for count, (name, text) in texts.items():
        values = {
            (trigger,): counts.get(f"{counters.DETECTED}::{trigger}", {}).get(count, 0)
            for trigger in TRIGGERS
        }
        yield _counter(name, text, ("trigger",), values)


def _describe_models(database: Db, counts: Counts) -> Iterator[Metric]:
    champions = find_market_ages(database)
    ages = {(found["market"], found["version"]): found["age_seconds"] for found in champions}
    yield _gauge(
        "model_age_seconds",
        "How long ago the last bar began that a market's champion may have learned from; past 180"
        " days a drift calls it old.",
        ("market", "version"),
        ages,
    )
    yield from _describe_drift(database, champions)
    refused = _with_zeros(counts, counters.PROMOTIONS_REFUSED, load_markets(database))
    text = "Promotions of versions that flag nothing, or far more than was asked."
    yield _counter("promotions_refused", text, ("market",), _by_name(refused))
    cache = _with_zeros(counts, counters.MODEL_CACHE, ("hits", "misses", "loads"))
    yield _counter(
        "model_cache", "Uses of the workers' model caches.", ("outcome",), _by_name(cache)
    )


def _describe_drift(database: Db, champions: Iterable[ChampionAge]) -> Iterator[Metric]:
    found = find_latest_drifts(database, get_server_time(database))
    labels = ("market", "interval", "version")
    named = {(one["market"], one["interval"], one["version"]): one for one in found}
    # A champion that was not measured yet does not count as drifted.
    unknown = {(one["market"], one["interval"], one["version"]): 0 for one in champions}
    yield _gauge(
        "model_drifted",
        "For how many reasons a market's champion has drifted, as of its last session; 0: none.",
        labels,
        unknown | {key: len(one["reasons"]) for key, one in named.items()},
    )
    yield _gauge(
        "model_stability_index",
        "Population stability index of a champion's scores; above .25 they have moved.",
        labels,
        {key: one["stability_index"] or 0.0 for key, one in named.items()},
    )


def _describe_imports(counts: Counts) -> Iterator[Metric]:
    imported = _with_zeros(counts, counters.IMPORTED, ("new", "changed", "unchanged"))
    yield _counter("bars_imported", "Bars that imports brought.", ("outcome",), _by_name(imported))
    rejected = _with_zeros(counts, counters.REJECTED, REASONS)
    yield _counter(
        "rows_rejected", "Rows that imports kept aside.", ("reason",), _by_name(rejected)
    )


def _describe_ticks(counts: Counts) -> Iterator[Metric]:
    pushed = _with_zeros(counts, counters.RECORDS, KINDS)
    text = "Trades, depth and funding, new or changed, of what was pushed or imported."
    yield _counter("records_stored", text, ("kind",), _by_name(pushed))
    rejected = _with_zeros(counts, counters.RECORDS_REJECTED, TICK_REASONS)
    text = "Trades, depth and funding that were kept aside of what was pushed or imported."
    yield _counter("records_rejected", text, ("reason",), _by_name(rejected))


def _describe_feed(database: Db) -> Iterator[Metric]:
    """Describe each stream; yields nothing for a feed that never ran."""
    found = find_positions(database)
    now = get_server_time(database) if found else None
    seen = {
        (one["_id"],): (now - one["seen_at"]).total_seconds() if now and one["seen_at"] else NEVER
        for one in found
    }
    text = "How long ago a stream of the feed was looked at last."
    yield _gauge("feed_seen_seconds", text, ("stream",), seen)
    lags: dict[tuple[str], float] = {(one["_id"],): one["lag_entries"] for one in found}
    yield _gauge("feed_waiting_entries", "Messages that wait to be stored.", ("stream",), lags)
    ages = {(one["_id"],): one["lag_seconds"] for one in found}
    text = "For how long the message waits that waits longest."
    yield _gauge("feed_lag_seconds", text, ("stream",), ages)
    texts: dict[Count, tuple[str, str]] = {
        "records": ("feed_records", "Records that came by the feed."),
        "rejected": ("feed_rejected", "Records and messages of the feed that were kept aside."),
        "doubles": ("feed_doubles", "Messages that had been stored before."),
        "missing": ("feed_missing", "Messages that its producers numbered and that never came."),
        "runs": ("feed_runs", "Detections that closed candles started."),
    }
    for count, (name, told) in texts.items():
        yield _counter(name, told, ("stream",), {(one["_id"],): one.get(count, 0) for one in found})


def _build_latency(counts: Mapping[str, float]) -> Metric:
    bounds = [str(bound) for bound in (*counters.LATENCY_BUCKETS_SECONDS, "+Inf")]
    totals = accumulate(counts.get(bound, 0) for bound in bounds)
    return HistogramMetricFamily(
        "tapewatch_detection_latency_seconds",
        "From the close of a bar to the commit of its anomaly, in the scheduler's scans.",
        buckets=list(zip(bounds, totals, strict=True)),
        sum_value=counts.get("sum", 0),
    )


def _with_zeros(counts: Counts, group: str, known: Iterable[str]) -> dict[str, float]:
    """Return a group's counters, with 0 for those never raised: a counter that first appears at 1
    shows no rate.
    """
    return {**dict.fromkeys(known, 0), **counts.get(group, {})}


def _by_name(counts: Mapping[str, float]) -> Samples:
    return {(name,): count for name, count in counts.items()}


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"tapewatch_{name}", text, labels=labels)
    for values, value in samples.items():
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = CounterMetricFamily(f"tapewatch_{name}", text, labels=labels)
    for values, value in samples.items():
        family.add_metric(values, value)
    return family

"""All metrics of many bars in one pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from analytics.catalogue import METRICS
from analytics.metric import Metric
from analytics.subject import Column, Subject

Missing = dict[str, int | str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All metrics of a series at one bar.

    Attributes:
        ticker: the ticker of the bar.
        time: the start of the bar, in UTC seconds.
        have: the number of stored bars of the series up to this one.
        bars_per_year: from the market's calendar.
        values: the values by metric; None where there is no value.
        missing: the reason for each None: `{"needed": 21, "have": 12}` or `{"reason": "flat"}`.
    """

    ticker: str
    time: int
    have: int
    bars_per_year: float
    values: dict[str, Any]
    missing: dict[str, Missing]


def compute_snapshots(subject: Subject) -> Iterator[Snapshot]:
    """Compute every metric of the bars that a subject asks about, and yield them in its order."""
    metrics = [metric for metric in METRICS if metric.scope != "set"]
    with np.errstate(all="ignore"):
        columns = [(metric, *_compute(metric, subject)) for metric in metrics]
    haves = subject.have.tolist()
    times = subject.panel.times[subject.rows].tolist()
    rates = subject.bars_per_year.tolist()
    for i, series in enumerate(subject.series.tolist()):
        values, missing = {}, {}
        for metric, column, found, have in columns:
            value = values[metric.name] = found[i]
            if value is None:
                missing[metric.name] = _explain(metric, column, i, have[i])
        yield Snapshot(subject.panel.tickers[series], times[i], haves[i], rates[i], values, missing)


def _compute(metric: Metric, subject: Subject) -> tuple[Column, list[Any], list[int]]:
    """Return a metric's column, its values with None for what is missing, and what each has."""
    column = find_function(metric)(subject)
    have = subject.have if column.have is None else column.have
    values = column.values
    if isinstance(values, np.ndarray):
        lost = ~np.isfinite(values) | (have < metric.needed)
        found = values.tolist()
        for i in np.flatnonzero(lost).tolist():
            found[i] = None
        return column, found, have.tolist()
    counts = have.tolist()
    found = [value if n >= metric.needed else None for value, n in zip(values, counts, strict=True)]
    return column, found, counts


def _explain(metric: Metric, column: Column, place: int, have: int) -> Missing:
    reason = column.reason if isinstance(column.reason, str) else column.reason[place]
    if reason in {"daily_bars", "weekly_bars"}:
        return {"reason": reason}
    if have < metric.needed:
        counted: Missing = {"needed": metric.needed, "have": have}
        return counted if column.of == "bars" else counted | {"of": column.of}
    lack = column.lacks[place] if column.lacks is not None else None
    return {"reason": reason} if lack is None else lack


def find_function(metric: Metric) -> Callable[[Subject], Column]:
    """Return the function that computes a metric."""
    module = import_module(f"analytics.{metric.category}")
    function: Callable[[Subject], Column] = getattr(module, f"compute_{metric.name}")
    return function

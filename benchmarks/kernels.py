"""How fast one core computes features and scores, compared with scikit-learn: `python -m
benchmarks.kernels`.

It uses synthetic bars of 200 tickers x 1,260 days in memory. The sides take turns, and the figures
are medians of CPU seconds, so that other work on the machine counts little.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from core.errors import BadInput
from detection.detectors.catalogue import DEFAULT_DETECTOR, DETECTORS
from detection.detectors.contract import score_rows
from detection.detectors.isolation_forest import FlatForest, fit_forest
from detection.features.compute import compute_features
from detection.features.feature_sets import (
    DEFAULT_FEATURE_SET,
    MARKET14,
    get_feature_set,
)
from detection.models.plan import TrainingPlan
from detection.models.rows import lay_out_rows
from market.bars.panel import BarPanel

TICKERS, BARS, ROUNDS = 200, 1_260, 7
EQUAL_ENSEMBLE = "ensemble, equal weights"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a detector, or why it cannot be measured.

    Attributes:
        fit_seconds: the duration of its fit.
        bars_a_second: features and scores, on one core.
        scores, with_features: the time for scores, alone and with their features, as multiples of
            the default detector's.
        missing: the reason why it could not be fitted; empty if it could.
    """

    name: str
    fit_seconds: float = 0.0
    bars_a_second: float = 0.0
    scores: float = 0.0
    with_features: float = 0.0
    missing: str = ""


def main() -> None:
    panel = draw_panel()
    table = Table(
        "work",
        "rows/s",
        "beside scikit-learn",
        title=f"one core, {TICKERS} tickers x {BARS:,} bars",
    )
    for feature_set in (MARKET14, DEFAULT_FEATURE_SET):
        inputs = compute_features(panel, panel.offsets[:-1], feature_set).inputs
        plan = TrainingPlan("US", feature_set=feature_set)
        forest = fit_forest(inputs, **plan.parameters, seed=plan.seed)
        flat = FlatForest.from_sklearn(forest)
        strange = inputs[:2_000]
        features, ours, theirs, shares = take_turns(
            lambda: compute_features(panel, panel.offsets[:-1], feature_set),  # noqa: B023 - called in this turn
            lambda: flat.score_samples(inputs),  # noqa: B023 - as above
            lambda: forest.score_samples(inputs),  # noqa: B023 - as above
            lambda: flat.attribute(strange),  # noqa: B023 - as above
        )
        rows = len(inputs)
        table.add_row(f"features ({feature_set.label})", f"{TICKERS * BARS / features:,.0f}", "")
        table.add_row("scikit-learn's score_samples", f"{rows / theirs:,.0f}", "1.0")
        table.add_row(
            "the same scores from the flat forest", f"{rows / ours:,.0f}", f"{theirs / ours:.1f}"
        )
        table.add_row("attribution, of anomalies only", f"{len(strange) / shares:,.0f}", "")
    Console().print(table)
    Console().print(build_costs(measure_detectors(panel, ROUNDS)))


def measure_detectors(panel: BarPanel, rounds: int) -> list[Cost]:
    """Return the cost of each detector, and of an ensemble of all members, relative to the default
    one.

    Scores are computed as in a detection: only those below the threshold of the strangest hundredth
    are exact.
    """
    first = panel.offsets[:-1]
    missing, fits, works = [], {}, []
    for name, kind, changes in (
        *((kind.name, kind, {}) for kind in DETECTORS.values()),
        (EQUAL_ENSEMBLE, DETECTORS["ensemble"], {"weights": "equal"}),
    ):
        feature_set = get_feature_set(kind.feature_set)
        features = compute_features(panel, first, feature_set)
        rows = lay_out_rows(panel, features, feature_set, np.arange(features.rows.size))
        parameters = kind.get_defaults() | changes
        rows = rows.want(np.flatnonzero(kind.find_known(rows, parameters)))
        started = time.process_time()
        try:
            fitted = kind.fit(rows, seed=7, parameters=parameters)
        except BadInput as error:
            missing.append(Cost(name, missing=error.reason))
            continue
        fits[name] = time.process_time() - started
        detector = kind.load(fitted)
        threshold = float(np.quantile(score_rows(detector, rows), 0.01))
        works += [
            partial(compute_features, panel, first, feature_set),
            partial(score_rows, detector, rows, below=threshold),
        ]
    seconds = take_turns(*works, rounds=rounds)
    pairs = dict(zip(fits, zip(seconds[::2], seconds[1::2], strict=True), strict=True))
    features_of_default, scores_of_default = pairs[DEFAULT_DETECTOR]
    costs = [
        Cost(
            name,
            fits[name],
            panel.times.size / (features + scores),
            scores / scores_of_default,
            (features + scores) / (features_of_default + scores_of_default),
        )
        for name, (features, scores) in pairs.items()
    ]
    return costs + missing


def build_costs(costs: list[Cost]) -> Table:
    """Return the costs of detectors as a table."""
    table = Table(
        "detector",
        "fit, s",
        "bars/s",
        "scores",
        "with features",
        title="What detectors cost, CPU seconds beside the forest's",
    )
    for cost in costs:
        if cost.missing:
            table.add_row(cost.name, cost.missing, "", "", "")
            continue
        table.add_row(
            cost.name,
            f"{cost.fit_seconds:.1f}",
            f"{cost.bars_a_second:,.0f}",
            f"{cost.scores:.2f}",
            f"{cost.with_features:.2f}",
        )
    return table


def draw_panel(tickers: int = TICKERS) -> BarPanel:
    random = np.random.default_rng(1)
    close = 50 * np.exp(np.cumsum(random.standard_t(4, (tickers, BARS)) * 0.012, axis=1)).ravel()
    open_ = close * np.exp(random.normal(0, 0.006, close.size))
    reach = np.abs(random.normal(0, 0.006, (2, close.size)))
    high, low = np.maximum(open_, close) * (1 + reach[0]), np.minimum(open_, close) * (1 - reach[1])
    volume = np.exp(random.normal(13, 0.4, close.size)).round()
    days = np.tile(np.arange(BARS), tickers)
    offsets = np.arange(tickers + 1) * BARS
    names = tuple(f"T{number}" for number in range(tickers))
    return BarPanel(
        "1d",
        names,
        offsets,
        np.zeros(tickers, np.int64),
        days,
        days,
        0 * days,
        open_,
        high,
        low,
        close,
        volume,
    )


def take_turns(*sides: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Return the median seconds of each side over the rounds."""
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds + 1):
        for side, kept in zip(sides, seconds, strict=True):
            start = time.process_time()
            side()
            kept.append(time.process_time() - start)
    return [median(kept[1:]) for kept in seconds]


if __name__ == "__main__":
    main()

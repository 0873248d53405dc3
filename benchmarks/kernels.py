"""How fast one core computes features and scores, beside scikit-learn:
`python -m benchmarks.kernels`.

Made-up bars of 200 tickers x 1,260 days in memory; the sides take turns, and the figures are
medians of CPU seconds, so that other work on the machine counts little.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from core.errors import BadInput
from detection.detectors.catalogue import DEFAULT_DETECTOR, DETECTORS
from detection.detectors.isolation_forest import FlatForest, fit_forest
from detection.detectors.rows import SeriesRows, score_rows
from detection.features.compute import compute_features
from detection.features.feature_sets import (
    DEFAULT_FEATURE_SET,
    MARKET14,
    FeatureSet,
    get_feature_set,
)
from detection.models.plan import TrainingPlan
from detection.models.rows import lay_out_rows
from market.bars.panel import BarPanel

TICKERS, BARS, ROUNDS = 200, 1_260, 7


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
    Console().print(compare_detectors(panel))


def compare_detectors(panel: BarPanel) -> Table:
    """Return what each detector costs, features and scores, beside the default one.

    Scored is as in a detection: only bars below the threshold of the strangest hundredth are told
    exactly.
    """
    table = Table("detector", "fit, s", "features and scores, bars/s", "cost beside the forest")
    first = panel.offsets[:-1]
    works = []
    for kind in DETECTORS.values():
        name, _, version = kind.feature_set.partition("/")
        feature_set = get_feature_set(name, int(version))
        features = compute_features(panel, first, feature_set)
        rows = lay_out_rows(panel, features, feature_set, np.arange(features.rows.size))
        warm_up = kind.find_warm_up_bars(kind.get_defaults())
        rows = rows.want(np.flatnonzero(rows.find_places() >= warm_up))
        started = time.process_time()
        try:
            fitted = kind.fit(rows, seed=7, parameters=kind.get_defaults())
        except BadInput as error:
            table.add_row(kind.name, error.reason, "", "")
            continue
        fit_seconds = time.process_time() - started
        detector = kind.load(fitted)
        threshold = float(np.quantile(score_rows(detector, rows), 0.01))

        def work(
            detector: Any = detector,
            rows: SeriesRows = rows,
            threshold: float = threshold,
            feature_set: FeatureSet = feature_set,
        ) -> None:
            compute_features(panel, first, feature_set)
            score_rows(detector, rows, below=threshold)

        works.append((kind.name, fit_seconds, work))
    seconds = dict(
        zip((name for name, *_ in works), take_turns(*(w for *_, w in works)), strict=True)
    )
    for name, fit_seconds, _ in works:
        pace, ratio = TICKERS * BARS / seconds[name], seconds[name] / seconds[DEFAULT_DETECTOR]
        table.add_row(name, f"{fit_seconds:.1f}", f"{pace:,.0f}", f"{ratio:.1f}")
    return table


def draw_panel() -> BarPanel:
    random = np.random.default_rng(1)
    close = 50 * np.exp(np.cumsum(random.standard_t(4, (TICKERS, BARS)) * 0.012, axis=1)).ravel()
    open_ = close * np.exp(random.normal(0, 0.006, close.size))
    reach = np.abs(random.normal(0, 0.006, (2, close.size)))
    high, low = np.maximum(open_, close) * (1 + reach[0]), np.minimum(open_, close) * (1 - reach[1])
    volume = np.exp(random.normal(13, 0.4, close.size)).round()
    days = np.tile(np.arange(BARS), TICKERS)
    offsets = np.arange(TICKERS + 1) * BARS
    tickers = tuple(f"T{number}" for number in range(TICKERS))
    return BarPanel(
        "1d",
        tickers,
        offsets,
        np.zeros(TICKERS, np.int64),
        days,
        days,
        0 * days,
        open_,
        high,
        low,
        close,
        volume,
    )


def take_turns(*sides: Callable[[], object]) -> list[float]:
    """Return the median seconds of each side over the rounds."""
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS + 1):
        for side, kept in zip(sides, seconds, strict=True):
            start = time.process_time()
            side()
            kept.append(time.process_time() - start)
    return [median(kept[1:]) for kept in seconds]


if __name__ == "__main__":
    main()

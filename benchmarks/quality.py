"""`make bench-quality`: does detection find what matters?

Real daily bars of five stocks and two indices, walk-forward: each year is scored by a model of the
years before it, pooled over all tickers, and 1 % of each ticker's days are flagged. Found are
publicly known event days (events.csv) and faults planted in copies of the bars: a fault counts as
found where it scores like that 1 %. Beside it, flagging as many days: the plain absolute log
return, and that over its own standard deviation of 60 days.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.faults import FAULTS, PRICES, Fault, plant
from core.arrays import Float64
from detection.detectors.isolation_forest import FlatForest, fit_forest
from detection.features.compute import Features, compute_features
from detection.features.feature_sets import DEFAULT_FEATURE_SET, MARKET14, FeatureSet
from detection.models.plan import TrainingPlan
from market.bars.panel import BarPanel
from market.imports.sources.demo import read_demo

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "quality.json"
FLAGGED = 0.01
FIRST_YEAR = 2000
# From here on every side has a figure for every bar.
FIRST_BAR = 62
# The only splits among these bars; the demo's other shocks are real.
SPLITS = {"AAPL": ("2000-06-21", "2005-02-28"), "MSFT": ("2003-02-18",)}
Z_BARS = 60


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Measure what detection finds."
    )
    parser.add_argument(
        "--seeds", type=int, default=5, help="forests a year; the figures are means over them"
    )
    parser.add_argument(
        "--faults", type=int, default=30, help="faults of each kind for each ticker"
    )
    options = parser.parse_args()
    bars = read_bars()
    faults = plant_faults(bars, options.faults)
    events = pd.read_csv(FOLDER / "events.csv", parse_dates=["date"])
    sides = {
        "abs_log_return": measure_baseline(bars, faults, events, None),
        "rolling_z_score": measure_baseline(bars, faults, events, Z_BARS),
    }
    for feature_set in (MARKET14, DEFAULT_FEATURE_SET):
        seeds = [
            measure_forest(bars, faults, events, feature_set, seed)
            for seed in range(1, options.seeds + 1)
        ]
        sides[feature_set.name] = {
            name: float(np.mean([found[name] for found in seeds])) for name in seeds[0]
        }
    ours = sides[DEFAULT_FEATURE_SET.name]
    beaten = all(
        ours[what] > sides[side][what] for side in list(sides)[:2] for what in ("events", "faults")
    )
    Console().print(build_table(sides))
    figures = {
        f"quality_{side}_{what}": round(value, 4)
        for side, found in sides.items()
        for what, value in found.items()
    }
    counts = {
        "quality_events": len(events),
        "quality_faults": len(faults),
        "quality_seeds": options.seeds,
    }
    RESULTS.write_text(json.dumps({**figures, **counts}, indent=2) + "\n")
    print(
        f"{DEFAULT_FEATURE_SET.label} finds {'more' if beaten else 'NOT more'} events and faults"
        " than both baselines."
    )
    return 0 if beaten else 1


def read_bars() -> dict[str, pd.DataFrame]:
    """Return each ticker's real bars, adjusted for its splits; `date` beside open, high, low,
    close and volume.
    """
    frame = read_demo()
    frame.columns = frame.columns.str.lower()
    series = {}
    for ticker, group in frame.groupby("ticker"):
        bars = group.sort_values("date").reset_index(drop=True)[["date", *PRICES, "volume"]]
        bars[[*PRICES, "volume"]] = bars[[*PRICES, "volume"]].astype(float)
        for day in SPLITS.get(str(ticker), ()):
            bars.loc[bars["date"] < day, PRICES] /= 2
            bars.loc[bars["date"] < day, "volume"] *= 2
        series[str(ticker)] = bars
    return series


def plant_faults(bars: dict[str, pd.DataFrame], each: int) -> list[Fault]:
    """Plant `each` faults of each kind in copies of each ticker's bars, on days drawn at random."""
    random = np.random.default_rng(7)
    faults = []
    for ticker, dated in bars.items():
        series = dated.drop(columns="date")
        first = max(FIRST_BAR, int(np.searchsorted(dated["date"], pd.Timestamp(FIRST_YEAR, 1, 1))))
        days = np.arange(first, len(series) - 5)
        for kind in FAULTS:
            drawn = random.choice(days, min(each, len(days) // 30), replace=False).tolist()
            faults += [
                plant(ticker, kind, series, DEFAULT_FEATURE_SET.reach(day, "1d"), day, random)
                for day in drawn
            ]
    return faults


def build_panel(tables: Sequence[pd.DataFrame], starts: Sequence[int]) -> BarPanel:
    """Lay tables of bars end to end; each begins at position `start` of its series."""
    whole = pd.concat([table[[*PRICES, "volume"]] for table in tables], ignore_index=True)
    count = np.arange(len(whole), dtype=np.int64)
    offsets = np.cumsum([0, *map(len, tables)], dtype=np.int64)
    columns = (whole[name].to_numpy() for name in [*PRICES, "volume"])
    tickers = tuple(map(str, range(len(tables))))
    return BarPanel(
        "1d", tickers, offsets, np.array(starts, np.int64), count, count, 0 * count, *columns
    )


def measure_forest(
    bars: dict[str, pd.DataFrame],
    faults: list[Fault],
    events: pd.DataFrame,
    feature_set: FeatureSet,
    seed: int,
) -> dict[str, float]:
    """Return the shares found by the engine with one seed."""
    panel = build_panel(list(bars.values()), [0] * len(bars))
    features = compute_features(panel, panel.offsets[:-1] + FIRST_BAR, feature_set)
    years = np.concatenate([series["date"].dt.year for series in bars.values()])[features.rows]
    planted, fault_years, owners = compute_faults(bars, faults, feature_set)
    scores, fault_scores = np.full(panel.times.size, np.nan), np.zeros(len(planted.rows))
    for year in range(FIRST_YEAR, int(years.max()) + 1):
        detector = fit(features.inputs[years < year], seed)
        scores[features.rows[years == year]] = detector.score_samples(
            features.inputs[years == year]
        )
        fault_scores[fault_years == year] = detector.score_samples(
            planted.inputs[fault_years == year]
        )
    by_ticker = {ticker: scores[panel.series(s)] for s, ticker in enumerate(bars)}
    strangest = np.array([fault_scores[owners == number].min() for number in range(len(faults))])
    return count_found(bars, by_ticker, faults, strangest, events)


def fit(inputs: np.ndarray, seed: int) -> FlatForest:
    plan = TrainingPlan("US")
    return FlatForest.from_sklearn(fit_forest(inputs, **plan.parameters, seed=seed))


def compute_faults(
    bars: dict[str, pd.DataFrame], faults: list[Fault], feature_set: FeatureSet
) -> tuple[Features, np.ndarray, np.ndarray]:
    """Return the features of all faulty bars, the year of each,
    and the number of the fault it belongs to.
    """
    panel = build_panel([fault.bars for fault in faults], [fault.start for fault in faults])
    first = panel.offsets[:-1] + [fault.first - fault.start for fault in faults]
    features = compute_features(panel, first, feature_set)
    owners = np.searchsorted(panel.offsets, features.rows, side="right") - 1
    years = np.array([bars[fault.ticker]["date"].dt.year[fault.first] for fault in faults])
    return features, years[owners], owners


def measure_baseline(
    bars: dict[str, pd.DataFrame], faults: list[Fault], events: pd.DataFrame, z_bars: int | None
) -> dict[str, float]:
    """Return the shares found by the absolute log return,
    over its standard deviation of `z_bars` days if given.
    """
    by_ticker = {}
    for ticker, series in bars.items():
        wanted = (series["date"].dt.year >= FIRST_YEAR).to_numpy() & (
            np.arange(len(series)) >= FIRST_BAR
        )
        by_ticker[ticker] = np.where(wanted, -compute_moves(series["close"], z_bars), np.nan)
    strangest = [-compute_moves(f.bars["close"], z_bars)[f.first - f.start :].max() for f in faults]
    return count_found(bars, by_ticker, faults, np.array(strangest), events)


def compute_moves(close: pd.Series, z_bars: int | None) -> Float64:
    moves = np.log(close).diff()
    usual = moves.shift(1).rolling(z_bars, min_periods=20).std() if z_bars else 1.0
    return np.nan_to_num((moves.abs() / usual).to_numpy())


def count_found(
    bars: dict[str, pd.DataFrame],
    scores: dict[str, Float64],
    faults: list[Fault],
    fault_scores: Float64,
    events: pd.DataFrame,
) -> dict[str, float]:
    """Return which share of events, and of faults of each kind,
    scores among the strangest 1 % of the ticker's days.
    """
    thresholds = {ticker: np.nanquantile(values, FLAGGED) for ticker, values in scores.items()}
    by_day = {ticker: pd.Series(values, bars[ticker]["date"]) for ticker, values in scores.items()}
    hits = [
        by_day[event.ticker][event.date] <= thresholds[event.ticker]
        for event in events.itertuples()
    ]
    indices = events["ticker"].str.startswith("^").to_numpy()
    kinds = np.array([fault.kind for fault in faults])
    hit = fault_scores <= np.array([thresholds[fault.ticker] for fault in faults])
    found = {"events": np.mean(hits), "events_indices": np.mean(np.array(hits)[indices])}
    found |= {"events_stocks": np.mean(np.array(hits)[~indices]), "faults": hit.mean()}
    return {
        name: float(share)
        for name, share in (found | {kind: hit[kinds == kind].mean() for kind in FAULTS}).items()
    }


def build_table(sides: dict[str, dict[str, float]]) -> Table:
    table = Table(
        "share found",
        *(side.replace("_", " ") for side in sides),
        title="1 % of each ticker's days flagged, walk-forward by year",
    )
    for what in next(iter(sides.values())):
        table.add_row(what.replace("_", " "), *(f"{found[what]:.2f}" for found in sides.values()))
    return table


if __name__ == "__main__":
    sys.exit(main())

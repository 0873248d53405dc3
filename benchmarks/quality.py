"""`make bench-quality`: does detection find what matters, in every market?

It uses real daily bars of five stocks and two indices, and three synthetic markets (made.py): one
of many years, one in which half of the tickers trade on few days, and one of two years. It walks
forward: each year is scored by one model of all markets, trained on the years before, and 1 % of
each ticker's days are flagged. It counts how many event days are found, publicly known ones
(events.csv) and synthetic ones, and how many faults planted in copies of the bars, by the same 1 %
or by the rules for faults, which may flag another 1 %. The forest is measured on three feature
sets, and so are detectors of windows, of which the network takes minutes and needs jax
(`requirements-autoencoder.txt`).

Two baselines flag as many days: the absolute log return, and the same divided by its standard
deviation of 60 days. With the thresholds that a training would set, it also measures the share of
bars flagged in each year, and how often grades are reached in years that the model has not seen,
relative to what they promise.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.faults import FAULTS, OF_TRADED, PRICES, Fault, plant
from benchmarks.made import Made, make_market, make_sessions
from core.arrays import Bools, Float64, Int64
from core.errors import BadInput
from detection.detectors.catalogue import DEFAULT_DETECTOR, DETECTORS, get_detector
from detection.detectors.contract import Detector, SeriesDetector, score_rows
from detection.detectors.rows import SeriesRows
from detection.features.compute import Features, compute_features
from detection.features.feature_sets import (
    EVENTS,
    TIME_OF_DAY,
    TWO_YARDSTICKS,
    FeatureSet,
    get_feature_set,
)
from detection.features.market_move import (
    MarketDays,
    compute_medians,
    compute_ratios,
    compute_returns,
)
from detection.models.fitting import grade_markets
from detection.models.plan import ThresholdPolicy
from detection.models.rows import join_rows, lay_out_rows
from detection.scoring.faults import find_faults, mark_wrong
from detection.scoring.grades import ColumnTails, GradeTable
from detection.scoring.thresholds import find_threshold
from market.bars.no_trade import mark_still
from market.bars.panel import BarPanel
from market.imports.sources.demo import read_demo

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "quality.json"
FLAGGED = 0.01
ASKED = ThresholdPolicy("contamination", FLAGGED)
# From this bar on every side has a score for every bar.
FIRST_BAR = 62
FEWEST_TRAINED = 2_000
# In the real bars the earlier years are needed as history: no side is asked for an earlier event.
FIRST_YEAR = 2002
# A year counts only if at least this many bars of a market were scored in it.
FEWEST_OF_YEAR = 500
# The only splits in these bars; the demo's other shocks are real.
SPLITS = {"AAPL": ("2000-06-21", "2005-02-28"), "MSFT": ("2003-02-18",)}
Z_BARS = 60
# The number of settings of features, rules and markets that were tried before these were kept.
CONFIGURATIONS = 345
OURS = EVENTS
# Detector and feature set by the name used here.
MODELS: dict[str, tuple[str, FeatureSet]] = {
    **{each.label: (DEFAULT_DETECTOR, each) for each in (TWO_YARDSTICKS, EVENTS)},
    **{
        name: (name, get_feature_set(kind.feature_set))
        for name, kind in DETECTORS.items()
        if name != DEFAULT_DETECTOR
    },
}
# The longest history that any of them needs before a bar.
HISTORY_BARS = max(get_detector(name).history_bars for name, _ in MODELS.values())
EVENTS_WANTED, FAULTS_WANTED, KIND_WANTED = 0.9, 0.95, 0.85
SHARE_WANTED, CALIBRATION_WANTED, OPENS_WANTED = (0.005, 0.02), 1.5, 2.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A market to be measured: its bars by ticker and as a panel, the market's days, its events and
    its planted faults.
    """

    bars: dict[str, pd.DataFrame]
    events: pd.DataFrame
    panel: BarPanel
    days: MarketDays
    faults: list[Fault]
    fault_panel: BarPanel


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Measure what detection finds."
    )
    parser.add_argument("--seeds", type=int, default=3, help="models a year; figures are means")
    parser.add_argument("--faults", type=int, default=8, help="of each kind for each ticker")
    parser.add_argument(
        "--only", help="some of the models, with commas between; the figures are not kept"
    )
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(MODELS)
    console = Console()
    with console.status("generating markets"):
        subjects = make_subjects(options.faults)
    sides: dict[str, dict[str, dict[str, float]]] = {
        "abs_log_return": {n: measure_baseline(s, None) for n, s in subjects.items()},
        "rolling_z_score": {n: measure_baseline(s, Z_BARS) for n, s in subjects.items()},
    }
    for side in chosen:
        try:
            with console.status(f"walking forward with {side}"):
                seeds = [
                    measure_models(subjects, *MODELS[side], seed)
                    for seed in range(1, options.seeds + 1)
                ]
        except BadInput as error:
            console.print(f"{side} is not measured: {error.message}")
            continue
        sides[side] = {
            name: {what: _mean(found[name][what] for found in seeds) for what in seeds[0][name]}
            for name in subjects
        }
    for name in subjects:
        console.print(build_table(name, {side: found[name] for side, found in sides.items()}))
    if options.only:
        return 0
    opens = measure_opens()
    missed = list_missed(sides, opens)
    console.print(f"an open is an alarm {opens:.2f} times as often as another bar (5 minutes)")
    console.print(f"{CONFIGURATIONS} configurations were tried")
    for line in missed:
        console.print(f"not reached: {line}")
    figures = {
        f"quality_{side}_{name}_{what}": round(value, 4)
        for side, found in sides.items()
        for name, own in found.items()
        for what, value in own.items()
    }
    counts = {f"quality_{name}_event_count": len(s.events) for name, s in subjects.items()}
    counts |= {f"quality_{name}_fault_count": len(s.faults) for name, s in subjects.items()}
    more = {"quality_opens": round(opens, 3), "quality_configurations": CONFIGURATIONS}
    RESULTS.write_text(json.dumps({**figures, **counts, **more}, indent=2) + "\n")
    return 1 if missed else 0


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def make_subjects(each: int) -> dict[str, Subject]:
    """Return the markets by name, with `each` faults of each kind for each ticker."""
    real = pd.read_csv(FOLDER / "events.csv", parse_dates=["date"])
    made = {
        "real": Made(read_bars(), real),
        "large": make_market("L", 30, 10, seed=11, end="2018-12-28"),
        "thin": make_market("T", 24, 8, seed=12, end="2018-12-28", idle=0.75),
        "young": make_market("Y", 16, 2, seed=13, end="2018-12-28"),
    }
    return {name: build_subject(name, each_made, each) for name, each_made in made.items()}


def build_subject(name: str, made: Made, each: int) -> Subject:
    panel = build_panel(list(made.bars.values()), [0] * len(made.bars))
    times, moves, counts = compute_medians(*compute_returns(panel, 0, 2**40))
    days = MarketDays(name, times, moves, counts, compute_ratios(moves), 1)
    faults = plant_faults(made.bars, each if name == "real" else max(2, each // 3))
    tables = [fault.bars for fault in faults]
    return Subject(
        made.bars,
        made.events[made.events["ticker"].isin(list(made.bars))],
        panel,
        days,
        faults,
        build_panel(tables, [fault.start for fault in faults]),
    )


def read_bars() -> dict[str, pd.DataFrame]:
    """Return each ticker's real bars, adjusted for its splits: `date`, open, high, low, close and
    volume.
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
    """Plant `each` faults of each kind in copies of each ticker's bars, on random days on which it
    traded; those in `OF_TRADED` only in tickers that usually trade.
    """
    random = np.random.default_rng(7)
    faults = []
    for ticker, dated in bars.items():
        series = dated.drop(columns="date")
        columns = [series[name].to_numpy() for name in [*PRICES, "volume"]]
        prices = (columns[0], columns[1], columns[2], columns[3])
        idle = mark_still(prices, columns[4], np.zeros(1, np.int64))
        # There must be half a year of bars with a trade before, and a model that was trained
        # earlier.
        days = np.flatnonzero(~idle & (np.cumsum(~idle) > 2 * FIRST_BAR))[:-5]
        days = days[days >= np.searchsorted(dated["date"], pd.Timestamp(2000, 1, 1))]
        for kind in FAULTS:
            if kind in OF_TRADED and idle.mean() > FLAGGED:
                continue
            drawn = random.choice(days, min(each, len(days) // 30), replace=False).tolist()
            for day in drawn:
                start = OURS.reach(day - HISTORY_BARS, "1d")
                fault = plant(ticker, kind, series, start, day, random)
                stop = fault.start + len(fault.bars)
                dates = dated["date"].iloc[fault.start : stop].to_numpy()
                faults.append(
                    Fault(ticker, kind, fault.bars.assign(date=dates), fault.start, fault.first)
                )
    return faults


def build_panel(tables: list[pd.DataFrame], starts: list[int]) -> BarPanel:
    """Join tables of dated bars to a panel; each begins at position `start` of its series."""
    whole = pd.concat(tables, ignore_index=True)
    seconds = whole["date"].to_numpy().astype("datetime64[s]").astype(np.int64)
    offsets = np.cumsum([0, *map(len, tables)], dtype=np.int64)
    columns = (whole[name].to_numpy() for name in [*PRICES, "volume"])
    tickers = tuple(map(str, range(len(tables))))
    return BarPanel(
        interval="1d",
        tickers=tickers,
        offsets=offsets,
        first_index=np.array(starts, np.int64),
        times=seconds,
        sessions=seconds // 86_400,
        clocks=np.zeros_like(seconds),
        **dict(zip([*PRICES, "volume"], columns, strict=True)),
    )


def measure_models(
    subjects: dict[str, Subject], detector_name: str, feature_set: FeatureSet, seed: int
) -> dict[str, dict[str, float]]:
    """Return for each market what models of all markets find; each year is scored by a model of the
    years before.
    """
    history = get_detector(detector_name).history_bars
    clean = {
        n: _compute(s.panel, s.panel.offsets[:-1], feature_set, s.days) for n, s in subjects.items()
    }
    starts = {n: s.fault_panel.offsets[:-1] + _find_lengths(s) for n, s in subjects.items()}
    wrong = {
        n: _compute(s.fault_panel, starts[n] - history, feature_set, s.days)
        for n, s in subjects.items()
    }
    shown = {
        n: _show(detector_name, s.panel, clean[n], feature_set, s.panel.offsets[:-1])
        for n, s in subjects.items()
    }
    shown_wrong = {
        n: _show(detector_name, s.fault_panel, wrong[n], feature_set, starts[n])
        for n, s in subjects.items()
    }
    years = {n: _years(s.panel, clean[n]) for n, s in subjects.items()}
    # A training also leaves out bars that rules call certainly wrong.
    right = {n: ~mark_wrong(s.panel, clean[n].rows, clean[n], s.days) for n, s in subjects.items()}
    fault_years = {n: _years(s.fault_panel, wrong[n]) for n, s in subjects.items()}
    scores = {n: np.full(clean[n].rows.size, np.nan) for n in subjects}
    grades = {n: np.full(clean[n].rows.size, np.nan) for n in subjects}
    passed = {n: np.zeros(clean[n].rows.size, np.bool_) for n in subjects}
    fault_scores = {n: np.zeros(wrong[n].rows.size) for n in subjects}
    for year in sorted(set(np.concatenate(list(years.values())).tolist())):
        before = [_of_years(shown[n], (years[n] < year) & right[n]) for n in subjects]
        rows = join_rows(before, len(feature_set.columns))
        if len(rows.wanted) < FEWEST_TRAINED or year < FIRST_YEAR:
            continue
        detector, trained = _fit(rows, detector_name, seed)
        owners = np.repeat(np.arange(len(before)), [len(own.wanted) for own in before])
        columns, learned = feature_set.columns, rows.get_wanted()
        edges = ColumnTails.from_inputs(columns, learned)
        rarities = edges.find_rarity(columns, learned)
        tails = grade_markets(ASKED, trained, owners, list(subjects), rarities)
        of_all = GradeTable.from_scores(trained, rarities)
        whole = find_threshold(ASKED.kind, ASKED.value, of_all, trained)
        for n in subjects:
            threshold, table = tails.get(n) or (whole, of_all)
            now = _of_years(shown[n], years[n] == year)
            then = _of_years(shown_wrong[n], fault_years[n] == year)
            scores[n][now.wanted] = found_now = score_rows(detector, now)
            rare_now = edges.find_rarity(columns, now.get_wanted())
            grades[n][now.wanted] = table.compute(found_now, rare_now)
            passed[n][now.wanted] = found_now < threshold
            fault_scores[n][then.wanted] = score_rows(detector, then)
    found = {}
    for n, subject in subjects.items():
        by_row = np.full(subject.panel.times.size, np.nan)
        by_row[clean[n].rows] = scores[n]
        own = _count_events(subject, by_row)
        own |= _count_faults(subject, by_row, wrong[n], fault_scores[n])
        own |= _count_flagged(years[n], scores[n], passed[n], grades[n])
        wanted = np.zeros(subject.panel.times.size, np.bool_)
        wanted[clean[n].rows[~np.isnan(scores[n])]] = True
        rules = find_faults(subject.panel, wanted, clean[n], subject.days).faults
        found[n] = own | {"flagged_by_rules": len(rules) / max(1, wanted.sum())}
    return found


def _compute(
    panel: BarPanel, first: np.ndarray, feature_set: FeatureSet, days: MarketDays
) -> Features:
    return compute_features(panel, np.asarray(first, np.int64), feature_set, days)


def _years(panel: BarPanel, features: Features) -> np.ndarray:
    return (
        panel.times[features.rows].astype("datetime64[s]").astype("datetime64[Y]").astype(int)
        + 1970
    )


def _find_lengths(subject: Subject) -> Int64:
    """Return how many bars of history each table with a fault has."""
    return np.array([fault.first - fault.start for fault in subject.faults], np.int64)


def _show(
    detector_name: str,
    panel: BarPanel,
    features: Features,
    feature_set: FeatureSet,
    starts: Int64,
) -> SeriesRows:
    """Return a detector's rows of a panel; those that it can score from `starts` (k,) on are
    wanted.
    """
    rows = lay_out_rows(panel, features, feature_set, np.arange(features.rows.size))
    owners = panel.find_series(features.rows)
    possible = features.rows >= starts[owners]
    kind = get_detector(detector_name)
    possible &= kind.find_known(rows, kind.get_defaults())
    return rows.want(np.flatnonzero(possible))


def _of_years(rows: SeriesRows, are_of: Bools) -> SeriesRows:
    return rows.want(rows.wanted[are_of[rows.wanted]])


def _fit(
    rows: SeriesRows, detector_name: str, seed: int
) -> tuple[Detector | SeriesDetector, Float64]:
    """Return the detector fitted to these rows, and its scores of them."""
    kind = get_detector(detector_name)
    detector = kind.load(kind.fit(rows, seed=seed, parameters=kind.get_defaults()))
    return detector, score_rows(detector, rows)


def _count_events(subject: Subject, scores: Float64) -> dict[str, float]:
    """Return the share of events that are among the strangest 1 % of their ticker's days."""
    hits = []
    for s, (ticker, bars) in enumerate(subject.bars.items()):
        own = scores[subject.panel.series(s)]
        if np.isnan(own).all():
            continue
        limit = np.nanquantile(own, FLAGGED)
        days = bars["date"].searchsorted(subject.events["date"][subject.events["ticker"] == ticker])
        hits += [own[day] <= limit for day in days if not np.isnan(own[day])]
    return {"events": float(np.mean(hits)) if hits else np.nan}


def _limits(subject: Subject, scores: Float64) -> dict[str, float]:
    return {
        ticker: float(np.nanquantile(own, FLAGGED)) if not np.isnan(own).all() else -np.inf
        for s, ticker in enumerate(subject.bars)
        for own in (scores[subject.panel.series(s)],)
    }


def _count_faults(
    subject: Subject, scores: Float64, wrong: Features, fault_scores: Float64
) -> dict[str, float]:
    """Return the share of faults that score like the strangest 1 % or are found by a rule."""
    limits = _limits(subject, scores)
    panel = subject.fault_panel
    owners = panel.find_series(wrong.rows)
    wanted = np.zeros(panel.times.size, np.bool_)
    hit = np.zeros(len(subject.faults), np.bool_)
    for number, fault in enumerate(subject.faults):
        own = panel.series(number)
        wanted[own.start + fault.first - fault.start : own.stop] = True
    for owner, score in zip(owners.tolist(), fault_scores.tolist(), strict=True):
        hit[owner] |= score <= limits[subject.faults[owner].ticker] and score < 0.0
    by_model = hit.copy()
    for row in find_faults(panel, wanted, wrong, subject.days).faults:
        hit[int(np.searchsorted(panel.offsets, row, side="right")) - 1] = True
    kinds = np.array([fault.kind for fault in subject.faults])
    named = {kind: float(hit[kinds == kind].mean()) for kind in FAULTS if (kinds == kind).any()}
    return {"faults": float(hit.mean()), "faults_by_model": float(by_model.mean())} | named


def _count_flagged(
    years: np.ndarray, scores: Float64, passed: Bools, grades: Float64
) -> dict[str, float]:
    """Return the least and the largest share of a year's bars below the threshold of a training,
    and how often grades are reached, relative to what they promise.
    """
    known = ~np.isnan(scores)
    shares = [
        float(passed[known & (years == year)].mean())
        for year in np.unique(years[known]).tolist()
        if (known & (years == year)).sum() >= FEWEST_OF_YEAR
    ]
    return {
        "least_flagged": min(shares),
        "most_flagged": max(shares),
        "calibration_50": float((grades[known] >= 50).mean()) / 0.01,
        "calibration_75": float((grades[known] >= 75).mean()) / 0.001,
    }


def measure_baseline(subject: Subject, z_bars: int | None) -> dict[str, float]:
    """Return the shares found by the absolute log return, divided by its standard deviation of
    `z_bars` days if given.
    """
    scores = np.full(subject.panel.times.size, np.nan)
    for s, bars in enumerate(subject.bars.values()):
        own = -compute_moves(bars["close"], z_bars)
        own[:FIRST_BAR] = np.nan
        own[(bars["date"].dt.year < FIRST_YEAR).to_numpy()] = np.nan
        scores[subject.panel.series(s)] = own
    limits = _limits(subject, scores)
    hit = np.array(
        [
            -compute_moves(f.bars["close"], z_bars)[f.first - f.start :].max() <= limits[f.ticker]
            for f in subject.faults
        ]
    )
    return _count_events(subject, scores) | {"faults": float(hit.mean())}


def compute_moves(close: pd.Series, z_bars: int | None) -> Float64:
    moves = np.log(close).diff()
    usual = moves.shift(1).rolling(z_bars, min_periods=20).std() if z_bars else 1.0
    return np.nan_to_num((moves.abs() / usual).to_numpy(), posinf=0.0)


def measure_opens() -> float:
    """Return how many times as often the open of a session is flagged as another bar."""
    tables = [make_sessions(seed, 120, 78) for seed in range(6)]
    dated = [
        table.assign(date=np.datetime64("2018-01-01") + np.arange(len(table))) for table in tables
    ]
    panel = build_panel(dated, [0] * len(dated))
    fields: dict[str, Any] = {name: getattr(panel, name) for name in BarPanel.__dataclass_fields__}
    whole = pd.concat(tables, ignore_index=True)
    fields |= {"interval": "5m", "sessions": whole["session"].to_numpy(np.int64)}
    fields |= {"clocks": whole["clock"].to_numpy(np.int64)}
    panel = BarPanel(**fields)
    features = compute_features(panel, panel.offsets[:-1], TIME_OF_DAY)
    rows = SeriesRows.of_one(features.inputs)
    _, scores = _fit(rows, DEFAULT_DETECTOR, 7)
    alarms = scores < np.quantile(scores, FLAGGED)
    opens = panel.clocks[features.rows] == 0
    return float(alarms[opens].mean() / alarms[~opens].mean())


def list_missed(sides: dict[str, dict[str, dict[str, float]]], opens: float) -> list[str]:
    """Return the goals that were not reached, in words."""
    missed = []
    for name, ours in sides[OURS.label].items():
        best = max(sides[side][name]["events"] for side in list(sides)[:2])
        if ours["events"] < EVENTS_WANTED or ours["events"] <= best:
            missed.append(
                f"{name}: events {ours['events']:.2f} of {EVENTS_WANTED}, plain {best:.2f}"
            )
        if ours["faults"] < FAULTS_WANTED:
            missed.append(f"{name}: faults {ours['faults']:.2f} of {FAULTS_WANTED}")
        missed += [
            f"{name}: {kind} {ours[kind]:.2f} of {KIND_WANTED}"
            for kind in FAULTS
            if ours.get(kind, 1.0) < KIND_WANTED
        ]
        low, high = ours["least_flagged"], ours["most_flagged"]
        if low < SHARE_WANTED[0] or high > SHARE_WANTED[1]:
            missed.append(f"{name}: {low:.2%} to {high:.2%} of a year's bars flagged")
        for grade in ("calibration_50", "calibration_75"):
            if not 1 / CALIBRATION_WANTED <= ours[grade] <= CALIBRATION_WANTED:
                missed.append(f"{name}: {grade} {ours[grade]:.2f}")
    if opens > OPENS_WANTED:
        missed.append(f"opens {opens:.2f} of at most {OPENS_WANTED}")
    return missed


def build_table(name: str, sides: dict[str, dict[str, float]]) -> Table:
    table = Table(
        "", *(side.replace("_", " ") for side in sides), title=f"market {name}: shares found"
    )
    for what in list(sides.values())[-1]:
        values = (f"{found[what]:.3f}" if what in found else "" for found in sides.values())
        table.add_row(what.replace("_", " "), *values)
    return table


if __name__ == "__main__":
    sys.exit(main())

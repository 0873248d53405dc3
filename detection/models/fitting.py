"""Fitting: from a market's bars to a detector, its threshold and the distribution of its scores.

Bars are read in portions, so that memory does not grow with the market. The trees, the threshold
and the grades all come from the same uniform sample of at most `MOST_ROWS` rows: every row, for up
to some 400 tickers x 5 years of days. A detector that looks back is shown whole series instead, of
as many tickers, drawn at random, as have so many bars. The same bars, plan and seed give the same
bytes.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

import numpy as np

from core.arrays import Bools, Float64, Int64
from core.errors import BadInput
from detection.detectors.catalogue import get_detector
from detection.detectors.contract import Detector, SeriesDetector
from detection.detectors.ensemble import find_missing
from detection.detectors.rows import SeriesRows, score_rows
from detection.features.compute import Features, compute_features
from detection.features.market_move import MarketDays
from detection.market_days import has_days, read_days, refresh_days
from detection.models.artefacts import dump_artefact
from detection.models.plan import ThresholdPolicy, TrainingPlan, find_training_series
from detection.models.rows import join_rows, lay_out_rows
from detection.models.sampling import RowSample, draw_series
from detection.scoring.drift import InputTable
from detection.scoring.grades import GradeTable
from detection.scoring.thresholds import find_threshold
from market.bars.panel import BarPanel
from market.bars.store import load_panel
from records.database import Db
from records.market.documents import SeriesDocument
from records.models.champions import ALL_MARKETS
from records.models.documents import FitFields

MOST_ROWS = 500_000
FEWEST_ROWS = 100
PORTION_BARS = 200_000
LOADED, FITTED, SCORED = 0.7, 0.85, 0.98
SCORED_ROWS = 5_000
# What a version of all markets says of one: its own scores, of so many at least, beside as many of
# all, which keep a few bars of it from setting its grades. Of more, a market whose scores end
# sooner than the others' would hardly ever reach its high grades.
ROWS_OF_MARKET = 2_000
# What to do about a member of an ensemble that could not be fitted.
MISSING_HINTS = {
    "too_slow": "Write the weights out to have it vote.",
    "missing_library": "Install requirements-autoencoder.txt where workers run, and train again.",
    "not_enough_bars": "Import more bars, and train again.",
}

Checkpoint = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model before it has a version.

    Attributes:
        plan: what was asked.
        artefact: the detector's bytes.
        threshold: score below which a bar is an anomaly.
        grades: distribution of the training scores.
        rows_fitted: size of the sample of rows.
        inputs: distribution of what the detector was shown.
        seen: what was learned from.
        warnings: what a person should know of it.
        by_market: of a model of all markets threshold and grades of each with bars enough.
    """

    plan: TrainingPlan
    artefact: bytes
    threshold: float
    grades: GradeTable
    rows_fitted: int
    inputs: InputTable
    seen: "Seen"
    warnings: tuple[str, ...] = ()
    by_market: dict[str, tuple[float, GradeTable]] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """What a training has learned from so far;
    `first` and `last` are UTC seconds of its earliest and latest bar.
    """

    rows: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False
    first: int = sys.maxsize
    last: int = -sys.maxsize


def fit_model(database: Db, plan: TrainingPlan, checkpoint: Checkpoint = lambda _: None) -> Fit:
    """Fit a model on stored bars; nothing is written.

    `checkpoint(fraction)` is called between two portions; what it raises ends the work.
    Raises BadInput where there are no bars, or too few.
    """
    kind = get_detector(plan.detector)
    series = find_training_series(database, plan)
    columns = len(plan.feature_set.columns)
    sample: RowSample | list[SeriesRows] = []
    if kind.history_bars:
        series = draw_series(series, MOST_ROWS, plan.seed)
    else:
        # The last column says of which market a row is.
        sample = RowSample(MOST_ROWS, columns + 1, plan.seed)
    seen = Seen(synthetic=any(s["synthetic"] for s in series))
    start = None if plan.window_start is None else int(plan.window_start.timestamp())
    end = None if plan.window_end is None else int(plan.window_end.timestamp())
    done = 0
    markets = {
        code: _find_days(database, plan, code) for code in sorted({s["market"] for s in series})
    }
    owners: list[Int64] = []
    for code, own in groupby(sorted(series, key=_get_market), key=_get_market):
        for portion in _split(list(own)):
            panel = load_panel(
                database,
                plan.interval,
                dict.fromkeys(portion, (start, end)),
                reach=lambda index, interval: plan.feature_set.reach(
                    max(0, index - kind.history_bars), interval
                ),
            )
            shown = _learn(panel, plan, markets[code], seen)
            number = np.full(len(shown.wanted), list(markets).index(code))
            if isinstance(sample, RowSample):
                sample.add(np.column_stack((shown.get_wanted(), number.astype(np.float32))))
            else:
                sample.append(shown)
                owners.append(number)
            done += len(portion)
            checkpoint(LOADED * done / len(series))
    if isinstance(sample, RowSample):
        drawn = sample.get_rows()
        rows = SeriesRows.of_one(np.ascontiguousarray(drawn[:, :-1]))
        owners = [drawn[:, -1].astype(np.int64)]
    else:
        rows = join_rows(sample, columns)
    if len(rows.wanted) < FEWEST_ROWS:
        message = _explain_too_few(plan, len(series), len(rows.wanted))
        raise BadInput(message, reason="not_enough_bars")
    fitted = kind.fit(
        rows,
        seed=plan.seed,
        parameters=plan.parameters,
        checkpoint=lambda fraction: checkpoint(LOADED + (FITTED - LOADED) * fraction),
    )
    scores = _score(kind.load(fitted), rows, checkpoint)
    grades = GradeTable.from_scores(scores)
    threshold = find_threshold(plan.threshold.kind, plan.threshold.value, grades, scores)
    by_market = {}
    if plan.market == ALL_MARKETS:
        by_market = grade_markets(plan.threshold, scores, np.concatenate(owners), list(markets))
    inputs = InputTable.from_inputs(plan.feature_set.columns, rows.get_wanted())
    warnings = tuple(
        f"{member} has no vote in this ensemble ({word}): the weights of the others count."
        f" {MISSING_HINTS.get(word, '')}".strip()
        for member, word in find_missing(fitted).items()
    )
    return Fit(
        plan,
        dump_artefact(fitted),
        threshold,
        grades,
        len(rows.wanted),
        inputs,
        seen,
        warnings,
        by_market,
    )


def _get_market(series: SeriesDocument) -> str:
    return series["market"]


def _find_days(database: Db, plan: TrainingPlan, market: str) -> MarketDays | None:
    """Return what a market did on each day, up to date, where the model looks at it."""
    if not plan.feature_set.sees_market or not has_days(plan.interval):
        return None
    refresh_days(database, market, plan.interval, datetime.now(UTC))
    return read_days(database, market, plan.interval)


def _score(
    detector: Detector | SeriesDetector, rows: SeriesRows, checkpoint: Checkpoint
) -> Float64:
    """Return the score of each wanted row, in portions: of many trees each takes its time."""
    scores = np.empty(len(rows.wanted))
    for start in range(0, len(scores), SCORED_ROWS):
        portion = slice(start, start + SCORED_ROWS)
        scores[portion] = score_rows(detector, rows.want(rows.wanted[portion]))
        checkpoint(FITTED + (SCORED - FITTED) * start / len(scores))
    return scores


def grade_markets(
    policy: ThresholdPolicy, scores: Float64, owners: Int64, codes: Sequence[str]
) -> dict[str, tuple[float, GradeTable]]:
    """Return threshold and grades of each market with enough of the training scores (n,);
    `owners` (n,) says whose each is.
    """
    ranks = (np.arange(ROWS_OF_MARKET) + 0.5) / ROWS_OF_MARKET
    borrowed = np.quantile(scores, ranks)
    found = {}
    for number, code in enumerate(codes):
        own = scores[owners == number]
        if ROWS_OF_MARKET <= own.size < scores.size:
            both = np.concatenate((own, borrowed))
            grades = GradeTable.from_scores(both)
            found[code] = find_threshold(policy.kind, policy.value, grades, both), grades
    return found


def describe_fit(fit: Fit, now: datetime) -> FitFields:
    """Return the part of a model's record that the fit determines.

    A window without an end, or with one that is to come, does not reach over bars of tomorrow.
    """
    plan, seen = fit.plan, fit.seen
    return {
        "market": plan.market,
        "interval": plan.interval,
        "feature_set": plan.feature_set.label,
        "columns": list(plan.feature_set.columns),
        "warm_up_bars": plan.warm_up_bars,
        "window_start": plan.window_start or _to_time(seen.first),
        "window_end": min(plan.window_end, now) if plan.window_end else _to_time(seen.last),
        "rows": seen.rows.total(),
        "rows_fitted": fit.rows_fitted,
        "ticker_count": len(seen.rows),
        "tickers": [{"ticker": ticker, "rows": rows} for ticker, rows in sorted(seen.rows.items())],
        "left_out": [
            {"ticker": ticker, "reason": reason} for ticker, reason in sorted(seen.left_out.items())
        ],
        "synthetic": seen.synthetic,
        "seed": plan.seed,
        "parameters": plan.describe_parameters(),
        "threshold": fit.threshold,
        "score_quantiles": fit.grades.to_document(),
        "by_market": {
            code: {"threshold": threshold, "score_quantiles": grades.to_document()}
            for code, (threshold, grades) in fit.by_market.items()
        },
        "asked": {"tickers": list(plan.tickers), "window_start": plan.window_start},
        "input_shares": fit.inputs.to_document(),
    }


def _split(series: Sequence[SeriesDocument]) -> Iterator[list[str]]:
    """Yield the tickers in portions of at most `PORTION_BARS` bars;
    a longer series is a portion of its own.
    """
    portion: list[str] = []
    bars = 0
    for document in series:
        if portion and bars + document["bars"] > PORTION_BARS:
            yield portion
            portion, bars = [], 0
        portion.append(document["ticker"])
        bars += document["bars"]
    yield portion


def _learn(
    panel: BarPanel,
    plan: TrainingPlan,
    market: MarketDays | None,
    seen: Seen,
) -> SeriesRows:
    """Return the rows of a panel that lie in the window, and note what they were."""
    start = None if plan.window_start is None else int(plan.window_start.timestamp())
    first = _find_first_rows(panel, start)
    kind = get_detector(plan.detector)
    features = compute_features(panel, first - kind.history_bars, plan.feature_set, market)
    wanted, bad = _select(panel, features, plan)
    wanted &= features.rows >= np.repeat(first, _count_rows(panel, features.rows))
    shown = lay_out_rows(panel, features, plan.feature_set, np.flatnonzero(wanted))
    shown = shown.want(shown.wanted[kind.find_known(shown, plan.parameters)])
    rows = features.rows[shown.wanted]
    if rows.size:
        times = panel.times[rows]
        seen.first = min(seen.first, int(times.min()))
        seen.last = max(seen.last, int(times.max()))
    counts = _count_rows(panel, rows)
    for ticker, count in zip(panel.tickers, counts.tolist(), strict=True):
        if count:
            seen.rows[ticker] = count
        else:
            seen.left_out[ticker] = "bad_bars" if ticker in bad else "not_enough_bars"
    return shown


def _count_rows(panel: BarPanel, rows: Int64) -> Int64:
    """Return how many of some rows of a panel each of its series has."""
    counts: Int64 = np.diff(np.searchsorted(rows, panel.offsets))
    return counts


def _find_first_rows(panel: BarPanel, start: int | None) -> Int64:
    first = panel.offsets[:-1].copy()
    if start is not None:
        for s in range(len(panel.tickers)):
            first[s] += np.searchsorted(panel.times[panel.series(s)], start)
    return first


def _select(panel: BarPanel, features: Features, plan: TrainingPlan) -> tuple[Bools, set[str]]:
    """Return which feature rows to learn from,
    and the tickers left out because a bar is not a number.
    """
    wanted = np.ones(features.rows.size, dtype=np.bool_)
    if plan.window_end is not None:
        wanted &= panel.times[features.rows] <= int(plan.window_end.timestamp())
    finite = np.isfinite(panel.open + panel.high + panel.low + panel.close + panel.volume)
    bad = np.unique(np.searchsorted(panel.offsets, np.flatnonzero(~finite), side="right") - 1)
    if bad.size:
        wanted &= ~np.isin(np.searchsorted(panel.offsets, features.rows, side="right") - 1, bad)
    return wanted, {panel.tickers[s] for s in bad}


def _explain_too_few(plan: TrainingPlan, series: int, rows: int) -> str:
    window = f" from {plan.window_start or 'the first bar'} to {plan.window_end or 'the last'}"
    return (
        f"market {plan.market} has {rows} {plan.interval} bars past their warm-up of"
        f" {plan.warm_up_bars} in {series} tickers{window}; at least {FEWEST_ROWS} are"
        " needed: import more or widen the window"
    )


def _to_time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""Fits a detector on a market's bars, with its threshold and the distribution of its scores, all of
the same rows. The same bars, plan and seed give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from core.arrays import Float64, Int64
from core.errors import BadInput
from core.naming import count_of
from detection.detectors.catalogue import get_detector
from detection.detectors.contract import Detector, SeriesDetector, score_rows
from detection.detectors.ensemble import find_missing
from detection.detectors.rows import SeriesRows
from detection.features.kernel import FEWEST_SESSIONS
from detection.models.artefacts import dump_artefact
from detection.models.learning import Checkpoint, Seen, learn_rows
from detection.models.plan import ThresholdPolicy, TrainingPlan
from detection.scoring.drift import InputTable
from detection.scoring.grades import ColumnTails, GradeTable
from detection.scoring.thresholds import find_threshold
from records.database import Db
from records.models.champions import ALL_MARKETS
from records.models.documents import FitFields

FEWEST_ROWS = 100
LOADED, FITTED, SCORED = 0.7, 0.85, 0.98
SCORED_ROWS = 5_000
# A version of all markets has grades for each market with at least so many training rows. They are
# of the market's own scores and as many scores of all markets, so that a few bars of the market do
# not set its grades. With more scores of all markets, a market whose scores reach less far than
# those of the others would hardly ever get high grades.
ROWS_OF_MARKET = 2_000
# Advice on members of an ensemble that could not be fitted, by the reason.
MISSING_HINTS = {
    "too_slow": "Write the weights out to have it vote.",
    "missing_library": "Install requirements-autoencoder.txt where workers run, and train again.",
    "not_enough_bars": "Import more bars, and train again.",
}


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model before it has a version.

    Attributes:
        plan: what was asked.
        artefact: the detector's bytes.
        threshold: score below which a bar is an anomaly.
        grades: distribution of the training scores.
        rows_fitted: size of the sample of rows.
        inputs: distribution of the detector's inputs.
        tails: the largest values of these inputs.
        seen: the bars that were learned from.
        warnings: messages for the user.
        by_market: for a model of all markets, threshold and grades of each market with enough bars.
    """

    plan: TrainingPlan
    artefact: bytes
    threshold: float
    grades: GradeTable
    rows_fitted: int
    inputs: InputTable
    tails: ColumnTails
    seen: Seen
    warnings: tuple[str, ...] = ()
    by_market: dict[str, tuple[float, GradeTable]] = field(default_factory=dict)


def fit_model(database: Db, plan: TrainingPlan, checkpoint: Checkpoint = lambda _: None) -> Fit:
    """Fit a model on stored bars; nothing is written.

    `checkpoint(fraction)` is called between two portions; what it raises ends the work.
    Raises BadInput where there are no bars, or too few.
    """
    kind = get_detector(plan.detector)
    learned = learn_rows(database, plan, lambda fraction: checkpoint(LOADED * fraction))
    rows = learned.rows
    if len(rows.wanted) < FEWEST_ROWS:
        message = _explain_too_few(plan, learned.tickers, len(rows.wanted))
        raise BadInput(message, reason="not_enough_bars")
    fitted = kind.fit(
        rows,
        seed=plan.seed,
        parameters=plan.parameters,
        checkpoint=lambda fraction: checkpoint(LOADED + (FITTED - LOADED) * fraction),
    )
    scores = _score(kind.load(fitted), rows, checkpoint)
    if scores.min() == scores.max():
        raise BadInput(_explain_alike(plan, len(scores)), reason="bars_alike")
    columns, shown = plan.feature_set.columns, rows.get_wanted()
    tails = ColumnTails.from_inputs(columns, shown)
    rarities = tails.find_rarity(columns, shown)
    grades = GradeTable.from_scores(scores, rarities)
    threshold = find_threshold(plan.threshold.kind, plan.threshold.value, grades, scores)
    by_market = {}
    if plan.market == ALL_MARKETS:
        owners, codes = learned.owners, learned.markets
        by_market = grade_markets(plan.threshold, scores, owners, codes, rarities)
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
        InputTable.from_inputs(columns, shown),
        tails,
        learned.seen,
        warnings,
        by_market,
    )


def _score(
    detector: Detector | SeriesDetector, rows: SeriesRows, checkpoint: Checkpoint
) -> Float64:
    """Return the score of each wanted row, in portions, as many trees take long."""
    scores = np.empty(len(rows.wanted))
    for start in range(0, len(scores), SCORED_ROWS):
        portion = slice(start, start + SCORED_ROWS)
        scores[portion] = score_rows(detector, rows.want(rows.wanted[portion]))
        checkpoint(FITTED + (SCORED - FITTED) * start / len(scores))
    return scores


def grade_markets(
    policy: ThresholdPolicy,
    scores: Float64,
    owners: Int64,
    codes: Sequence[str],
    rarities: Float64 | None = None,
) -> dict[str, tuple[float, GradeTable]]:
    """Return threshold and grades of each market with enough training scores.

    `scores`, `owners` (the position of each row's market in `codes`) and `rarities` (by columns)
    all have the shape (n,).
    """
    ranks = (np.arange(ROWS_OF_MARKET) + 0.5) / ROWS_OF_MARKET
    borrowed = np.argsort(scores, kind="stable")[(ranks * scores.size).astype(np.int64)]
    found = {}
    for number, code in enumerate(codes):
        own = np.flatnonzero(owners == number)
        if ROWS_OF_MARKET <= own.size < scores.size:
            picked = np.concatenate((own, borrowed))
            both = scores[picked]
            grades = GradeTable.from_scores(both, None if rarities is None else rarities[picked])
            found[code] = find_threshold(policy.kind, policy.value, grades, both), grades
    return found


def describe_fit(fit: Fit, now: datetime) -> FitFields:
    """Return the part of a model's record that the fit determines.

    A window without an end, or with an end in the future, is stored as ending with the last bar
    that can exist now, so that it does not include tomorrow's bars.
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
        "column_tails": fit.tails.to_document(),
    }


def _explain_too_few(plan: TrainingPlan, series: int, rows: int) -> str:
    window = f" from {plan.window_start or 'the first bar'} to {plan.window_end or 'the last'}"
    return (
        f"market {plan.market} has {rows} {plan.interval} bars past their warm-up of"
        f" {plan.warm_up_bars} in {count_of(series, 'ticker')}{window}, but for those that"
        " stand still, as of one price and no volume, or that rules call wrong; at least"
        f" {FEWEST_ROWS} are needed: import more or widen the window"
    )


def _explain_alike(plan: TrainingPlan, rows: int) -> str:
    """Return the message for bars that all have the same score, so that any threshold passes all of
    them or none.
    """
    said = f"all {rows} {plan.interval} bars of market {plan.market} look alike to {plan.detector}"
    if plan.feature_set.sessions:
        said += f": what is usual at a time of day is not known of fewer than {FEWEST_SESSIONS}"
        said += " sessions before"
    return f"{said}; import more, or take another detector, as with `--detector zscore`"


def _to_time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""Judging versions on a stretch: what each flags, and how that fits labels; nothing is promoted.

Every bar of the stretch is scored, by the same steps as in a detection, and nothing but the result
is written. A rate of alarms is a thousand times the share of bars that pass the threshold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from time import thread_time

import numpy as np

from core.arrays import Bools, Float64, Int64
from core.errors import BadInput
from detection.detectors.contract import score_rows
from detection.features.kernel import MEASURES
from detection.market_days import has_days, refresh_days
from detection.models.manager import LoadedModel, ModelManager
from detection.models.plan import ThresholdPolicy
from detection.models.plausibility import find_asked_share
from detection.pipeline.job import Job
from detection.pipeline.load import load
from detection.pipeline.plan import plan_stretches
from detection.pipeline.score import show
from detection.pipeline.stretches import Stretch
from detection.planted import count_found
from detection.scoring.drift import (
    FEWEST_BARS,
    compute_distance,
    compute_stability_index,
    find_drift,
)
from detection.scoring.faults import MOVE, mark_wrong
from detection.scoring.grades import GradeTable
from market.intervals import DAY_SECONDS
from records.database import Db
from records.models.documents import (
    AgreementFields,
    DriftFields,
    JudgedLabels,
    LabelFields,
    ModelDocument,
    VersionJudgement,
)
from records.models.models import find_tail

PART_TICKERS = 250
MOST_BARS = 5_000_000
STRANGEST_SHARE = 0.01
_RETURN = MEASURES.index("return")


@dataclass(frozen=True, slots=True)
class Scores:
    """What a version says of every bar of a stretch that it could score.

    Attributes:
        tickers: those of which it scored a bar.
        series: shape (n,), whose bar each is, as a position in `tickers`; ascending.
        times: shape (n,), UTC seconds, ascending within a ticker.
        scores: shape (n,).
        threshold: bars with a lower score are alarms; of more than one market each bar's own,
            shape (n,).
        errors: what is wrong with a ticker's bars.
        moves: shape (n,), how far each bar moved, in its ticker's usual ranges.
        wrong: shape (n,), which are no events whatever their score: a rule tells them.
        inputs: the stability index of each column of the inputs; empty where it is not known.
        seconds: what scoring took.
        thresholds: by market, of those that the bars are of.
        planted, planted_found: how many known faults were planted, and how many of them found.
    """

    tickers: tuple[str, ...]
    series: Int64
    times: Int64
    scores: Float64
    threshold: float | Float64
    errors: Mapping[str, str]
    moves: Float64
    wrong: Bools
    inputs: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    planted: int = 0
    planted_found: int = 0
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def market(self) -> str | None:
        """Return the market that all bars are of; None where there are more."""
        return next(iter(self.thresholds)) if len(self.thresholds) == 1 else None

    @property
    def alarms(self) -> Bools:
        """Return which bars pass the threshold, shape (n,)."""
        return self.scores < self.threshold

    def find(self, ticker: str, first: int, last: int) -> Int64:
        """Return the positions of a ticker's bars from one time to another, both inclusive."""
        if ticker not in self.tickers:
            return np.empty(0, np.int64)
        at = self.tickers.index(ticker)
        start, stop = np.searchsorted(self.series, (at, at + 1))
        own = self.times[start:stop]
        low, high = np.searchsorted(own, first), np.searchsorted(own, last, side="right")
        return np.arange(start + low, start + high)


def score_stretch(
    database: Db,
    model: LoadedModel,
    jobs: Sequence[Job],
    stretch: tuple[datetime | None, datetime | None],
    checkpoint: Callable[[float], None],
    *,
    plants: bool,
) -> Scores:
    """Return what a version says of every bar of some jobs' tickers from one time to another and,
    where it `plants` known faults, how many of these it finds.

    `checkpoint(fraction)` is called between two parts; what it raises ends the work. Raises
    BadInput where these are more than can be looked at in one go.
    """
    first, last = (None if time is None else int(time.timestamp()) for time in stretch)
    tickers: list[str] = []
    errors: dict[str, str] = {}
    columns: list[tuple[Int64, Int64, Float64, Float64, Bools]] = []
    limits: list[Float64] = []
    counts = model.inputs.count(np.empty((0, len(model.inputs.columns)), np.float32))
    markets = {job.market for job in jobs}
    bars = done = 0
    seconds = 0.0
    planted = np.zeros(2, np.int64)
    for part in _split(jobs):
        wanted = {ticker: (Stretch(first, last=last),) for ticker in part.tickers}
        with database.client.start_session(snapshot=True) as session:
            plan = plan_stretches(database, part, wanted, session)
            known = {ticker: wanted[ticker] for ticker in part.tickers if ticker in plan.series}
            loaded = load(database, plan, model.of_market(part.market), known, session)
        errors |= {ticker: plan.outcomes[ticker].error or "" for ticker in wanted.keys() - known}
        seen = show(loaded)
        errors |= seen.errors
        series = loaded.panel.find_series(seen.rows)
        began = thread_time()
        scores = score_rows(model.detector, seen.shown)
        seconds += thread_time() - began
        if plants:
            planted += count_found(loaded, seen.rows)
        found = model.inputs.count(seen.shown.get_wanted())
        counts = [so_far + more for so_far, more in zip(counts, found, strict=True)]
        moves = seen.features.measures[np.isin(seen.features.rows, seen.rows), _RETURN]
        times = loaded.panel.times[seen.rows]
        far = np.abs(moves).astype(np.float64)
        wrong = mark_wrong(loaded.panel, seen.rows, seen.features, loaded.market)
        columns.append((series + len(tickers), times, scores, far, wrong))
        limits.append(np.full(len(scores), loaded.model.threshold))
        tickers += loaded.panel.tickers
        bars, done = bars + len(scores), done + len(part.tickers)
        if bars > MOST_BARS:
            raise BadInput(
                f"more than {MOST_BARS:,} bars lie in this stretch; name fewer tickers or a shorter"
                " one",
                reason="too_many_bars",
            )
        checkpoint(done / sum(len(job.tickers) for job in jobs))
    series, times, scores, moves, wrong = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    return Scores(
        tuple(tickers),
        series,
        times,
        scores,
        np.concatenate(limits) if len(markets) > 1 else model.of_market(*markets).threshold,
        errors,
        moves,
        wrong,
        model.inputs.compute_indices(counts) if bars >= FEWEST_BARS else {},
        seconds,
        planted=int(planted[0]),
        planted_found=int(planted[1]),
        thresholds={code: model.of_market(code).threshold for code in sorted(markets)},
    )


def _split(jobs: Sequence[Job]) -> Iterator[Job]:
    """Yield the jobs in parts of so many tickers."""
    for job in jobs:
        for start in range(0, len(job.tickers), PART_TICKERS):
            yield replace(job, tickers=job.tickers[start : start + PART_TICKERS])


def judge(
    record: ModelDocument, found: Scores, labels: Sequence[LabelFields], bar_seconds: int
) -> VersionJudgement:
    """Return what a version flags of a stretch, whether that has drifted from what it learned and,
    where there are labels, how these fit.
    """
    bars, alarms = len(found.scores), int(found.alarms.sum())
    large = found.moves >= MOVE
    return {
        "version": record["_id"],
        "threshold": (
            found.threshold if isinstance(found.threshold, float) else record["threshold"]
        ),
        "thresholds": dict(found.thresholds),
        "bars": bars,
        "tickers": len(np.unique(found.series)),
        "alarms": alarms,
        "alarms_per_thousand": 1000.0 * alarms / bars if bars else None,
        "large_moves": int(large.sum()),
        "large_moves_flagged": int((large & found.alarms).sum()),
        "faults_planted": found.planted,
        "faults_found": found.planted_found,
        "microseconds_a_bar": 1e6 * found.seconds / bars if bars else None,
        "labels": judge_labels(found, labels, bar_seconds) if labels else None,
        "drift": measure_drift(record, found),
    }


def measure_drift(record: ModelDocument, found: Scores) -> DriftFields:
    """Return whether a stretch looks to a version as the bars that it learned from did."""
    grades = GradeTable.from_document(find_tail(record, found.market)["score_quantiles"])
    asked = find_asked_share(ThresholdPolicy(**record["parameters"]["threshold"]))
    known = {part["ticker"] for part in record["tickers"]}
    scored = [found.tickers[s] for s in np.unique(found.series).tolist()]
    index = distance = flagged = None
    age_days = 0.0
    # What is certainly wrong was not learned from either.
    scores = found.scores[~found.wrong]
    if len(scores):
        index = compute_stability_index(grades, scores)
        distance = compute_distance(grades, scores)
        flagged = float(found.alarms[~found.wrong].mean())
        last = float(found.times.max()) - record["window_end"].timestamp()
        age_days = max(0.0, last / DAY_SECONDS)
    unknown = sum(ticker not in known for ticker in scored) / len(scored) if scored else 0.0
    return {
        "stability_index": index,
        "distance": distance,
        "flagged_share": flagged,
        "asked_share": asked,
        "age_days": age_days,
        "unknown_tickers": unknown,
        "inputs": dict(found.inputs),
        "reasons": list(
            find_drift(
                bars=len(scores),
                index=index,
                distance=distance,
                flagged=flagged,
                asked=asked,
                age_days=age_days,
                unknown=unknown,
            )
        ),
    }


def judge_labels(found: Scores, labels: Sequence[LabelFields], bar_seconds: int) -> JudgedLabels:
    """Return how a version's alarms fit labels.

    Precision is the share of true labels among the labelled bars that were flagged, recall the
    share of flagged ones among the true ones. A label names a bar by a time within it, which counts
    once, however many labels it has; of those that have no score, and of bars that are labelled
    both ways, it is counted how many there are.
    """
    counts = {"true_alarms": 0, "false_alarms": 0, "missed": 0, "rightly_quiet": 0}
    not_scored = contradictory = 0
    said: dict[int, set[bool]] = {}
    for label in labels:
        last = int(label["time"].timestamp())
        bars = found.find(label["ticker"], last - bar_seconds + 1, last)
        if bars.size:
            said.setdefault(int(bars[-1]), set()).add(label["is_anomaly"])
        else:
            not_scored += 1
    alarms = found.alarms
    for bar, classes in said.items():
        if len(classes) > 1:
            contradictory += 1
        elif alarms[bar]:
            counts["true_alarms" if True in classes else "false_alarms"] += 1
        else:
            counts["missed" if True in classes else "rightly_quiet"] += 1
    flagged = counts["true_alarms"] + counts["false_alarms"]
    true = counts["true_alarms"] + counts["missed"]
    return {
        "true_alarms": counts["true_alarms"],
        "false_alarms": counts["false_alarms"],
        "missed": counts["missed"],
        "rightly_quiet": counts["rightly_quiet"],
        "not_scored": not_scored,
        "contradictory": contradictory,
        "precision": counts["true_alarms"] / flagged if flagged else None,
        "recall": counts["true_alarms"] / true if true else None,
    }


def compare(one: Scores, other: Scores) -> AgreementFields:
    """Return how far two versions flag the same, of the bars that both scored."""
    places = _find_both(one, other)
    both = len(places[0])
    count = max(1, int(both * STRANGEST_SHARE)) if both else 0
    strangest, flagged = [], []
    for scores, at in zip((one, other), places, strict=True):
        strangest.append(set(np.argsort(scores.scores[at], kind="stable")[:count].tolist()))
        flagged.append(scores.alarms[at])
    return {
        "bars": both,
        "flagged_by_both": int((flagged[0] & flagged[1]).sum()),
        "only_by_first": int((flagged[0] & ~flagged[1]).sum()),
        "only_by_second": int((~flagged[0] & flagged[1]).sum()),
        "strangest_in_common": len(strangest[0] & strangest[1]) / count if count else None,
    }


def _find_both(one: Scores, other: Scores) -> tuple[Int64, Int64]:
    """Return where each has the bars that both scored, by ticker and time."""
    places: tuple[list[Int64], list[Int64]] = ([np.empty(0, np.int64)], [np.empty(0, np.int64)])
    owns = [dict(zip(scores.tickers, _find_spans(scores), strict=True)) for scores in (one, other)]
    for ticker in sorted(owns[0].keys() & owns[1].keys()):
        spans = [own[ticker] for own in owns]
        times = one.times[spans[0]], other.times[spans[1]]
        _, *at = np.intersect1d(*times, assume_unique=True, return_indices=True)
        for found, span, own in zip(places, spans, at, strict=True):
            found.append(span.start + own)
    return np.concatenate(places[0]), np.concatenate(places[1])


def _find_spans(scores: Scores) -> Iterator[slice]:
    """Yield where the bars of each ticker are."""
    edges = np.searchsorted(scores.series, np.arange(len(scores.tickers) + 1)).tolist()
    yield from (slice(start, stop) for start, stop in pairwise(edges))


def split_scores(found: Scores) -> Iterator[tuple[str, Int64, Float64]]:
    """Yield each ticker with the times and scores of its bars."""
    for ticker, span in zip(found.tickers, _find_spans(found), strict=True):
        if span.start < span.stop:
            yield ticker, found.times[span], found.scores[span]


def evaluate(
    database: Db,
    models: ModelManager,
    jobs: Sequence[Job],
    versions: Sequence[str],
    stretch: tuple[datetime | None, datetime | None],
    checkpoint: Callable[[float], None],
) -> list[Scores]:
    """Return what each of the versions says of a stretch of the jobs' tickers, each job being of
    one market.

    Raises NotFound, ModelIntegrity and BadInput.
    """
    found = []
    for number, version in enumerate(versions):

        def tell(fraction: float, number: int = number) -> None:
            checkpoint((number + fraction) / len(versions))

        model = models.get_model_version(version)
        if model.feature_set.sees_market and has_days(model.interval):
            for job in jobs:
                refresh_days(database, job.market, job.interval, datetime.now(UTC))
        # Faults are told by rules, and those of a weak word by models: it is two that differ.
        plants = len(versions) > 1
        found.append(score_stretch(database, model, jobs, stretch, tell, plants=plants))
    return found

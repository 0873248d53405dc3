"""Evaluates versions on a stretch: what each flags, and how that fits labels; nothing is promoted.

An alarm rate is the number of alarms for a thousand bars.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from core.arrays import Float64, Int64
from detection.models.plan import ThresholdPolicy
from detection.models.plausibility import find_asked_share
from detection.scoring.drift import (
    compute_distance,
    compute_stability_index,
    find_drift,
)
from detection.scoring.faults import MOVE
from detection.scoring.grades import GradeTable
from detection.stretch_scores import StretchScores
from market.intervals import DAY_SECONDS
from records.models.documents import (
    AgreementFields,
    DriftFields,
    JudgedLabels,
    LabelFields,
    ModelDocument,
    VersionJudgement,
)
from records.models.models import find_tail

STRANGEST_SHARE = 0.01


def judge(
    record: ModelDocument, found: StretchScores, labels: Sequence[LabelFields], bar_seconds: int
) -> VersionJudgement:
    """Return what a version flags in a stretch, whether the stretch has drifted from its training
    bars and, where there are labels, how its alarms fit them.
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


def measure_drift(record: ModelDocument, found: StretchScores) -> DriftFields:
    """Return how far a stretch looks to a version unlike its training bars."""
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


def judge_labels(
    found: StretchScores, labels: Sequence[LabelFields], bar_seconds: int
) -> JudgedLabels:
    """Return how a version's alarms fit labels.

    Precision is the share of true anomalies among the labelled bars that were flagged, recall the
    share of flagged bars among the true anomalies. A label names a bar by a time within it; a bar
    with several labels counts once. Labels of bars without a score, and bars with contradictory
    labels, are only counted.
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


def compare(one: StretchScores, other: StretchScores) -> AgreementFields:
    """Return how far two versions flag the same bars, of those that both scored."""
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


def _find_both(one: StretchScores, other: StretchScores) -> tuple[Int64, Int64]:
    """Return the positions in each of the bars that both scored, by ticker and time."""
    places: tuple[list[Int64], list[Int64]] = ([np.empty(0, np.int64)], [np.empty(0, np.int64)])
    owns = [dict(zip(scores.tickers, _find_spans(scores), strict=True)) for scores in (one, other)]
    for ticker in sorted(owns[0].keys() & owns[1].keys()):
        spans = [own[ticker] for own in owns]
        times = one.times[spans[0]], other.times[spans[1]]
        _, *at = np.intersect1d(*times, assume_unique=True, return_indices=True)
        for found, span, own in zip(places, spans, at, strict=True):
            found.append(span.start + own)
    return np.concatenate(places[0]), np.concatenate(places[1])


def _find_spans(scores: StretchScores) -> Iterator[slice]:
    """Yield the slice of each ticker's bars."""
    edges = np.searchsorted(scores.series, np.arange(len(scores.tickers) + 1)).tolist()
    yield from (slice(start, stop) for start, stop in pairwise(edges))


def split_scores(found: StretchScores) -> Iterator[tuple[str, Int64, Float64]]:
    """Yield each ticker with the times and scores of its bars."""
    for ticker, span in zip(found.tickers, _find_spans(found), strict=True):
        if span.start < span.stop:
            yield ticker, found.times[span], found.scores[span]

"""Scores detectors on the Numenta Anomaly Benchmark (Lavin and Ahmad 2015), from a copy of its
files.

The corpus is 58 series with 116 labelled windows. A detector gets each series point by point and
gives each point a score; the first 15 % (750 points at most) are for learning. One threshold is
used for the whole corpus, and the best one counts. With the standard profile the first detection in
a window earns up to 1, less the later it comes; a window without a detection costs 1; a detection
outside costs up to .11, less right after a window. The sum is scaled so that a detector that flags
nothing gets 0, and one that finds each window at its first point gets 100.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp
from pathlib import Path

MISSED, FALSE = -1.0, 0.11
LEARNING_SHARE, LEARNING_POINTS = 0.15, 750


@dataclass(frozen=True)
class LabelledSeries:
    """A series of the corpus: `windows` are pairs of first and last index, in order."""

    name: str
    timestamps: list[int]
    values: list[float]
    windows: list[tuple[int, int]]

    @property
    def learning_points(self) -> int:
        return int(min(LEARNING_SHARE * len(self.values), LEARNING_POINTS))


def read_corpus(folder: Path) -> Iterator[LabelledSeries]:
    """Yield the series of a copy of the benchmark, in order."""
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text())
    for name, spans in sorted(windows.items()):
        with (folder / "data" / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        times = [_read_time(row["timestamp"]) for row in rows]
        places = [
            (times.index(_read_time(first)), times.index(_read_time(last))) for first, last in spans
        ]
        yield LabelledSeries(name, times, [float(row["value"]) for row in rows], places)


def compute_score(
    corpus: Sequence[LabelledSeries], scores: Mapping[str, Sequence[float]]
) -> tuple[float, float]:
    """Return the score of the standard profile and the threshold that gives it.

    `scores` has, by series, a number for each point; larger is stranger.
    """
    points = [point for series in corpus for point in _weigh(series, scores[series.name])]
    points.sort(key=lambda point: -point[0])
    window_count = sum(len(series.windows) for series in corpus)
    earned: dict[tuple[str, int], float] = {}
    total = best = MISSED * window_count
    threshold = float("inf")
    for place, (score, weight, window) in enumerate(points):
        if window is None:
            total += weight
        elif weight > (before := earned.get(window, MISSED)):
            total += weight - before
            earned[window] = weight
        is_last_of_its_kind = place + 1 == len(points) or points[place + 1][0] != score
        if is_last_of_its_kind and total > best:
            best, threshold = total, score
    return 100 * (best + window_count) / (2 * window_count), threshold


def _weigh(
    series: LabelledSeries, scores: Sequence[float]
) -> Iterator[tuple[float, float, tuple[str, int] | None]]:
    """Yield score, weight and window of each point that counts."""
    number = 0
    for i, score in enumerate(scores):
        while number < len(series.windows) and i > series.windows[number][1]:
            number += 1
        if i < series.learning_points:
            continue
        if number < len(series.windows) and i >= series.windows[number][0]:
            first, last = series.windows[number]
            yield (
                score,
                _squash(-(last - i + 1) / (last - first + 1)) / _squash(-1.0),
                (series.name, number),
            )
        elif number == 0:
            yield score, -FALSE, None
        else:
            first, last = series.windows[number - 1]
            past = (i - last) / (last - first)
            yield score, FALSE * (_squash(past) if past <= 3 else -1.0), None


def _squash(position: float) -> float:
    return 2 / (1 + exp(5 * position)) - 1


def _read_time(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

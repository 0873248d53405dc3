"""`make bench-series QUALITY=1`: what the detectors of single series find, compared with a rolling
z-score.

The labelled series are synthetic, with a fixed seed each: a noisy season, in every second one with
a random walk, and one fault of a kind at a known place. Each detector is fitted to the first half,
where nothing is strange, and judges the second half point by point; a detector that learns
continues to learn. An event counts as found if a point is flagged between its first point and
`GRACE` points after its last. A false alarm is a run of flagged points elsewhere. With `NAB=FOLDER`
the detectors are also scored on a copy of the Numenta Anomaly Benchmark, whose files are not part
of this project.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import cast

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.__main__ import describe_machine, keep_figures
from benchmarks.nab import LabelledSeries, compute_score, read_corpus
from core.errors import BadInput
from detection.series.catalogue import KINDS
from detection.series.contract import LearningDetector, SeriesDetectorKind
from detection.series.moments import compute_moments

RESULTS = Path(__file__).parent / "series_quality.json"
SEED, SERIES_A_KIND = 20260101, 20
POINTS, SEASON, GRACE = 1_200, 48, 5
FAULTS = ("spike", "level shift", "drift", "changed season", "silence")
ROLLING_WINDOW, ROLLING_K = 100, 3.0
# The score of a random cut forest with the standard profile, and this project's goal.
GOALS = (51.7, 60.0)

Judge = Callable[[float], tuple[bool, float]]


@dataclass(frozen=True, slots=True)
class MadeSeries:
    """A synthetic series, with its fault at the points from `first` to `last`."""

    fault: str
    values: list[float]
    first: int
    last: int


def make_series(fault: str, number: int) -> MadeSeries:
    """Return the series of this fault and number, which is always the same."""
    random = Random(f"{SEED}:{fault}:{number}")
    amplitude, noise = random.uniform(1, 5), random.uniform(0.2, 0.8)
    walk = 0.0
    values = []
    for i in range(POINTS):
        walk = 0.98 * walk + random.gauss(0, 0.15) * (number % 2)
        values.append(
            100 + amplitude * math.sin(2 * math.pi * i / SEASON) + walk + random.gauss(0, noise)
        )
    first = random.randrange(POINTS // 2 + 100, POINTS - 150)
    size = random.choice((-1, 1)) * (amplitude + 6 * noise)
    length = {
        "spike": 1,
        "level shift": 60,
        "drift": 120,
        "changed season": 2 * SEASON,
        "silence": 40,
    }[fault]
    for i in range(first, first + length):
        step = i - first
        if fault == "spike":
            values[i] += 1.5 * size
        elif fault == "level shift":
            values[i] += size
        elif fault == "drift":
            values[i] += size * 1.5 * step / length
        elif fault == "changed season":
            wave = math.sin(2 * math.pi * i / SEASON)
            values[i] += amplitude * (math.sin(2 * math.pi * 4 * i / SEASON) - wave)
        else:
            values[i] = values[first - 1]
    return MadeSeries(fault, values, first, first + length - 1)


def roll(values: Sequence[float]) -> Judge:
    """Return the baseline: it flags a value more than 3 deviations from the mean of the last
    100.
    """
    tail = list(values[-ROLLING_WINDOW:])

    def judge(value: float) -> tuple[bool, float]:
        mean, deviation = compute_moments(tail)
        tail.append(value)
        del tail[0]
        score = abs(value - mean) / deviation if deviation else float(value != mean) * 1e9
        return score > ROLLING_K, score

    return judge


def start(kind: SeriesDetectorKind, values: Sequence[float], season: int | None = None) -> Judge:
    """Return a detector fitted to a history, which judges the following points one by one."""
    parameters = kind.defaults
    timestamps = range(len(values))
    if kind.name == "seasonal":
        parameters = type(parameters)(k=parameters.k, direction=parameters.direction, season=season)
    if kind.name == "simple":  # By default it flags only high values, and the faults go both ways.
        parameters = type(parameters)(k=parameters.k, direction="both")
    detector = kind.fit(timestamps, list(values), parameters)
    step = cast("LearningDetector", detector).learn if kind.learns else detector.judge
    time = len(values)

    def judge(value: float) -> tuple[bool, float]:
        nonlocal time
        time += 1
        said = step(time, value)
        # While a learning detector pauses its flags, its score must not exceed the threshold
        # either.
        score = abs(said.score)
        return said.anomaly, score if said.anomaly or not kind.learns else min(score, 1.0)

    return judge


def build_judges() -> dict[str, Callable[[Sequence[float]], Judge]]:
    judges: dict[str, Callable[[Sequence[float]], Judge]] = {"rolling z-score": roll}
    for kind in KINDS.values():
        judges[kind.name] = lambda values, kind=kind: start(kind, values)  # type: ignore[misc]
    return judges


def score_one(name: str, fault: str, number: int) -> tuple[bool, int]:
    """Return whether a detector found the fault of a series, and how many false alarms it gave."""
    made = make_series(fault, number)
    half = POINTS // 2
    judge = build_judges()[name](made.values[:half])
    flags = [judge(value)[0] for value in made.values[half:]]
    places = [half + i for i, flag in enumerate(flags) if flag]
    is_found = any(made.first <= place <= made.last + GRACE for place in places)
    # For the length of a season after the fault, flags are not counted as false: the fault is still
    # in the windows.
    elsewhere = [place for place in places if not made.first <= place <= made.last + SEASON]
    return is_found, sum(place - 1 not in elsewhere for place in elsewhere)


def run_quality(console: Console, nab: Path | None) -> None:
    """Score all detectors, print a table, and write the figures."""
    figures: dict[str, object] = {"machine": describe_machine()}
    judged_points = POINTS // 2 * SERIES_A_KIND * len(FAULTS)
    table = Table(
        "detector", *FAULTS, "all", "over z-score", "false alarms in 10,000 points",
        title=f"Share found of {SERIES_A_KIND} series each",
    )  # fmt: skip
    baseline = 0.0
    for name in build_judges():
        found = {}
        alarms = 0
        for fault in track(FAULTS, description=name, transient=True, console=console):
            scored = [score_one(name, fault, number) for number in range(SERIES_A_KIND)]
            found[fault] = sum(is_found for is_found, _ in scored) / SERIES_A_KIND
            alarms += sum(count for _, count in scored)
        share = sum(found.values()) / len(found)
        baseline = baseline or share
        rate = 10_000 * alarms / judged_points
        figures[name] = {**found, "all": round(share, 3), "false_alarms_in_10000": round(rate, 1)}
        table.add_row(
            name,
            *(f"{found[f]:.2f}" for f in FAULTS),
            f"{share:.2f}",
            f"{share / baseline:.2f}",
            f"{rate:.1f}",
        )
    console.print(table)
    if nab is not None:
        figures["nab_standard"] = score_nab(console, nab)
    keep_figures(console, RESULTS, figures, quick=False)


def judge_series(name: str, series: LabelledSeries) -> list[float]:
    """Return a score for each point of a series: 0 for those a detector is fitted to, and for all
    if it cannot be fitted.
    """
    learning = series.learning_points
    history = series.values[:learning]
    try:
        judge = build_judges()[name](history)
    except BadInput:  # Nothing changes in this history, or it has no season.
        return [0.0] * len(series.values)
    return [0.0] * learning + [judge(value)[1] for value in series.values[learning:]]


def score_nab(console: Console, folder: Path) -> dict[str, float]:
    """Score all detectors on a copy of the benchmark, and print a table."""
    corpus = list(read_corpus(folder))
    table = Table(
        "detector", "score", "threshold", title="Numenta Anomaly Benchmark, standard profile"
    )
    figures = {}
    with ProcessPoolExecutor(2) as pool:
        for name in build_judges():
            judged = pool.map(judge_series, [name] * len(corpus), corpus)
            named = zip(corpus, _follow(judged, len(corpus), name, console), strict=True)
            score, threshold = compute_score(
                corpus, {series.name: scores for series, scores in named}
            )
            figures[name] = round(score, 2)
            table.add_row(name, f"{score:.1f}", f"{threshold:.3g}")
    console.print(table)
    reached = max(figures.values())
    console.print(
        f"Goals: {GOALS[0]} (a random cut forest) and {GOALS[1]}; the best here is {reached:.1f}."
    )
    return figures


def _follow(
    judged: Iterator[list[float]], total: int, name: str, console: Console
) -> Iterator[list[float]]:
    yield from track(judged, description=name, total=total, transient=True, console=console)

"""Scores every bar of a stretch by some versions, with the same steps as a detection."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import thread_time

import numpy as np

from core.arrays import Bools, Float64, Int64
from core.errors import BadInput
from detection.detectors.contract import score_rows
from detection.features.kernel import MEASURES
from detection.market_days import has_days, refresh_days
from detection.models.manager import LoadedModel, ModelManager
from detection.pipeline.job import Job
from detection.pipeline.load import load
from detection.pipeline.plan import plan_stretches
from detection.pipeline.score import show
from detection.pipeline.stretches import Stretch
from detection.planted import count_found
from detection.scoring.drift import FEWEST_BARS
from detection.scoring.faults import mark_wrong
from records.database import Db

PART_TICKERS = 250
MOST_BARS = 5_000_000
_RETURN = MEASURES.index("return")


@dataclass(frozen=True, slots=True)
class StretchScores:
    """A version's scores of every bar of a stretch that it could score.

    Attributes:
        tickers: the tickers of which a bar was scored.
        series: shape (n,), the position of each bar's ticker in `tickers`; ascending.
        times: shape (n,), UTC seconds, ascending within a ticker.
        scores: shape (n,).
        threshold: bars with a lower score are alarms; where bars are of several markets, the
            threshold of each bar, shape (n,).
        errors: by ticker what is wrong with its bars.
        moves: shape (n,), how far each bar moved, in its ticker's usual ranges.
        wrong: shape (n,), which bars are no events whatever their score, by a rule for faults.
        inputs: the stability index of each column of the inputs; empty where it is not known.
        seconds: how long scoring took.
        thresholds: by market, for the markets of the bars.
        planted, planted_found: how many known faults were planted, and how many were found.
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
        """Return the market of all bars; None where they are of several markets."""
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


def score_versions(
    database: Db,
    models: ModelManager,
    jobs: Sequence[Job],
    versions: Sequence[str],
    stretch: tuple[datetime | None, datetime | None],
    checkpoint: Callable[[float], None],
) -> list[StretchScores]:
    """Return the scores of a stretch of the jobs' tickers by each of the versions. A job is of one
    market.

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
        # Rules find certain faults, models the others. So planted faults tell something only where
        # two versions are compared.
        plants = len(versions) > 1
        found.append(_score_stretch(database, model, jobs, stretch, tell, plants=plants))
    return found


def _score_stretch(
    database: Db,
    model: LoadedModel,
    jobs: Sequence[Job],
    stretch: tuple[datetime | None, datetime | None],
    checkpoint: Callable[[float], None],
    *,
    plants: bool,
) -> StretchScores:
    """Return a version's scores of every bar of some jobs' tickers in a stretch and, with `plants`,
    how many planted faults it finds.

    `checkpoint(fraction)` is called between two parts; what it raises ends the work. Raises
    BadInput where there are more bars than can be scored at once.
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
    return StretchScores(
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
    """Yield the jobs in parts with a limited number of tickers."""
    for job in jobs:
        for start in range(0, len(job.tickers), PART_TICKERS):
            yield replace(job, tickers=job.tickers[start : start + PART_TICKERS])

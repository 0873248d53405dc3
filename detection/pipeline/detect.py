"""The one path every detection takes: plan -> load -> score -> describe -> commit.

A job's tickers take this path in parts: while one part is committed, the next is described, the one
after that is scored, and one more is loaded. The compiled walk over the bars releases the
interpreter's lock, so that a process scores on one core and describes on another. All parts are
written in one transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from detection.market_days import has_days, refresh_days
from detection.models.manager import LoadedModel, ModelManager
from detection.pipeline.commit import Finish, commit
from detection.pipeline.describe import describe
from detection.pipeline.job import Job, Outcome, TickerResult
from detection.pipeline.load import Load, choose_models, load
from detection.pipeline.plan import Plan, make_plan
from detection.pipeline.prefetch import work_ahead
from detection.pipeline.score import Scores, score
from detection.pipeline.stretches import find_first
from records.database import Db

# How many tickers a part of a scan has. With half as many, the cost of each query makes a scan take
# 5 % more of the workers' time. With more, the allocator returns the memory of their bars to the
# system after each part, and getting it again takes longer than filling it.
SCAN_TICKERS = 500
# A backfill reads all bars of its tickers. The smaller its parts, the sooner one is written while
# others are scored.
BACKFILL_TICKERS = 50

Checkpoint = Callable[[float], None]


# A part goes through the steps in pieces, one for each model: the part's plan; what the model is to
# score, or has scored (None where no bar is to be scored); whether it is the part's last piece.
Piece = tuple[Plan, Load | None, bool]
ScoredPiece = tuple[Plan, Scores | None, bool]


def detect_and_commit(
    database: Db, models: ModelManager, job: Job, checkpoint: Checkpoint, finish: Finish
) -> tuple[list[Outcome], list[TickerResult]]:
    """Detect the series of a job and write what was found; return an outcome, without its
    anomalies, and a result for each series.

    Raises what `detect` and `commit` raise; then nothing is written.
    """
    return commit(database, job, lambda: detect(database, models, job, checkpoint), finish)


@contextmanager
def detect(
    database: Db, models: ModelManager, job: Job, checkpoint: Checkpoint
) -> Iterator[Iterator[list[Outcome]]]:
    """Yield an iterator over the outcomes of a job's series, part by part; nothing is written.

    `checkpoint(fraction)` is called between two pieces; what it raises (LeaseLost, Cancelled) ends
    the work. The iterator raises NoModel and ModelIntegrity.
    """
    loading = _load_parts(database, models, job, checkpoint)
    with (
        work_ahead(loading) as pieces,
        work_ahead(_score_parts(job, pieces)) as scored,
        work_ahead(_describe_parts(job, scored)) as parts,
    ):
        yield parts


def _load_parts(
    database: Db, models: ModelManager, job: Job, checkpoint: Checkpoint
) -> Iterator[Piece]:
    size = BACKFILL_TICKERS if job.task == "backfill" else SCAN_TICKERS
    # Only a plan tells for sure whether market days are needed. The model in use tells what is
    # likely, so that most plans are made once.
    needs_days = has_days(job.interval) and models.may_see_market(job.market, job.interval)
    with_days = False
    while True:
        checkpoint(0.0)
        if needs_days:
            refresh_days(database, job.market, job.interval, datetime.now(UTC), job.run_id)
            with_days = True
        with database.client.start_session(snapshot=True) as session:
            plan = make_plan(database, job, session, with_days=with_days)
            groups = choose_models(models, plan)
            sees_market = any(model.feature_set.sees_market for model, _ in groups)
            needs_days = has_days(job.interval) and (sees_market or plan.looked_at_days)
            if needs_days and not with_days:
                continue  # Days and bars must be read in the same snapshot.
            if job.walk_forward and groups:
                plan = _warn_of_learned(plan, groups[0][0])
            for start in range(0, len(job.tickers), size):
                part = plan.cut(job.tickers[start : start + size])
                own = [(model, part.pick(stretches)) for model, stretches in groups]
                own = [(model, stretches) for model, stretches in own if stretches]
                for number, (model, stretches) in enumerate(own, 1):
                    yield part, load(database, part, model, stretches, session), number == len(own)
                    done = start + len(part.job.tickers) * number / len(own)
                    checkpoint(done / len(job.tickers))
                if not own:
                    yield part, None, True
            return


def _warn_of_learned(plan: Plan, earliest: LoadedModel) -> Plan:
    """Return a walk-forward plan with a warning for each ticker that has bars which no version may
    score, as every version learned from them or from later bars.

    `earliest` is the version with the earliest training window.
    """
    end, job = earliest.window_end, plan.job
    warning = (
        f"bars up to {end:%Y-%m-%d} are not scored: {earliest.version}, whose window is the"
        " earliest, may have learned from them. One that ends before scores them: `flask models"
        f" train --market {job.market} --interval {job.interval} --window-end DATE --no-promote`"
    )
    outcomes = dict(plan.outcomes)
    for ticker, stretches in plan.stretches.items():
        first = find_first(stretches)
        start = plan.series[ticker]["first_bar"].timestamp() if first is None else first
        if start <= end.timestamp():
            outcome = outcomes[ticker]
            outcomes[ticker] = outcome._replace(warnings=(*outcome.warnings, warning))
    return replace(plan, outcomes=outcomes)


def _score_parts(job: Job, pieces: Iterator[Piece]) -> Iterator[ScoredPiece]:
    for plan, loaded, is_last in pieces:
        scores = None if loaded is None else score(loaded, job)
        del loaded  # so that it is freed while the next one is waited for
        yield plan, scores, is_last
        del scores


def _describe_parts(job: Job, pieces: Iterator[ScoredPiece]) -> Iterator[list[Outcome]]:
    done: dict[str, Outcome] = {}
    for plan, scores, is_last in pieces:
        if scores is not None:
            done |= describe(scores, {**plan.outcomes, **done}, job, datetime.now(UTC))
        del scores  # so that they are freed while the next are waited for
        if is_last:
            yield list({**plan.outcomes, **done}.values())
            done = {}

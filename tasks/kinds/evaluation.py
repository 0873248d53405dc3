"""The batch of an evaluation scores every bar of a stretch by each version, and judges them; where
a champion is watched, its drift is noted as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from core.errors import BadInput
from detection.evaluate import compare, judge, split_scores
from detection.pipeline.job import Job
from detection.stretch_scores import StretchScores, score_versions
from market.intervals import INTERVALS
from records.database import Db, in_transaction
from records.market.documents import SeriesDocument
from records.market.series import find_series
from records.models.bar_scores import build_bar_scores
from records.models.champions import ALL_MARKETS
from records.models.documents import BarScores, DriftDocument, EvaluationDocument, VersionJudgement
from records.models.drifts import find_drift_before, write_drift
from records.models.evaluations import get_evaluation, write_results
from records.models.models import get_model_record
from records.work.batches import Batch
from records.work.documents import ModelNews, RunDocument
from records.work.outbox import add_event
from tasks.engine.kind import Result
from tasks.kinds.drift import build_drift, describe_drift
from tasks.kinds.parts import build_checkpoint, build_finish, build_job, count_done, report_models
from tasks.process.worker import Worker


def evaluate(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Judge the versions that an evaluation names, and write what came of it."""
    database, asked = worker.database, get_evaluation(worker.database, run["options"]["evaluation"])
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    series = _find_judged(database, asked)
    jobs = _part_by_market(build_job(run, batch, asked["interval"]), series)
    stretch = asked["start"], asked["end"]
    found = score_versions(database, worker.models, jobs, asked["versions"], stretch, checkpoint)
    report_models(worker)
    seconds = INTERVALS[asked["interval"]]
    judgements = [
        judge(get_model_record(database, version), scores, asked["labels"], seconds)
        for version, scores in zip(asked["versions"], found, strict=True)
    ]
    agreement = compare(*found) if len(found) == 2 else None
    now = datetime.now(UTC)
    drift, news = _watch(worker, run["_id"], asked, judgements[0], now)

    def write(session: ClientSession) -> None:
        kept = _list_scores(asked, run, found, now) if asked["keep_scores"] else ()
        write_results(
            database,
            asked["_id"],
            session,
            run_id=run["_id"],
            judgements=judgements,
            agreement=agreement,
            errors=_list_errors(asked, series, found),
            scores=kept,
            now=now,
        )
        if drift is not None:
            write_drift(database, drift, session)
        if news is not None:
            add_event(database, run["_id"], "model_news", news, now, session)
        bars = sum(judged["bars"] for judged in judgements)
        finish(session, count_done(tickers=len(series), rows=bars))

    in_transaction(database, write)
    return {"detection_run_id": run["_id"], "evaluation": asked["_id"]}


def _find_judged(database: Db, asked: EvaluationDocument) -> list[SeriesDocument]:
    """Return the series whose bars the versions are judged by. Raises BadInput where none is."""
    series = find_series(
        database,
        tickers=asked["tickers"] or None,
        market=None if asked["market"] == ALL_MARKETS else asked["market"],
        interval=asked["interval"],
    )
    if not series:
        raise BadInput(
            f"market {asked['market']} has no {asked['interval']} bars to judge a model by",
            reason="no_bars",
        )
    return series


def _part_by_market(job: Job, series: Sequence[SeriesDocument]) -> list[Job]:
    """Return a job for the series of each market."""
    by_market: dict[str, list[str]] = {}
    for document in series:
        by_market.setdefault(document["market"], []).append(document["ticker"])
    return [replace(job, market=code, tickers=tuple(own)) for code, own in by_market.items()]


def _list_errors(
    asked: EvaluationDocument, series: Sequence[SeriesDocument], found: Sequence[StretchScores]
) -> dict[str, str]:
    """Return by ticker why its bars were not judged."""
    missing = set(asked["tickers"]) - {document["ticker"] for document in series}
    errors = {ticker: error for scores in found for ticker, error in scores.errors.items()}
    return errors | {
        ticker: f"{ticker} has no stored {asked['interval']} bars" for ticker in missing
    }


def _watch(
    worker: Worker,
    run_id: str,
    asked: EvaluationDocument,
    judgement: VersionJudgement,
    now: datetime,
) -> tuple[DriftDocument | None, ModelNews | None]:
    """Return the drift document of a watched champion (None if it is not watched), and the message
    about it (None unless it drifts for a new reason).
    """
    if "session" not in asked:
        return None, None
    before = find_drift_before(
        worker.database,
        asked["market"],
        asked["interval"],
        judgement["version"],
        asked["session"],
    )
    drift = build_drift(worker.database, run_id, asked, judgement, before, now)
    # A reason near its limit appears and disappears, so its disappearance is no news.
    is_news = set(drift["reasons"]) - set(before["reasons"] if before else [])
    return drift, describe_drift(drift, worker.settings.retrain) if is_news else None


def _list_scores(
    asked: EvaluationDocument, run: RunDocument, found: Sequence[StretchScores], now: datetime
) -> Iterator[BarScores]:
    for version, scores in zip(asked["versions"], found, strict=True):
        for ticker, times, values in split_scores(scores):
            yield from build_bar_scores(
                run["_id"],
                version,
                ticker,
                asked["interval"],
                times=times.astype("<i8").tobytes(),
                scores=values.astype("<f8").tobytes(),
                now=now,
            )

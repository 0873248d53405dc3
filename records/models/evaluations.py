"""Evaluations: versions judged on a stretch of bars and, where asked for, the scores of all bars.
Both are kept as long as finished runs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import uuid4

from pymongo.client_session import ClientSession

from core.errors import NotFound
from records.database import Db
from records.models.bar_scores import write_bar_scores
from records.models.documents import (
    AgreementFields,
    BarScores,
    EvaluationDocument,
    LabelFields,
    VersionJudgement,
    evaluations_in,
)


def add_evaluation(
    database: Db,
    *,
    market: str,
    interval: str,
    versions: Sequence[str],
    stretch: tuple[datetime | None, datetime | None],
    tickers: Sequence[str],
    labels: Sequence[LabelFields],
    keep_scores: bool,
    session_day: str | None = None,
    now: datetime,
) -> EvaluationDocument:
    """Store an evaluation that a run is to compute, and return it. With a `session_day` (ISO date)
    it measures a champion's drift of that session.
    """
    document: EvaluationDocument = {
        "_id": str(uuid4()),
        "market": market,
        "interval": interval,
        "versions": list(versions),
        "start": stretch[0],
        "end": stretch[1],
        "tickers": list(tickers),
        "labels": list(labels),
        "keep_scores": keep_scores,
        "created_at": now,
        "run_id": None,
        "judgements": None,
        "agreement": None,
        "errors": None,
        "done_at": None,
    }
    if session_day is not None:
        document["session"] = session_day
    evaluations_in(database).insert_one(document)
    return document


def get_evaluation(database: Db, evaluation_id: str) -> EvaluationDocument:
    """Return an evaluation. Raises NotFound."""
    found = evaluations_in(database).find_one({"_id": evaluation_id})
    if found is None:
        raise NotFound(
            f"there is no evaluation {evaluation_id[:64]!r}; evaluations are kept for 30 days, as"
            " runs are"
        )
    return found


def write_results(
    database: Db,
    evaluation_id: str,
    session: ClientSession,
    *,
    run_id: str,
    judgements: Sequence[VersionJudgement],
    agreement: AgreementFields | None,
    errors: dict[str, str],
    scores: Iterable[BarScores],
    now: datetime,
) -> None:
    """Store the results of an evaluation, and scores, inside the transaction of its batch."""
    results = {
        "run_id": run_id,
        "judgements": list(judgements),
        "agreement": agreement,
        "errors": errors,
        "done_at": now,
    }
    evaluations_in(database).update_one({"_id": evaluation_id}, {"$set": results}, session=session)
    write_bar_scores(database, scores, session)

"""Models: the registry, and what the workers have loaded of it."""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from apiflask import APIBlueprint

from api.http.auth import has_scope, needs_scope, require_scope
from api.http.bodies import MIB, takes_body
from api.http.idempotency import enqueues
from api.http.notes import change_noted
from api.http.paging import Listed, ask_page
from api.http.state import get_database, get_markets, get_now, get_state
from api.schemas.models import (
    ChallengerPage,
    ChallengerQuery,
    DetectorList,
    DriftPage,
    DriftQuery,
    Evaluation,
    EvaluationResult,
    Model,
    ModelPage,
    ModelQuery,
    ModelStats,
    Pointer,
    Promotion,
    Rollback,
    ScoresOfBars,
    ScoresQuery,
    TrainBody,
)
from detection.detectors.catalogue import DEFAULT_DETECTOR, DETECTORS
from detection.models import registry
from detection.models.lineage import find_gone_bars
from detection.models.plan import read_model_market
from records.database import Document
from records.models import challengers, drifts
from records.models.bar_scores import find_bar_scores
from records.models.champions import Scope
from records.models.documents import (
    ChallengerDocument,
    DriftDocument,
    EvaluationDocument,
    LabelFields,
    ModelRecord,
    ModelSummary,
    PointerDocument,
)
from records.models.evaluations import get_evaluation
from records.models.models import NEWEST_FIRST, find_models, get_model_record
from records.work.documents import Heartbeat, RunDocument
from records.work.heartbeats import find_heartbeats
from records.work.requests import Once
from tasks.process.census import WorkerAnswer
from tasks.requests.evaluations import EvaluationRequest, request_evaluation
from tasks.requests.trainings import request_training

models = APIBlueprint("models", __name__, tag="models")


def _check_market(code: str | None) -> str | None:
    """Return the code of a market that models may have, `ALL` included; None means any."""
    return None if code is None else read_model_market(get_markets(), code)


@models.get("/models")
@models.input(ModelQuery, location="query")
@models.output(ModelPage)
def list_models(query_data: ModelQuery) -> Listed[ModelSummary]:
    """List versions, the newest first."""
    market = _check_market(query_data.market)
    page = ask_page(query_data, NEWEST_FIRST)
    found = find_models(
        get_database(),
        market=market,
        state=query_data.state,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@models.get("/models/<version>")
@models.output(Model)
def get_model(version: str) -> Document:
    """Return a version: what it learned from, with which parameters, and its threshold."""
    return _show(get_model_record(get_database(), version))


def _show(record: ModelRecord) -> Document:
    return {**record, "bars_gone": find_gone_bars(get_database(), record)}


@models.post("/models/train")
@models.input(TrainBody, example={"market": "US", "contamination": 0.01})
@enqueues(models)
def train_model(json_data: TrainBody, once: Once) -> RunDocument:
    """Train a new version of a market's model; the run's document names it when it is there.

    To have it put in use takes a key that may do so directly: for others `promote` is false.
    """
    state = get_state()
    options = json_data.model_dump(
        mode="json", exclude={"market", "interval", "tickers"}, exclude_none=True
    )
    if json_data.promote:
        require_scope("admin", "a training that puts its model in use (`promote`)")
    if not has_scope("admin"):
        options["promote"] = False
    return request_training(
        state.database,
        state.celery,
        json_data.market,
        interval=json_data.interval,
        tickers=json_data.tickers,
        options=options,
        now=get_now(),
        once=once,
    )


@models.post("/models/<version>/promote")
@needs_scope("admin")
@models.input(Promotion, example={})
@models.output(Pointer)
@models.doc(
    responses={409: "it is retired, cannot be opened, or flags nothing or far more than was asked"}
)
def promote_model(version: str, json_data: Promotion) -> PointerDocument:
    """Put a version in use: the next batch of every worker takes it."""
    named = json_data.model_dump(exclude_none=True)
    database, now, scope = get_database(), get_now(), Scope.choose(**named) if named else None
    return change_noted(
        lambda session: registry.promote(database, version, now, scope=scope, session=session),
        "promote",
        f"model {version}",
        named,
    )


@models.post("/models/rollback")
@needs_scope("admin")
@models.input(Rollback, example={"market": "US", "interval": "1d"})
@models.output(Pointer)
@models.doc(responses={409: "there was none before, or it cannot be opened"})
def roll_model_back(json_data: Rollback) -> PointerDocument:
    """Go back to the champion before the present one.

    Retired versions are passed over; a ticker or watchlist that had none before goes back to its
    market's champion.
    """
    _check_market(json_data.market)
    scope = Scope.choose(**json_data.model_dump(exclude={"interval"}))
    database, interval, now = get_database(), json_data.interval, get_now()
    return change_noted(
        lambda session: registry.rollback(database, scope, interval, now, session),
        "rollback",
        f"champion of {scope}",
        {"interval": interval},
    )


@models.post("/models/<version>/retire")
@needs_scope("admin")
@models.output(Model)
@models.doc(responses={409: "it is in use"})
def retire_model(version: str) -> Document:
    """Take a version out of use for good. What it found can still be verified."""
    database, now = get_database(), get_now()
    change_noted(
        lambda session: registry.retire(database, version, now, session),
        "retire",
        f"model {version}",
    )
    return _show(get_model_record(database, version))


@models.get("/detectors")
@models.output(DetectorList)
def list_detectors() -> dict[str, list[Document]]:
    """List the detectors that a model can be trained with, and what each looks at."""
    described = [kind.describe() for kind in DETECTORS.values()]
    return {"detectors": [d | {"is_default": d["name"] == DEFAULT_DETECTOR} for d in described]}


@models.post("/models/evaluate")
@takes_body(most_bytes=8 * MIB)  # enough for the most labels allowed, each on a line of its own
@models.input(Evaluation, example={"versions": ["US_model-0.1.0"], "start": "2020-01-01"})
@enqueues(models)
def evaluate_models(json_data: Evaluation, once: Once) -> RunDocument:
    """Judge one version, or compare two, on a stretch of bars; nothing is promoted.

    The run's options name the evaluation, from which its results are read.
    """
    state = get_state()
    asked = EvaluationRequest(
        versions=tuple(json_data.versions),
        tickers=tuple(json_data.tickers),
        start=json_data.start,
        end=json_data.end,
        labels=[
            cast("LabelFields", label.model_dump(exclude_none=True)) for label in json_data.labels
        ],
        keep_scores=json_data.keep_scores,
    )
    return request_evaluation(state.database, state.celery, asked, now=get_now(), once=once)


@models.get("/drifts")
@models.input(DriftQuery, location="query")
@models.output(DriftPage)
def list_drifts(query_data: DriftQuery) -> Listed[DriftDocument]:
    """List how champions fared on their latest bars, noted once a session, the latest first."""
    market = _check_market(query_data.market)
    page = ask_page(query_data, drifts.NEWEST_FIRST)
    found = drifts.find_drifts(
        get_database(),
        market=market,
        interval=query_data.interval,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@models.get("/challengers")
@models.input(ChallengerQuery, location="query")
@models.output(ChallengerPage)
def list_challengers(query_data: ChallengerQuery) -> Listed[ChallengerDocument]:
    """List the versions that were trained because a champion had drifted, the newest first."""
    market = _check_market(query_data.market)
    page = ask_page(query_data, challengers.NEWEST_FIRST)
    found = challengers.find_challengers(
        get_database(),
        market=market,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@models.get("/evaluations/<evaluation_id>")
@models.output(EvaluationResult)
def get_one_evaluation(evaluation_id: str) -> EvaluationDocument:
    """Return what came of an evaluation."""
    return get_evaluation(get_database(), evaluation_id)


@models.get("/evaluations/<evaluation_id>/scores")
@models.input(ScoresQuery, location="query")
@models.output(ScoresOfBars)
def list_scores(evaluation_id: str, query_data: ScoresQuery) -> Document:
    """Return the score of every bar of a ticker, where they were asked for."""
    database = get_database()
    run_id = get_evaluation(database, evaluation_id)["run_id"]
    times, scores = find_bar_scores(database, run_id, query_data.version, query_data.ticker)
    first = 0 if query_data.start is None else bisect_left(times, query_data.start.timestamp())
    last = first + query_data.limit
    return {
        "ticker": query_data.ticker,
        "version": query_data.version,
        "times": [datetime.fromtimestamp(time, UTC) for time in times[first:last]],
        "scores": list(scores[first:last]),
        "next_start": datetime.fromtimestamp(times[last], UTC) if last < len(times) else None,
    }


@models.get("/model-stats")
@models.output(ModelStats)
def get_model_stats() -> Document:
    """Ask the workers what their model caches hold."""
    workers = get_state().workers.ask()
    names = [f"{worker.host}:{pid}" for worker in workers for pid in worker.pids]
    said = find_heartbeats(get_database(), names)
    caches = [_describe_caches(worker, said) for worker in workers]
    held = [
        version
        for worker in caches
        for process in worker["processes"]
        for version in process["models"]
    ]
    return {
        "cached_models": sorted({version.partition("_model-")[0] for version in held}),
        "model_versions": sorted(set(held)),
        "total_cached": len(held),
        "workers": caches,
    }


def _describe_caches(worker: WorkerAnswer, said: Mapping[str, Heartbeat]) -> Document:
    names = {f"{worker.host}:{pid}": pid for pid in worker.pids}
    processes = [
        said[name] | {"pid": pid} for name, pid in names.items() if "models" in said.get(name, {})
    ]
    return {"name": worker.name, "queues": list(worker.queues), "processes": processes}

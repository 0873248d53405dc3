"""Watching champions: once a session and market their drift is measured and, depending on RETRAIN,
a challenger is trained, compared and promoted.

All state is in documents, so that any beat continues where another stopped. A drift and a report
are accepted under an idempotency key of their own, and the run that trains a challenger records it.
"""

from datetime import datetime, timedelta

import structlog
from pymongo.client_session import ClientSession

from core.errors import Conflict, NoModel
from detection.models.gates import judge_challenger
from detection.models.registry import check_promotable, get_champion, promote_within
from records.database import Db, in_transaction
from records.market.documents import MarketExtent
from records.market.series import find_extents
from records.models import challengers, drifts
from records.models.champions import Scope, find_champion
from records.models.documents import ChallengerDocument
from records.models.evaluations import get_evaluation
from records.models.models import find_model, find_trained, get_model_record
from records.work import outbox, runs
from records.work.documents import ModelNews
from records.work.slots import take_slot
from tasks.engine.one_of_many import going_on
from tasks.process.worker import Worker
from tasks.requests.model_watch import (
    find_session,
    request_challenger,
    request_drift,
    request_report,
)

SLOT_SECONDS = 300
CHALLENGED_AT_MOST = timedelta(days=7)

log = structlog.get_logger()


def watch_models(worker: Worker, now: datetime) -> list[str]:
    """Accept the runs that are due for each market's champion, and move challengers on; return the
    runs' ids.

    Does nothing if the present five minutes were already handled.
    """
    database = worker.database
    if worker.settings.retrain == "off":
        return []
    if not take_slot(database, "model_watch", int(now.timestamp()) // SLOT_SECONDS):
        return []
    accepted: list[str | None] = []
    for challenger in challengers.find_open_challengers(database):
        with going_on("challenger_failed", challenger["_id"]):
            accepted.append(move_on(worker, challenger, now))
    for extent in find_extents(database):
        with going_on("model_watch_failed", f"{extent['market']} {extent['interval']}"):
            accepted.append(_watch(worker, extent, now))
    return [run_id for run_id in accepted if run_id is not None]


def _watch(worker: Worker, extent: MarketExtent, now: datetime) -> str | None:
    """Return the run that was accepted for a market, if any."""
    database, market, interval = worker.database, extent["market"], extent["interval"]
    try:
        version = get_champion(database, market, interval).version
    except NoModel:
        return None
    drift = drifts.find_drift(database, market, interval, find_session(extent))
    if drift is None:
        asked = request_drift(database, worker.celery, extent, version, now)
        return None if asked is None else asked["_id"]
    trains = worker.settings.retrain in {"train", "promote"}
    if not trains or not drift["reasons"] or drift["version"] != version:
        return None
    champion = get_model_record(database, version)
    # Of the bars that the champion learned from, a challenger would learn the same.
    if extent["last_bar"] <= champion["window_end"] or challengers.is_challenged(
        database,
        champion["market"],
        interval,
        version,
        since=now - CHALLENGED_AT_MOST,
        now=now,
        last_bar=extent["last_bar"],
    ):
        return None
    run = request_challenger(database, worker.celery, drift, champion, extent["last_bar"], now)
    log.info("challenger_accepted", model=version, reasons=drift["reasons"], run_id=run["_id"])
    return run["_id"]


def move_on(worker: Worker, challenger: ChallengerDocument, now: datetime) -> str | None:
    """Take a challenger to its next step if its run has ended; return the run that was accepted for
    this step, if any.
    """
    database = worker.database
    run_id = challenger["evaluation_run_id"] or challenger["_id"]
    run = runs.find_bare_run(database, run_id)
    if run is not None and run["status"] in runs.OPEN_STATUSES:
        return None
    why = (run["error"] if run else None) or f"run {run_id} ended without a result"
    if challenger["state"] == "training":
        trained = find_trained(database, run_id)
        champion = find_model(database, challenger["champion"])
        if trained is not None and champion is not None:
            version = trained["_id"]
            asked = request_report(database, worker.celery, challenger, champion, version, now)
            judging: ChallengerDocument = {
                **challenger,
                "state": "judging",
                "version": version,
                "evaluation": asked["options"]["evaluation"],
                "evaluation_run_id": asked["_id"],
                "updated_at": now,
            }
            challengers.change_challenger(database, judging)
            return asked["_id"]
    elif run is not None and run["status"] == "complete":
        _settle(worker, challenger, now)
        return None
    challengers.change_challenger(
        database, {**challenger, "state": "failed", "error": why, "updated_at": now}
    )
    return None


def _settle(worker: Worker, challenger: ChallengerDocument, now: datetime) -> None:
    """Record which gates a challenger passed, promote it where RETRAIN says so, and send a
    message.
    """
    database, version = worker.database, str(challenger["version"])
    evaluation = get_evaluation(database, str(challenger["evaluation"]))
    gates = judge_challenger(evaluation)
    judged: ChallengerDocument = {
        **challenger,
        "state": "judged",
        "gates": gates,
        "passed": all(gate["passed"] for gate in gates),
        "updated_at": now,
    }

    def write(session: ClientSession) -> None:
        challengers.change_challenger(database, judged, session)
        outbox.add_event(database, challenger["_id"], "model_news", _describe(judged), now, session)

    def promote(session: ClientSession) -> None:
        if hindrance := _find_hindrance(database, challenger, session):
            raise Conflict(hindrance)
        promote_within(database, record, scope, now, session)
        write(session)

    scope = Scope("market", challenger["market"])
    if judged["passed"] and worker.settings.retrain == "promote":
        judged["error"], judged["promoted_at"] = None, now
        record = get_model_record(database, version)
        try:
            check_promotable(database, record, scope)
            in_transaction(database, promote)
        except Conflict as error:
            judged["promoted_at"], judged["error"] = None, error.message
        else:
            log.info("challenger_promoted", model=version, before=challenger["champion"])
            return
    in_transaction(database, write)


def _find_hindrance(
    database: Db, challenger: ChallengerDocument, session: ClientSession
) -> str | None:
    """Return why a challenger that passed its gates is not promoted, None where it is."""
    scope = Scope("market", challenger["market"])
    champion = find_champion(database, scope, challenger["interval"], session)
    if champion is not None and champion.version == challenger["champion"]:
        return None
    present = champion.version if champion else "none"
    return f"{challenger['champion']} is no longer the champion; {present} is"


def _describe(judged: ChallengerDocument) -> ModelNews:
    version, champion = judged["version"], judged["champion"]
    if judged["promoted_at"] is not None:
        said = f"{version} is in use in place of {champion}"
        then = f"`flask models rollback --market {judged['market']}` goes back"
    elif judged["passed"]:
        said = f"{version} passed all gates beside {champion}"
        then = judged["error"] or f"`flask models promote {version}` puts it in use"
    else:
        said = f"{version} did not pass all gates beside {champion}, which stays"
        then = f"`flask models promote {version}` puts it in use all the same"
    lines = [
        f"{'passed' if gate['passed'] else 'not passed'}, {gate['name']}: {gate['words']}"
        for gate in judged["gates"]
    ]
    market, interval = judged["market"], judged["interval"]
    title, body = f"{market} {interval}: {said}", "\n".join([*lines, then])
    return {"market": market, "interval": interval, "title": title, "body": body}

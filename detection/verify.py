"""Derives stored anomalies again, and tells what has changed: the model, the threshold, the code,
the data or the market's days.

Each anomaly is computed twice from today's bars: with the model that found it, which tells whether
the record can be trusted; and with today's champion, which tells what would be found today. For an
anomaly that a watchlist's scan found, champion and threshold are those of the watchlist. Nothing
stored is changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from core.errors import NoModel
from core.words import AnomalyKind, Cause, Verdict
from detection.market_days import has_days, refresh_days
from detection.models.libraries import find_library_versions
from detection.models.manager import LoadedModel, ModelManager
from detection.pipeline.describe import describe
from detection.pipeline.detect import Checkpoint
from detection.pipeline.job import Job
from detection.pipeline.load import load
from detection.pipeline.plan import plan_stretches
from detection.pipeline.score import score
from detection.pipeline.stretches import Stretch
from records.database import Db
from records.findings.anomalies import find_fallen
from records.findings.documents import AnomalyDocument, LibraryChange, VerificationDocument
from records.market.revisions import find_revisions
from records.models.models import get_model_record
from records.work.runs import find_watchlists

SAME_SCORE = 1e-9
LISTED_CHANGES = 20
Spans = Mapping[str, Sequence[tuple[datetime, datetime]]]


@dataclass(frozen=True, slots=True)
class Underived:
    """Anomalies of a version that cannot score any more, and the reason."""

    version: str
    error: NoModel
    anomalies: Sequence[AnomalyDocument]


@dataclass(frozen=True, slots=True)
class Rederived:
    """The verifications of anomalies, and the anomalies that could not be derived again."""

    documents: list[VerificationDocument]
    underived: list[Underived]


def verify(
    database: Db,
    models: ModelManager,
    job: Job,
    stored: Sequence[AnomalyDocument],
    spans: Spans,
    checkpoint: Checkpoint,
) -> Rederived:
    """Verify stored anomalies of one market and interval. Each gets a document, except those of a
    version whose columns do not exist any more.

    Args:
        database: has the bars.
        models: this process' models.
        job: the run and its tickers; `job.run_id` is named in the documents. In the spans, champion
            and threshold are those of `job.watchlist`.
        stored: the anomalies to derive again.
        spans: by ticker the first and the last bar between which anomalies that are found today but
            not stored count as new.
        checkpoint: called between two steps; what it raises ends the work.

    Raises NoModel where there is no champion, and ModelIntegrity where a recorded model cannot be
    opened.
    """
    if has_days(job.interval):
        refresh_days(database, job.market, job.interval, job.started_at)
    recorded, underived = _recompute(database, models, job, stored, checkpoint)
    lost = {anomaly["_id"] for each in underived for anomaly in each.anomalies}
    stored = [anomaly for anomaly in stored if anomaly["_id"] not in lost]
    current = _find_current(database, models, job, stored, spans, checkpoint)
    compared = [
        _compare(
            database, anomaly, recorded.get(anomaly["_id"]), current.pop(anomaly["_id"], None), job
        )
        for anomaly in stored
    ]
    news = {each: found for each, found in current.items() if _within(found, spans)}
    # An anomaly in a span may be stored although it is not in `stored`, by another run or version.
    unknown = find_fallen(database, list(news))
    compared += [
        _build(job, found, verdict="new", cause=None, original=None, recomputed=None, current=found)
        for each, found in news.items()
        if each in unknown
    ]
    return Rederived(compared, underived)


def _recompute(
    database: Db,
    models: ModelManager,
    job: Job,
    stored: Sequence[AnomalyDocument],
    checkpoint: Checkpoint,
) -> tuple[dict[str, AnomalyDocument], list[Underived]]:
    """Return today's result for each stored anomaly by the model that found it, and the anomalies
    whose model has columns that do not exist any more.
    """
    found: dict[str, AnomalyDocument] = {}
    underived: list[Underived] = []
    by_version = sorted(stored, key=lambda anomaly: anomaly["model_version"])
    for version, group in groupby(by_version, key=lambda anomaly: anomaly["model_version"]):
        members = list(group)
        kinds = {anomaly["_id"]: anomaly["kind"] for anomaly in members}
        try:
            model = models.get_model_version(version).of_market(job.market)
        except NoModel as error:
            underived.append(Underived(version, error, members))
            continue
        found |= _describe_bars(database, model, job, members, {}, kinds)
        checkpoint(0.4)
    return found, underived


def _find_current(
    database: Db,
    models: ModelManager,
    job: Job,
    stored: Sequence[AnomalyDocument],
    spans: Spans,
    checkpoint: Checkpoint,
) -> dict[str, AnomalyDocument]:
    """Return the results of today's champions for the stored anomalies, and for the other anomalies
    that they find in the spans.
    """
    found: dict[str, AnomalyDocument] = {}
    scanned = find_watchlists(database, {anomaly["detection_run_id"] for anomaly in stored})
    # An anomaly of a watchlist's scan is scored by the watchlist's champion and threshold. Spans
    # come first.
    by_watchlist: dict[str | None, list[AnomalyDocument]] = {job.watchlist: []}
    for anomaly in stored:
        by_watchlist.setdefault(scanned.get(anomaly["detection_run_id"]), []).append(anomaly)
    for watchlist, own in by_watchlist.items():
        seen = spans if watchlist == job.watchlist else {}
        tickers = tuple(sorted({anomaly["Ticker"] for anomaly in own} | seen.keys()))
        for model, group in models.group_by_model(
            job.market, job.interval, tickers, watchlist=watchlist
        ):
            members = [anomaly for anomaly in own if anomaly["Ticker"] in group]
            found |= _describe_bars(
                database, model, job, members, {t: s for t, s in seen.items() if t in group}
            )
            checkpoint(0.8)
    return found


def _describe_bars(
    database: Db,
    model: LoadedModel,
    job: Job,
    stored: Sequence[AnomalyDocument],
    spans: Spans,
    kinds: Mapping[str, AnomalyKind] | None = None,
) -> dict[str, AnomalyDocument]:
    """Return by id a model's results today for the bars of stored anomalies, and for the anomalies
    in the spans; no other bars are scored.

    `kinds` has the kinds of the stored anomalies, where these are to be kept, as today's threshold
    of the model is not the one that found them.
    """
    stretches: dict[str, list[Stretch]] = {}
    for anomaly in stored:
        time = int(anomaly["Datetime"].timestamp())
        stretches.setdefault(anomaly["Ticker"], []).append(Stretch(time, last=time))
    for ticker, ticker_spans in spans.items():
        own = (
            Stretch(int(first.timestamp()), last=int(last.timestamp()))
            for first, last in ticker_spans
        )
        stretches.setdefault(ticker, []).extend(own)
    wanted = {ticker: tuple(own) for ticker, own in stretches.items()}
    with database.client.start_session(snapshot=True) as session:
        plan = plan_stretches(database, replace(job, tickers=tuple(wanted)), wanted, session)
        loaded = load(database, plan, model, wanted, session)
    asked = [anomaly["_id"] for anomaly in stored]
    scores = score(loaded, job, asked=asked)
    outcomes = describe(scores, plan.outcomes, job, job.started_at, kinds=kinds)
    return {found["_id"]: found for outcome in outcomes.values() for found in outcome.found}


def _within(found: AnomalyDocument, spans: Spans) -> bool:
    return any(first <= found["Datetime"] <= last for first, last in spans.get(found["Ticker"], ()))


def _compare(
    database: Db,
    anomaly: AnomalyDocument,
    recomputed: AnomalyDocument | None,
    current: AnomalyDocument | None,
    job: Job,
) -> VerificationDocument:
    """Return the verdict on one stored anomaly: today's champion's result, and why it differs."""
    if current is None or not _is_found(current):
        verdict: Verdict = "vanished"
    elif abs(current["anomaly_score"] - anomaly["anomaly_score"]) <= SAME_SCORE:
        verdict = "identical"
    else:
        verdict = "score_moved"
    cause = _find_cause(anomaly, recomputed, current)
    if cause is None and verdict == "vanished":
        cause = "threshold"  # Everything else is unchanged.
    document = _build(
        job,
        anomaly,
        verdict=verdict,
        cause=cause,
        original=anomaly,
        recomputed=recomputed,
        current=current,
    )
    if cause == "data":
        document["data_changes"] = _list_data_changes(database, anomaly)
    if cause == "code":
        document["code_changes"] = _list_code_changes(database, anomaly)
    return document


def _is_found(current: AnomalyDocument) -> bool:
    """Return whether a described bar is an anomaly today; bars that are asked for are described
    whether or not they are.
    """
    # A fault of strength 1 has the score of the rules' threshold itself.
    return current["kind"] == "fault" or current["anomaly_score"] < current["threshold"]


def _find_cause(
    anomaly: AnomalyDocument, recomputed: AnomalyDocument | None, current: AnomalyDocument | None
) -> Cause | None:
    """Return what has changed since the anomaly was found: the first of its data, the market's
    days, the code, and the threshold or the model; None for nothing.
    """
    if recomputed is None or recomputed["bars_fingerprint"] != anomaly["bars_fingerprint"]:
        return "data"
    if recomputed.get("market_fingerprint") != anomaly.get("market_fingerprint"):
        return "market"
    has_moved = abs(recomputed["anomaly_score"] - anomaly["anomaly_score"]) > SAME_SCORE
    # The bar is derived as its stored kind, wherever today's rules allow that.
    if has_moved or recomputed["kind"] != anomaly["kind"]:
        return "code"
    if current is None:
        return "model"
    is_same_model = current["model_hash"] == anomaly["model_hash"]
    if current["kind"] != anomaly["kind"]:
        # A bar that may be a fault counts as an event where its score passes the threshold.
        return "threshold" if is_same_model else "model"
    # Faults do not depend on the model.
    return None if is_same_model or current["kind"] == "fault" else "model"


def _list_code_changes(database: Db, anomaly: AnomalyDocument) -> list[LibraryChange]:
    """Return the libraries whose versions differ from those that the anomaly's model was trained
    with.

    Where no library differs, this project's code of the feature set has changed, or the record.
    """
    then, now = (
        get_model_record(database, anomaly["model_version"])["library_versions"],
        find_library_versions(),
    )
    return [
        {"name": name, "then": then.get(name), "now": now[name]}
        for name in now
        if then.get(name) != now[name]
    ]


def _list_data_changes(database: Db, anomaly: AnomalyDocument) -> list[Mapping[str, object]]:
    """Return the revisions, after the anomaly was found, of bars up to its own, the newest
    first.
    """
    revisions = find_revisions(
        database,
        ticker=anomaly["Ticker"],
        interval=anomaly["interval"],
        since_revision=anomaly["bars_revision"],
        end=anomaly["Datetime"],
        limit=LISTED_CHANGES,
    )
    left_out = {"_id", "ticker", "interval"}
    return [
        {name: value for name, value in revision.items() if name not in left_out}
        for revision in revisions
    ]


def _build(
    job: Job,
    subject: AnomalyDocument,
    *,
    verdict: Verdict,
    cause: Cause | None,
    original: AnomalyDocument | None,
    recomputed: AnomalyDocument | None,
    current: AnomalyDocument | None,
) -> VerificationDocument:
    rederived = original is not None and recomputed is not None
    return {
        "_id": f"{job.run_id}:{subject['_id']}",
        "verification_run_id": job.run_id,
        "verified_at": job.started_at,
        "anomaly_id": subject["_id"],
        "ticker": subject["Ticker"],
        "interval": subject["interval"],
        "datetime": subject["Datetime"],
        # The recorded model gives the recorded score on today's bars.
        "verified": rederived and _score_gap(original, recomputed) <= SAME_SCORE,
        "verdict": verdict,
        "cause": cause,
        "original_model": original["model_version"] if original else None,
        "current_model": current["model_version"] if current else None,
        "original_score": original["anomaly_score"] if original else None,
        "recomputed_score": recomputed["anomaly_score"] if recomputed else None,
        "current_score": current["anomaly_score"] if current else None,
        "original_features": original["features"] if original else None,
        "current_features": current["features"] if current else None,
        "feature_set": subject["feature_set"],
        "data_changes": [],
        "code_changes": [],
    }


def _score_gap(one: AnomalyDocument | None, other: AnomalyDocument | None) -> float:
    if one is None or other is None:
        return float("inf")
    return abs(one["anomaly_score"] - other["anomaly_score"])

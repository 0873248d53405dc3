"""The drift document of a champion, written once a session from its evaluation on the latest
bars.
"""

from datetime import datetime

from core.words import Retrain
from detection.scoring.drift import MOST_INDEX, settle_watched
from records.database import Db
from records.findings.labels import count_true
from records.models.documents import DriftDocument, EvaluationDocument, VersionJudgement
from records.models.drifts import build_drift_id
from records.tenancy import each_tenant
from records.work.documents import ModelNews


def build_drift(
    database: Db,
    run_id: str,
    asked: EvaluationDocument,
    judged: VersionJudgement,
    before: DriftDocument | None,
    now: datetime,
) -> DriftDocument:
    """Return the drift document of a champion; `before` is the previous one."""
    version, interval, session = judged["version"], asked["interval"], asked["session"]
    start, end = asked["start"], asked["end"]
    if start is None or end is None:
        raise ValueError(f"evaluation {asked['_id']} of a session has no start or end")
    counts = [count_true(own, version, interval) for own in each_tenant(database)]
    true, labels = (sum(column) for column in zip(*counts, strict=True))
    precision = true / labels if labels else None
    drift = judged["drift"]
    reasons = settle_watched(
        drift["reasons"],
        index_before=before["stability_index"] if before else None,
        labels=labels,
        precision=precision,
    )
    return {
        **drift,
        "_id": build_drift_id(asked["market"], interval, session),
        "market": asked["market"],
        "interval": interval,
        "session": session,
        "version": version,
        "start": start,
        "end": end,
        "bars": judged["bars"],
        "labels": labels,
        "precision": precision,
        "reasons": reasons,
        "run_id": run_id,
        "at": now,
    }


def describe_drift(drift: DriftDocument, retrain: Retrain) -> ModelNews:
    """Return a message that a champion has drifted, what has moved, and what happens next."""
    market, interval, version = drift["market"], drift["interval"], drift["version"]
    named = ", ".join(word.replace("_", " ") for word in drift["reasons"])
    moved = [name for name, index in drift["inputs"].items() if index > MOST_INDEX]
    lines = [
        f"by {drift['bars']:,} bars from {drift['start']:%Y-%m-%d} to {drift['end']:%Y-%m-%d}",
        f"inputs that have moved: {', '.join(moved) or 'none'}",
    ]
    if retrain == "propose":
        lines.append(f"`flask models train --market {market} --interval {interval}` trains anew")
    else:
        lines.append(
            "where bars have come since its training, a challenger is trained and compared with it,"
            " at most one in 7 days"
        )
    title = f"{market} {interval}: {version} has drifted: {named}"
    body = "\n".join(lines)
    return {"market": market, "interval": interval, "title": title, "body": body}

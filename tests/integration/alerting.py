"""Builds anomalies and ended runs for tests of alerts and messages."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from records.database import Db, Document
from records.findings.anomalies import build_anomaly_id
from records.findings.watermarks import build_watermark_id
from records.work import endings, runs
from records.work.requests import RunRequest, insert_run

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
# Sessions of the New York exchange. The Monday between the last two is the holiday of Martin Luther
# King.
SESSIONS = [datetime(2026, 1, day, tzinfo=UTC) for day in (5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 20)]


def build_anomaly(
    run_id: str,
    ticker: str,
    bar: datetime,
    *,
    grade: float = 80.0,
    moved: float = -0.09,
    confidence: float = 1.0,
    kind: str = "event",
    fault: str | None = None,
) -> Document:
    """Return an anomaly of a US ticker's daily bar."""
    return {
        "_id": build_anomaly_id(ticker, "1d", bar),
        "Ticker": ticker,
        "Datetime": bar,
        "interval": "1d",
        "kind": kind,
        "fault": fault,
        "market": "US",
        "Close": 10.0,
        "Volume": 1000.0,
        "detection_run_id": run_id,
        "detection_timestamp": NOW,
        "model_version": "US_model-0.1.0",
        "model_hash": "sha256:00",
        "feature_set": "market14/1",
        "features": {"return_1": moved},
        "attribution": {"return_fast": 0.7, "departure_fast": 0.3},
        "anomaly_score": -grade / 100,
        "threshold": -0.4,
        "grade": grade,
        "confidence": confidence,
        "severity": "critical" if grade >= 100 else "high" if grade >= 75 else "medium",
        "reasons": ["fell 9.0 %, 4.1 times its usual range"],
        "bars_fingerprint": "sha256:00",
        "in_training_window": False,
        "suspected_split": None,
        "opinions": [],
        "status": "new",
        "sent": False,
        "created_at": NOW,
    }


def end_run(
    database: Db,
    *found: tuple[str, datetime] | tuple[str, datetime, dict[str, Any]],
    task: str = "incremental",
    tickers: Sequence[str] = (),
    watchlist: str | None = None,
    options: dict[str, Any] | None = None,
) -> str:
    """Store a run that ended and found anomalies of these tickers at these bars; return its id."""
    named = tuple(tickers) or tuple(sorted({each[0] for each in found})) or ("AAPL",)
    request = RunRequest(task, "scheduler", named, watchlist=watchlist, options=options or {})  # type: ignore[arg-type]
    run_id: str = insert_run(database, request, NOW)["_id"]
    runs.start_run(database, run_id, [], NOW)
    for ticker, bar, *more in found:
        fields = more[0] if more else {}
        database.anomalies.insert_one(build_anomaly(run_id, ticker, bar, **fields))
    assert endings.finish_run(database, run_id, NOW) is not None
    return run_id


def set_last_bar(database: Db, last: datetime, *tickers: str) -> None:
    """Store that the daily bars of these tickers are detected up to `last`."""
    for ticker in tickers:
        mark = {"ticker": ticker, "interval": "1d", "last_detected_timestamp": last}
        own = {"_id": build_watermark_id(ticker, "1d")}
        fields = mark | {"first_detected_timestamp": datetime(2005, 1, 3, tzinfo=UTC)}
        database.detection_metadata.update_one(
            own, {"$set": fields | {"bars_revision": 0}}, upsert=True
        )


def age(database: Db, alert_id: str, **days: float) -> None:
    """Set times of an alert back by this many days."""
    alert = database.alerts.find_one({"_id": alert_id})
    assert alert is not None
    moved = {name: alert[name] - timedelta(days=count) for name, count in days.items()}
    database.alerts.update_one({"_id": alert_id}, {"$set": moved})

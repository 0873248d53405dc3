"""Alerts of single series: stored predictions that are anomalies become one open alert for a series
and direction, which later ones extend.

It is pure: documents in, documents out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import erfc, sqrt

from alerts.new_alert import build_alert_id, build_beginning, leave_unexplained
from core.grades import get_severity, grade_share
from core.words import Direction
from records.alerts.documents import AlertDocument, ListedAlert
from records.alerts.raised import LaterFields
from records.findings.documents import StoredPrediction


def compute_grade(score: float) -> float:
    """Return the grade, 0 to 100, of a score in deviations: that of its two-sided tail probability
    in a normal distribution, so that 50 is one point in 100 and 75 one in 1,000.
    """
    return grade_share(erfc(abs(score) / sqrt(2.0)))


def tell_direction(prediction: StoredPrediction) -> Direction:
    """Return on which side of what was expected a value lies."""
    return "down" if prediction["value"] < prediction["expected"] else "up"


def build_series_alert(
    predictions: Sequence[StoredPrediction], event_id: str, now: datetime
) -> AlertDocument:
    """Return the alert of anomalies of one series and direction that were stored together."""
    first = predictions[0]
    strangest = max(predictions, key=lambda each: abs(each["score"]))
    grade = compute_grade(strangest["score"])
    # A deleted series may be created again, with the same times.
    subject = f"series::{first['_id']}::{first['created_at'].astimezone(UTC):%Y%m%dT%H%M%S%f}"
    alert: AlertDocument = {
        "_id": build_alert_id(None, subject),
        "watchlist": None,
        "entity_type": "series",
        "entity_id": first["series_id"],
        "market": "",
        "interval": "",
        "direction": tell_direction(first),
        "bar_time": first["created_at"],
        "last_bar": predictions[-1]["created_at"],
        "count": len(predictions),
        "anomaly_ids": [each["_id"] for each in predictions],
        "anomaly_score": strangest["score"],
        "threshold": None,
        "grade": grade,
        "severity": get_severity(grade),
        **leave_unexplained(),
        "reasons": [_describe(strangest)],
        "detection_timestamp": now,
        "model_version": str(strangest["version"]),
        "detector_type": strangest["detector"],
        "metric_name": strangest["series_id"],
        "actual_value": strangest["value"],
        "expected_value": strangest["expected"],
        **build_beginning(event_id, now),  # type: ignore[typeddict-item]  # it holds no bars
    }
    return alert


def extend_series_alert(alert: ListedAlert, later: AlertDocument) -> LaterFields:
    """Return what later anomalies change of an open alert of their series."""
    strangest = later if later["grade"] > alert["grade"] else alert
    fields = {name: strangest[name] for name in LaterFields.__annotations__ if name in strangest}  # type: ignore[literal-required]  # its own
    fields |= {
        "bar_time": alert["bar_time"],
        "last_bar": later["last_bar"],
        "count": alert["count"] + later["count"],
        "anomaly_ids": [*alert["anomaly_ids"], *later["anomaly_ids"]],
        "run_id": later["run_id"],
        "grade_before": alert["grade"],
        "updated_at": later["updated_at"],
    }
    return fields  # type: ignore[return-value]  # made of its names


def _describe(prediction: StoredPrediction) -> str:
    return (
        f"{prediction['value']:.6g} at {prediction['timestamp']}, where"
        f" {prediction['expected']:.6g} was expected: {abs(prediction['score']):.1f} deviations"
        f" {'below' if tell_direction(prediction) == 'down' else 'above'}"
    )

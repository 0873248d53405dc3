"""The plot of a single series' version: its history, its judgements of it, and the last stored
predictions.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from detection.models.single_series import load_model, read_history
from detection.series.drawing import DrawnPoint, draw_series, thin_out
from detection.series.rules import Point
from records.database import Db, Document
from records.findings.series_predictions import find_predictions
from records.models.single_series import find_versions, get_version

SHOWN_PREDICTIONS = 500
LISTED_VERSIONS = 100


def build_plot(database: Db, series_id: str, version: int | None) -> Document:
    """Return {series_id, version, detector, versions, training, predictions};
    points are those of `DrawnPoint`.

    Of a long history only the lowest and the highest point of each stretch are returned. Raises
    NotFound and ModelIntegrity.
    """
    record = get_version(database, series_id, version)
    model = load_model(record)
    timestamps, values = read_history(database, record)
    shown = [Point(timestamps[place], values[place]) for place in thin_out(values)]
    stored = find_predictions(
        database, series_id, version=record["version"], limit=SHOWN_PREDICTIONS
    )
    versions = find_versions(database, series_id, ("version",), LISTED_VERSIONS)
    # The state of a detector that learns does not tell what it would have judged earlier.
    said = [{} if model.kind.learns else model.judge(point)._asdict() for point in shown]
    return {
        "series_id": series_id,
        "version": str(record["version"]),
        "detector": record["detector"],
        "versions": [str(each["version"]) for each in versions],
        "training": [_describe(*point, judged) for point, judged in zip(shown, said, strict=True)],
        "predictions": [
            _describe(each["timestamp"], each["value"], each) for each in reversed(stored)
        ],
    }


def draw_plot(plot: Document) -> str:
    """Return a plot as SVG."""
    return draw_series(
        f"{plot['series_id']}, version {plot['version']}, {plot['detector']}",
        [DrawnPoint(**point) for point in plot["training"]],
        [DrawnPoint(**point) for point in plot["predictions"]],
    )


def _describe(timestamp: int, value: float, said: Mapping[str, Any]) -> Document:
    names = ("anomaly", "expected", "lower", "upper")
    return asdict(
        DrawnPoint(timestamp, value, **{name: said[name] for name in names if name in said})
    )

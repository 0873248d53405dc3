"""Tables of anomalies, alerts, labels, scores of all bars, and metrics of analytics."""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from market.exports.tables import Asked, Column, Kind, Row, Table, name_columns, spread
from market.ticks.fields import MICROSECONDS, to_microseconds
from records.alerts.history import iterate_alerts
from records.analytics.snapshots import iterate_snapshots
from records.database import Db
from records.findings.anomalies import parse_anomaly_id
from records.findings.anomaly_queries import iterate_anomalies
from records.findings.labels import iterate_labels
from records.models.bar_scores import choose_bar_scores, get_bar_scores
from records.models.documents import BarScores

ANOMALY_COLUMNS: dict[str, Kind] = {
    "id": "text", "ticker": "text", "interval": "text", "time": "time", "market": "text",
    "close": "number", "volume": "number", "score": "number", "grade": "number",
    "confidence": "number", "severity": "text", "kind": "text", "fault": "text",
    "scope": "text", "status": "text", "threshold": "number", "detector": "text",
    "model_version": "text", "model_hash": "text", "feature_set": "text", "run_id": "text",
    "reasons": "text", "features": "text", "created_at": "time",
}  # fmt: skip
ALERT_COLUMNS: dict[str, Kind] = {
    "id": "text", "entity_type": "text", "entity_id": "text", "watchlist": "text",
    "market": "text", "interval": "text", "bar_time": "time", "last_bar": "time",
    "count": "count", "direction": "text", "state": "text", "severity": "text",
    "score": "number", "grade": "number", "confidence": "number", "threshold": "number",
    "detector_type": "text", "model_version": "text", "metric_name": "text",
    "actual_value": "number", "expected_value": "number",
    "scope": "text", "root_causes": "text", "reasons": "text", "anomaly_ids": "text",
    "parent_id": "text", "run_id": "text", "owner": "text", "acknowledged_by": "text",
    "acknowledged_at": "time", "resolved_by": "text", "resolved_at": "time",
    "feedback": "text", "cause": "text", "resolution_notes": "text",
    "return_after_1": "number", "return_after_5": "number", "return_after_20": "number",
    "created_at": "time", "updated_at": "time",
}  # fmt: skip
LABEL_COLUMNS: dict[str, Kind] = {
    "ticker": "text", "interval": "text", "time": "time", "label": "text", "feedback": "text",
    "cause": "text", "labelled_by": "text", "labelled_at": "time", "predicted_score": "number",
    "grade": "number", "model_version": "text", "was_correct": "flag", "anomaly_id": "text",
    "alert_id": "text", "features": "text",
}  # fmt: skip
_ANOMALY_FIELDS = {
    "id": "_id", "ticker": "Ticker", "time": "Datetime", "close": "Close", "volume": "Volume",
    "score": "anomaly_score", "run_id": "detection_run_id",
}  # fmt: skip


def open_anomalies(database: Db, asked: Asked) -> Table:
    """Return the table of some series' anomalies, without superseded ones and those whose bars are
    gone.
    """
    names = _name_fields(ANOMALY_COLUMNS, _ANOMALY_FIELDS)
    most, found = iterate_anomalies(
        database,
        tickers=asked.tickers,
        interval=asked.interval,
        start=asked.start,
        end=asked.end,
        severity=asked.severity,
        kind=asked.kind,
        scope=asked.scope,
        fields=names,
    )
    rows = (_pick(document, names) for document in found)
    return Table(name_columns(**ANOMALY_COLUMNS), rows, most)


def open_alerts(database: Db, asked: Asked) -> Table:
    """Return the table of alerts about some tickers and markets, including the history; where a
    watchlist is named, only of its own.
    """
    names = _name_fields(ALERT_COLUMNS, {"id": "_id", "score": "anomaly_score"})
    most, found = iterate_alerts(
        database,
        entities=asked.tickers,
        watchlist=asked.watchlist,
        interval=asked.interval,
        start=asked.start,
        end=asked.end,
        fields=names,
    )
    rows = (_pick(document, names) for document in found)
    return Table(name_columns(**ALERT_COLUMNS), rows, most)


def open_labels(database: Db, asked: Asked) -> Table:
    """Return the table of people's labels; `label` has the words that `flask models evaluate`
    reads.
    """
    most, found = iterate_labels(database, tickers=asked.tickers, interval=asked.one_interval)

    def list_rows() -> Iterator[Row]:
        for one in found:
            time = parse_anomaly_id(one["anomaly_id"])[1]
            if (asked.start is None or asked.start <= time) and (
                asked.end is None or time <= asked.end
            ):
                said = "anomaly" if one["is_true_anomaly"] else "usual"
                yield _pick({**one, "time": time, "label": said}, LABEL_COLUMNS)

    return Table(name_columns(**LABEL_COLUMNS), list_rows(), most)


def _name_fields(columns: Mapping[str, Kind], fields: Mapping[str, str]) -> list[str]:
    return [fields.get(name, name) for name in columns]


def _pick(document: Mapping[str, Any], names: Iterable[str]) -> Row:
    return tuple(_plain(document.get(name)) for name in names)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_microseconds(value)
    if isinstance(value, dict):
        return json.dumps(value)
    return "; ".join(value) if isinstance(value, list) else value


def open_scores(database: Db, asked: Asked) -> Table:
    """Return the table of the scores of all bars that runs kept, long or wide."""
    chosen = choose_bar_scores(database, asked.tickers, asked.one_interval, asked.run_id)
    most = sum(one["count"] for own in chosen.values() for one in own)
    first, last = (None if at is None else at.timestamp() for at in (asked.start, asked.end))

    def list_scores(own: Sequence[BarScores]) -> Iterator[tuple[BarScores, int, float]]:
        for head in own:
            stored = get_bar_scores(database, head["_id"])
            if stored is None:
                continue
            times, scores = array("q"), array("d")
            times.frombytes(stored["times"])
            scores.frombytes(stored["scores"])
            for time, score in zip(times, scores, strict=True):
                if (first is None or time >= first) and (last is None or time <= last):
                    yield head, time * MICROSECONDS, score

    def list_cells(number: int, own: Sequence[BarScores]) -> Iterator[tuple[int, int, float]]:
        return ((time, number, score) for _, time, score in list_scores(own))

    if asked.layout == "wide":
        cells = [list_cells(number, own) for number, own in enumerate(chosen.values())]
        return spread(list(chosen), cells, most)
    columns = name_columns(ticker="text", interval="text", time="time", score="number")
    columns += name_columns(model_version="text", run_id="text")
    rows = (
        (head["ticker"], head["interval"], time, score, head["version"], head["run_id"])
        for own in chosen.values()
        for head, time, score in list_scores(own)
    )
    return Table(columns, rows, most)


def open_analytics(database: Db, asked: Asked) -> Table:
    """Return the table of some series' metrics, long or wide.

    A metric that is more than a number (a regime, a pattern of weekdays) is JSON in the column
    `parts`; in a wide table, one JSON object there has all of these.
    """
    most, found = iterate_snapshots(
        database,
        tickers=asked.tickers,
        interval=asked.one_interval,
        start=asked.start,
        end=asked.end,
    )
    head = name_columns(ticker="text", interval="text", time="time")

    def list_snapshots() -> Iterator[tuple[Row, dict[str, float], dict[str, Any]]]:
        for one in found:
            values: Mapping[str, Any] = one["values"]
            known = {name: values[name] for name in asked.metrics if values.get(name) is not None}
            numbers = {n: value for n, value in known.items() if isinstance(value, int | float)}
            parts = {name: value for name, value in known.items() if name not in numbers}
            yield (one["ticker"], one["interval"], to_microseconds(one["time"])), numbers, parts

    def list_wide() -> Iterator[Row]:
        for whose, numbers, parts in list_snapshots():
            told = json.dumps(parts) if parts else None
            yield (*whose, *(numbers.get(name) for name in asked.metrics), told)

    def list_long() -> Iterator[Row]:
        for whose, numbers, parts in list_snapshots():
            for name in asked.metrics:
                if name in numbers:
                    yield (*whose, name, numbers[name], None)
                elif name in parts:
                    yield (*whose, name, None, json.dumps(parts[name]))

    told = name_columns(parts="text")
    if asked.layout == "wide":
        metrics = tuple(Column(name, "number") for name in asked.metrics)
        return Table(head + metrics + told, list_wide(), most)
    columns = head + name_columns(metric="text", value="number") + told
    return Table(columns, list_long(), most * len(asked.metrics))

"""Checks that watermarks, anomalies, audits and runs agree on what was detected, and that the
documents of metrics agree on what was computed.

They are written in one transaction. So a disagreement means that documents were changed or lost: by
hand, by restoring only a part of a backup, or by a fault of this code. Audits expire, so older
results are not checked against them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal, TypeVar

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from records.analytics.documents import (
    OverviewDocument,
    SnapshotDocument,
    overview_in,
    snapshots_in,
)
from records.analytics.overview import build_overview_document
from records.database import Db, Query
from records.findings.anomalies import build_anomaly_id
from records.findings.documents import anomalies_in, watermarks_in
from records.findings.watermarks import build_watermark_id
from records.indexes import FINISHED_RUNS_DAYS, INDEXES
from records.market.documents import SeriesDocument, series_in
from records.market.gaps import count_gaps
from records.market.series import build_series_id
from records.models.single_series import count_versions, find_fits, has_points
from records.work.audits import build_audit_id, find_audits_of, iterate_audits
from records.work.batches import OPEN_STATES
from records.work.documents import batches_in, runs_in
from records.work.runs import OPEN_STATUSES

Item = TypeVar("Item", bound=Mapping[str, Any])

CHUNK = 1_000
MEASURE_AGAIN = "measure it again: `flask gaps measure`"
DETECTIONS = ("backfill", "incremental")
# A day less than audits are kept, so that none is reported as missing that has just expired.
KEPT = timedelta(days=FINISHED_RUNS_DAYS - 1)
# The fields that a watermark shares with the audit of the run that wrote it.
_SHARED: tuple[Literal["rows_processed", "anomalies_found", "model_version", "model_hash"], ...] = (
    "rows_processed",
    "anomalies_found",
    "model_version",
    "model_hash",
)
_SUMMED: tuple[Literal["rows_processed", "anomalies_found"], ...] = (
    "rows_processed",
    "anomalies_found",
)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A disagreement between two documents, and what to do about it."""

    subject: str
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.found}; {self.advice}"


def find_disagreements(database: Db, now: datetime) -> Iterator[Disagreement]:
    """Yield every disagreement in one snapshot of the database.

    It reads all watermarks and anomalies, and the audits that have not expired.
    """
    yield from _check_indexes(database)
    yield from _check_thresholds(database)
    yield from _check_single_series(database)
    yield from _check_gaps(database)
    with database.client.start_session(snapshot=True) as session:
        yield from _check_watermarks(database, now - KEPT, session)
        yield from _check_anomalies(database, now - KEPT, session)
        yield from _check_audits(database, session)
        yield from _check_runs(database, now - KEPT, session)
        yield from _check_metrics(database, session)


def _check_single_series(database: Db) -> Iterator[Disagreement]:
    """Check that each version of a single series has its history, and that the versions of a series
    are numbered without gaps.
    """
    for model_id, fit_id in find_fits(database):
        if not has_points(database, fit_id):
            advice = "fit the series again"
            yield Disagreement(
                f"model {model_id}", f"its history, fit {fit_id}, is not there", advice
            )
    for series_id, latest, count in count_versions(database):
        if latest != count:
            found = f"its latest version is {latest}, and {count} are there"
            yield Disagreement(
                f"series {series_id}", found, f"`flask series delete {series_id}`, and fit it again"
            )


def _check_gaps(database: Db) -> Iterator[Disagreement]:
    """Yield series whose ledger of gaps disagrees with their coverage, and gaps of series that are
    not stored.
    """
    with database.client.start_session(snapshot=True) as session:
        counted = count_gaps(database, session)
        for series in series_in(database).find({}, {"coverage": 1}, session=session):
            found, coverage = counted.pop(series["_id"], None), series.get("coverage")
            if coverage is None:
                continue
            told = {"gap_count": coverage["gap_count"], "missing": coverage["missing"]}
            told["lacking"] = coverage["bars_expected"] - coverage["bars_held"]
            found = found or dict.fromkeys(told, 0)
            if found != told:
                yield Disagreement(
                    f"gaps of {series['_id'].replace('::', ' ')}",
                    f"the ledger has {found['gap_count']} of {found['lacking']} bars, and the"
                    f" coverage says {told['gap_count']} of {told['lacking']}",
                    MEASURE_AGAIN,
                )
        for series_id in counted:
            yield Disagreement(
                f"gaps of {series_id.replace('::', ' ')}", "its bars are not stored", MEASURE_AGAIN
            )


def _check_indexes(database: Db) -> Iterator[Disagreement]:
    for collection, indexes in INDEXES.items():
        present = database[collection].index_information()
        for index in indexes:
            name = index.document["name"]
            if name not in present:
                yield Disagreement(
                    f"index {name} of {collection}", "is missing", "run `flask db upgrade`"
                )


def _check_thresholds(database: Db) -> Iterator[Disagreement]:
    """Yield thresholds of watchlists that are stored elsewhere than in the watchlist, where
    detection reads them.
    """
    for policy in database.thresholds.find({"scope": "watchlist"}):
        subject = f"threshold of watchlist {policy['name']}"
        command = f"flask models threshold --watchlist '{policy['name']}' --{policy['kind']}"
        advice = f"set it again: `{command} {policy['value']:g}`"
        yield Disagreement(subject, "is kept beside the watchlist, where nobody reads it", advice)


def _check_watermarks(
    database: Db, since: datetime, session: ClientSession
) -> Iterator[Disagreement]:
    """Compare watermarks with the stored bars, and with the audit of the run that wrote them."""
    for marks in _chunk(watermarks_in(database).find(session=session)):
        series = _find(
            series_in(database),
            (build_series_id(m["ticker"], m["interval"]) for m in marks),
            session,
        )
        run_ids = {mark["last_detection_run"] for mark in marks}
        audits = find_audits_of(database, run_ids, {mark["ticker"] for mark in marks}, session)
        for mark in marks:
            subject = f"watermark of {mark['ticker']} {mark['interval']}"
            stored = series.get(build_series_id(mark["ticker"], mark["interval"]))
            audit = audits.get(build_audit_id(mark["last_detection_run"], mark["ticker"]))
            last = mark["last_detected_timestamp"]
            if stored is None:
                yield Disagreement(
                    subject, "no bars are stored", "import them again: `flask bars import FILE`"
                )
            elif stored["last_bar"] < last:
                found = (
                    f"it is at {last:%Y-%m-%d %H:%M}, after the last bar,"
                    f" {stored['last_bar']:%Y-%m-%d %H:%M}"
                )
                yield Disagreement(
                    subject, found, "import the bars that are missing: `flask bars import FILE`"
                )
            if audit is not None:
                for name in (name for name in _SHARED if mark[name] != audit[name]):
                    found = (
                        f"{name} is {mark[name]}, and {audit[name]} in the audit of run"
                        f" {audit['run_id']}"
                    )
                    yield Disagreement(
                        subject, found, _advise_backfill(mark["ticker"], mark["interval"])
                    )
            elif mark["updated_at"] > since:
                found = (
                    f"run {mark['last_detection_run']} wrote it, and has no audit of this ticker"
                )
                yield Disagreement(
                    subject, found, _advise_backfill(mark["ticker"], mark["interval"])
                )


def _check_anomalies(
    database: Db, since: datetime, session: ClientSession
) -> Iterator[Disagreement]:
    """Compare anomalies with the watermark of their series, and with the audit of the run that
    found them.
    """
    fields = dict.fromkeys(
        ("Ticker", "interval", "Datetime", "detection_run_id", "detection_timestamp"), 1
    )
    present = {"bars_gone_at": {"$exists": False}}
    for anomalies in _chunk(anomalies_in(database).find(present, fields, session=session)):
        ids = {build_watermark_id(a["Ticker"], a["interval"]) for a in anomalies}
        marks = _find(watermarks_in(database), ids, session)
        recent = [a for a in anomalies if a["detection_timestamp"] > since]
        run_ids = {anomaly["detection_run_id"] for anomaly in recent}
        audits = find_audits_of(database, run_ids, {a["Ticker"] for a in recent}, session)
        listed = {audit_id: set(audit["anomaly_ids"]) for audit_id, audit in audits.items()}
        for anomaly in anomalies:
            ticker, time = anomaly["Ticker"], anomaly["Datetime"]
            mark = marks.get(build_watermark_id(ticker, anomaly["interval"]))
            subject = f"anomaly {anomaly['_id']}"
            if anomaly["_id"] != build_anomaly_id(ticker, anomaly["interval"], time):
                found = f"its bar is {ticker} {anomaly['interval']} {time:%Y-%m-%d %H:%M}"
                yield Disagreement(subject, found, "restore it from a backup, or remove it")
            if mark is None:
                yield Disagreement(
                    subject,
                    "its series has no watermark",
                    _advise_backfill(ticker, anomaly["interval"]),
                )
            elif not mark["first_detected_timestamp"] <= time <= mark["last_detected_timestamp"]:
                found = f"its series was never detected at {time:%Y-%m-%d %H:%M}, by its watermark"
                yield Disagreement(subject, found, _advise_backfill(ticker, anomaly["interval"]))
            run_id = anomaly["detection_run_id"]
            if anomaly["detection_timestamp"] > since and anomaly["_id"] not in listed.get(
                build_audit_id(run_id, ticker), ()
            ):
                found = (
                    f"run {run_id} found it, by what it says, and does not list it in its audit of"
                    f" {ticker}"
                )
                yield Disagreement(
                    subject,
                    found,
                    f"look whether it is found again: `flask verify ticker {ticker}`",
                )


def _check_audits(database: Db, session: ClientSession) -> Iterator[Disagreement]:
    """Check that the anomalies that audits list are stored."""
    query = {"run_id": {"$gt": ""}, "task": {"$in": list(DETECTIONS)}}
    told = iterate_audits(database, query, session)
    for audits in _chunk(audit for audit in told if audit["status"] == "complete"):
        listed = (anomaly_id for audit in audits for anomaly_id in audit["anomaly_ids"])
        present = _find(anomalies_in(database), listed, session, {"_id": 1})
        for audit in audits:
            subject = f"audit of {audit['ticker']} {audit['interval']} in run {audit['run_id']}"
            for anomaly_id in (each for each in audit["anomaly_ids"] if each not in present):
                yield Disagreement(
                    subject,
                    f"its anomaly {anomaly_id} is not stored",
                    _advise_backfill(audit["ticker"], audit["interval"]),
                )
            if len(audit["anomaly_ids"]) != audit["anomalies_found"]:
                found = (
                    f"it counts {audit['anomalies_found']} anomalies, and lists"
                    f" {len(audit['anomaly_ids'])}"
                )
                yield Disagreement(
                    subject, found, _advise_backfill(audit["ticker"], audit["interval"])
                )


def _check_runs(database: Db, since: datetime, session: ClientSession) -> Iterator[Disagreement]:
    """Compare ended detections with the sums of their audits, and yield those with open batches."""
    audited: dict[str, Counter[str]] = {}
    for audit in iterate_audits(database, {"run_id": {"$gt": ""}}, session):
        sums = audited.setdefault(audit["run_id"], Counter())
        sums.update({name: audit[name] for name in _SUMMED})
    left_open = set(
        batches_in(database).distinct(
            "run_id", {"state": {"$in": list(OPEN_STATES)}}, session=session
        )
    )
    ended = {"status": {"$nin": list(OPEN_STATUSES)}, "run_id": None, "started_at": {"$gt": since}}
    for run in runs_in(database).find(ended, session=session):
        subject = f"run {run['_id']}"
        if run["_id"] in left_open:
            found = f"it is {run['status']}, and has batches that are still to end"
            yield Disagreement(subject, found, f"do it again: `flask runs retry {run['_id']}`")
        if run["task"] not in DETECTIONS or "rows_processed" not in run:
            continue
        if run["options"].get("store") is False:  # Such a run stores no anomalies and no audits.
            continue
        sums_found = audited.get(run["_id"], Counter())
        for name in (name for name in _SUMMED if run[name] != sums_found[name]):
            found = f"{name} is {run[name]}, and {sums_found[name]} in its audits together"
            yield Disagreement(
                subject, found, "restore its audits from a backup; they expire after 30 days"
            )


def _check_metrics(database: Db, session: ClientSession) -> Iterator[Disagreement]:
    """Compare the overview's rows with the snapshots and the bars of their series."""
    for shown in _chunk(overview_in(database).find(session=session)):
        snapshots = _find(snapshots_in(database), (d["snapshot_id"] for d in shown), session)
        series = _find(series_in(database), (d["_id"] for d in shown), session)
        for row in shown:
            found = _describe_fault(row, snapshots.get(row["snapshot_id"]), series.get(row["_id"]))
            if found is not None:
                run = f"`flask analytics run {row['ticker']}`"
                subject = f"metrics of {row['ticker']} {row['interval']}"
                yield Disagreement(subject, found, f"compute them again: {run}")


def _describe_fault(
    row: OverviewDocument, snapshot: SnapshotDocument | None, series: SeriesDocument | None
) -> str | None:
    """Return what is wrong with a row of the overview, None where nothing is."""
    if series is None:
        return "they are shown, and no bars are stored"
    is_behind = row["bars_revision"] < series["revision"]  # The next slot computes it again.
    if not is_behind and (
        row["as_of"] > series["last_bar"] or row["bars_revision"] > series["revision"]
    ):
        last = f"{series['last_bar']:%Y-%m-%d %H:%M}, revision {series['revision']}"
        of = f"{row['as_of']:%Y-%m-%d %H:%M}, revision {row['bars_revision']}"
        return f"they are of {of}, and the bars end at {last}"
    if snapshot is None:
        return f"the snapshot that they are shown from, {row['snapshot_id']}, is not stored"
    expected = build_overview_document(snapshot, row["market"], row["anomaly_grade"])
    names = [name for name, value in expected.items() if row.get(name) != value]
    return f"{', '.join(names)} differ from snapshot {snapshot['_id']}" if names else None


def _find(
    collection: Collection[Item],
    ids: Iterable[str],
    session: ClientSession,
    fields: Query | None = None,
) -> dict[str, Item]:
    found = collection.find({"_id": {"$in": list(ids)}}, fields, session=session)
    return {document["_id"]: document for document in found}


def _chunk(documents: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(documents)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _advise_backfill(ticker: str, interval: str) -> str:
    return f"detect it again: `flask backfill run {ticker} --interval {interval} --period max`"

"""The writes during a fault, in order, read from MongoDB's change stream, and the rules that they
must keep.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from bson import Timestamp

from records.database import Db, Document

ENDED = {"done", "dead", "split", "cancelled"}
# The collections that a detection batch writes, all in the transaction that ends the batch.
EFFECTS = {"anomalies", "detection_metadata", "audits"}
# Fields of an anomaly that explain it. They are updated whenever its neighbours change.
EXPLANATION = {"scope", "root_causes", "root_cause", "inputs"}


@dataclass(frozen=True, slots=True)
class Change:
    """One write. `kind` is insert, update, replace or delete; `transaction` is None if the write
    was in none.
    """

    collection: str
    id: str
    kind: str
    fields: Document
    transaction: str | None

    @property
    def explains(self) -> bool:
        """Whether the write only updates the explanation of an anomaly."""
        names = {name.split(".")[0] for name in self.fields}
        return self.collection == "anomalies" and self.kind == "update" and names <= EXPLANATION


def get_operation_time(database: Db) -> Timestamp:
    """Return the server's logical time now, which is later than that of any earlier write."""
    database.marks.insert_one({"_id": uuid4().hex})
    time: Timestamp = database.command("ping")["operationTime"]
    return time


def read_changes(database: Db, since: Timestamp) -> list[Change]:
    """Return the writes to the database since that time."""
    mark = uuid4().hex
    database.marks.insert_one({"_id": mark})
    changes: list[Change] = []
    with database.watch(
        [{"$project": {"fullDocument": 0}}], start_at_operation_time=since
    ) as stream:
        for event in stream:
            change = _parse(event)
            if change.id == mark:
                return changes
            changes.append(change)
    raise AssertionError("the log ended before its mark")


def check_changes(changes: list[Change]) -> None:
    """Assert that each batch ended once, that its effects were written together with its end, and
    that each anomaly was inserted once.
    """
    found = [change for change in changes if not change.explains]
    _check_anomalies(found)
    _check_batches(changes)
    _check_effects(found)
    events = Counter(
        change.id for change in changes if change.collection == "outbox" and change.kind == "insert"
    )
    assert set(events.values()) <= {1}, f"told more than once: {events.most_common(3)}"


def _check_anomalies(changes: list[Change]) -> None:
    """Each anomaly was inserted once, and was not written again by a run that found the same."""
    written = Counter(change.id for change in changes if change.collection == "anomalies")
    twice = [anomaly for anomaly, times in written.items() if times > 1]
    assert not twice, f"written more than once: {twice[:5]}"


def _check_batches(changes: list[Change]) -> None:
    """A batch's fence only rises. After a batch has ended, only the time at which its message was
    sent may still be written.
    """
    fences: dict[str, int] = {}
    ended: dict[str, str] = {}
    for change in changes:
        if (
            change.collection != "batches"
            or change.kind == "delete"
            or change.fields.keys() == {"published_at"}
        ):
            continue
        assert change.id not in ended, (
            f"{change.id} was {ended[change.id]}, and then written to: {change.fields}"
        )
        fence = change.fields.get("fence", fences.get(change.id, 0))
        assert fence >= fences.get(change.id, 0), f"the fence of {change.id} fell"
        fences[change.id] = fence
        if change.fields.get("state") in ENDED:
            ended[change.id] = change.fields["state"]


def _check_effects(changes: list[Change]) -> None:
    """Each effect was written in the transaction that ended its batch, and that transaction ended
    no other batch.
    """
    ends: Counter[str | None] = Counter()
    effects: dict[str | None, list[Change]] = defaultdict(list)
    for change in changes:
        if change.collection == "batches" and change.fields.get("state") in {"done", "dead"}:
            ends[change.transaction] += 1
        elif change.collection in EFFECTS:
            effects[change.transaction].append(change)
    for transaction, written in effects.items():
        assert transaction is not None, f"written outside a transaction: {written[0]}"
        assert ends[transaction] == 1, f"written without ending a batch: {written[0]}"


def _parse(event: Any) -> Change:
    collection, changed = event["ns"].get("coll", ""), event.get("documentKey", {}).get("_id")
    if collection == "detection_runs" and ":" in str(changed):
        collection = "audits"
    transaction = (
        f"{event['lsid']['id'].hex()}:{event['txnNumber']}" if "txnNumber" in event else None
    )
    fields = event.get("updateDescription", {}).get("updatedFields", {})
    return Change(collection, str(changed), event["operationType"], fields, transaction)

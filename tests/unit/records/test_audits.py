"""Audits of a scan are stored together, and are read as they were written."""

from datetime import UTC, datetime

import pytest

from records.work import audits
from records.work.audits import build_audit_document, unfold
from records.work.documents import AuditDocument

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def make_audit(ticker: str, **fields: object) -> AuditDocument:
    asked: dict[str, object] = {
        "task": "incremental",
        "status": "complete",
        "rows_processed": 1,
        "anomaly_ids": [],
        "reason": None,
    }
    return build_audit_document(
        "run-1",
        ticker,
        started_at=NOW,
        completed_at=NOW,
        **asked | fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "told",
    [
        [make_audit("AAA")],
        [make_audit("BBB"), make_audit("AAA"), make_audit("CCC", rows_processed=2)],
        [make_audit("AAA", bars_needed=None), make_audit("BBB")],
        [make_audit("AAA"), make_audit("BBB", status="failed", reason="no_bars")],
        [make_audit("AAA", anomaly_ids=["a", "b"]), make_audit("BBB", anomaly_ids=["c"])],
    ],
)
def test_audits_are_read_as_they_were(told: list[AuditDocument]) -> None:
    part = audits._fold(told)
    assert list(unfold(part)) == told
    assert part["_id"] == f"run-1:{told[0]['ticker']}"
    assert (part["run_id"], part["started_at"], part["completed_at"]) == ("run-1", NOW, NOW)


def test_values_that_all_audits_share_are_stored_once() -> None:
    part = audits._fold([make_audit("AAA"), make_audit("BBB")])
    assert part["audits"] == [{"ticker": "AAA"}, {"ticker": "BBB"}]


def test_a_document_has_room_for_the_tickers_that_it_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "MOST_PART_ANOMALIES", 3)
    told = [make_audit(ticker, anomaly_ids=["a", "b"]) for ticker in ("AAA", "BBB", "CCC")]
    told.append(make_audit("DDD", anomaly_ids=["a"]))
    assert [[each["ticker"] for each in part] for part in audits._split(told)] == [
        ["AAA"],
        ["BBB"],
        ["CCC", "DDD"],
    ]

"""Anomaly documents that are built from columns."""

from itertools import repeat

import pytest

from detection.pipeline.anomaly_documents import build_documents


def test_each_document_has_one_value_of_each_column() -> None:
    columns = {"kind": repeat("event"), "grade": [75.0, 90.0], "reasons": map(str, (1, 2))}
    assert build_documents(columns, 2) == [
        {"kind": "event", "grade": 75.0, "reasons": "1"},
        {"kind": "event", "grade": 90.0, "reasons": "2"},
    ]


@pytest.mark.parametrize("grades", [[75.0], [75.0, 90.0, 80.0]])
def test_columns_of_different_lengths_are_refused_and_lose_no_document(grades: list[float]) -> None:
    with pytest.raises(ValueError, match="zip"):
        build_documents({"kind": repeat("event"), "grade": grades}, 2)

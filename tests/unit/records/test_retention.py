"""The table in docs/operations.md says for how long each collection's documents are kept."""

import re

from records.indexes import INDEXES
from tests.conftest import ROOT

DAYS = {"a day": 1, "3 days": 3, "7 days": 7, "30 days": 30, "90 days": 90, "400 days": 400}
# What the table calls the documents of a collection. Nobody can ask for delivered events of the
# outbox.
NAMES = {
    "analytics_sets": "matrices of correlation",
    "bar_imports": "which bars an import brought",
    "bar_scores": "scores of every bar",
    "deliveries": "what was sent to channels",
    "detection_runs": "runs after their end",
    "drifts": "how far a champion had drifted",
    "evaluations": "evaluations",
    "gaps": "gaps that were filled",
    "heartbeats": "heartbeats",
    "rejected_bars": "had not closed",
    "rejected_records": "rejected records",
    "verifications": "verifications",
}


def test_the_operations_page_says_what_is_deleted_and_when() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| (.+?) +\| (.+?) +\|$", text, re.MULTILINE)
    deleted = {
        name: index.document["expireAfterSeconds"] / 86_400
        for name, indexes in INDEXES.items()
        for index in indexes
        # Documents that have their own end get it from a setting or a constant.
        if index.document.get("expireAfterSeconds", 0) > 0
    }
    assert deleted.keys() - {"outbox"} == NAMES.keys()
    for name, words in NAMES.items():
        (told,) = {DAYS[kept] for what, kept in rows if words in what and kept in DAYS}
        assert told == deleted[name], name

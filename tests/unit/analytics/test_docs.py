"""The table of all metrics in the documentation equals the catalogue."""

import os

from analytics.catalogue import CATEGORIES, list_metrics, tabulate
from analytics.metric import REASONS
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "analytics.md"
HEADING = "## All metrics\n"


def test_the_documentation_equals_the_catalogue() -> None:
    """Set WRITE_DOCS to write it again."""
    text = DOCUMENT.read_text()
    intro, _, made = text.partition(HEADING)
    intro += HEADING + made.partition("\n### ")[0].rstrip("\n") + "\n"
    tables = [
        f"### {category.capitalize()}\n\n{tabulate(list_metrics(category))}\n"
        for category in CATEGORIES
    ]
    reasons = [f"- `{word}`: {text}" for word, text in REASONS.items()]
    tables.append("### Reasons\n\n" + "\n".join(reasons) + "\n")
    expected = "\n".join([intro, *tables])
    if os.environ.get("WRITE_DOCS"):
        DOCUMENT.write_text(expected)
    assert DOCUMENT.read_text() == expected

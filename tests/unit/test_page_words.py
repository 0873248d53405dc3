"""Pages have a text for each word of the closed vocabularies that they show."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from core import words
from detection.features.feature_sets import FEATURE_SETS
from detection.features.names import FEATURES
from market.intervals import INTERVALS

SCRIPTS = Path(__file__).parent.parent.parent / "web" / "scripts"
# The constants in which pages name the words, and the vocabularies.
NAMED: list[tuple[str, str, Any]] = [
    ("parts/run_progress.js", "VERBS", words.Task),
    ("parts/run_progress.js", "KINDS", words.Status),
    ("parts/run_progress.js", "FOUND", words.Verdict),
    ("pages/runs/page.js", "FILTERS", words.Status | words.Trigger),
    ("parts/verdicts.js", "VERDICTS", words.Verdict),
    ("parts/verdicts.js", "CAUSES", words.Cause),
    ("parts/severity.js", "SEVERITIES", words.Severity),
    ("parts/filters.js", "CHOICES", words.AnomalyKind | words.MoveScope),
    ("lib/filters.js", "WRONG", words.Severity | words.AnomalyKind | words.MoveScope),
    ("lib/access.js", "SCOPES", words.KeyScope),
    ("lib/intervals.js", "INTERVALS", INTERVALS),
    ("pages/models/training.js", "INTERVALS", INTERVALS),
    ("pages/models/state.js", "KINDS", words.ModelState),
    ("pages/alerts/page.js", "STATES", words.AlertState),
    ("pages/alerts/steps.js", "FEEDBACK", words.Feedback),
    ("pages/alerts/steps.js", "CAUSES", words.FeedbackCause),
    ("pages/alerts/lists.js", "STEPS", words.AlertStep),
    ("pages/series/predictions.js", "FEEDBACK", words.Feedback),
    ("pages/data/gaps.js", "REASONS", words.GapReason),
    ("pages/data/quality.js", "FIGURES", words.QualityFigure),
    ("pages/ticker/acts.js", "KINDS", words.ThresholdKind),
    ("pages/watchlists/editor.js", "SOURCES", words.WatchlistSource),
    ("pages/ticker/features.js", "FEATURES", FEATURES),
]
# A button for what a key may always do needs no reason.
UNNAMED = {"read"}


def list_words(vocabulary: Any) -> set[str]:
    if not hasattr(vocabulary, "__args__"):
        return set(vocabulary)
    found = get_args(vocabulary)
    return {
        word
        for one in found
        for word in ([one] if isinstance(one, str) else list_words(one))
        if word not in UNNAMED
    }


def read_constant(file: str, name: str) -> set[str]:
    """Return all words in a constant of a script."""
    text = (SCRIPTS / file).read_text()
    found = re.search(rf"^(?:export )?const {name} = (.*?);$", text, re.MULTILINE | re.DOTALL)
    assert found, f"{file} has no {name}"
    return set(re.findall(r"\w+", found[1]))


@pytest.mark.parametrize(
    ("file", "name", "vocabulary"), NAMED, ids=[f"{n[0]} {n[1]}" for n in NAMED]
)
def test_a_page_has_a_text_for_every_word(file: str, name: str, vocabulary: Any) -> None:
    wanted = list_words(vocabulary)
    assert wanted
    assert wanted - read_constant(file, name) == set()


def test_every_column_that_a_model_reads_has_a_name() -> None:
    known = read_constant("pages/ticker/features.js", "COLUMNS") | set(FEATURES)
    columns = {column for feature_set in FEATURE_SETS for column in feature_set.columns}
    bare = {re.sub(r"_(fast|slow|steady|atr)$", "", column) for column in columns}
    assert bare - known == set()

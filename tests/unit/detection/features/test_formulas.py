"""The formulas in docs/detection.md: none is missing."""

import re

from detection.features.feature_sets import EVENTS
from detection.features.names import FEATURES
from tests.conftest import ROOT


def test_each_feature_and_each_input_of_the_default_model_has_its_formula() -> None:
    text = (ROOT / "docs" / "detection.md").read_text()
    _, formulas = text.split("## The formulas\n")
    rows = [row.split("|")[1] for row in formulas.splitlines() if row.startswith("| `")]
    named = re.findall(r"`(\w+)`", " ".join(rows))
    assert named[: len(FEATURES)] == sorted(FEATURES, key=named.index)
    assert {*FEATURES, *EVENTS.columns} <= set(named)

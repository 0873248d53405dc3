"""The table of steps in docs/alerts.md is the code's."""

import re

from alerts.lifecycle import OPEN, REOPENED_WITHIN, STATES, TABLE
from tests.conftest import ROOT


def test_the_documented_steps_are_those_of_the_table() -> None:
    text = (ROOT / "docs/alerts.md").read_text()
    rows = re.findall(
        r"^\| `(\w+)` +\| (.+?) +\| (.+?) +\| (people|system) \|$", text, re.MULTILINE
    )
    assert [step for step, *_ in rows] == list(TABLE)
    for step, before, after, _ in rows:
        states = set(STATES) if before == "any" else set(OPEN) if "open" in before else set()
        states |= set(re.findall(r"\w+", before)) & set(STATES)
        assert states == set(TABLE[step].allowed), step
        assert after == (TABLE[step].leads_to or "the same"), step
    assert f"within {REOPENED_WITHIN.days} days" in text

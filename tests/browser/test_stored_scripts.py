"""Texts that others wrote are displayed as text, and scripts in them are never executed."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from records.work import endings
from records.work.requests import RunRequest, insert_run
from tests.browser.conftest import Demo
from tests.conftest import ROOT

SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
# Functions that create elements from text. The page uses lib/dom.js, which only creates text nodes
# from text.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
    r"|createContextualFragment|setHTML|srcdoc"
)


@pytest.fixture
def failed(demo: Demo) -> Iterator[str]:
    """A failed run with a hostile name and a hostile error; its id."""
    now = datetime.now(UTC)
    request = RunRequest("incremental", "manual", (SCRIPT,), watchlist=SCRIPT)
    run_id: str = insert_run(demo.database, request, now)["_id"]
    endings.fail_run(demo.database, run_id, "bad_input", SCRIPT, now)
    yield run_id
    demo.database.detection_runs.delete_one({"_id": run_id})


@pytest.fixture
def series(demo: Demo) -> Iterator[None]:
    """A series and an anomaly with hostile texts, which no import would store."""
    anomaly = demo.database.anomalies.find_one({"Ticker": "IBM"}, sort=[("Datetime", -1)])
    assert anomaly is not None
    hostile = {"_id": "hostile", "detection_timestamp": datetime.now(UTC), "reasons": [SCRIPT]}
    demo.database.anomalies.insert_one(anomaly | hostile | {"anomaly_score": -1.0})
    yield
    demo.database.anomalies.delete_one({"_id": "hostile"})


@pytest.mark.usefixtures("series")
@pytest.mark.parametrize("place", ["", "runs", "runs/RUN", "ticker/IBM"])
def test_a_stored_script_is_displayed_and_not_run(
    demo: Demo, open_page: Callable[..., Page], failed: str, place: str
) -> None:
    page = open_page(f"{demo.url}#/{place.replace('RUN', quote(failed))}")
    expect(page.get_by_text("onerror=").first).to_be_visible()
    assert page.title() != "owned"
    assert page.locator("img[src=x], main script").count() == 0


def test_no_script_of_ours_creates_elements_from_text() -> None:
    found = {
        path.name: FORBIDDEN.findall(path.read_text())
        for path in sorted((ROOT / "web" / "scripts").rglob("*.js"))
    }
    # A drawing that the API builds from numbers and an id, and that contains no other text.
    assert found.pop("one.js") == ["DOMParser"]
    assert [name for name, words in found.items() if words] == []

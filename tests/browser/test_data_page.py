"""Data: what is covered, and a file that is dropped on the page."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo

# Three sessions of the exchange, then a high below its low and a Saturday.
CSV = """ticker,date,open,high,low,close,volume
NEWCO,2024-01-02,10,11,9,10.5,1000
NEWCO,2024-01-03,10.5,11,10,10.8,1100
NEWCO,2024-01-04,10.8,11.2,10.1,11,1200
NEWCO,2024-01-05,11,9,10,10.5,1300
NEWCO,2024-01-06,11,12,10,11.5,1400
"""

DROP = """([text, name]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name, { type: "text/csv" }));
  const zone = document.querySelector(".dropzone");
  zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def test_coverage_lists_every_series(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/data")
    table = page.get_by_role("region", name="Stretches of time")
    expect(table.get_by_role("row").filter(has_text="GOOG")).to_contain_text("19 Aug 2004")
    expect(table.get_by_role("row").filter(has_text="FB")).to_contain_text("18 May 2012")


def test_a_dropped_file_is_imported_and_every_row_accounted_for(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/data")
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    page.evaluate(DROP, [CSV, "newco.csv"])
    report = page.get_by_role("region", name="Import report")
    expect(report.get_by_role("row").filter(has_text="NEWCO").get_by_role("cell")).to_contain_text(
        ["NEWCO", "5", "3", "0", "0", "2"]
    )
    rejected = page.get_by_role("region", name="Rejected rows")
    expect(rejected.get_by_role("row").filter(has_text="2024-01-05")).to_contain_text("high below low")
    expect(rejected.get_by_role("row").filter(has_text="2024-01-06")).to_contain_text("session")
    expect(page.get_by_role("region", name="Stretches of time")).to_contain_text("NEWCO")
    assert demo.database.series.find_one({"ticker": "NEWCO"})["bars"] == 3


def test_a_file_that_cannot_be_used_is_refused_in_words(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/data")
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    page.evaluate(DROP, ["nothing", "notes.csv"])
    outcome = page.get_by_role("status").filter(has_text="notes.csv")
    expect(outcome).to_contain_text("no usable column")

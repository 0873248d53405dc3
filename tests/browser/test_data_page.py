"""Data: coverage, and a file that is dropped on the page."""

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from market.bars.buckets import read_columns
from tests.browser.conftest import Demo, run_another_api
from tests.browser.looking import Look
from tests.commands import run_flask
from tests.slow import slow_but_first

# Three sessions of the exchange, then a bar whose high is below its low, and a Saturday.
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
  const dropped = { dataTransfer: transfer, bubbles: true, cancelable: true };
  zone.dispatchEvent(new DragEvent("drop", dropped));
}"""


def test_coverage_lists_every_series(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/data")
    table = page.get_by_role("region", name="Stretches of time")
    expect(table.get_by_role("row").filter(has_text="GOOG")).to_contain_text("19 Aug 2004")
    expect(table.get_by_role("row").filter(has_text="FB")).to_contain_text("18 May 2012")


def test_a_dropped_file_is_imported_and_every_row_accounted_for(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/data")
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    page.evaluate(DROP, [CSV, "newco.csv"])
    page.get_by_role("form", name="Preview of newco.csv").get_by_role(
        "button", name="Import"
    ).click()
    report = page.get_by_role("region", name="Import report")
    expect(report.get_by_role("row").filter(has_text="NEWCO").get_by_role("cell")).to_contain_text(
        ["NEWCO", "5", "3", "0", "0", "2"]
    )
    rejected = page.get_by_role("region", name="Rejected rows")
    expect(rejected.get_by_role("row").filter(has_text="2024-01-05")).to_contain_text(
        "high below low"
    )
    expect(rejected.get_by_role("row").filter(has_text="2024-01-06")).to_contain_text("session")
    expect(page.get_by_role("region", name="Stretches of time")).to_contain_text("NEWCO")
    page.get_by_role("link", name="What is next").click()
    expect(page.get_by_text("not looked at yet").first).to_be_visible()
    page.goto(f"{demo.url}#/runs?task=import")
    expect(page.get_by_text("as spaced").first).to_be_visible()
    expect(page.get_by_text("5 rows read, 3 new or changed").first).to_be_visible()
    assert demo.database.series.find_one({"ticker": "NEWCO"})["bars"] == 3


@pytest.mark.slow
def test_the_report_of_a_whole_market_is_listed_in_parts_with_problems_first(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    rows = [f"N{number:03d},2024-01-02,10,11,9,10.5,1000" for number in range(250)]
    rows[0] = rows[0].replace("N000", "N000.US")  # of which there is a note
    # Saturdays: one of one ticker, two of another.
    days = (("N100", "06"), ("N249", "06"), ("N249", "13"))
    rows += [f"{ticker},2024-01-{day},11,12,10,11.5,1400" for ticker, day in days]
    file = tmp_path / "many.csv"
    file.write_text("\n".join(["ticker,date,open,high,low,close,volume", *rows]))
    settings = demo.runner.settings
    servers = {"MONGO_URL": settings.mongo_url, "REDIS_URL": settings.redis_url}
    with run_another_api(demo, tmp_path, MONGO_DATABASE="many") as url:
        imported = run_flask(servers | {"MONGO_DATABASE": "many"}, "bars", "import", file)
        assert imported.exit_code == 0, imported.output
        page = open_page(f"{url}#/runs")
        page.get_by_role("link", name="Import of N000, N001, N002 and 247 more").click()
        expect(page.get_by_text("253 rows of 250 series read")).to_be_visible()
        listed = page.get_by_role("region", name="Import report").locator("tbody tr")
        expect(listed).to_have_count(100)
        expect(listed.first).to_contain_text("N249")
        expect(listed.nth(1)).to_contain_text("N100")
        expect(listed.nth(2)).to_contain_text("N000.US is taken for N000")
        for shown in (200, 250):
            page.get_by_role("button", name="Show more").click()
            expect(listed).to_have_count(shown)
        expect(page.get_by_role("button", name="Show more")).to_have_count(0)
        page.close()
    demo.database.client.drop_database("many")


# A correction of the second session, and later bars; of the sessions, the 5th and the 8th are
# missing.
SECOND_CSV = """ticker,date,open,high,low,close,volume
NEWCO,2024-01-03,10.5,11,10,10.9,1100
NEWCO,2024-01-09,11,12,10,11.5,1400
NEWCO,2024-01-10,11,12,10,11.5,1400
"""


def test_lists_that_no_market_filters_say_of_every_market(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/data?market=US&view=rejected")
    every = page.get_by_text("of every market")
    expect(every).to_be_visible()
    page.get_by_role("button", name="Revised").click()
    expect(every).to_be_visible()
    page.get_by_role("button", name="Quality").click()
    expect(every).to_be_hidden()
    expect(page.get_by_label("Market").last).to_have_value("US")


def test_gaps_corrections_and_rejected_rows_are_shown(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    for text in (CSV, SECOND_CSV):
        rows = [
            dict(zip(text.split("\n", 1)[0].split(","), line.split(","), strict=True))
            for line in text.split()[1:]
        ]
        candles = [
            {"time": row["date"]}
            | {name: float(row[name]) for name in ("open", "high", "low", "close", "volume")}
            for row in rows
        ]
        demo.api.post(
            "/data/candles?wait=20", {"ticker": "NEWCO", "interval": "1d", "candles": candles}
        )
    page = open_page(f"{demo.url}#/data?ticker=NEWCO")
    page.get_by_role("button", name="2 of 7 missing").click()
    expect(page.get_by_role("list", name="Sessions that lack bars")).to_have_text(
        "5 Jan 2024 to 8 Jan 2024, 2 sessions"
    )

    page.get_by_role("button", name="Revised").click()
    expect(page).to_have_url(re.compile("view=revisions"))
    correction = page.get_by_role("row").filter(has_text="3 Jan 2024")
    expect(correction).to_contain_text("close 10.90, was 10.80")

    page.get_by_role("button", name="Rejected").click()
    rejected = page.get_by_role("region", name="All rejected rows")
    expect(rejected.get_by_role("row").filter(has_text="2024-01-05").first).to_contain_text(
        "high below low"
    )
    page.reload()
    expect(rejected.get_by_role("row").filter(has_text="2024-01-06").first).to_contain_text(
        "not a session"
    )
    page.get_by_role("combobox", name="Only of ticker").fill("GOOG")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No row was rejected")).to_be_visible()


@pytest.mark.parametrize("width", slow_but_first([390, 1280]))
@pytest.mark.slow
def test_the_quality_of_series_is_listed_with_the_worst_first(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path, width: int
) -> None:
    ticker = f"POOR{width}"
    candle = {"open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
    days = ("2024-01-02", "2024-01-03", "2024-01-12", "2024-01-13")
    candles = [{"time": day} | candle for day in days]
    demo.api.post("/data/candles?wait=20", {"ticker": ticker, "candles": candles})
    page = open_page(f"{demo.url}#/data?view=quality", width=width)
    look = Look(page, tmp_path)
    table = page.get_by_role("region", name="Quality of series")
    expect(table.get_by_role("row").filter(has_text="GOOG")).to_contain_text("sessions behind")
    look.take(f"quality-{width}")
    page.get_by_text("How the score is made").click()
    expect(page.get_by_text(re.compile(r"open gaps . 1, at most 5 points"))).to_be_visible()
    page.get_by_role("combobox", name="Only of ticker").fill(ticker)
    page.keyboard.press("Enter")
    row = table.get_by_role("row").filter(has_text=ticker)
    # Six of nine sessions have no bar, and one row of four was of a Saturday.
    expect(row).to_contain_text("66.67 % bars missing \N{MINUS SIGN}40")
    expect(row).to_contain_text("25 % rows rejected \N{MINUS SIGN}10")
    expect(row).to_contain_text("1 open gap \N{MINUS SIGN}1")
    look.take(f"quality-of-one-{width}")
    assert look.wrong == []


@pytest.mark.parametrize("width", slow_but_first([390, 1280]))
def test_a_gap_is_accepted_or_filled_where_it_is_shown(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path, width: int
) -> None:
    ticker = f"LACK{width}"
    candle = {"open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
    days = ("2024-01-02", "2024-01-05", "2024-01-09")
    candles = [{"time": day} | candle for day in days]
    demo.api.post("/data/candles?wait=20", {"ticker": ticker, "candles": candles})
    page = open_page(f"{demo.url}#/data", width=width, quiet=False)
    look = Look(page, tmp_path)
    page.get_by_role("combobox", name="Only of ticker").fill(ticker)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="3 of 6 missing").click()
    listed = page.get_by_role("list", name="Sessions that lack bars")
    expect(listed.get_by_role("listitem")).to_have_count(2)
    page.get_by_role("button", name="There are none").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Which").select_option("8 Jan 2024")
    dialog.get_by_label("Why").select_option("trading was halted")
    look.take(f"accept-{width}")
    dialog.get_by_role("button", name="Accept").click()
    expect(dialog).not_to_be_visible()
    stored = demo.api.get("/data/gaps", ticker=ticker, state="expected")["items"]
    assert [(gap["first"][:10], gap["reason"]) for gap in stored] == [("2024-01-08", "halt")]
    # No watchlist of the demo has a source.
    page.get_by_role("button", name="Ask for the bars").click()
    dialog.get_by_role("button", name="Ask").click()
    expect(dialog.get_by_role("alert")).to_contain_text("say where the bars are asked for")
    look.take(f"asked-{width}")
    assert look.wrong == []


def test_long_lists_come_part_by_part(demo: Demo, open_page: Callable[..., Page]) -> None:
    values = {"open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
    # Saturdays, on which nothing trades, and the Tuesdays after them.
    days = [
        date(2024, 1, 6) + timedelta(weeks=week, days=later)
        for week in range(60)
        for later in (0, 3)
    ]
    candles = [{"time": day.isoformat()} | values for day in days]
    demo.api.post(
        "/data/candles?wait=20", {"ticker": "SATCO", "interval": "1d", "candles": candles}
    )
    page = open_page(f"{demo.url}#/data?view=rejected&ticker=SATCO")
    rows = page.get_by_role("region", name="All rejected rows").locator("tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(60)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def write_csv(ticker: str, times: Sequence[str]) -> str:
    """Return a file with equal bars at these times."""
    rows = (f"{ticker},{time},10,11,9,10.5,1000\n" for time in times)
    return "ticker,date,open,high,low,close,volume\n" + "".join(rows)


@pytest.mark.slow
def test_several_files_are_imported_one_after_the_other(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/data")
    times = {
        "ONECO": ["2024-01-02"],
        "TWOCO": [f"2024-01-02T{hour}:30:00-05:00" for hour in ("09", "10", "11")],
    }
    files = [
        {"name": f"{ticker}.csv", "mimeType": "text/csv", "buffer": write_csv(ticker, at).encode()}
        for ticker, at in times.items()
    ]
    page.locator("#file").set_input_files(files)
    expect(page.get_by_role("form")).to_have_count(2)
    # The length of a single bar cannot be found from it.
    intervals = page.get_by_role("combobox", name="Interval", exact=True)
    expect(intervals.nth(0)).to_have_value("1d")
    expect(intervals.nth(1)).to_have_value("auto")
    expect(intervals.nth(1)).to_contain_text("as spaced: 1h")
    page.get_by_role("button", name="Import all that are clear").click()
    reports = page.get_by_role("region", name="Import report")
    expect(reports).to_have_count(2)
    expect(reports.nth(0)).to_contain_text("ONECO")
    expect(reports.nth(1)).to_contain_text("TWOCO")
    assert demo.database.series.find_one({"ticker": "TWOCO"})["interval"] == "1h"


UNKNOWN = (
    "when;first;top;bottom;settled\n03/04/2024;10,5;11,5;9,5;10,9\n04/04/2024;10,5;11,5;9,5;11,1\n"
)


@pytest.mark.parametrize("width", slow_but_first([390, 1280]))
def test_the_page_asks_for_the_columns_before_anything_is_stored(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path, width: int
) -> None:
    ticker = f"ASK{width}"
    page = open_page(f"{demo.url}#/data", width=width)
    look = Look(page, tmp_path)
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    page.evaluate(DROP, [UNKNOWN, "my export.csv"])
    form = page.get_by_role("form", name="Preview of my export.csv")
    expect(form.get_by_role("alert")).to_contain_text("no usable column")
    expect(form.get_by_role("button", name="Import")).to_be_disabled()
    expect(form.get_by_role("row").nth(1)).to_contain_text("03/04/2024")
    look.take(f"asked-{width}")
    fields = {"when": "time", "first": "open", "top": "high", "bottom": "low", "settled": "close"}
    for position, field in enumerate(fields.values()):
        select = form.locator("th").nth(position).locator("select")
        select.select_option(field)
        expect(page.locator("[aria-busy]")).to_have_count(0)
        expect(select).to_have_value(field)
    expect(form.get_by_role("alert")).to_contain_text("two ways")
    form.get_by_label("03/04/2024").select_option("true")
    expect(form.get_by_role("alert")).to_have_count(0)
    expect(form).to_contain_text("decimal comma")
    assert demo.database.series.find_one({"ticker": ticker}) is None
    form.get_by_label("Ticker", exact=True).fill(ticker)
    look.take(f"settled-{width}")
    form.get_by_role("button", name="Import").click()
    report = page.get_by_role("region", name="Import report")
    expect(report.get_by_role("row").filter(has_text=ticker)).to_be_visible()
    look.take(f"imported-{width}")
    assert demo.database.series.find_one({"ticker": ticker})["bars"] == 2
    assert look.wrong == []


@pytest.mark.slow
def test_a_column_with_a_misleading_name_can_be_ignored(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    """A column of days on which the exchange is closed, and a volume of something else."""
    page = open_page(f"{demo.url}#/data")
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    days = [f"2024-01-0{day},10,11,9,10,7,0" for day in (2, 3, 4, 5)]
    page.evaluate(DROP, ["\n".join(["date,open,high,low,close,volume,closed", *days]), "misco.csv"])
    form = page.get_by_role("form", name="Preview of misco.csv")
    expect(form.get_by_role("alert")).to_contain_text("closed says of 3 of 4 bars")
    for position, field in ((6, "finished"), (5, "volume")):
        select = form.locator("th").nth(position).locator("select")
        expect(select).to_have_value(field)
        select.select_option("")
        expect(page.locator("[aria-busy]")).to_have_count(0)
        expect(select).to_have_value("")
    expect(form.get_by_role("alert")).to_have_count(0)
    form.get_by_label("Ticker", exact=True).fill("MISCO")
    form.get_by_role("button", name="Import").click()
    report = page.get_by_role("region", name="Import report")
    expect(report.get_by_role("row").filter(has_text="MISCO")).to_be_visible()
    (bucket,) = demo.database.bars.find({"ticker": "MISCO"})
    assert read_columns(bucket)["volume"].tolist() == [0.0] * 4


def test_a_file_can_be_left_out(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/data")
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    page.evaluate(DROP, [CSV.replace("NEWCO", "OUTCO"), "outco.csv"])
    form = page.get_by_role("form", name="Preview of outco.csv")
    form.get_by_role("button", name="Leave it out").click()
    expect(form).to_have_count(0)
    assert demo.database.series.find_one({"ticker": "OUTCO"}) is None


def test_unreadable_rows_are_counted_before_anything_is_stored(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/data")
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    days = ["2024-01-02", "2024-01-03", "2024-01-04", "soon"]
    rows = [f"{day},10,11,9,{'ten' if n < 2 else 10},7" for n, day in enumerate(days)]
    page.evaluate(DROP, ["\n".join(["date,open,high,low,close,volume", *rows]), "oddco.csv"])
    form = page.get_by_role("form", name="Preview of oddco.csv")
    expect(form).to_contain_text("4 rows, of which 1 has a time and 2 have a number that cannot be")
    form.get_by_role("button", name="Leave it out").click()


def test_an_unusable_file_is_refused_with_a_reason(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/data")
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    page.evaluate(DROP, ["nothing", "notes.csv"])
    form = page.get_by_role("form", name="Preview of notes.csv")
    expect(form.get_by_role("alert")).to_contain_text("no usable column")


@pytest.mark.slow
def test_a_refused_file_shows_no_late_preview_and_can_be_tried_again(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/data", quiet=False)
    expect(page.get_by_role("region", name="Stretches of time")).to_be_visible()
    page.evaluate(DROP, [CSV.replace("NEWCO", "ZONECO"), "zoneco.csv"])
    form = page.get_by_role("form", name="Preview of zoneco.csv")
    zone = form.get_by_label("Zone of times without one")
    looks: list[Route] = []

    def hold_first(route: Route) -> None:
        if looks:
            route.continue_()
        looks.append(route)

    page.route("**/data/preview", hold_first)
    zone.fill("Nowhere")
    zone.press("Enter")
    expect(page.get_by_text("is no time zone that is known")).to_be_visible()
    # A preview that arrives after the file was sent is not shown: its form would be dead.
    with page.expect_response("**/data/preview"):
        looks[0].continue_()
    # The focus moves to no other field in place of the removed one.
    assert page.evaluate("document.activeElement.localName") == "section"
    page.get_by_role("button", name="Try again").click()
    expect(form).to_be_visible()
    expect(zone).to_have_value("")
    # A file whose preview is refused cannot be sent.
    zone.fill("Nowhere")
    zone.blur()
    expect(page.get_by_text("is no time zone that is known")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(zone).to_have_value("")
    form.get_by_role("button", name="Leave it out").click()
    expect(form).to_have_count(0)

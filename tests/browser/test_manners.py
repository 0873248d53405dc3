"""What people expect of a page in a browser: Back, tabs, keyboard, printing, their own time
zone.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from records.keys import add_key
from tests.browser.conftest import Demo, push_candles


@pytest.fixture
def read_key(demo: Demo) -> Iterator[str]:
    """A key that may only read. After the test it is as if there had never been a key."""
    yield add_key(demo.database, "reader", ["read"], datetime.now(UTC))
    demo.database.api_keys.delete_many({})


def test_back_closes_a_dialog_and_the_page_stays(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    page.get_by_role("link", name="Watchlists", exact=True).click()
    make = page.get_by_role("button", name="New watchlist").first
    make.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile("#/watchlists$"))
    make.click()
    page.get_by_role("button", name="Cancel").click()
    # The dialog closes once the history is as before.
    expect(page.locator("dialog")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", name="Anomalies by ticker and time")).to_be_visible()


def test_a_key_is_entered_once_for_all_tabs_and_one_to_read_disables_buttons(
    demo: Demo, open_page: Callable[..., Page], read_key: str
) -> None:
    page = open_page(f"{demo.url}#/ticker/AAPL", quiet=False)
    page.get_by_label("API key").fill(read_key)
    page.get_by_role("button", name="Use this key").click()
    backfill = page.get_by_role("button", name="Backfill", exact=True)
    expect(backfill).to_have_attribute("aria-disabled", "true")
    expect(backfill).to_have_attribute("aria-description", re.compile("scope enqueue"))
    backfill.focus()
    expect(page.get_by_role("tooltip")).to_contain_text("scope enqueue")
    asked = []
    page.on("request", lambda request: asked.append(request.method))
    backfill.click(force=True)
    other = page.context.new_page()
    other.goto(f"{demo.url}#/runs")
    expect(other.get_by_role("link", name="Training of market US").first).to_be_visible()
    expect(other.locator("dialog")).to_have_count(0)
    other.goto(f"{demo.url}#/anomalies")
    other.get_by_text("Export", exact=True).click()
    files = other.get_by_role("button", name=re.compile("^Parquet of"))
    expect(files.first).to_have_attribute("aria-disabled", "true")
    assert "POST" not in asked


def test_times_are_shown_in_utc_and_the_chosen_zone_and_keys_are_explained(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    push_candles(demo, "ZONECO", "1h", ["2024-01-02T14:30:00Z", "2024-01-02T15:30:00Z"])
    page = open_page(f"{demo.url}#/ticker/ZONECO?interval=1h")
    main = page.get_by_role("main")
    expect(main.get_by_text("on 2 Jan 2024, 15:30 UTC")).to_be_visible()
    page.get_by_label("Times in").select_option("exchange")
    expect(main.get_by_text("15:30 UTC (10:30 in New York)").first).to_be_visible()
    page.reload()
    expect(main.get_by_text("15:30 UTC (10:30 in New York)").first).to_be_visible()
    # If a page has several markets, each row says whose time it shows.
    page.goto(f"{demo.url}#/data?ticker=ZONECO")
    covered = page.get_by_role("region", name="Stretches of time")
    expect(covered.get_by_text("15:30 UTC (10:30 in New York)")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="What the keyboard does")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_label("Go to a ticker")).to_be_focused()


@pytest.mark.slow
def test_a_grade_is_never_shown_as_one_of_the_next_severity(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    write = "([grades]) => import('/scripts/lib/format.js').then((it) => grades.map(it.grade))"
    assert page.evaluate(write, [[74.96, 75, 49.999, 99.5, 100, None]]) == [
        "74",
        "75",
        "49",
        "99",
        "100",
        "\N{EN DASH}",
    ]
    tell = "([grades]) => import('/scripts/lib/format.js').then((it) => grades.map(it.frequency))"
    assert page.evaluate(tell, [[74.96, 75, 50, 10]]) == [
        "about one bar in 990",
        "about one bar in 1,000",
        "about one bar in 100",
        "about one bar in 2",
    ]


@pytest.mark.slow
def test_a_price_of_a_currency_has_the_digits_that_move(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    write = "([prices]) => import('/scripts/lib/format.js').then((it) => prices.map(it.price))"
    prices = [1.08247, -1.5, 5.32, 18.01239, 148.683, 0, 0.5, 0.0000185, 2_500_000.4]
    assert page.evaluate(write, [prices]) == [
        "1.0825",
        "\N{MINUS SIGN}1.50",
        "5.32",
        "18.012",
        "148.68",
        "0.00",
        "0.5000",
        "0.00001850",
        "2,500,000",
    ]


@pytest.mark.slow
def test_a_volume_of_parts_of_a_coin_is_no_zero(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(demo.url)
    write = (
        "([name, volumes]) => import('/scripts/lib/format.js').then((it) => volumes.map(it[name]))"
    )
    volumes = [0.03617, 0, 99.5, 12_345.6, None]
    assert page.evaluate(write, ["short", volumes]) == [
        "0.03617",
        "0",
        "99.5",
        "12.3K",
        "\N{EN DASH}",
    ]
    assert page.evaluate(write, ["amount", volumes])[3:] == ["12,346", "\N{EN DASH}"]


@pytest.mark.slow
def test_a_printed_page_has_its_content_and_no_controls(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/IBM", theme="dark")
    expect(page.locator(".anomaly").first).to_be_visible()
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_role("button", name="Backfill", exact=True)).to_be_hidden()
    expect(page.get_by_role("heading", name="IBM")).to_be_visible()
    colour = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    expect(page.get_by_role("link", name="Compare", exact=True)).to_be_hidden()
    # The label of a select without the select would refer to nothing.
    page.goto(f"{demo.url}#/runs")
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.locator("main label:visible")).to_have_count(0)
    page.goto(f"{demo.url}#/alerts")
    steps = page.get_by_role("toolbar", name="Steps", include_hidden=True)
    expect(steps).to_be_attached()
    expect(steps).to_be_hidden()


@pytest.mark.slow
def test_colour_coded_information_is_also_shown_in_forced_colours(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/watchlists")
    switch = page.get_by_role("switch", name="Periodic scans")
    expect(switch).to_be_visible()
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.evaluate("document.body.append(document.querySelector('.switch').cloneNode(true))")
    page.evaluate("document.body.lastChild.setAttribute('aria-checked', 'false')")
    tracks = page.evaluate(
        "[...document.querySelectorAll('.switch')].filter((each, at, all) => at === 0 || each === "
        "all.at(-1)).map((each) => getComputedStyle(each.querySelector('i')).backgroundColor)"
    )
    assert len(set(tracks)) == 2
    # A chart is drawn on a canvas, with colours that the page reads from its style sheet.
    colours = page.evaluate(
        "import('./scripts/parts/theme_switch.js').then((part) => part.readColours('up', 'down', "
        "'surface', 'band-turbulent-illiquidity'))"
    )
    assert len(set(colours.values())) == 4


def test_the_focus_returns_from_a_dialog_to_its_button(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/AAPL")
    button = page.get_by_role("button", name="Set a threshold")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(button).to_be_focused()


@pytest.mark.slow
def test_back_leaves_a_page_that_was_reloaded_with_a_dialog_open(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    page.get_by_role("link", name="Watchlists", exact=True).click()
    page.get_by_role("button", name="New watchlist").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Watchlists", level=1)).to_be_visible()
    page.wait_for_function("history.state === null")
    page.go_back()
    expect(page.get_by_role("heading", name="Anomalies by ticker and time")).to_be_visible()


@pytest.mark.slow
def test_a_page_that_is_opened_while_a_dialog_closes_stays_open(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/watchlists")
    page.get_by_role("button", name="New watchlist").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    # The dialog's own step back has been requested by then, and has not been taken.
    dialog.evaluate("(each) => each.addEventListener('close', () => { location.hash = '#/runs' })")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    page.wait_for_function("location.hash === '#/runs' && history.state === null")


@pytest.mark.slow
def test_an_unknown_filter_value_is_ignored(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/runs?status=done&task=nothing")
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()
    page.goto(f"{demo.url}#/alerts?state=done")
    expect(page.get_by_label("State")).to_have_value("")
    expect(page.get_by_role("alert")).to_have_count(0)

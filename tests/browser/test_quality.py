"""Requirements of every page and state: no error in the console, WCAG, no sideways scrolling, small
size.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.looking import Look
from tests.slow import slow_but_first

MOST_BYTES = 300_000
PAGES = {  # By heading.
    "Overview": "#/",
    "AAPL": "#/ticker/AAPL?period=1y&panes=volume,grade,RSI,MACD,MACD_hist,bollinger",
    "Anomalies": "#/anomalies?severity=medium",
    "AAPL and ^GSPC": "#/compare/AAPL?against=index&start=2008-01-01",
    "Market US": "#/market",
    "Alerts": "#/alerts",
    "Runs": "#/runs",
    "Watchlists": "#/watchlists",
    "Models": "#/models",
    "US_model-0.1.0": "#/models/US_model-0.1.0",
    "Series": "#/series",
    "Data": "#/data",
    "Notifications": "#/notifications",
    "Health": "#/health",
}
DATA_VIEWS = {"revisions": "Revised", "rejected": "Rejected", "imports": "Imports"}


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_accessible_and_fits(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path, width: int
) -> None:
    page = open_page(demo.url, width=width)
    look = Look(page, tmp_path)
    # A phone has the same dark colours.
    take = look.take_both if width == 1280 else look.take
    for heading, fragment in PAGES.items():
        page.goto(demo.url + fragment)
        page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()
        if heading == "AAPL":
            page.keyboard.press("ArrowRight")
        take(heading)
    run_id = demo.database.detection_runs.find_one(
        {"task": "backfill", "new_anomalies": {"$gt": 100}}
    )["_id"]
    page.goto(f"{demo.url}#/runs/{run_id}")
    expect(page.locator(".anomaly").first).to_be_visible()
    take("run")
    page.goto(f"{demo.url}#/day/2008-10-13")
    expect(page.locator(".sectors li").first).to_be_visible()
    take("day")
    verification = demo.api.post("/anomalies/verify?wait=30", {"ticker": "FB"})["_id"]
    page.goto(f"{demo.url}#/runs/{verification}")
    expect(page.get_by_role("region", name="Verdicts")).to_be_visible()
    take("verification")
    for view, button in DATA_VIEWS.items():
        page.goto(f"{demo.url}#/data?view={view}")
        expect(page.get_by_role("button", name=button, pressed=True)).to_be_visible()
        take(f"data, {view}")
    assert look.wrong == []


@pytest.mark.parametrize(("width", "theme"), slow_but_first([(390, "light"), (1280, "dark")]))
def test_dialogs_and_menus_are_accessible_and_fit(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path, width: int, theme: str
) -> None:
    page = open_page(f"{demo.url}#/ticker/AAPL?panes=volume,bollinger", width=width, theme=theme)
    look = Look(page, tmp_path)
    page.get_by_text("Panes", exact=True).click()
    sheet = page.locator(".menu[open] .sheet").bounding_box()
    assert sheet is not None
    assert sheet["x"] >= 0
    assert sheet["x"] + sheet["width"] <= width
    look.take("panes")
    page.goto(f"{demo.url}#/anomalies")
    # The ticker's page has a menu with this name too, which disappears meanwhile.
    page.get_by_role("heading", level=1, name="Anomalies", exact=True).wait_for()
    if width == 390:
        page.get_by_role("button", name="Filters", exact=True).click()
    for name in ("All time", "Export"):
        page.locator(".menu > summary").filter(has_text=name).click()
        sheet = page.locator(".menu[open] .sheet").bounding_box()
        assert sheet is not None
        assert sheet["x"] >= 0
        assert sheet["x"] + sheet["width"] <= width
        look.take(name)
        page.keyboard.press("Escape")
    for where, button in (
        ("watchlists", "New watchlist"),
        ("models", "Train a model"),
        ("notifications", "New rule"),
        ("ticker/AAPL", "Record a split"),
        ("ticker/AAPL", "Set a threshold"),
        ("ticker/AAPL", "Session exception"),
        ("ticker/AAPL", "Add to a watchlist"),
        ("health", "Keyboard"),
    ):
        page.goto(f"{demo.url}#/{where}")
        page.get_by_role("button", name=button).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        look.take(button)
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
    assert look.wrong == []


@pytest.mark.parametrize(("width", "theme"), slow_but_first([(390, "dark"), (1280, "light")]))
def test_empty_pages_and_errors_are_accessible_and_fit(
    empty_service: str, open_page: Callable[..., Page], tmp_path: Path, width: int, theme: str
) -> None:
    page = open_page(empty_service, width=width, theme=theme)
    look = Look(page, tmp_path)
    expect(page.get_by_text("No bars yet")).to_be_visible()
    look.take("nothing")
    for where, text in (
        ("runs", "No runs yet"),
        ("watchlists", "No watchlists yet"),
        ("models", "No models yet"),
        ("data", "No bars yet"),
        ("notifications", "Nobody is told yet"),
        ("data?view=revisions", "Nothing was revised"),
        ("data?view=rejected", "No row was rejected"),
        ("anomalies", "No anomalies yet"),
        ("day/2008-10-13", "No bars yet"),
        ("day/soon", "Which day?"),
        ("compare", "Which ticker?"),
        ("nowhere", "There is no such page"),
    ):
        page.goto(f"{empty_service}#/{where}")
        expect(page.get_by_text(text)).to_be_visible()
        look.take(f"empty, {where.replace('?', ' ')}")
    assert look.wrong == []


def test_failures_are_accessible_and_fit(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(f"{demo.url}#/models", width=390, quiet=False)
    look = Look(page, tmp_path)
    expect(page.get_by_role("heading", name="Market US")).to_be_visible()
    page.goto(f"{demo.url}#/runs/nothing")
    expect(page.get_by_role("alert")).to_contain_text("Not found")
    expect(page.get_by_role("alert").get_by_role("link")).to_have_text("All runs")
    look.take("not found")
    page.context.set_offline(True)
    page.goto(f"{demo.url}#/models")
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    look.take("offline")
    assert look.wrong == []


def test_the_page_is_small_and_loads_only_from_its_own_origin(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/ticker/AAPL")
    expect(page.locator(".stage")).to_have_attribute("data-seen", re.compile(" to "))
    page.evaluate("document.fonts.ready")
    kinds = (
        "[...performance.getEntriesByType('navigation'),"
        " ...performance.getEntriesByType('resource')]"
    )
    loaded = page.evaluate(f"{kinds}.map((entry) => [entry.name, entry.encodedBodySize])")
    assert all(url.startswith(demo.url) for url, _ in loaded)
    weights = [size for url, size in loaded if not url.startswith(f"{demo.url}py/")]
    assert len(weights) > 20
    assert sum(weights) < MOST_BYTES


def test_the_files_of_the_first_page_are_requested_at_once(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    scripts = (
        "performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) =>"
        " /[.]m?js$/.test(name))"
    )
    preloaded = "[...document.querySelectorAll('[rel=modulepreload]')].map((link) => link.href)"
    before = {f"{demo.url}scripts/{name}.js" for name in ("main", "lib/theme", "lib/preload")}
    for address, shown in (("", ".anomaly"), ("#/ticker/AAPL?interval=1d", ".stage canvas")):
        page = open_page(demo.url + address)
        expect(page.locator(shown).first).to_be_visible()
        assert set(page.evaluate(preloaded)) == set(page.evaluate(scripts)) - before

"""What holds for every page: no complaint in the console, WCAG, no sideways scrolling, little weight."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Demo

WEB = Path(__file__).parent.parent.parent / "web"
MOST_BYTES = 300_000
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
PAGES = {  # by heading
    "Overview": "#/",
    "AAPL": "#/ticker/AAPL?period=1y",
    "Runs": "#/runs",
    "Watchlists": "#/watchlists",
    "Models": "#/models",
    "US_model-0.1.0": "#/models/US_model-0.1.0",
    "Data": "#/data",
}


@pytest.mark.parametrize(("width", "theme"), SIZES)
def test_every_page_is_accessible_and_fits(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path, width: int, theme: str
) -> None:
    page = open_page(demo.url, width=width, theme=theme)
    wrong: list[str] = []
    for heading, fragment in PAGES.items():
        page.goto(demo.url + fragment)
        page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()
        page.wait_for_load_state("networkidle")
        if heading == "AAPL":
            page.keyboard.press("ArrowRight")
        page.screenshot(path=tmp_path / f"{heading}-{width}-{theme}.png", full_page=True)
        violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        wrong += [f"{heading}: {one['id']}: {one['nodes'][0]['failureSummary']}" for one in violations]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{heading} scrolls sideways")
    assert wrong == []


def test_the_page_is_light_and_from_its_own_origin(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/ticker/AAPL")
    page.wait_for_load_state("networkidle")
    loaded = [demo.url, *page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")]
    assert all(url.startswith(demo.url) for url in loaded)
    files = {url.removeprefix(demo.url).partition("?")[0] or "index.html" for url in loaded}
    weights = [len(gzip.compress((WEB / file).read_bytes())) for file in files if not file.startswith("py/")]
    assert len(weights) > 20
    assert sum(weights) < MOST_BYTES

"""Checks a page as it is displayed."""

from collections.abc import Mapping
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

ALL_RULES: Mapping[str, list[str]] = {}
# The rules of axe that depend on colours; the results of the others are the same in light and dark.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
# Wait for running animations: text that is still fading in is too pale.
SETTLED = """Promise.all([document.fonts.ready, ...document.getAnimations().filter((one) =>
    one.playState === 'running' && one.effect.getComputedTiming().endTime < Infinity).map((one) =>
    one.finished.catch(() => {}))]).then(() => {})"""


class Look:
    """Checks a displayed page for WCAG and for sideways scrolling. It takes a screenshot only of
    failures, because screenshots of all pages would take half as long as the checks.
    """

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.wrong: list[str] = []

    def take_both(self, name: str) -> None:
        """Check the page in light and in dark colours, which are switched while it is open."""
        for theme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            self.take(f"{name}, {theme}", rules=rules)

    def take(
        self, name: str, *, is_loaded: bool = True, rules: Mapping[str, list[str]] = ALL_RULES
    ) -> None:
        if is_loaded:
            expect(self.page.locator("[aria-busy]")).to_have_count(0)
        self.page.evaluate(SETTLED)
        width = self.page.viewport_size["width"]
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Axe().axe_script)
        options = {"resultTypes": ["violations"], **rules}
        violations = self.page.evaluate("(options) => axe.run(options)", options)["violations"]
        wrong = [f"{name}: {one['id']}: {one['nodes'][0]['failureSummary']}" for one in violations]
        if self.page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{name} scrolls sideways")
        if wrong:
            self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)
        self.wrong += wrong

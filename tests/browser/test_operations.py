"""Links from the dashboard to the tools of operations."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo


def test_the_dashboard_links_to_flower(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(demo.url)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Tasks and workers in Flower").click()
    expect(opened.value).to_have_title("Workers · Flower")
    expect(opened.value.get_by_role("link", name="worker@").first).to_be_visible()


def test_each_part_shows_its_state_since_when_and_what_to_do(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    page.get_by_role("link", name=re.compile("^Health")).click()
    parts = page.get_by_role("region", name="Parts of the service")
    scheduler = parts.get_by_role("row").filter(has_text="Workers of backfill")
    expect(scheduler).to_contain_text("well")
    expect(parts.get_by_role("row").filter(has_text="Calendar US")).to_contain_text("known to")
    with demo.stopped_worker():
        expect(scheduler).to_contain_text("none answers")
        expect(scheduler).to_contain_text("To do: start a worker with --queues backfill")
        run = demo.api.post("/anomalies/incremental", {"ticker": "IBM"})["run_id"]
        page.goto(f"{demo.url}#/runs/{run}")
        expect(page.get_by_role("status").filter(has_text="no worker that answers")).to_be_visible()
    expect(page.get_by_text("complete", exact=True).first).to_be_visible()

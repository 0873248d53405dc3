"""Pages show by themselves what happens while they are open."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, push_candles

RUNS_ON_THE_OVERVIEW = 6


def test_the_overview_shows_anomalies_found_since_it_was_opened(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    tickers = page.get_by_role("region", name="List of tickers")
    expect(tickers.get_by_role("link", name="AAPL", exact=True)).to_be_visible()
    push_candles(demo, "LIVECO", "1d", ["2024-01-02", "2024-01-03"])
    row = tickers.get_by_role("row").filter(has=page.get_by_role("link", name="LIVECO", exact=True))
    expect(row).to_contain_text("3 Jan 2024")
    known = len(demo.database.series.distinct("ticker", {"market": "US"}))
    united_states = page.get_by_role("article").filter(has_text="United States")
    expect(united_states).to_contain_text(f"Tickers{known}Bars")


@pytest.mark.slow
def test_an_open_run_stays_visible_however_many_come_later(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    with demo.stopped_worker():
        demo.api.post("/anomalies/backfill", {"tickers": ["FB", "IBM"]})
        for _ in range(RUNS_ON_THE_OVERVIEW):
            later = demo.api.post("/anomalies/incremental", {"ticker": "MSFT"})["run_id"]
            demo.api.post(f"/detection-runs/{later}/cancel", {})
        page = open_page(demo.url)
        runs = page.get_by_role("region", name="Runs", exact=True).get_by_role("listitem")
        own = runs.filter(has_text="Backfill of FB, IBM").first
        expect(own.get_by_role("progressbar")).to_be_visible()
        expect(own).to_contain_text("queued")
    expect(own.get_by_text("complete")).to_be_visible()


@pytest.mark.slow
def test_the_empty_overview_goes_on_when_bars_come(
    demo: Demo, empty_service: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(empty_service)
    expect(page.get_by_text("No bars yet")).to_be_visible()
    stored = demo.database.client["nothing"].series
    stored.insert_one(demo.database.series.find_one({"ticker": "FB"}))
    try:
        row = (
            page.get_by_role("region", name="List of tickers")
            .get_by_role("row")
            .filter(has_text="FB")
        )
        expect(row).to_contain_text("not detected yet")
        expect(page.get_by_text("No anomalies yet")).to_be_visible()
    finally:
        stored.delete_many({})


def test_the_chart_shows_bars_that_came_after_it_was_opened(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    push_candles(demo, "GROWCO", "1d", ["2024-01-02", "2024-01-03"])
    page = open_page(f"{demo.url}#/ticker/GROWCO")
    main = page.get_by_role("main")
    expect(main.get_by_text("on 3 Jan 2024")).to_be_visible()
    push_candles(demo, "GROWCO", "1d", ["2024-01-04"])
    expect(main.get_by_text("on 4 Jan 2024")).to_be_visible()
    expect(page.locator(".legend")).to_contain_text("4 Jan 2024")
    expect(page.get_by_role("img", name=re.compile("^GROWCO, 3 bars"))).to_be_visible()


@pytest.mark.slow
def test_the_focus_stays_on_a_run_while_the_list_is_redrawn(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    for address in ("#/runs", "#/overview"):
        page = open_page(f"{demo.url}{address}")
        names = page.locator("main a.run-name")
        first = names.first
        expect(first).to_be_visible()
        where = str(first.get_attribute("href"))
        first.focus()
        run = demo.api.post("/anomalies/incremental?wait=30", {"ticker": "MSFT"})["_id"]
        expect(page.locator(f"main a.run-name[href='#/runs/{run}']")).to_be_visible()
        expect(page.locator(f"main a.run-name[href='{where}']")).to_be_focused()


@pytest.mark.slow
def test_the_shown_age_of_a_run_grows(demo: Demo, open_page: Callable[..., Page]) -> None:
    demo.api.post("/anomalies/incremental?wait=30", {"ticker": "MSFT"})
    page = open_page(demo.url, quiet=False)
    page.clock.install()
    for address in ("#/overview", "#/runs"):
        page.goto(f"{demo.url}{address}")
        page.reload()
        age = page.locator("main time").filter(has_text=re.compile("just now|minute"))
        expect(age.first).to_be_visible()
        # Without a connection nothing else redraws it.
        page.context.set_offline(True)
        page.clock.fast_forward(7_200_000)
        expect(page.locator("main time").filter(has_text="2 hours ago").first).to_be_visible()
        page.context.set_offline(False)


@pytest.mark.slow
def test_anomalies_are_listed_again_when_the_connection_is_back(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/anomalies?severity=high", quiet=False)
    expect(page.locator(".found-table tbody tr").first).to_be_visible()
    latest = demo.database.anomalies.find_one({"severity": "high"}, sort=[("Datetime", -1)])
    assert latest is not None
    page.context.set_offline(True)
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    found = {"_id": latest["_id"]}
    demo.database.anomalies.update_one(found, {"$set": {"reasons": ["told meanwhile"]}})
    try:
        page.context.set_offline(False)
        expect(page.get_by_text("told meanwhile")).to_be_visible()
    finally:
        demo.database.anomalies.update_one(found, {"$set": {"reasons": latest["reasons"]}})


def test_pages_and_their_tables_are_redrawn_when_the_connection_is_back(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    models, series = demo.database.models, demo.database.series
    version = models.find_one()["version"]
    # For each page: where a value is shown, what changes it meanwhile, and the new text.
    changed = (
        ("models", models, {"version": version}, {"rows": 987_654}, "987,654"),
        (f"models/{version}", models, {"version": version}, {"rows": 987_654}, "987,654"),
        ("data", series, {"_id": "IBM::1d"}, {"bars": 987_654}, "987,654"),
        ("data?view=quality", series, {"_id": "IBM::1d"}, {"coverage.bars_held": 0}, "100 % bars"),
    )
    page = open_page(demo.url, quiet=False)
    for address, collection, found, change, said in changed:
        page.goto(f"{demo.url}#/{address}")
        page.reload()  # Otherwise the old page might still be visible.
        expect(page.locator("main table, main dl").first).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        page.context.set_offline(True)
        expect(page.get_by_text("What you see may be old")).to_be_visible()
        before = collection.find_one_and_update(found, {"$set": change})
        try:
            page.context.set_offline(False)
            expect(page.get_by_role("main").get_by_text(said).first).to_be_visible()
        finally:
            collection.replace_one(found, before)


@pytest.mark.slow
def test_the_parts_of_a_markets_page_are_requested_again_when_the_connection_is_back(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/market?market=US", quiet=False)
    expect(page.get_by_role("region", name="Tickers of the market")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    page.context.set_offline(True)
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    with (
        page.expect_request(re.compile(r"market-overview\?.*history=0&")),
        page.expect_request(re.compile(r"/correlation\?")),
    ):
        page.context.set_offline(False)


@pytest.mark.slow
def test_repeated_polling_adds_no_listeners_to_the_pages_abort_signal(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    left = page.evaluate(
        """async () => {
            const live = await import("/scripts/lib/live.js");
            const end = new AbortController();
            const left = [];
            const add = end.signal.addEventListener.bind(end.signal);
            end.signal.addEventListener = (name, listener, options) => {
                left.push(options.signal);
                add(name, listener, options);
            };
            let turns = 0;
            const turn = async () => ++turns < 4 || end.abort();
            await live.repeat(1, turn, end.signal);
            return [turns, left.length, left.filter((over) => !over?.aborted).length];
        }"""
    )
    assert left == [4, 4, 0]


@pytest.mark.slow
def test_a_page_that_is_told_to_wait_polls_no_sooner(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url, quiet=False)
    too_many = {"status": 429, "headers": {"Retry-After": "1"}, "json": {"detail": "too many"}}
    page.route("**/py/mutes*", lambda route: route.fulfill(**too_many))
    waited = page.evaluate(
        """async () => {
            const { get } = await import("/scripts/lib/api.js");
            const { repeat } = await import("/scripts/lib/live.js");
            const times = [];
            const end = new AbortController();
            const ask = async () => {
                if (times.push(performance.now()) === 2) end.abort();
                await get("/mutes");
            };
            await repeat(1, ask, end.signal);
            return times[1] - times[0];
        }"""
    )
    assert waited > 990


@pytest.mark.slow
def test_a_failed_part_is_replaced_but_not_while_the_user_is_in_it(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url, quiet=False)
    shown = page.evaluate(
        """async () => {
            const { buildSection } = await import("/scripts/parts/states.js");
            const asked = [];
            const load = () => new Promise((...both) => asked.push(both));
            const draw = (text) => Object.assign(document.createElement("button"),
                                                 { textContent: text });
            const section = buildSection(load, draw, new AbortController().signal);
            document.body.append(section.node);
            const shown = [];
            const note = () => shown.push(section.node.querySelector("p, button").textContent);
            const showing = section.show();
            asked[0][0]("one");
            await showing;
            note();
            const again = section.show();
            asked[1][1](new Error("no"));
            await again;
            note();
            const after = section.refresh();
            asked[2][0]("one");
            await after;
            note();
            const last = section.refresh();
            section.node.querySelector("button").focus();
            asked[3][0]("two");
            await last;
            note();
            return shown;
        }"""
    )
    assert shown == ["one", "This did not work", "one", "one"]


@pytest.mark.slow
def test_leaving_a_page_shows_no_error_for_its_unfinished_request(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(demo.url)
    said = page.evaluate(
        """async () => {
            const { get } = await import("/scripts/lib/api.js");
            const { attempt } = await import("/scripts/parts/toasts.js");
            const left = new AbortController();
            const asked = attempt({}, () => get("/mutes", {}, left.signal));
            left.abort();
            return [await asked, document.querySelectorAll(".toast").length];
        }"""
    )
    assert said == [None, 0]

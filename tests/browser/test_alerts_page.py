"""The alerts' inbox: by keyboard and click, updated in every open page, and on a phone."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Page, Route, expect

from records.database import Document
from tests.browser.conftest import Demo
from tests.browser.looking import Look
from tests.processes import wait_until
from tests.slow import slow_but_first

COLLECTIONS = ("alerts", "alert_trail", "labels", "mutes", "watchlists")


@pytest.fixture(scope="module")
def raised(demo: Demo) -> Iterator[dict[str, list[Document]]]:
    """Real alerts of the demo and all their documents, by collection. A backfill of two years was
    asked to raise them.
    """
    database = demo.database
    undelivered = {"delivered_at": None}
    wait_until(lambda: not database.outbox.count_documents(undelivered), "the demo's own is told")
    # Alerts of other test files, for example those of series, are removed.
    for name in COLLECTIONS:
        database[name].delete_many({})
    demo.api.post("/watchlists", {"name": "tech", "tickers": ["AAPL", "MSFT", "IBM"]})
    # The demo already found these anomalies, and the alerts need a run that finds them first.
    database.anomalies.delete_many({"Ticker": {"$in": ["AAPL", "MSFT", "IBM"]}})
    body = {"tickers": ["AAPL", "MSFT", "IBM"], "max_period": "2y", "raise_alerts": True}
    demo.api.post("/anomalies/backfill?wait=30", body)
    wait_until(lambda: database.alerts.count_documents({}) >= 5, "alerts are raised")
    # The alert of a whole market follows those of its tickers.
    wait_until(lambda: not database.outbox.count_documents(undelivered), "all are raised")
    yield {name: list(database[name].find()) for name in COLLECTIONS}
    for name in COLLECTIONS:
        database[name].delete_many({})


@pytest.fixture
def alerts(demo: Demo, raised: dict[str, list[Document]]) -> list[str]:
    """The ids of the alerts, the newest first. All are restored to the state in which they were
    raised.
    """
    database = demo.database
    for name, documents in raised.items():
        database[name].delete_many({})
        if documents:
            database[name].insert_many(documents)
    return [alert["_id"] for alert in database.alerts.find().sort([("created_at", -1), ("_id", 1)])]


def read_state(demo: Demo, alert_id: str) -> str:
    alert = demo.database.alerts.find_one({"_id": alert_id})
    assert alert is not None
    return str(alert["state"])


@pytest.mark.slow
def test_the_last_close_is_marked_only_if_it_is_the_close_of_the_alerts_bar(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    page = open_page(f"{demo.url}#/alerts/{quote(alerts[0], safe='')}")
    expect(page.locator("svg.alert-chart circle.mark")).to_have_count(1)
    expect(page.get_by_text("Its own bar is not stored")).to_have_count(0)
    held = demo.database.alerts.find_one({"_id": alerts[0]})
    assert held is not None
    # As if the bar had been taken back: then the close before it is the last one.
    gone = {"last_bar": held["last_bar"] + timedelta(hours=12)}
    demo.database.alerts.update_one({"_id": alerts[0]}, {"$set": gone})
    page.reload()
    expect(page.get_by_text("Its own bar is not stored any more.")).to_be_visible()
    expect(page.locator("svg.alert-chart circle.mark")).to_have_count(0)


def test_alerts_are_resolved_by_keyboard_and_every_open_page_shows_it(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    page, other = open_page(f"{demo.url}#/alerts"), open_page(f"{demo.url}#/alerts")
    rows = page.locator(".alerts > li")
    expect(rows).to_have_count(len(alerts))
    expect(other.locator(".alerts > li").first).to_contain_text("active")
    page.keyboard.press("j")
    expect(rows.nth(0).get_by_role("link")).to_be_focused()
    page.keyboard.press("e")
    expect(rows.nth(0)).to_contain_text("acknowledged")
    assert read_state(demo, alerts[0]) == "acknowledged"
    expect(other.locator(".alerts > li").nth(0)).to_contain_text("acknowledged")
    page.keyboard.press("j")
    expect(rows.nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("It was").select_option("confirmed")
    dialog.get_by_label("Because of").select_option("earnings")
    dialog.get_by_role("button", name="Resolve").click()
    expect(rows).to_have_count(len(alerts) - 1)
    expect(other.locator(".alerts > li")).to_have_count(len(alerts) - 1)
    label = demo.database.labels.find_one({"alert_id": alerts[1]})
    assert label is not None
    assert (label["feedback"], label["cause"]) == ("confirmed", "earnings")
    page.keyboard.press("s")
    page.get_by_role("dialog").get_by_role("button", name="Snooze").click()
    expect(rows).to_have_count(len(alerts) - 2)
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Ticker", exact=True)).to_be_focused()
    page.get_by_role("combobox", name="Ticker", exact=True).fill("IBM")
    page.keyboard.press("Enter")
    expect(rows.first).to_contain_text("IBM")
    expect(page.locator(".alerts > li", has_text="AAPL")).to_have_count(0)
    assert "ticker=IBM" in page.url


@pytest.mark.slow
def test_the_focused_alert_stays_focused_when_somebody_else_resolves_another(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    database = demo.database
    page = open_page(f"{demo.url}#/alerts")
    rows = page.locator(".alerts > li")
    expect(rows).to_have_count(len(alerts))
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(f".alerts a[href$='{quote(alerts[1], safe='')}']")
    expect(second).to_be_focused()
    database.alerts.update_one({"_id": alerts[0]}, {"$set": {"state": "resolved"}})
    expect(rows).to_have_count(len(alerts) - 1)
    expect(second).to_be_focused()
    # A text for an alert that was resolved meanwhile is refused, and stays in its field.
    page.keyboard.press("r")
    notes = page.get_by_role("dialog").get_by_label("Notes")
    notes.fill("of the split")
    database.alerts.update_one({"_id": alerts[1]}, {"$set": {"state": "resolved"}})
    page.get_by_role("dialog").get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("is resolved")
    expect(notes).to_have_value("of the split")
    page.keyboard.press("Escape")
    expect(rows).to_have_count(len(alerts) - 2)
    expect(rows.first.get_by_role("link")).to_be_focused()
    page.goto(f"{demo.url}#/alerts/{quote(alerts[2], safe='')}")
    # The list, which was left, has a button with this name, too.
    state = page.get_by_role("region", name="State")
    state.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    expect(state.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(state).to_be_focused()


def test_many_alerts_are_selected_and_other_states_are_reached_by_a_filter(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    demo.api.post("/alerts/bulk", {"ids": [alerts[0]], "action": "resolve"})
    page = open_page(f"{demo.url}#/alerts?state=active")
    rows = page.locator(".alerts > li")
    picks = rows.get_by_role("checkbox")
    expect(rows).to_have_count(len(alerts) - 1)
    picks.nth(0).check()
    picks.nth(1).check()
    expect(page.get_by_text("2 picked")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(rows).to_have_count(len(alerts) - 3)
    page.get_by_label("State").select_option("resolved")
    expect(rows.first).to_contain_text("resolved")


@pytest.mark.slow
def test_the_list_can_be_sorted_by_strangeness_which_its_address_keeps(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    order = [("grade", -1), ("created_at", -1), ("_id", 1)]
    strangest = [alert["_id"] for alert in demo.database.alerts.find().sort(order)]
    assert strangest != alerts
    page = open_page(f"{demo.url}#/alerts")
    links = page.locator(".alerts a")
    expect(links).to_have_count(len(alerts))
    page.get_by_label("Order").select_option("strangest first")
    expect(links.first).to_have_attribute("href", re.compile(quote(strangest[0], safe="")))
    found = [link.get_attribute("href") or "" for link in links.all()]
    listed = [unquote(address.partition("?")[0]).removeprefix("#/alerts/") for address in found]
    assert listed == strangest
    assert page.url.endswith("#/alerts?sort=-grade")
    # The list starts at its top again: the alert that a key acted on was the newest, wherever it is
    # now.
    expect(page.locator(".alerts > li").first).to_have_attribute("aria-current", "true")
    other = open_page(page.url)
    expect(other.get_by_label("Order")).to_have_value("-grade")
    expect(other.locator(".alerts a").first).to_have_attribute(
        "href", re.compile(quote(strangest[0], safe=""))
    )


@pytest.mark.slow
def test_back_from_an_alert_leads_to_its_place_in_the_filtered_list(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    """It used to lead to the first alert, and "All alerts" to the list of another filter."""
    page = open_page(f"{demo.url}#/alerts?state=active&sort=-grade")
    rows = page.locator(".alerts > li")
    expect(rows).to_have_count(len(alerts))
    for _ in range(3):
        page.keyboard.press("j")
    at = rows.nth(2)
    expect(at.locator("a")).to_be_focused()
    following = rows.nth(3).locator("a").get_attribute("href")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("acknowledged", exact=True).first).to_be_visible()
    expect(page.get_by_role("link", name="All alerts")).to_have_attribute(
        "href", "#/alerts?state=active&sort=-grade"
    )
    page.go_back()
    # The acknowledged alert is not active any more, and the next one has its place.
    expect(rows).to_have_count(len(alerts) - 1)
    expect(at.locator("a")).to_be_focused()
    expect(at.locator("a")).to_have_attribute("href", following or "")
    expect(at).to_have_attribute("aria-current", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="All alerts")).to_be_visible()
    page.go_back()
    expect(at.locator("a")).to_be_focused()
    # In the list of another filter it has no place.
    page.get_by_label("Order").select_option("newest first")
    page.reload()
    expect(rows.first).to_have_attribute("aria-current", "true")
    expect(page.locator(".alerts a:focus")).to_have_count(0)


def test_an_alert_is_resolved_by_keyboard_on_its_own_page(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    page = open_page(f"{demo.url}#/alerts/{quote(alerts[0], safe='')}")
    text = page.get_by_label("What you know")
    text.fill("ere they rose")  # Letters typed into a text are no keyboard commands.
    expect(text).to_have_value("ere they rose")
    text.blur()
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    assert read_state(demo, alerts[0]) == "acknowledged"
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Snooze the alert")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.keyboard.press("r")
    dialog.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    page.keyboard.press("r")  # Nothing can be resolved any more.
    expect(dialog).to_have_count(0)


@pytest.mark.slow
def test_a_key_that_is_held_down_takes_one_step(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    """It used to take a step for each alert that moved to the place of the one before."""
    page = open_page(f"{demo.url}#/alerts?state=active")
    rows = page.locator(".alerts > li")
    expect(rows).to_have_count(len(alerts))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.keyboard.down("e")
    expect(rows).to_have_count(len(alerts) - 1)
    page.keyboard.down("e")
    page.keyboard.up("e")
    page.keyboard.press("s")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert sent.count("POST") == 1


@pytest.mark.slow
def test_filters_are_kept_from_an_alert_to_its_neighbours(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    """From the alert of the market there used to be no way back to the filtered list."""
    one, parent = alerts[:2]
    choices = "state=active&sort=-grade"
    demo.database.alerts.update_one({"_id": one}, {"$set": {"parent_id": parent}})
    demo.database.alerts.update_one({"_id": parent}, {"$set": {"entity_type": "market"}})
    page = open_page(f"{demo.url}#/alerts/{quote(one, safe='')}?{choices}")
    page.get_by_role("link", name="a market-wide bar").click()
    child = page.get_by_role("region", name="Its tickers").get_by_role("link")
    expect(child).to_have_attribute("href", f"#/alerts/{quote(one, safe='')}?{choices}")
    all_of_them = page.get_by_role("link", name="All alerts")
    expect(all_of_them).to_have_attribute("href", f"#/alerts?{choices}")


@pytest.mark.slow
def test_an_inbox_that_filters_leave_empty_says_so(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    """It used to say that there was nothing to look at."""
    address = f"{demo.url}#/alerts?text=nothing%20like%20it&start=1990-01-01&sort=-grade"
    page = open_page(address)
    expect(page.get_by_text("No alert passes the filters.")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.locator(".alerts > li")).to_have_count(len(alerts))
    expect(page.get_by_label("Order")).to_have_value("-grade")


@pytest.mark.slow
def test_a_late_answer_for_an_earlier_filter_is_not_shown(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    page = open_page(f"{demo.url}#/alerts")
    rows = page.locator(".alerts > li")
    expect(rows).to_have_count(len(alerts))
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/py/alerts/active?*", hold)
    demo.api.post("/alerts/bulk", {"ids": alerts[:1], "action": "resolve"})
    with page.expect_request("**/py/alerts/active?*"):
        pass
    page.get_by_label("State").select_option("snoozed")
    expect(page.get_by_text("No alert passes the filters.")).to_be_visible()
    page.evaluate(
        """() => {
            window.most = 0;
            const count = () => document.querySelectorAll(".alerts > li").length;
            const note = () => (window.most = Math.max(window.most, count()));
            new MutationObserver(note).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    # The poll after the late answer.
    with page.expect_response(re.compile(r"/py/alerts\?.*state=snoozed")):
        late[0].continue_()
    assert page.evaluate("window.most") == 0


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_snooze_has_its_stated_length_whatever_the_computers_clock(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str], ahead: timedelta
) -> None:
    page = open_page(f"{demo.url}#/alerts")
    page.clock.install(time=datetime.now(UTC) + ahead)
    page.reload()
    rows = page.locator(".alerts > li")
    expect(rows.first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("s")
    asked = datetime.now(UTC)
    page.get_by_role("dialog").get_by_role("button", name="Snooze").click()
    found = wait_until(lambda: demo.database.alerts.find_one({"state": "snoozed"}), "it is snoozed")
    lasts = found["snoozed_until"].replace(tzinfo=UTC) - asked
    assert abs(lasts - timedelta(hours=4)) < timedelta(minutes=2)
    # The request was made now, not an hour ago or in an hour.
    demo.api.post("/anomalies/incremental?wait=30", {"ticker": "IBM"})
    page.goto(f"{demo.url}#/runs")
    expect(page.get_by_role("main").locator("tbody tr").first).to_contain_text(
        re.compile("just now|in a moment|[12] minutes? ago")
    )


@pytest.mark.slow
def test_the_inbox_and_a_trail_show_all_their_pages(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    database = demo.database
    alert = database.alerts.find_one({"_id": alerts[0]})
    step = database.alert_trail.find_one({"alert_id": alerts[0]})
    assert alert is not None
    assert step is not None
    copies = [
        alert | {"_id": f"copy {n:03}", "state": "active", "owner": "mia"} for n in range(620)
    ]
    database.alerts.insert_many(copies)
    steps = [step | {"_id": f"copy {n:03}", "alert_id": copies[0]["_id"]} for n in range(130)]
    database.alert_trail.insert_many(steps)
    try:
        page = open_page(f"{demo.url}#/alerts?owner=mia")
        rows = page.locator(".alerts > li")
        more = page.get_by_role("button", name="Show more")
        for shown in (100, 200, 400, 620):
            expect(rows).to_have_count(shown)
            if shown < len(copies):
                more.click()
        expect(more).to_have_count(0)
        expect(rows.nth(400).get_by_role("link")).to_be_focused()
        page.get_by_label("All", exact=True).check()
        expect(page.get_by_text("620 picked")).to_be_visible()
        rows.first.get_by_role("link").click()
        trail = page.get_by_role("region", name="Trail")
        expect(trail.get_by_role("listitem")).to_have_count(100)
        trail.get_by_role("button", name="Show earlier").click()
        expect(trail.get_by_role("listitem")).to_have_count(130)
        expect(trail.get_by_role("button")).to_have_count(0)
    finally:
        for name in ("alerts", "alert_trail"):
            database[name].delete_many({"_id": {"$regex": "^copy "}})


def test_one_alert_is_shown_commented_and_reopened(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    demo.api.post("/alerts/bulk", {"ids": [alerts[0]], "action": "resolve"})
    parts = {"sector": "BANK", "sector_move": -0.0965, "beta_sector": 0.84, "z_own": -0.04}
    parted = {"$set": {f"root_cause.{name}": value for name, value in parts.items()}}
    assert demo.database.alerts.update_one({"_id": alerts[0]}, parted).matched_count
    page = open_page(f"{demo.url}#/alerts?state=resolved")
    page.locator(".alerts a").first.click()
    expect(page.get_by_role("img", name="The last 90 closes")).to_be_visible()
    moves = page.get_by_role("region", name="Why").get_by_role("list").last
    expect(page.get_by_role("heading", name="Whose move it was")).to_be_visible()
    expect(moves).to_contain_text(re.compile(r"Its own.*%0\.0 deviations"))
    # The sector itself moved -9.2 %, which the causes say.
    expect(moves).to_contain_text("From BANK\u22127.79 %")
    expect(page.get_by_role("region", name="What the model read")).to_be_visible()
    page.get_by_label("What you know").fill("results after the close")
    page.get_by_role("button", name="Comment").click()
    expect(page.get_by_role("region", name="Comments")).to_contain_text("results after the close")
    # A text that is not sent yet stays, whatever is done or arrives meanwhile.
    page.get_by_label("What you know").fill("not the whole st")
    page.get_by_role("button", name="Reopen").click()
    expect(page.get_by_role("region", name="Trail")).to_contain_text("reopened by")
    expect(page.get_by_label("What you know")).to_have_value("not the whole st")
    expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()


def test_alerts_like_an_expected_one_are_muted_for_a_while_and_the_mute_is_ended(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    page = open_page(f"{demo.url}#/alerts?state=active")
    page.locator(".alerts a").first.click()
    followed = page.get_by_role("region", name="What followed")
    expect(followed.get_by_role("row", name="20 bars")).to_be_visible()
    page.get_by_role("button", name="Resolve").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Silence alerts like it")).to_be_hidden()
    dialog.get_by_label("It was").select_option("expected")
    dialog.get_by_label("Silence alerts like it").select_option("336")
    dialog.get_by_label("Notes").fill("a buyback, all month")
    dialog.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    page.get_by_role("link", name="All alerts").click()
    muted = page.get_by_role("region", name="Muted")
    expect(muted).to_contain_text("a buyback, all month")
    expect(muted).to_contain_text("0 alerts silenced")
    muted.get_by_role("button", name="End").click()
    expect(muted).to_have_count(0)
    assert demo.database.mutes.count_documents({"ended_at": None}) == 0
    # Muted by keyboard, only future alerts are affected: the focused alert stays.
    rows = page.locator(".alerts > li")
    expect(rows).to_have_count(len(alerts) - 1)
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.getAttribute('href')")
    page.keyboard.press("m")
    dialog.get_by_label("What is expected").fill("results are due")
    dialog.get_by_role("button", name="Mute").click()
    expect(muted).to_contain_text("results are due")
    expect(rows).to_have_count(len(alerts) - 1)
    mute = demo.database.mutes.find_one({"ended_at": None})
    assert mute is not None
    alert_id = unquote(focused.partition("?")[0].rpartition("/")[2])
    held = demo.database.alerts.find_one({"_id": alert_id})
    alike = ("watchlist", "market", "interval", "direction", "scope")
    assert held is not None
    assert (mute["ticker"], *(mute[name] for name in alike)) == (
        held["entity_id"],
        *(held[name] for name in alike),
    )
    muted.get_by_role("button", name="End").click()
    expect(muted).to_have_count(0)


def test_a_person_applies_a_threshold_that_labels_suggest(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    database = demo.database
    database.labels.insert_many(
        {
            "_id": f"l{number}",
            "anomaly_id": f"a{number}",
            "ticker": "AAPL",
            "interval": "1d",
            "grade": 70.0 + number,
            "predicted_score": -0.5,
            "is_true_anomaly": number >= 8,
            "labelled_at": database.client.admin.command("hello")["localTime"],
        }
        for number in range(16)
    )
    page = open_page(f"{demo.url}#/watchlists")
    card = page.get_by_role("article", name="Watchlist tech")
    card.get_by_role("button", name="Learn threshold").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Grade 78 for tech?")).to_be_visible()
    expect(dialog).to_contain_text("50 % now, 100 % then")
    dialog.get_by_role("button", name="Apply").click()
    expect(card).to_contain_text("grade 78")
    trail = database.alert_trail.find_one({"step": "threshold", "subject": "watchlist tech"})
    assert trail is not None


@pytest.mark.parametrize("width", slow_but_first([390, 1280]))
def test_the_pages_are_whole_and_accessible(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str], tmp_path: Path, width: int
) -> None:
    until = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
    mute = {"ticker": "IBM", "scope": "own", "until": until, "reason": "a buyback"}
    demo.api.post("/mutes", mute)
    page = open_page(f"{demo.url}#/alerts", width=width)
    look = Look(page, tmp_path)
    expect(page.locator(".alerts > li").first).to_be_visible()
    expect(page.get_by_role("region", name="Muted")).to_be_visible()
    look.take(f"alerts-{width}")
    page.locator(".alerts a").first.click()
    expect(page.get_by_role("img", name="The last 90 closes")).to_be_visible()
    expect(page.get_by_role("region", name="What followed")).to_be_visible()
    look.take(f"alert-{width}")
    assert look.wrong == []


@pytest.mark.slow
def test_a_keyboard_step_acts_on_the_highlighted_alert_even_if_its_checkbox_has_the_focus(
    demo: Demo, open_page: Callable[..., Page], alerts: list[str]
) -> None:
    demo.database.alerts.update_many({"_id": {"$in": alerts}}, {"$set": {"state": "active"}})
    page = open_page(f"{demo.url}#/alerts")
    rows, lit = page.locator(".alerts > li"), page.locator(".alerts > li[aria-current]")
    steps = page.get_by_role("toolbar", name="Steps")
    expect(rows).to_have_count(len(alerts))
    # Nothing has the focus yet; a focused button would handle the key itself.
    expect(lit).to_have_count(1)
    for place in (0, len(alerts) - 1):
        box = rows.nth(place).get_by_role("checkbox")
        if place:
            box.focus()
        expect(lit.get_by_role("link")).to_have_attribute("data-at", str(place))
        name = box.get_attribute("aria-label") or ""
        expect(steps).to_contain_text(f"of {name.removeprefix('Pick ')}")
    page.keyboard.press("e")
    expect(rows.last).to_contain_text("acknowledged")
    assert [read_state(demo, one) for one in (alerts[0], alerts[-1])] == ["active", "acknowledged"]
    rows.first.get_by_role("checkbox").check()
    expect(lit).to_have_count(0)
    expect(steps).to_contain_text("1 picked")

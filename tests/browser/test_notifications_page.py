"""Notifications: a rule is created by hand, its channel is tested, its messages are listed."""

import re
from collections.abc import Callable
from pathlib import Path
from socket import create_server

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.looking import Look
from tests.receiver import run_receiver


def test_a_rule_is_created_tested_changed_and_deleted(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    with run_receiver() as receiver:
        page = open_page(f"{demo.url}#/watchlists")
        look = Look(page, tmp_path)
        page.get_by_role("link", name="Notifications").click()
        expect(page.get_by_text("Nobody is told yet")).to_be_visible()
        # The messages are about alerts, whose list also links to this page.
        expect(page.locator(".nav [aria-current=page]")).to_have_text("Alerts")
        page.get_by_role("button", name="New rule").click()
        page.get_by_label("Name").fill("ops")
        page.get_by_label("Channel").fill(receiver.channel)
        page.get_by_label("From grade").fill("90")
        page.get_by_role("button", name="Make it").click()
        card = page.get_by_role("article", name="Rule ops")
        expect(card.get_by_text("grade 90")).to_be_visible()
        expect(card).not_to_contain_text("secret")

        card.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("The channel took it.")).to_be_visible()
        assert [message["title"] for message in receiver.messages] == ["Tapewatch"]

        card.get_by_role("button", name="Edit").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Channel")).to_have_value("")
        dialog.get_by_label("From grade").fill("80")
        dialog.get_by_label("Whose move").select_option("own")
        dialog.get_by_label("Messages").select_option("weekly")
        dialog.get_by_label("Time zone of these").fill("Europe/Berlin")
        dialog.get_by_label("Critical and not acknowledged: to").fill(receiver.channel)
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            look.take(f"rule-{width}")
        dialog.get_by_role("button", name="Save").click()
        expect(card).to_contain_text("grade 80")
        expect(card).to_contain_text("weekly, at 08:00")
        expect(card).to_contain_text("Europe/Berlin")
        expect(card).to_contain_text("json after 15 minutes")
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            look.take(f"rules-{width}")
        assert look.wrong == []
        (rule,) = demo.database.notification_rules.find({})
        assert (rule["channel"], rule["min_grade"]) == (receiver.channel, 80)
        card.get_by_role("button", name="Edit").click()
        dialog.get_by_label("Tell json:// no more").check()
        dialog.get_by_role("button", name="Save").click()
        expect(card).not_to_contain_text("after 15 minutes")

        # Back from LINE: the page sends the code to the API, which does not know this login.
        back = open_page(f"{demo.url}?code=x&state=y", quiet=False)
        expect(back.get_by_text("LINE Login is not set up")).to_be_visible()
        assert "state" not in back.url
        expect(back.get_by_role("article", name="Rule ops")).to_be_visible()

        card.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Nobody is told yet")).to_be_visible()


@pytest.mark.slow
def test_a_channel_that_says_nothing_is_reported_as_such(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    """The page used to give up when the API did, and said that the API does not answer."""
    with create_server(("127.0.0.1", 0)) as silent:
        page = open_page(f"{demo.url}#/notifications")
        page.get_by_role("button", name="New rule").click()
        page.get_by_label("Name").fill("silent")
        page.get_by_label("Channel").fill(f"json://127.0.0.1:{silent.getsockname()[1]}/")
        page.get_by_role("button", name="Make it").click()
        page.get_by_role("button", name="Send a test").click()
        said = page.get_by_text(re.compile("The channel did not take it: .* (20 s|timed out)"))
        expect(said).to_be_visible(timeout=29_000)
    demo.database.notification_rules.delete_many({})


def test_messages_are_listed_with_their_outcome(demo: Demo, open_page: Callable[..., Page]) -> None:
    now = demo.database.client.admin.command("hello")["localTime"]
    delivery = {
        "_id": "x:run_completed:ops",
        "rule": "ops",
        "shown_channel": "json://127.0.0.1/",
        "run_id": None,
    }
    delivery |= {
        "title": "tech: 2 anomalies in 1d bars",
        "body": "",
        "state": "failed",
        "attempts": 8,
        "due_at": now,
    }
    delivery |= {
        "created_at": now,
        "sent_at": None,
        "error": f"HTTPConnectionPool(host='{'a' * 60}.example.com'): 503 from the channel",
        "anomaly_ids": [],
    }
    demo.database.deliveries.insert_one(delivery)
    try:
        page = open_page(f"{demo.url}#/notifications", width=390)
        row = page.get_by_role("row", name="tech: 2 anomalies")
        expect(row).to_contain_text("failed")
        expect(row).to_contain_text("503 from the channel (8 tries)")
        messages = page.get_by_role("region", name="Messages")
        assert messages.last.evaluate("(box) => box.scrollWidth - box.clientWidth") == 0
    finally:
        demo.database.deliveries.delete_one({"_id": delivery["_id"]})

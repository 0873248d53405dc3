"""A service with keys: the page asks for a key, says if it is refused, and continues where it
was.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from records.keys import add_key, revoke_key
from records.tenancy import add_tenant, erase_tenant, of_tenant
from tests.browser.conftest import Demo
from tests.browser.looking import Look


@pytest.fixture
def key(demo: Demo) -> Iterator[str]:
    """The first key, which ends open access. After the test it is as if there had never been a
    key.
    """
    yield add_key(demo.database, "browser", ["read", "enqueue"], datetime.now(UTC))
    demo.database.api_keys.delete_many({})


@pytest.fixture
def tenant_key(demo: Demo) -> Iterator[str]:
    """A tenant's key with all scopes, beside the operator's key. After the test it is as if there
    had never been a key.
    """
    add_key(demo.database, "operator", ["admin"], datetime.now(UTC))
    add_tenant(demo.database, "acme", datetime.now(UTC))
    own = of_tenant(demo.database, "acme")
    yield add_key(own, "acme desk", ["admin"], datetime.now(UTC))
    erase_tenant(demo.database, "acme", datetime.now(UTC))
    demo.database.api_keys.delete_many({})


def test_buttons_that_change_shared_data_are_disabled_for_a_tenant(
    demo: Demo, open_page: Callable[..., Page], tenant_key: str
) -> None:
    page = open_page(f"{demo.url}#/ticker/AAPL", quiet=False)
    page.get_by_label("API key").fill(tenant_key)
    page.get_by_role("button", name="Use this key").click()
    dead = (
        ("ticker/AAPL", "button", "Delete bars"),
        ("ticker/AAPL", "button", "Set a threshold"),
        ("ticker/AAPL", "button", "Session exception"),
        ("watchlists", "switch", "Periodic scans on"),
    )
    for place, role, name in dead:
        page.goto(f"{demo.url}#/{place}")
        button = page.get_by_role(role, name=name).first
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("aria-description", re.compile("yours is of acme"))
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("button", name="Train a model").click()
    put_in_use = page.get_by_role("checkbox")
    put_in_use.focus()
    page.keyboard.press("Space")
    expect(put_in_use).not_to_be_checked()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    for place, name in (("notifications", "New rule"), ("watchlists", "New watchlist")):
        page.goto(f"{demo.url}#/{place}")
        button = page.get_by_role("button", name=name).first
        expect(button).to_be_visible()
        expect(button).not_to_have_attribute("aria-disabled", "true")


def test_a_missing_key_is_asked_for(demo: Demo, open_page: Callable[..., Page], key: str) -> None:
    page = open_page(f"{demo.url}#/runs", quiet=False)
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("heading", name="The key was refused")).to_be_visible()
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()


@pytest.mark.slow
def test_a_key_with_a_character_that_no_header_can_have_is_refused(
    demo: Demo, open_page: Callable[..., Page], key: str
) -> None:
    page = open_page(f"{demo.url}#/runs", quiet=False)
    page.get_by_label("API key").fill(f"{key}\N{ZERO WIDTH SPACE}")
    page.get_by_role("button", name="Use this key").click()
    assert page.get_by_label("API key").evaluate("(input) => input.validity.patternMismatch")
    page.get_by_label("API key").fill(f" {key} ")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()


@pytest.mark.slow
def test_a_key_is_asked_for_only_once_if_the_dialog_is_closed(
    demo: Demo, open_page: Callable[..., Page], key: str, tmp_path: Path
) -> None:
    page = open_page(f"{demo.url}#/runs", width=390, quiet=False)
    look = Look(page, tmp_path)
    expect(page.get_by_role("dialog")).to_be_visible()
    look.take("key asked for", is_loaded=False)
    page.get_by_role("button", name="Not now").click()
    for _ in range(2):  # The page continues to poll by itself.
        with page.expect_response(
            lambda response: "detection-runs" in response.url and response.status == 401
        ):
            pass
    expect(page.locator("dialog")).to_have_count(0)
    look.take("key not given")
    assert look.wrong == []
    page.get_by_role("button", name="Enter a key").click()
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()


def test_a_new_key_is_asked_for_if_the_key_of_an_open_page_is_revoked(
    demo: Demo, open_page: Callable[..., Page], key: str
) -> None:
    page = open_page(f"{demo.url}#/runs", quiet=False)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()
    another = add_key(demo.database, "another", ["read"], datetime.now(UTC))
    revoke_key(demo.database, "browser", datetime.now(UTC))
    expect(page.get_by_role("heading", name="The key was refused")).to_be_visible()
    page.get_by_label("API key").fill(another)
    with page.expect_response(lambda response: "detection-runs" in response.url and response.ok):
        page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()


def test_without_a_key_the_page_says_why_it_is_empty(
    demo: Demo, open_page: Callable[..., Page], key: str
) -> None:
    page = open_page(f"{demo.url}#/models", quiet=False)
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("alert")).to_contain_text("flask keys create")


@pytest.mark.parametrize("where", ["data", "series"])
@pytest.mark.slow
def test_a_key_that_may_only_read_cannot_choose_a_file_by_keyboard_either(
    demo: Demo, open_page: Callable[..., Page], key: str, where: str
) -> None:
    page = open_page(f"{demo.url}#/{where}", quiet=False)
    page.get_by_label("API key").fill(add_key(demo.database, "reader", ["read"], datetime.now(UTC)))
    page.get_by_role("button", name="Use this key").click()
    chooser = page.locator("input[type=file]")
    expect(chooser).to_have_attribute("data-why", re.compile("scope enqueue"))
    opened = []
    page.on("filechooser", lambda chosen: opened.append(chosen))  # noqa: PLW0108 - it sets a name on it
    chooser.focus()
    page.keyboard.press("Space")
    page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
    assert opened == []


@pytest.mark.slow
def test_a_key_without_the_scope_read_is_reported_and_another_can_be_entered(
    demo: Demo, open_page: Callable[..., Page], key: str
) -> None:
    now = datetime.now(UTC)
    page = open_page(f"{demo.url}#/models", quiet=False)
    page.get_by_label("API key").fill(add_key(demo.database, "feeds", ["enqueue"], now))
    page.get_by_role("button", name="Use this key").click()
    offer = page.get_by_role("status").filter(has_text="scope read")
    offer.get_by_role("button", name="Enter a key").click()
    page.get_by_label("API key").fill(add_key(demo.database, "reader", ["read"], now))
    page.get_by_role("button", name="Use this key").click()
    train = page.get_by_role("button", name="Train a model")
    expect(train).to_have_attribute("data-why", re.compile("scope enqueue"))
    expect(offer).to_have_count(0)
    # A user whose buttons are disabled can enter another key, too.
    another = page.get_by_role("contentinfo").get_by_role("button", name="API key")
    another.click()
    page.get_by_role("dialog").get_by_role("button", name="Not now").click()
    expect(page.locator("dialog")).to_have_count(0)
    expect(train).to_have_attribute("data-why", re.compile("scope enqueue"))
    another.click()
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(train).to_be_visible()
    expect(train).not_to_have_attribute("data-why", re.compile("."))


def test_with_open_access_no_key_can_be_changed(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/models")
    expect(page.get_by_role("button", name="Keyboard")).to_be_visible()
    expect(page.get_by_role("contentinfo").get_by_role("button", name="API key")).to_be_hidden()


@pytest.mark.slow
def test_a_proxy_that_asks_to_sign_in_is_not_taken_for_the_api(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/runs")
    page.route(
        "**/py/models?*",
        lambda route: route.fulfill(content_type="text/html", body="<html>Sign in</html>"),
    )
    page.get_by_role("navigation").get_by_role("link", name="Models").click()
    expect(page.get_by_role("alert")).to_contain_text("such as the sign-in of a proxy")
    page.unroute("**/py/models?*")
    page.reload()
    expect(page.get_by_role("region", name="Models of US")).to_be_visible()

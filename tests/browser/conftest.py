"""A real browser in front of the whole service, with the demo's data in it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    expect,
    sync_playwright,
)

from core.settings import Settings
from records.database import Db, open_database
from runner.client import Api
from runner.programs import api_command
from runner.servers import LOOPBACK, die_with_parent, free_port
from runner.service import wait_for_api
from tests.processes import (
    OF_ANOTHER,
    Runner,
    build_environment,
    frozen,
    start_runner,
    wait_until,
)

DEMO_SECONDS = 300
WAIT_MILLISECONDS = 60_000  # A busy machine may take this long; nothing waits longer than it must.
CHROMIUM_FEATURES_OFF = [
    # The suggestions of the address bar are two pages for each window. Nobody sees them, and
    # drawing them is half of Chromium's work here.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    # A renderer that is started in advance for the next page; most tests have no next page.
    "SpareRendererForSitePerProcess",
    # The features that Playwright switches off, repeated because Chromium reads only the last list.
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(CHROMIUM_FEATURES_OFF)}",
]


@dataclass(frozen=True, slots=True)
class Demo:
    """A running `python -m runner demo`."""

    runner: Runner
    api: Api
    database: Db

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.runner.port}/"

    @contextmanager
    def stopped_worker(self) -> Iterator[None]:
        """Freeze the worker, so that enqueued runs stay queued."""
        with self.frozen("celery worker --queues interactive"):
            yield

    @contextmanager
    def frozen(self, command: str) -> Iterator[None]:
        """Freeze the processes whose command line contains this."""
        pids = self.runner.pids(command)
        assert pids
        with frozen(*pids):
            yield


def serves(url: str) -> bool:
    """Whether this address answers with a page."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def push_candles(demo: Demo, ticker: str, interval: str, times: Sequence[str]) -> None:
    """Store a bar at each of these times, which must lie in the exchange's sessions."""
    values = {"open": 10, "high": 11, "low": 9, "close": 10.5, "volume": 1000}
    candles = [{"time": time} | values for time in times]
    run = demo.api.post(
        "/data/candles?wait=30", {"ticker": ticker, "interval": interval, "candles": candles}
    )
    assert (run["status"], run["rejected_rows"]) == ("complete", 0), run


@contextmanager
def run_another_api(demo: Demo, folder: Path, **changes: str) -> Iterator[str]:
    """Start an API with other settings on the demo's servers, and yield its address."""
    port = free_port()
    settings = Settings(_env_file=demo.runner.folder / ".tapewatch" / "servers.env", port=port)
    command = die_with_parent([*api_command(settings), "--workers", "1"])
    environment = build_environment(
        PORT=str(port), MONGO_URL=settings.mongo_url, REDIS_URL=settings.redis_url, **changes
    )
    with (folder / "api.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait_for_api(settings)
        health = f"http://{LOOPBACK}:{port}{changes.get('URL_PREFIX', '/py')}/health"
        # The first request creates the indexes of a new database.
        wait_until(
            lambda: requests.get(health, timeout=60).ok or None, "the database is made ready"
        )
        yield f"http://{LOOPBACK}:{port}/"
    finally:
        process.terminate()
        process.wait()


@dataclass
class Trouble:
    """Errors and warnings of a page's console, and failed requests."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.found.append(f"page error: {error}"))
        page.on("response", self._note_response)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.found.append(f"console {message.type}: {message.text}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 400:
            self.found.append(f"{response.status} {response.url}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, if possible the headless shell, which does without the invisible windows
    that are a third of the work. Without Chromium the tests fail, because a dashboard must be
    looked at.

    The browser ends with this package, because Playwright's event loop would disturb others.
    """
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if chromium is None:
        pytest.fail(
            "the browser tests need Chromium, which is not on this machine: sudo apt-get install"
            " chromium-headless-shell"
        )
    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo as a user starts it: real bars, a trained model, a finished backfill. The user has
    set the settings of another project.
    """
    folder = tmp_path_factory.mktemp("demo")
    with start_runner(folder, "demo", **OF_ANOTHER) as runner:
        wait_until(
            lambda: "Ctrl-C" in runner.said() or runner.process.poll() is not None,
            "the demo",
            DEMO_SECONDS,
        )
        assert runner.process.poll() is None, runner.said()
        # Programs that the demo itself does not need start after its table, Flower last. Flower
        # asks for a password if a key exists when it starts, and tests create keys.
        api = Api(runner.settings)
        wait_until(lambda: serves(api.get("/health")["flower_url"]), "everything is started")
        database = open_database(runner.settings)
        yield Demo(runner, api, database)
        database.client.close()


@pytest.fixture(scope="package")
def empty_service(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with an empty database, whose API is below the path of a company's gateway."""
    folder = tmp_path_factory.mktemp("empty")
    with run_another_api(demo, folder, MONGO_DATABASE="nothing", URL_PREFIX="/internal/v1") as url:
        yield url


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A function that opens a page in a profile of its own. An error or warning in the page's
    console fails the test.
    """
    contexts: list[BrowserContext] = []
    trouble = Trouble()

    def open_page(url: str, *, width: int = 1280, theme: str = "light", quiet: bool = True) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 860}, color_scheme=theme)
        contexts.append(context)
        context.set_default_timeout(WAIT_MILLISECONDS)
        page = context.new_page()
        if quiet:
            trouble.watch(page)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble.found == []

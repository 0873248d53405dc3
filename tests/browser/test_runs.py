"""Runs: listed, filtered, watched, cancelled."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.looking import Look


def test_runs_are_listed_and_filtered(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/runs")
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()
    page.get_by_label("task").select_option("backfill")
    expect(page).to_have_url(re.compile("task=backfill"))
    expect(page.get_by_role("link", name=re.compile("^Backfill of")).first).to_be_visible()
    expect(page.get_by_role("link", name="Training of market US")).to_have_count(0)


@pytest.mark.slow
def test_old_runs_are_listed_part_by_part(demo: Demo, open_page: Callable[..., Page]) -> None:
    run = demo.database.detection_runs.find_one({"task": "train"})
    assert run is not None
    run |= {"tickers": ["MANYCO"], "options": {}}
    copies = [run | {"_id": f"many-{n}", "idempotency_key": None} for n in range(120)]
    demo.database.detection_runs.insert_many(copies)
    try:
        page = open_page(f"{demo.url}#/runs?ticker=MANYCO")
        rows = page.get_by_role("region", name="List of runs").locator("tbody tr")
        for count in (50, 100, 120):
            expect(rows).to_have_count(count)
            if count < 120:
                page.get_by_role("button", name="Show more").click()
        expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    finally:
        demo.database.detection_runs.delete_many({"tickers": "MANYCO"})


@pytest.mark.slow
def test_new_runs_push_none_off_the_list(demo: Demo, open_page: Callable[..., Page]) -> None:
    run = demo.database.detection_runs.find_one({"task": "train"})
    assert run is not None
    run |= {"tickers": ["PUSHCO"], "options": {}, "idempotency_key": None}
    runs = [
        run | {"_id": f"push-{n}", "requested_at": run["requested_at"] - timedelta(minutes=n)}
        for n in range(60)
    ]
    runs[51] |= {"status": "in_progress", "completed_at": None}
    demo.database.detection_runs.insert_many(runs[2:])
    try:
        page = open_page(f"{demo.url}#/runs?ticker=PUSHCO")
        links = page.get_by_role("region", name="List of runs").locator("tbody a.run-name")
        expect(links).to_have_count(50)
        demo.database.detection_runs.insert_many(runs[:2])
        expect(links).to_have_count(52)
        demo.database.detection_runs.update_one(
            {"_id": "push-51"},
            {"$set": {"status": "complete", "completed_at": run["completed_at"]}},
        )
        pushed = page.locator("tr", has=page.locator("a[href$='push-51']"))
        expect(pushed.get_by_text("complete", exact=True)).to_be_visible()
        page.get_by_role("button", name="Show more").click()
        expect(links).to_have_count(60)
        addresses = [link.get_attribute("href") or "" for link in links.all()]
        assert [address.split("/")[-1] for address in addresses] == [f"push-{n}" for n in range(60)]
    finally:
        demo.database.detection_runs.delete_many({"tickers": "PUSHCO"})


@pytest.mark.slow
def test_no_run_is_listed_without_its_name(demo: Demo, open_page: Callable[..., Page]) -> None:
    """Their progress is a separate request, whose answer may be slow."""
    page = open_page(f"{demo.url}#/health")
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    page.evaluate(
        """() => {
          window.blank = 0;
          const look = () => (window.blank += document.querySelectorAll("tr.link:empty").length);
          new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    with demo.stopped_worker():
        run_id = demo.api.post("/anomalies/backfill", {"ticker": "IBM"})["run_id"]
        page.get_by_role("link", name="Runs", exact=True).click()
        row = page.locator("tr", has=page.locator(f"a[href$='{run_id}']"))
        expect(row.get_by_role("progressbar")).to_be_visible()
        demo.api.post(f"/detection-runs/{run_id}/cancel", {})
    assert page.evaluate("window.blank") == 0


@pytest.mark.slow
def test_the_title_of_a_run_is_what_was_requested(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    run = demo.database.detection_runs.find_one({"task": "backfill", "status": "complete"})
    assert run is not None
    tickers = ["AAPL", "FB", "GOOG", "IBM", "TITLED"]
    run |= {"idempotency_key": None, "tickers": tickers, "ticker": None, "market": None}
    asked: dict[str, dict[str, object]] = {
        "Backfill of market US": {"market": "US"},
        "Backfill of AAPL, FB, GOOG and 2 more": {},
        # A retry of the tickers of a market that were left undone is not titled as the market.
        "Backfill of TITLED": {"market": "US", "tickers": ["TITLED"], "retry_of": "titled-0"},
        "Scan of tech": {"task": "incremental", "watchlist": "tech"},
        "Metrics of 5 tickers of market US": {"task": "analytics", "market": "US"},
        "Training of TITLED": {"task": "train", "market": "US", "tickers": ["TITLED"]},
    }
    verify = {"task": "verify", "tickers": [], "options": {"model_version": "US-1d-1"}}
    versions = {"task": "evaluate", "market": "US", "tickers": [], "options": {}}
    versions["options"] = {"versions": ["US_model-0.1.0", "US_model-0.2.0"]}
    demo.database.detection_runs.insert_many(
        run | {"_id": f"titled-{n}"} | changes
        for n, changes in enumerate([*asked.values(), verify, versions])
    )
    try:
        page = open_page(f"{demo.url}#/runs?ticker=TITLED")
        for name in asked:
            expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
        page.get_by_role("link", name="Backfill of market US", exact=True).click()
        expect(page.get_by_role("heading", name="Backfill of market US")).to_be_visible()
        page.goto(f"{demo.url}#/runs/titled-{len(asked)}")
        expect(page.get_by_role("heading", name="Verification of US-1d-1")).to_be_visible()
        page.goto(f"{demo.url}#/runs/titled-{len(asked) + 1}")
        name = "Evaluation of US_model-0.1.0 and US_model-0.2.0"
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    finally:
        demo.database.detection_runs.delete_many({"_id": {"$regex": "^titled-"}})


@pytest.mark.slow
def test_filters_that_match_nothing_say_so(demo: Demo, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{demo.url}#/runs?end=2018-12-31&market=US")
    expect(page.get_by_text("No such runs")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("link", name="Training of market US").first).to_be_visible()


def test_a_finished_run_shows_its_record_and_its_anomalies(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    run = demo.database.detection_runs.find_one({"task": "backfill", "new_anomalies": {"$gt": 100}})
    assert run is not None
    page = open_page(f"{demo.url}#/runs/{run['_id']}")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(page.get_by_role("main")).to_contain_text(f"{run['new_anomalies']} new")
    order = [("grade", -1), ("_id", 1)]
    found = {"detection_run_id": run["_id"], "status": "new"}
    (strangest,) = demo.database.anomalies.find(found).sort(order).limit(1)
    expect(page.locator(".anomaly").first).to_contain_text(strangest["Ticker"])


def test_the_page_of_a_scan_says_how_many_old_anomalies_raised_no_alert(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    """Also a page that was open before, as alerts are raised after the run has ended."""
    demo.database.anomalies.delete_many({"Ticker": "FB"})
    demo.database.detection_metadata.delete_many({"ticker": "FB"})
    with demo.stopped_worker():
        run = demo.api.post("/anomalies/incremental", {"tickers": ["FB"]})["run_id"]
        page = open_page(f"{demo.url}#/runs/{run}")
        expect(page.get_by_text("queued").first).to_be_visible()
    said = page.get_by_text(re.compile("new anomal.* raised no alert"))
    expect(said).to_be_visible(timeout=30_000)
    page.reload()
    expect(said).to_be_visible()


def test_a_run_of_many_tickers_shows_the_outcome_of_each(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    tickers = ["AAPL", "FB", "IBM"]
    for _ in range(2):  # The first test that runs sees bars of other tests.
        run = demo.api.post("/anomalies/incremental?wait=30", {"tickers": tickers})
    assert run["reasons"] == {"already_detected": len(tickers)}
    for width in (1280, 390):
        page = open_page(f"{demo.url}#/runs/{run['_id']}", width=width)
        rows = page.get_by_role("region", name="Tickers of the run").locator("tbody tr")
        expect(rows).to_have_count(len(tickers))
        expect(rows.first).to_contain_text(tickers[0])
        expect(rows.first).to_contain_text("already detected")
        left_out = page.get_by_text(f"{len(tickers)} tickers: no bar came since")
        expect(left_out).to_be_visible()
        look = Look(page, tmp_path)
        look.take(f"run-{width}")
        assert look.wrong == []
    page.get_by_label("Reason").select_option(label=f"already detected ({len(tickers)})")
    expect(rows).to_have_count(len(tickers))
    page.get_by_label("Status").select_option("failed")
    expect(page.get_by_text("No such tickers")).to_be_visible()


@pytest.mark.slow
def test_scores_that_a_backfill_kept_can_be_downloaded(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    asked = {"ticker": "FB", "max_period": "max", "keep_scores": True}
    run = demo.api.post("/anomalies/backfill?wait=30", asked)
    assert run["status"] == "complete", run
    page = open_page(f"{demo.url}#/runs/{run['_id']}")
    card = page.locator("section.card").filter(has_text="The score of every bar is kept until")
    for label, first in (("CSV", b"ticker,"), ("Parquet", b"PAR1")):
        with page.expect_download() as download:
            card.get_by_role("button", name=label).click()
        content = download.value.path().read_bytes()
        assert content.startswith(first)
        if label == "CSV":
            assert content.count(b"\n") == run["rows_processed"] + 1


def test_files_of_an_export_can_be_downloaded_on_its_page(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    asked = {"table": "bars", "tickers": ["FB"], "format": "csv"}
    run_id = demo.api.post("/exports?wait=30", asked)["_id"]
    page = open_page(f"{demo.url}#/runs/{run_id}")
    expect(page.get_by_role("heading", name="Export of bars")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="manifest.json").click()
    assert b'"FB"' in download.value.path().read_bytes()


@pytest.mark.slow
def test_the_run_of_an_evaluation_links_to_its_result_and_has_no_failed_ticker(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    asked = {"versions": ["US_model-0.1.0"], "start": "2018-01-01"}
    run = demo.api.post("/models/evaluate?wait=30", asked)
    page = open_page(f"{demo.url}#/runs/{run['_id']}")
    page.get_by_role("link", name="What it found").click()
    expect(page.get_by_role("region", name="Evaluation")).to_contain_text("Alarms a thousand bars")
    stored = demo.database.detection_runs.find_one({"_id": run["_id"]})
    batch = demo.database.batches.find_one({"run_id": run["_id"]})
    assert stored is not None
    assert batch is not None
    failure = {"ticker": "US", "reason": "no_bars", "error": "none are stored"}
    failed = {"tickers_done": 0, "tickers_failed": 1, "failures": [failure]}
    ended = {"status": "failed", "error": "none are stored", "tickers_done": 0, "tickers_failed": 1}
    demo.database.detection_runs.insert_one(
        stored | ended | {"_id": "judged", "idempotency_key": None}
    )
    demo.database.batches.insert_one(
        batch | {"_id": "judged-0", "run_id": "judged", "result": batch["result"] | failed}
    )
    try:
        page.goto(f"{demo.url}#/runs/judged")
        expect(page.get_by_role("alert")).to_contain_text("none are stored")
        expect(page.get_by_role("button", name="Retry what is left")).to_be_visible()
        expect(page.get_by_text("1 ticker")).to_have_count(0)
    finally:
        demo.database.detection_runs.delete_one({"_id": "judged"})
        demo.database.batches.delete_one({"_id": "judged-0"})


@pytest.mark.slow
def test_an_error_that_names_a_command_links_to_the_page_that_does_the_same(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    run = demo.database.detection_runs.find_one({"task": "train"})
    assert run is not None
    error = (
        "FB was never detected; start with `flask backfill run FB`, import some (`flask bars import"
        " FILE`), or run `flask db upgrade`"
    )
    run |= {"_id": "linked", "idempotency_key": None, "status": "failed", "error": error}
    demo.database.detection_runs.insert_one(run)
    try:
        page = open_page(f"{demo.url}#/runs/linked")
        said = page.get_by_role("alert")
        expect(said).to_contain_text("start with the page of FB, import some (the Data page), or")
        # Only the command line can do this.
        expect(said.locator("code")).to_have_text("flask db upgrade")
        said.get_by_role("link", name="the page of FB").click()
        expect(page).to_have_url(re.compile("#/ticker/FB"))
    finally:
        demo.database.detection_runs.delete_one({"_id": "linked"})


def test_a_verification_shows_the_verdict_on_each_anomaly(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    run_id = demo.api.post("/anomalies/verify?wait=30", {"ticker": "FB"})["_id"]
    verdicts = list(demo.database.verifications.find({"verification_run_id": run_id}))
    page = open_page(f"{demo.url}#/runs/{run_id}")
    rows = page.get_by_role("region", name="Verdicts").locator("tbody tr")
    expect(rows).to_have_count(len(verdicts))
    expect(rows.first).to_contain_text("Identical")
    rows.first.get_by_role("link", name="FB").click()
    expect(page).to_have_url(re.compile("#/ticker/FB.*anomaly="))
    page.goto(f"{demo.url}#/runs?task=verify&ticker=FB")
    said = page.locator(".runs-table tbody tr").filter(has_text=f"{len(verdicts)} identical")
    expect(said.first).to_be_visible()


def test_a_run_is_cancelled(demo: Demo, open_page: Callable[..., Page]) -> None:
    with demo.stopped_worker():
        run_id = demo.api.post("/anomalies/backfill", {"ticker": "MSFT"})["run_id"]
        page = open_page(f"{demo.url}#/runs/{run_id}")
        expect(page.get_by_role("progressbar").locator("..")).to_contain_text("waits: no worker")
        page.get_by_role("button", name="Cancel run").click()
        expect(page.get_by_role("main").get_by_text("cancelled")).to_be_visible()
    assert demo.database.detection_runs.find_one({"_id": run_id})["status"] == "cancelled"
    page.get_by_role("button", name="Retry what is left").click()
    expect(page).not_to_have_url(re.compile(run_id))
    expect(page.get_by_role("main").get_by_text("complete", exact=True)).to_be_visible()

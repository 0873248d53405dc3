"""Models: the champions, training by click, promotion and rollback."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from market.bars.deleting import delete_bars
from tests.browser.conftest import Demo
from tests.browser.looking import Look
from tests.processes import wait_until
from tests.slow import slow_but_first


def test_models_show_the_champion_and_its_training_data(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/models")
    page.get_by_role("region", name="Models of US").get_by_role(
        "link", name="US_model-0.1.0"
    ).click()
    expect(page.get_by_role("heading", name="US_model-0.1.0")).to_be_visible()
    record = demo.database.models.find_one({"version": "US_model-0.1.0"})
    expect(page.get_by_role("main")).to_contain_text(record["sha256"])
    expect(page.get_by_role("heading", name="Learned from 7 tickers")).to_be_visible()


def test_all_columns_of_the_models_fit_into_the_page(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    """A window of intraday bars, with its times, pushed the last column out of the page."""
    record = demo.database.models.find_one({"version": "US_model-0.1.0"})
    hours = timedelta(hours=18)
    wide = record | {"_id": "CRYPTO_model-0.1.0", "version": "CRYPTO_model-0.1.0", "interval": "4h"}
    wide |= {"market": "CRYPTO", "window_start": record["window_start"] + hours}
    demo.database.models.insert_one(wide | {"window_end": record["window_end"] + hours})
    try:
        page = open_page(f"{demo.url}#/models")
        table = page.get_by_role("region", name="Versions of CRYPTO")
        expect(table).to_contain_text("18:00 UTC")
        assert table.evaluate("(box) => box.scrollWidth - box.clientWidth") == 0
    finally:
        demo.database.models.delete_one({"_id": wide["_id"]})


def test_a_version_is_promoted_and_rolled_back(demo: Demo, open_page: Callable[..., Page]) -> None:
    before = demo.database.champions.find_one({"_id": "champion::US::1d"})["version"]
    run_id = demo.api.post(
        "/models/train?wait=30", {"market": "US", "trees": 20, "promote": False}
    )["_id"]
    version = demo.database.detection_runs.find_one({"_id": run_id})["model_version"]
    page = open_page(f"{demo.url}#/models/{version}")
    page.get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(page.get_by_role("main").get_by_text("champion", exact=True)).to_be_visible()
    page.get_by_role("navigation").get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text(f"champion: {before}")).to_be_visible()


@pytest.mark.slow
def test_the_champion_of_a_ticker_is_not_called_its_markets(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    before = demo.database.champions.find_one({"_id": "champion::US::1d"})["version"]
    run_id = demo.api.post(
        "/models/train?wait=30", {"market": "US", "trees": 20, "seed": 5, "promote": False}
    )["_id"]
    own = demo.database.detection_runs.find_one({"_id": run_id})["model_version"]
    demo.api.post(f"/models/{own}/promote", {"ticker": "IBM"})
    try:
        page = open_page(f"{demo.url}#/models")
        expect(page.get_by_text("champion: ")).to_have_text(f"champion: {before} (1d)")
        page.get_by_role("link", name=own).click()
        expect(page.get_by_role("main")).to_contain_text("ticker IBM 1d")
        expect(page.get_by_role("button", name="Promote")).to_be_visible()
    finally:
        demo.api.post("/models/rollback", {"ticker": "IBM"})


def open_training(page: Page) -> None:
    """Open the training dialog of the demo's market; other tests may have added markets."""
    page.get_by_role("button", name="Train a model").click()
    page.get_by_role("combobox", name="Market").select_option("US")


def test_a_model_is_trained_by_click_and_its_progress_survives_a_reload(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/models")
    known = {model["version"] for model in demo.database.models.find()}
    strip = page.get_by_role("region", name="Training", exact=True)
    with demo.stopped_worker():
        open_training(page)
        page.get_by_role("spinbutton", name="Trees").fill("20")
        page.get_by_label("Bars to flag, in %").fill("2")
        page.get_by_role("dialog").get_by_role("button", name="Train").click()
        expect(strip).to_contain_text("queued")
        page.reload()
        expect(strip.get_by_role("link", name="Training of market US")).to_be_visible()
    (made,) = wait_until(
        lambda: [model for model in demo.database.models.find() if model["version"] not in known],
        "a version is made",
    )
    expect(page.get_by_role("row").filter(has_text=made["version"])).to_contain_text("candidate")
    run = demo.database.detection_runs.find_one({"_id": made["training_run_id"]})
    assert run["status"] == "complete"


def test_the_models_loaded_by_workers_are_listed(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    # A scan without new bars loads no model into a process that was started since.
    demo.database.detection_metadata.delete_many({"ticker": "IBM"})
    run = demo.api.post("/anomalies/incremental?wait=30", {"ticker": "IBM"})
    assert (run["status"], run["progress"]["rows_processed"] > 0) == ("complete", True), run
    page = open_page(f"{demo.url}#/models")
    workers = page.get_by_role("region", name="Loaded by workers")
    expect(workers.get_by_role("link", name="US_model-0.1.0").first).to_be_visible()


def test_an_impossible_training_is_refused_with_a_reason(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/models", quiet=False)
    open_training(page)
    choice = page.get_by_role("combobox", name="Interval")
    # Other tests of this service may have stored bars of several intervals.
    held = set(demo.database.bars.distinct("interval"))
    offered = choice.locator("option").all_inner_texts()
    missing = next(interval for interval in offered if interval not in held)
    choice.select_option(missing)
    page.get_by_role("dialog").get_by_role("button", name="Train").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
        f"market US has no {missing} bars"
    )


@pytest.mark.parametrize("width", slow_but_first([390, 1280]))
@pytest.mark.slow
def test_a_model_says_that_its_bars_are_gone(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path, width: int
) -> None:
    ticker = f"LEARNT{width}"
    shown = demo.api.get("/data/candles", ticker="IBM", limit=2000)["items"]
    demo.api.post("/data/candles?wait=30", {"ticker": ticker, "candles": shown})
    asked = {"market": "US", "tickers": [ticker], "trees": 20, "promote": False}
    run_id = demo.api.post("/models/train?wait=30", asked)["_id"]
    version = demo.database.detection_runs.find_one({"_id": run_id})["model_version"]
    delete_bars(demo.database, ticker, None, datetime.now(UTC))
    page = open_page(f"{demo.url}#/models/{version}", width=width)
    look = Look(page, tmp_path)
    gone = page.get_by_text("Bars that it learned from are gone")
    expect(gone).to_contain_text(f"{ticker} (deleted on")
    look.take(f"gone-{width}")
    assert look.wrong == []


@pytest.mark.slow
def test_a_detector_is_chosen_with_its_own_parameters(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    known = {model["version"] for model in demo.database.models.find()}
    page = open_page(f"{demo.url}#/models")
    open_training(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("spinbutton", name="Trees")).to_be_visible()
    dialog.get_by_role("combobox", name="Detector").select_option("half_space_trees")
    expect(dialog.get_by_role("spinbutton", name="Trees")).to_be_hidden()
    expect(dialog).to_contain_text("unlike the series' own bars of the last year")
    dialog.get_by_role("button", name="Train").click()
    (made,) = wait_until(
        lambda: [model for model in demo.database.models.find() if model["version"] not in known],
        "a version is made",
    )
    assert made["parameters"]["detector"] == "half_space_trees"
    row = page.get_by_role("row").filter(has_text=made["version"])
    expect(row).to_contain_text("half space trees")


def test_a_version_is_evaluated_by_labels_and_beside_another(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    other = demo.api.post(
        "/models/train?wait=30", {"market": "US", "detector": "mad", "promote": False}
    )
    version = demo.database.detection_runs.find_one({"_id": other["_id"]})["model_version"]
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "ticker\tdate\tlabel\tby; why\n"
        '"IBM"\t"2001-09-17"\t"anomaly"\nIBM\t2002-10-17\tanomaly\n\n'
        "IBM\t2003-06-02\tusual\nIBM\t2003-06-03\tusual\nIBM\t2003-06-03\tanomaly\n\t\t\n"
    )
    page = open_page(f"{demo.url}#/models/US_model-0.1.0")
    page.get_by_role("button", name="Evaluate").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Compare with").select_option(version)
    dialog.get_by_label("Labels").set_input_files(labels)
    dialog.get_by_role("button", name="Evaluate").click()
    card = page.get_by_role("region", name="Evaluation")
    expect(card).to_contain_text("Alarms a thousand bars")
    expect(card).to_contain_text("Precision")
    expect(card.get_by_text("Bars labelled both ways").first).to_be_visible()
    expect(card).to_contain_text("in common")
    expect(card.get_by_role("heading", name=version)).to_be_visible()
    # Its address is that of the evaluation: one can come back to it, or send it to somebody.
    page.reload()
    expect(card).to_contain_text("in common")
    # Bars of several markets pass their own thresholds.
    thresholds = {"judgements.0.thresholds": {"JP": -0.61, "US": -0.5812}}
    evaluation = re.search(r"evaluation=([\w-]+)", page.url)
    assert evaluation is not None
    demo.database.evaluations.update_one({"_id": evaluation[1]}, {"$set": thresholds})
    page.reload()
    expect(card).to_contain_text("JP \u22120.6100, US \u22120.5812")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04", "save it as CSV"),
        (b"ticker;time;label\nIBM;38411;usual\n", 'Line 2: the time "38411"'),
        (b'"sep=;"\nticker;time;label\nIBM;28.02.2005;usual\n', 'Line 3: the time "28.02.2005"'),
        (
            b"ticker,interval,time,label\nIBM,15m,2005-02-28,usual\nIBM,15m,2005-03-01,event\n",
            "2 labels of 2 are of other than 1d bars",
        ),
        (b'note,ticker,time,label\n"a, b",IBM,2005-02-28,maybe\n', 'the label "maybe"'),
    ],
)
@pytest.mark.slow
def test_labels_in_a_spreadsheets_form_are_read_or_their_days_are_reported_as_invalid(
    demo: Demo, open_page: Callable[..., Page], content: bytes, said: str
) -> None:
    # The interval is refused by the server, whose 422 is in the console.
    page = open_page(f"{demo.url}#/models/US_model-0.1.0", quiet=b"interval" not in content)
    page.get_by_role("button", name="Evaluate").click()
    dialog = page.get_by_role("dialog")
    file = {"name": "labels.csv", "mimeType": "text/csv", "buffer": content}
    dialog.get_by_label("Labels").set_input_files(file)
    dialog.get_by_role("button", name="Evaluate").click()
    expect(dialog.get_by_role("alert")).to_contain_text(said)


@pytest.mark.slow
def test_the_last_day_of_an_evaluation_counts_completely_and_a_file_without_labels_is_refused(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("ticker;time;label\n;;\n")
    page = open_page(f"{demo.url}#/models/US_model-0.1.0")
    page.get_by_role("button", name="Evaluate").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("From").fill("2005-01-03")
    dialog.get_by_label("To").fill("2012-12-31")
    dialog.get_by_label("Labels").set_input_files(labels)
    dialog.get_by_role("button", name="Evaluate").click()
    expect(dialog.get_by_role("alert")).to_contain_text("no labels")
    dialog.get_by_label("Labels").set_input_files([])
    dialog.get_by_role("button", name="Evaluate").click()
    expect(page.get_by_role("region", name="Evaluation")).to_contain_text("to 31 Dec 2012")
    asked = demo.database.evaluations.find_one({}, sort=[("created_at", -1)])
    assert asked is not None
    # Bars of that day begin after its midnight.
    assert asked["end"] == datetime(2012, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)


def test_drift_and_challengers_are_shown_with_their_gates(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    common = {"market": "US", "interval": "1d", "reasons": ["flags_too_much", "old"]}
    drift = {
        **common,
        "_id": "US::1d::2018-12-31",
        "session": "2018-12-31",
        "version": "US_model-0.1.0",
        "start": now,
        "end": now,
        "bars": 2_000,
        "stability_index": 0.31,
        "distance": 0.12,
        "flagged_share": 0.031,
        "asked_share": 0.01,
        "age_days": 200.0,
        "unknown_tickers": 0.0,
        "inputs": {"return_fast": 0.4, "gap_fast": 0.1},
        "labels": 0,
        "precision": None,
        "run_id": "r",
        "at": now,
    }
    gate = {"name": "unseen", "passed": False, "words": "12 bars of 3 days that neither saw"}
    challenger = {
        **common,
        "_id": "r",
        "champion": "US_model-0.1.0",
        "held_out_from": now,
        "last_bar": now,
        "state": "judged",
        "version": "US_model-0.9.9",
        "evaluation": "e",
        "evaluation_run_id": "r2",
        "gates": [gate],
        "passed": False,
        "promoted_at": None,
        "error": None,
        "created_at": now,
        "updated_at": now,
    }
    demo.database.drifts.insert_one(drift)
    demo.database.challengers.insert_one(challenger)
    try:
        for width in (1280, 390):
            page = open_page(f"{demo.url}#/models", width=width)
            card = page.get_by_role("region", name="Champions, watched")
            row = card.get_by_role("row").nth(1)
            expect(row.locator(".badge.warn")).to_have_text(["flags too much", "old"])
            expect(row).to_contain_text("0.310")
            card.get_by_text("did not pass", exact=True).click()
            told = f"not passed, unseen: {gate['words']}"
            expect(card.get_by_role("listitem")).to_have_text(told)
            look = Look(page, tmp_path)
            look.take(f"models-watched-{width}")
            assert look.wrong == []
        expect(card.get_by_text("What was noted since")).to_have_count(0)
        later = [now + timedelta(seconds=number) for number in range(1, 501)]
        notes = [{**drift, "_id": f"US::1d::{number}", "at": at} for number, at in enumerate(later)]
        demo.database.drifts.insert_many(notes)
        page.reload()
        expect(card.get_by_text("What was noted since")).to_contain_text("flask models drift")
    finally:
        demo.database.drifts.delete_many({})
        demo.database.challengers.delete_many({})


@pytest.mark.slow
def test_parameters_of_a_detector_fit_in_one_line_on_a_phone(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{demo.url}#/models", width=390)
    page.get_by_role("button", name="Train a model").click()
    inputs = [page.get_by_role("spinbutton", name=name) for name in ("trees how", "sample rows")]
    boxes = [one.bounding_box() for one in inputs]
    assert len({box["y"] for box in boxes if box}) == 1


@pytest.mark.slow
def test_the_focus_moves_to_no_other_button_when_its_own_vanishes(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    """Otherwise Enter would promote another version than the intended one."""
    run = demo.api.post(
        "/models/train?wait=30", {"market": "US", "trees": 20, "seed": 9, "promote": False}
    )
    version = demo.database.detection_runs.find_one({"_id": run["_id"]})["model_version"]
    page = open_page(f"{demo.url}#/models/{version}", quiet=False)
    page.get_by_role("button", name="Promote").focus()
    page.context.set_offline(True)
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    demo.api.post(f"/models/{version}/promote", {})
    try:
        page.context.set_offline(False)
        expect(page.get_by_role("button", name="Promote")).to_have_count(0)
        assert page.evaluate("document.activeElement.localName") == "main"
        # The page is told of a return only after it has seen that the connection is lost.
        expect(page.get_by_text("What you see may be old")).to_be_hidden()
        page.goto(f"{demo.url}#/models")
        back = page.get_by_role("button", name="Roll back 1d")
        back.focus()
        page.context.set_offline(True)
        expect(page.get_by_text("What you see may be old")).to_be_visible()
    finally:
        demo.api.post("/models/rollback", {"market": "US", "interval": "1d"})
    page.context.set_offline(False)
    expect(page.get_by_text(f"champion: {version}")).to_have_count(0)
    expect(back).to_be_focused()

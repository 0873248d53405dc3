"""Series: fitted by dropping a CSV file, viewed, predicted, kept up to date and deleted."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.looking import Look
from tests.processes import wait_until


def test_a_csv_file_is_fitted_viewed_predicted_labelled_and_deleted(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    history = tmp_path / "boiler.csv"
    history.write_text(
        "timestamp,value\n" + "".join(f"{1000 + 10 * i},{20 + i % 7}\n" for i in range(140))
    )
    page = open_page(f"{demo.url}#/series")
    page.set_input_files("#series-file", str(history))
    expect(page.get_by_role("heading", name="boiler", exact=True)).to_be_visible()
    expect(page.locator(".series-plot .series-values")).to_be_visible()
    page.get_by_label("Value", exact=True).fill("60")
    page.get_by_label("keep it").check()
    page.get_by_role("button", name="Judge").click()
    expect(page.get_by_role("region", name="Judge a point").get_by_text("Anomaly")).to_be_visible()
    label = page.get_by_label("What 2400 was")
    label.select_option("false_alarm")
    expect(page.locator(".series-plot .series-anomaly")).to_have_count(1)
    look = Look(page, tmp_path)
    look.take_both("series")
    assert look.wrong == []
    # Predictions of other clients are shown without a reload.
    label.blur()
    demo.api.post("/predict/boiler?store=true", {"timestamp": "2500", "value": 70})
    expect(page.locator(".series-plot .series-anomaly")).to_have_count(2)
    expect(page.get_by_label("What 2500 was")).to_be_visible()
    of_it = {"timestamp": 2400, "label.feedback": "false_alarm"}
    wait_until(lambda: demo.database.series_predictions.find_one(of_it), "the label is stored")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No series yet")).to_be_visible()
    assert demo.database.single_series.count_documents({}) == 0


@pytest.mark.slow
def test_typed_text_is_kept_when_the_series_changed_during_a_lost_connection(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    times = list(range(1000, 2000, 10))
    demo.api.post("/fit/kettle?wait=30", {"timestamps": times, "values": [n % 7 for n in times]})
    page = open_page(f"{demo.url}#/series/kettle", quiet=False)
    value = page.get_by_label("Value", exact=True)
    value.fill("61")
    page.get_by_label("keep it").focus()
    page.context.set_offline(True)
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    demo.api.post("/predict/kettle?store=true", {"timestamp": "2500", "value": 70})
    with page.expect_event("requestfinished", lambda asked: asked.url.endswith("/series/kettle")):
        page.context.set_offline(False)
    expect(page.get_by_text("What you see may be old")).to_be_hidden()
    expect(page.get_by_label("What 2500 was")).to_be_visible()
    expect(value).to_have_value("61")
    for name in ("single_series", "series_predictions"):
        demo.database[name].delete_many({})


@pytest.mark.slow
def test_a_file_with_iso_times_and_other_column_names_is_fitted(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    history = tmp_path / "hall.csv"
    lines = ["time;temp", "2024-01-11;20.5", "2024-01-11 00:15;20.25", "2024-01-11T01:30+01:00;21"]
    history.write_text("\n".join(lines))
    page = open_page(f"{demo.url}#/series")
    page.set_input_files("#series-file", str(history))
    expect(page.get_by_role("heading", name="hall")).to_be_visible()
    fitted = demo.api.get("/plot", series_id="hall", format="json")
    times = [point["timestamp"] for point in fitted["training"]]
    assert times == [1704931200, 1704932100, 1704933000]
    history.write_text("2024-02-30,1\n")
    page.set_input_files("#series-file", str(history))
    expect(page.get_by_role("alert")).to_contain_text("hall.csv, line 1")
    demo.database.single_series.delete_many({})


def test_a_line_that_is_not_a_point_is_named(
    demo: Demo, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    history = tmp_path / "broken.csv"
    history.write_text("timestamp,value\n1,2\n2,two\n")
    page = open_page(f"{demo.url}#/series")
    page.set_input_files("#series-file", str(history))
    expect(page.get_by_role("alert")).to_contain_text('broken.csv, line 3: "2,two" is no point')
    assert demo.database.single_series.count_documents({}) == 0


def test_on_a_phone_nothing_is_wider_than_the_screen(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    values = [float(i % 9) for i in range(90)]
    demo.api.post("/fit/pump", {"timestamps": list(range(90)), "values": values})
    page = open_page(f"{demo.url}#/series/pump")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".series-plot")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_a_label_that_could_not_be_stored_is_not_shown_as_stored(
    demo: Demo, open_page: Callable[..., Page]
) -> None:
    demo.api.post("/fit/valve", {"timestamps": [1, 2, 3], "values": [1.0, 2.0, 1.5]})
    demo.api.post("/predict/valve?store=true", {"timestamp": "9", "value": 80})
    page = open_page(f"{demo.url}#/series/valve", quiet=False)
    label = page.get_by_label("What 9 was")
    label.select_option("confirmed")
    expect(label).to_be_enabled()
    demo.database.series_predictions.delete_many({"timestamp": 9})
    label.select_option("false_alarm")
    expect(page.locator(".toast.bad")).to_be_visible()
    expect(label).to_have_value("confirmed")

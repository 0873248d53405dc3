"""Training on stored bars: which bars it uses, and that it can be repeated to the last bit."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput, Cancelled
from detection.features.compute import compute_features
from detection.features.feature_sets import TIME_OF_DAY
from detection.models import fitting, learning
from detection.models.fitting import fit_model
from detection.models.manager import ModelManager
from detection.models.plan import ThresholdPolicy, TrainingPlan
from detection.models.sealed import compute_sha256
from detection.models.training import train_model
from market.bars.store import ALL_BARS, load_panel
from market.imports.importing import import_frame
from market.markets import SHIPPED
from records.database import Db, Document
from records.models.artefacts import BUCKET
from tests.integration.conftest import Once
from tests.integration.detecting import make_bars, store
from tests.integration.stored import change_bars
from tests.processes import ROOT

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
BARS = {"AAA": 900, "BBB": 700, "CCC": 30, "^GSPC": 500}
WARM_UP = TrainingPlan("US").feature_set.warm_up_bars


@pytest.fixture
def market(database: Db, once: Once) -> Db:
    """Four series of the US market, one of which is too short for any feature."""

    def make() -> None:
        for seed, (ticker, bars) in enumerate(BARS.items(), 1):
            store(database, ticker, make_bars(bars, seed))

    once(make)
    return database


def count_rows(frames: dict[str, pd.DataFrame], start: str, end: str) -> list[Document]:
    """Count the bars past their warm-up within a window, by slow obvious code."""
    rows = []
    for ticker, frame in frames.items():
        days = frame["date"].iloc[WARM_UP:]
        within = int(((days >= start) & (days <= end)).sum())
        if within:
            rows.append({"ticker": ticker, "rows": within})
    return rows


def compute_scores(database: Db, version: str, tickers: Sequence[str]) -> np.ndarray:
    model = ModelManager(database).get_model_version(version)
    panel = load_panel(database, "1d", dict.fromkeys(tickers, ALL_BARS))
    return model.detector.score_samples(
        compute_features(panel, panel.offsets[:-1], model.feature_set).inputs
    )


def test_every_bar_past_its_warm_up_is_used_and_counted_by_ticker(market: Db) -> None:
    record = train_model(market, TrainingPlan("US"), now=NOW)
    expected = {ticker: bars - WARM_UP for ticker, bars in BARS.items() if bars > WARM_UP}
    assert {part["ticker"]: part["rows"] for part in record["tickers"]} == expected
    assert record["left_out"] == [{"ticker": "CCC", "reason": "not_enough_bars"}]
    assert record["rows"] == record["rows_fitted"] == sum(expected.values())
    days = make_bars(900)["date"]
    assert record["window_start"] == days[WARM_UP].to_pydatetime().replace(tzinfo=UTC)
    assert record["window_end"] == days[899].to_pydatetime().replace(tzinfo=UTC)
    assert (record["version"], record["state"]) == ("US_model-0.1.0", "champion")


def test_only_bars_within_the_window_are_used(market: Db) -> None:
    frames = {ticker: make_bars(bars, seed) for seed, (ticker, bars) in enumerate(BARS.items(), 1)}
    options = {"window_start": "2015-06-01", "window_end": "2017-03-15"}
    record = train_model(
        market, TrainingPlan.from_options("US", markets=SHIPPED, options=options), now=NOW
    )
    assert record["tickers"] == count_rows(frames, "2015-06-01", "2017-03-15")
    assert record["window_start"] == datetime(2015, 6, 1, tzinfo=UTC)
    assert record["window_end"] == datetime(2017, 3, 15, tzinfo=UTC)


def test_a_window_that_ends_in_the_future_ends_now(market: Db) -> None:
    """The model has not seen tomorrow's bars."""
    plan = TrainingPlan("US", window_end=datetime(9999, 12, 31, tzinfo=UTC))
    record = train_model(market, plan, now=NOW)
    assert record["window_end"] == NOW
    days = make_bars(900)["date"]
    assert days[899].to_pydatetime().replace(tzinfo=UTC) < NOW


def test_bars_after_the_window_change_nothing(market: Db) -> None:
    plan = TrainingPlan("US", window_end=datetime(2016, 6, 30, tzinfo=UTC))
    before = fit_model(market, plan)
    frame = make_bars(900, 1)
    late = frame["date"] > "2016-06-30"
    frame.loc[late, ["open", "high", "low", "close"]] *= 3.0
    store(market, "AAA", frame)
    assert fit_model(market, plan).artefact == before.artefact


def test_a_training_is_repeated_from_its_record_after_more_bars_came(market: Db) -> None:
    store(market, "AAA", make_bars(900, 1))
    first = train_model(market, TrainingPlan("US"), now=NOW)
    store(
        market,
        "EEE",
        make_bars(600, 9).assign(date=lambda frame: frame["date"].shift(-400)).dropna(),
    )
    plan = TrainingPlan(
        "US",
        tickers=tuple(part["ticker"] for part in first["tickers"]),
        window_start=first["window_start"],
        window_end=first["window_end"],
    )
    again = train_model(market, plan, now=NOW)
    assert (again["version"], again["sha256"]) == ("US_model-0.1.1", first["sha256"])
    assert (again["threshold"], again["score_quantiles"]) == (
        first["threshold"],
        first["score_quantiles"],
    )


def test_the_same_bars_and_seed_give_the_same_bytes_in_another_process(
    market: Db, environment: dict[str, str]
) -> None:
    code = (
        "from detection.models.fitting import fit_model; from detection.models.plan import"
        " TrainingPlan;from detection.models.sealed import compute_sha256; from records.database"
        " import open_database;from core.settings import"
        " get_settings;print(compute_sha256(fit_model(open_database(get_settings()),"
        " TrainingPlan('US')).artefact))"
    )
    ours = compute_sha256(fit_model(market, TrainingPlan("US")).artefact)
    theirs = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"PYTHONHASHSEED": "123"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert theirs.stdout.strip() == ours
    assert compute_sha256(fit_model(market, TrainingPlan("US", seed=8)).artefact) != ours


def test_loading_bars_in_portions_does_not_change_the_model(
    market: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_model(market, TrainingPlan("US"))
    monkeypatch.setattr(learning, "PORTION_BARS", 100)
    fractions: list[float] = []
    assert fit_model(market, TrainingPlan("US"), fractions.append).artefact == whole.artefact
    assert fractions == sorted(fractions)
    assert sum(fraction <= fitting.LOADED for fraction in fractions) == len(BARS)
    assert len(fractions) > len(BARS)


def test_a_market_above_the_limit_is_fitted_on_a_sample(
    market: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "MOST_ROWS", 800)
    record = train_model(market, TrainingPlan("US"), now=NOW)
    assert (record["rows"], record["rows_fitted"]) == (sum(BARS.values()) - 30 - 3 * WARM_UP, 800)
    share = (
        compute_scores(market, record["version"], ["AAA", "BBB", "^GSPC"]) < record["threshold"]
    ).mean()
    assert share == pytest.approx(0.01, abs=0.006)


def test_contamination_is_the_share_of_training_bars_below_the_threshold(market: Db) -> None:
    record = train_model(
        market,
        replace(TrainingPlan("US"), threshold=ThresholdPolicy("contamination", 0.05)),
        now=NOW,
    )
    scores = compute_scores(market, record["version"], ["AAA", "BBB", "^GSPC"])
    assert len(scores) == record["rows"]
    assert (scores < record["threshold"]).mean() == pytest.approx(0.05, abs=1 / len(scores))


def test_version_numbers_say_what_changed(market: Db) -> None:
    plan = TrainingPlan("US")
    fewer = replace(plan, parameters={**plan.parameters, "trees": 50})
    plans = (plan, plan, fewer, replace(fewer, tickers=("AAA", "BBB")))
    versions = [train_model(market, each, now=NOW)["version"] for each in plans]
    assert versions == ["US_model-0.1.0", "US_model-0.1.1", "US_model-0.2.0", "US_model-0.2.1"]


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (TrainingPlan("JP"), "market JP has no 1d bars.*flask bars import"),
        (TrainingPlan("US", interval="1h"), "market US has no 1h bars"),
        (TrainingPlan("US", tickers=("AAA", "NOPE")), "no 1d bars of market US of NOPE"),
        (
            TrainingPlan("US", tickers=("CCC",)),
            f"has 0 1d bars past their warm-up of {WARM_UP} in 1 ticker from.* rules call wrong",
        ),
        (
            TrainingPlan("US", window_start=datetime(2030, 1, 1, tzinfo=UTC)),
            "0 1d bars.*2030-01-01",
        ),
    ],
)
def test_a_training_without_bars_says_so_and_writes_nothing(
    market: Db, plan: TrainingPlan, named: str
) -> None:
    with pytest.raises(BadInput, match=named):
        train_model(market, plan, now=NOW)
    assert market.models.count_documents({}) == market[f"{BUCKET}.files"].count_documents({}) == 0


def test_a_cancelled_training_leaves_nothing(market: Db) -> None:
    def cancel(_fraction: float) -> None:
        raise Cancelled("asked to end")

    with pytest.raises(Cancelled):
        train_model(market, TrainingPlan("US"), now=NOW, checkpoint=cancel)
    assert market.models.count_documents({}) == market[f"{BUCKET}.files"].count_documents({}) == 0


def test_a_ticker_with_nan_in_a_bar_is_left_out_by_name(market: Db) -> None:
    change_bars(market, {"ticker": "BBB"}, "high", 50, np.inf)
    record = train_model(market, TrainingPlan("US"), now=NOW)
    assert {"ticker": "BBB", "reason": "bad_bars"} in record["left_out"]
    assert [part["ticker"] for part in record["tickers"]] == ["AAA", "^GSPC"]


def test_bars_that_a_detector_cannot_tell_apart_are_reported_and_give_no_version(
    database: Db,
) -> None:
    """The usual values at a time of day are not known before the tenth session."""
    quarters = make_bars(26 * 30, 3)
    opens = quarters["date"][:30].dt.tz_localize("America/New_York") + pd.Timedelta(hours=9.5)
    times = [start + pd.Timedelta(minutes=15 * n) for start in opens for n in range(26)]
    frame = quarters.assign(date=times)
    plan = TrainingPlan("US", interval="15m", feature_set=TIME_OF_DAY)
    few = replace(plan, window_end=times[26 * 9].to_pydatetime())
    import_frame(database, frame, interval="15m", source="test", ticker="AAA", now=NOW)
    with pytest.raises(BadInput, match="not known of fewer than 10 sessions before") as refusal:
        train_model(database, few, now=NOW)
    assert refusal.value.reason == "bars_alike"
    assert database.models.count_documents({}) == 0
    assert train_model(database, plan, now=NOW)["rows"] > 500

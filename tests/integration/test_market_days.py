"""The market's part of a score agrees with the market's bars, whatever came in whatever order."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from detection import market_days
from detection.market_days import read_days, refresh_days
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from detection.pipeline.job import Job
from detection.verify import verify
from market.bars.deleting import delete_bars
from market.bars.undoing import undo_import
from market.imports.importing import import_frame
from market.markets import SHIPPED
from records.database import Db, Document
from records.market.market_days import find_changed_days, find_days
from records.migrations import forget_day_inputs
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, detect, make_bars, open_models, run, store, train
from tests.slow import slow_but_first

TICKERS = tuple(f"T{number:02}" for number in range(12))
BARS = 200


def make_market(bars: int = BARS) -> dict[str, pd.DataFrame]:
    """Return bars of twelve tickers that fall together on some days."""
    market = np.random.default_rng(0).standard_t(3, bars) * 0.008
    market[[90, bars - 2]] = -0.07
    found = {}
    for seed, ticker in enumerate(TICKERS):
        frame = make_bars(bars, seed)
        prices = ["open", "high", "low", "close"]
        frame[prices] = frame[prices].mul(np.exp(np.cumsum(market)), axis=0)
        found[ticker] = frame
    return found


@pytest.fixture
def market(database: Db, once: Once) -> Db:
    def make() -> None:
        for ticker, frame in make_market().items():
            store(database, ticker, frame)
        train(database)

    once(make)
    return database


def read_scores(database: Db) -> dict[str, float]:
    """Return the latest score of each anomaly that is not superseded."""
    return {
        a["_id"]: (a["opinions"][-1] if a["opinions"] else a)["anomaly_score"]
        for a in database.anomalies.find({"status": "new"})
    }


def detect_anew(database: Db, *tickers: str, period: str = "max") -> dict[str, float]:
    """Return the scores of a backfill over a database in which nothing was ever detected."""
    for name in ("anomalies", "detection_metadata", "market_days"):
        database[name].delete_many({})
    run(database, "backfill", *tickers, period=period)
    return read_scores(database)


def read_columns(database: Db) -> list[bytes]:
    days = read_days(database, "US", "1d")
    assert days is not None
    return [each.tobytes() for each in (days.times, days.ratios, days.moves, days.counts)]


def compute_anew(database: Db) -> list[bytes]:
    """Return the market days that are computed if none are stored."""
    database.market_days.delete_many({})
    refresh_days(database, "US", "1d", NOW)
    return read_columns(database)


def test_days_on_which_all_tickers_fall_are_found_in_all_and_reported_so(market: Db) -> None:
    run(market, "backfill", *TICKERS)
    day = make_market()["T00"]["date"][BARS - 2].to_pydatetime().replace(tzinfo=UTC)
    found = list(market.anomalies.find({"Datetime": day}))
    assert len(found) >= len(TICKERS) / 2
    words = [reason for anomaly in found for reason in anomaly["reasons"]]
    assert any(reason.startswith("the market fell ") for reason in words)
    assert all(anomaly["market_fingerprint"].startswith("sha256:") for anomaly in found)


@pytest.mark.parametrize("seed", slow_but_first(range(3)))
def test_backfill_equals_incremental_whatever_came_first(database: Db, seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = make_market()
    for ticker, frame in frames.items():
        store(database, ticker, frame[:150])
    train(database)
    run(database, "backfill", *TICKERS)
    for stop in (151, 170, BARS - 1, BARS):
        for ticker in random.permutation(TICKERS).tolist():
            store(database, ticker, frames[ticker][:stop])
            if random.random() < 0.3:
                run(database, "incremental", *random.permutation(TICKERS)[:4].tolist())
    run(database, "incremental", *TICKERS)
    found = read_scores(database)
    columns = read_columns(database)
    assert len(found) > 20
    assert found == detect_anew(database, *TICKERS)
    assert columns == read_columns(database)


def test_a_ticker_that_comes_late_is_a_revision_of_the_market_days(market: Db) -> None:
    run(market, "backfill", *TICKERS)
    before = find_days(market, "US", "1d")
    store(market, "LATE", make_bars(BARS, 99))
    run(market, "incremental", *TICKERS, "LATE")
    after = find_days(market, "US", "1d")
    assert before is not None
    assert after is not None
    assert after["revision"] == before["revision"] + 1
    assert find_changed_days(after, before["revision"]) is not None
    assert find_changed_days(after, after["revision"]) is None
    assert read_scores(market) == detect_anew(market, *TICKERS, "LATE")


def train_by(database: Db, detector: str) -> None:
    options = {"detector": detector, "contamination": 0.05}
    plan = TrainingPlan.from_options("US", markets=SHIPPED, options=options)
    train_model(database, plan, now=NOW)


@pytest.mark.parametrize("detector", ["half_space_trees", "pca_window", "ensemble"])
def test_late_changes_of_market_days_move_the_scores_of_all_bars_that_look_back_on_them(
    database: Db, detector: str
) -> None:
    for ticker, frame in make_market(800).items():
        store(database, ticker, frame)
    train_by(database, detector)
    run(database, "backfill", *TICKERS)
    found = list(database.anomalies.find({"kind": "event"}))
    for seed in (98, 99):
        store(database, f"LATE{seed}", make_bars(500, seed)[300:])
    refresh_days(database, "US", "1d", NOW)
    documents = check(database, found)
    moved = [own for own in documents.values() if own["recomputed_score"] != own["original_score"]]
    days = read_days(database, "US", "1d")
    assert days is not None
    # Some of these bars are later than any day that changed.
    last = make_bars(530)["date"].iloc[-1].to_pydatetime().replace(tzinfo=UTC)
    assert any(own["datetime"] > last for own in moved)
    assert {own["cause"] for own in moved} == {"market"}
    run(database, "incremental", *TICKERS)
    assert read_scores(database) == detect_anew(database, *TICKERS)


@pytest.mark.parametrize(("detector", "bars"), [("half_space_trees", 253), ("isolation_forest", 0)])
def test_market_days_before_the_detected_bars_count_if_a_model_looks_back_on_them(
    database: Db, detector: str, bars: int
) -> None:
    for ticker, frame in make_market(800).items():
        store(database, ticker, frame)
    train_by(database, detector)
    run(database, "backfill", *TICKERS, period="1y")
    for seed in (98, 99):
        store(database, f"LATE{seed}", make_bars(200, seed)[100:])
    found = run(database, "incremental", *TICKERS)
    assert {outcome["rows_processed"] for outcome in found} == {bars}
    assert read_scores(database) == detect_anew(database, *TICKERS, period="1y")
    again = run(database, "incremental", *TICKERS)
    assert {outcome["reason"] for outcome in again} == {"already_detected"}


def test_a_deleted_ticker_no_longer_counts_in_the_market_days(market: Db) -> None:
    refresh_days(market, "US", "1d", NOW)
    delete_bars(market, "T03", "1d", NOW)
    refresh_days(market, "US", "1d", NOW)
    columns = read_columns(market)
    assert columns == compute_anew(market)
    days = read_days(market, "US", "1d")
    assert days is not None
    assert days.counts.max() == 11


def test_bars_added_after_the_last_day_compute_only_their_own_days(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = make_market()
    for ticker, frame in frames.items():
        store(database, ticker, frame[:150])
    refresh_days(database, "US", "1d", NOW)

    def refuse(*_: object) -> None:
        raise AssertionError("a year was read again")

    with monkeypatch.context() as patched:
        patched.setattr(market_days, "_find_days", refuse)
        for stop in (151, BARS):
            for ticker, frame in frames.items():
                store(database, ticker, frame[:stop])
            refresh_days(database, "US", "1d", NOW)
    columns = read_columns(database)
    assert columns == compute_anew(database)


def test_series_are_read_again_only_if_one_was_written(
    market: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh_days(market, "US", "1d", NOW)
    looked = []
    own = market_days.market_days.hash_inputs

    def look(*asked: Any) -> str:
        looked.append(asked)
        return own(*asked)

    monkeypatch.setattr(market_days.market_days, "hash_inputs", look)
    refresh_days(market, "US", "1d", NOW)
    assert len(looked) == 0
    store(market, "ELSE", make_bars(20, 99))
    refresh_days(market, "US", "1d", NOW)
    refresh_days(market, "US", "1d", NOW)
    assert len(looked) == 1
    delete_bars(market, "T03", "1d", NOW)
    refresh_days(market, "US", "1d", NOW)
    assert len(looked) == 2


def test_days_that_an_import_added_are_removed_when_it_is_taken_back(database: Db) -> None:
    frames = make_market()
    for ticker, frame in frames.items():
        store(database, ticker, frame[:150])
    refresh_days(database, "US", "1d", NOW)
    before = read_columns(database)
    for ticker, frame in frames.items():
        import_frame(
            database,
            frame[:160],
            interval="1d",
            source="test",
            ticker=ticker,
            now=NOW,
            import_id="later",
        )
    refresh_days(database, "US", "1d", NOW)
    assert read_columns(database) != before
    undo_import(database, "later", NOW)
    refresh_days(database, "US", "1d", NOW)
    assert read_columns(database) == before


def test_nothing_is_written_if_no_bar_has_changed(market: Db) -> None:
    refresh_days(market, "US", "1d", NOW)
    stored = find_days(market, "US", "1d")
    refresh_days(market, "US", "1d", datetime(2027, 1, 1, tzinfo=UTC))
    assert find_days(market, "US", "1d") == stored


def check(database: Db, stored: list[Document]) -> dict[str, Document]:
    tickers = tuple({anomaly["Ticker"] for anomaly in stored})
    job = Job("v", "verify", "verification", "US", tickers, "1d", None, datetime.now(UTC))
    found = verify(
        database, open_models(database), job, stored, {}, lambda _fraction: None
    ).documents
    return {document["anomaly_id"]: document for document in found}


def test_verification_names_the_market_as_the_cause_if_its_days_changed(market: Db) -> None:
    run(market, "backfill", *TICKERS)
    frames = make_market()
    day = frames["T00"]["date"][BARS - 2].to_pydatetime().replace(tzinfo=UTC)
    # The ticker that fell most was on the other side of the median.
    worst = min(TICKERS, key=lambda ticker: frames[ticker]["close"].pct_change()[BARS - 2])
    stored = list(market.anomalies.find({"Datetime": day, "Ticker": {"$ne": worst}}))
    assert {d["cause"] for d in check(market, stored).values()} == {None}
    frames[worst].loc[BARS - 2, ["open", "high", "low", "close"]] *= 1.2
    store(market, worst, frames[worst])
    documents = check(market, stored)
    assert {document["cause"] for document in documents.values()} == {"market"}


def test_scores_of_a_market_of_five_do_without_its_median_and_say_so(database: Db) -> None:
    for ticker in TICKERS[:5]:
        store(database, ticker, make_market()[ticker])
    train(database)
    _, outcomes = detect(database, "backfill", *TICKERS[:5])
    assert {outcome.status for outcome in outcomes} == {"complete"}
    for outcome in outcomes:
        assert outcome.rows_processed == BARS - 61
        (warning,) = outcome.warnings
        assert warning.startswith("market US has 1d returns of 5 tickers on a day at the most, and")
        assert warning.endswith("is the median of at least 6: scores do without it")


def test_days_computed_by_another_rule_are_computed_again_as_a_revision(market: Db) -> None:
    own = read_days(market, "US", "1d")
    assert own is not None
    none = np.full(own.moves.size, np.nan)
    other = {
        "moves": none.tobytes(),
        "columns": np.zeros((own.ratios.size, 3), np.float32).tobytes(),
    }
    market.market_days.update_one({}, {"$set": other, "$unset": {"ratios": ""}})
    forget_day_inputs(market)
    found = read_days(market, "US", "1d")
    assert found is not None
    assert not found.ratios.any()
    refresh_days(market, "US", "1d", NOW)
    found = read_days(market, "US", "1d")
    assert found is not None
    assert found.ratios.tobytes() == own.ratios.tobytes()
    assert found.revision == own.revision + 1
    stored = find_days(market, "US", "1d")
    assert stored is not None
    known = found.times[found.ratios > 0]
    assert find_changed_days(stored, own.revision) == (int(known[0]), int(known[-1]))


def test_a_day_on_which_too_few_tickers_traded_is_named_and_its_scores_do_without_the_market(
    database: Db,
) -> None:
    lacking = make_market()["T00"]["date"][120]
    for number, (ticker, frame) in enumerate(make_market().items()):
        store(database, ticker, frame[(frame["date"] != lacking) | (number > 6)])
    train(database)
    _, outcomes = detect(database, "backfill", *TICKERS)
    assert {outcome.status for outcome in outcomes} == {"complete"}
    said = (
        f"market US: its own move is not known on {lacking:%Y-%m-%d}, where fewer than 6 tickers"
        " have a return: 1d scores do without it there, until the bars that lack are imported"
    )
    assert {outcome.warnings for outcome in outcomes} == {(said,)}


def test_days_do_not_fall_behind_what_another_process_has_computed_meanwhile(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot of before the last bars must not replace days of these bars."""
    found = make_market()
    for ticker, frame in found.items():
        store(database, ticker, frame.iloc[:-2])
    refresh_days(database, "US", "1d", NOW)
    for ticker, frame in found.items():
        store(database, ticker, frame.iloc[:-1])
    hash_inputs = market_days.market_days.hash_inputs

    def be_overtaken(*about: Any) -> str:
        """Let another process come first, after this one has begun its snapshot."""
        monkeypatch.undo()
        for ticker, frame in found.items():
            store(database, ticker, frame)
        refresh_days(database, "US", "1d", NOW)
        return hash_inputs(*about)

    monkeypatch.setattr(market_days.market_days, "hash_inputs", be_overtaken)
    refresh_days(database, "US", "1d", NOW)
    days = read_days(database, "US", "1d")
    assert days is not None
    last = found["T00"]["date"].iloc[-1].tz_localize("UTC")
    assert days.times[-1] == int(last.timestamp())

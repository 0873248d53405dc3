"""Metrics end to end: from stored bars to committed documents, with real servers."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from analytics.catalogue import METRICS
from analytics.metric import SET
from analytics.snapshot import compute_snapshots
from core.errors import NotFound
from market.imports.importing import import_frame
from records.analytics import overview
from records.analytics.snapshots import find_snapshots, get_snapshot
from records.database import Db, Document
from records.ticks.chunks import Trade
from records.ticks.depth import Snapshot, write_depth
from records.ticks.trades import write_trades
from records.work import batches, runs
from tasks.engine.execution import execute_batch
from tasks.engine.planning import start
from tasks.engine.sweeper import sweep
from tasks.periodic.analytics import accept_due
from tasks.process.broker import find_waiting
from tasks.process.worker import Worker
from tasks.requests.analytics import request_analytics
from tasks.requests.selection import Selection
from tests.conftest import empty
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars
from tests.integration.stored import change_bars, tear_bars
from tests.unit.analytics.panels import build, draw_intraday

TICKERS = tuple(f"T{n:02d}" for n in range(12))
BARS = 420


@pytest.fixture
def stocked(database: Db, once: Once) -> dict[str, pd.DataFrame]:
    """Twelve series of daily bars, one of which begins later."""
    frames = {ticker: make_bars(BARS, seed) for seed, ticker in enumerate(TICKERS)}
    frames["T11"] = frames["T11"].iloc[-50:]
    once(lambda: store(database, frames))
    return frames


def store(database: Db, frames: dict[str, pd.DataFrame], interval: str = "1d") -> None:
    whole = pd.concat([frame.assign(ticker=ticker) for ticker, frame in frames.items()])
    report = import_frame(database, whole, interval=interval, source="test", now=NOW)
    # Bars are drawn for every weekday; those on holidays belong to no session.
    assert interval == "1h" or not any(series.rejected for series in report.series), report


def work(worker: Worker) -> None:
    """Execute all queued work, as workers do, until the queues are empty."""
    while waiting := find_waiting(worker.celery):
        worker.celery.control.purge()
        for subject in sorted(waiting):
            if ":" in subject:
                execute_batch(worker, subject)
            else:
                start(worker, subject)


def tick(worker: Worker, now: datetime = NOW) -> list[Document]:
    """Tick in a new slot, execute what it requests, and return its runs."""
    accepted = accept_due(worker, now)
    work(worker)
    sweep(worker)
    return [runs.get_run(worker.database, run_id) for run_id in accepted]


def ask(worker: Worker, *tickers: str, bars: int = 1, interval: str = "1d") -> Document:
    (run,) = request_analytics(
        worker.database, worker.celery, Selection(tickers), interval=interval, bars=bars, now=NOW
    )
    work(worker)
    sweep(worker)
    return runs.get_run(worker.database, run["_id"])


def read_all(database: Db) -> list[Document]:
    """Return all documents without the fields that differ by run or clock."""
    own = ("computed_at", "run_id", "expires_at")
    names = ("analytics", "analytics_overview", "analytics_markets")
    found = [d for name in names for d in database[name].find().sort("_id", 1)]
    return [{name: value for name, value in d.items() if name not in own} for d in found]


def later(slots: int) -> datetime:
    return NOW + timedelta(seconds=900 * slots)


def build_series(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {
        ticker: (
            frame.assign(
                time=pd.DatetimeIndex(frame["date"]).tz_localize(None).as_unit("s").asi8
            ).reset_index(drop=True)
        )
        for ticker, frame in frames.items()
    }


def test_a_tick_stores_the_results_of_the_pure_functions(worker: Worker, stocked) -> None:
    (run,) = tick(worker)
    assert (run["status"], run["tickers_done"]) == ("complete", 12)
    series = build_series(stocked)
    lasts = np.cumsum([len(frame) for frame in series.values()]) - 1
    for expected in compute_snapshots(build(series, lasts, market="US")):
        found = get_snapshot(worker.database, expected.ticker, "1d")
        years = found["bars_per_year"]
        assert 249 <= years <= 253
        values = dict(expected.values)
        values["annualized_volatility"] = found["values"]["rolling_stddev"] * np.sqrt(years)
        assert found["values"] == values
        assert found["missing"] == expected.missing
        assert found["time"] == datetime.fromtimestamp(expected.time, UTC)
        assert found["bars_used"] == expected.have
        assert found["run_id"] == run["_id"]
        assert 0.99 < found["completeness"] <= 1.0
        assert found["set"] == SET
    short = get_snapshot(worker.database, "T11", "1d")
    assert short["missing"]["crossover_signal"] == {"needed": 51, "have": 50}
    assert set(short["values"]) == {metric.name for metric in METRICS if metric.scope != "set"}


def test_a_slot_is_done_once_and_nothing_is_computed_twice(worker: Worker, stocked) -> None:
    assert len(tick(worker)) == 1
    assert tick(worker) == []
    assert tick(worker, later(1)) == []
    assert worker.database.analytics.count_documents({}) == 12
    frames = {"T03": make_bars(BARS + 1, 3)}
    store(worker.database, frames)
    (run,) = tick(worker, later(2))
    assert run["tickers_done"] == 1
    assert worker.database.analytics.count_documents({}) == 13
    assert worker.database.analytics.count_documents({"ticker": "T03"}) == 2
    assert worker.database.analytics_overview.count_documents({}) == 12


def test_two_ticks_at_once_accept_one_run(worker: Worker, stocked) -> None:
    first = accept_due(worker, NOW)
    worker.database.settings.delete_one({"_id": "analytics"})
    assert accept_due(worker, NOW) == []
    work(worker)
    sweep(worker)
    worker.database.settings.delete_one({"_id": "analytics"})
    assert accept_due(worker, NOW) == []
    assert worker.database.detection_runs.count_documents({"run_id": None}) == len(first) == 1


def test_corrected_bar_is_computed_again(worker: Worker, stocked) -> None:
    tick(worker)
    before = get_snapshot(worker.database, "T05", "1d")
    frame = stocked["T05"].copy()
    frame.loc[frame.index[-3], ["close", "high"]] *= 1.2
    store(worker.database, {"T05": frame})
    (run,) = tick(worker, later(1))
    after = get_snapshot(worker.database, "T05", "1d")
    assert run["tickers_done"] == 1
    assert after["_id"] == before["_id"]
    assert after["fingerprint"] != before["fingerprint"]
    assert after["values"]["rolling_stddev"] > before["values"]["rolling_stddev"]


def test_the_history_of_a_bar_is_what_it_had_as_the_last_bar(worker: Worker, stocked) -> None:
    tick(worker)
    alone = {}
    for cut in (3, 1):
        store_cut = {t: frame.iloc[: len(frame) - cut] for t, frame in stocked.items()}
        empty(worker.database)
        store(worker.database, store_cut)
        tick(worker, later(cut))
        alone[cut] = {d["_id"]: d["values"] for d in worker.database.analytics.find()}
    empty(worker.database)
    store(worker.database, stocked)
    run = ask(worker, *TICKERS, bars=10)
    assert run["status"] == "complete"
    found = {d["_id"]: d["values"] for d in worker.database.analytics.find()}
    assert len(found) == 120
    for values in alone.values():
        for snapshot_id, expected in values.items():
            assert found[snapshot_id] == expected, snapshot_id


def test_a_market_in_batches_and_parts_gives_the_same_as_in_one(worker: Worker, stocked) -> None:
    tick(worker)
    whole = read_all(worker.database)
    for name in ("analytics", "analytics_overview", "analytics_markets"):
        worker.database[name].delete_many({})
    for some in (TICKERS[:1], TICKERS[1:7], TICKERS[7:]):
        ask(worker, *some)
    assert read_all(worker.database) == whole


def test_one_batch_done_twice_leaves_the_same_documents(worker: Worker, stocked) -> None:
    run = tick(worker)[0]
    whole = read_all(worker.database)
    batch = worker.database.batches.find_one({"run_id": run["_id"]})
    assert execute_batch(worker, batch["_id"]) is None
    worker.database.analytics_overview.delete_many({})
    ask(worker, *TICKERS)
    assert read_all(worker.database) == whole


def test_unusable_series_fail_alone_and_by_name(worker: Worker, stocked) -> None:
    tick(worker)
    sound = {d["_id"]: d["values"]["rsi"] for d in worker.database.analytics.find()}
    worker.database.analytics.delete_many({})
    tear_bars(worker.database, {"ticker": "T01"})
    change_bars(worker.database, {"ticker": "T02"}, "close", -1, np.nan)
    run = ask(worker, *TICKERS)
    assert run["status"] == "partial"
    assert {f["ticker"]: f["reason"] for f in run["failures"]} == {
        "T01": "bad_bars",
        "T02": "bad_bars",
    }
    assert "T01" in run["failures"][0]["error"]
    found = {d["_id"]: d["values"]["rsi"] for d in worker.database.analytics.find()}
    assert found == {k: v for k, v in sound.items() if not k.startswith(("T01", "T02"))}


def test_an_unusable_series_is_tried_once_until_its_bars_change(worker: Worker, stocked) -> None:
    bucket = worker.database.bars.find_one({"ticker": "T02"}, sort=[("span", -1)])
    change_bars(worker.database, {"ticker": "T02"}, "close", -1, np.nan)
    (run,) = tick(worker)
    assert (run["status"], run["tickers_failed"]) == ("partial", 1)
    assert tick(worker, later(1)) == []
    worker.database.bars.replace_one({"_id": bucket["_id"]}, bucket)
    store(worker.database, {"T02": make_bars(BARS + 1, 2)})
    (again,) = tick(worker, later(2))
    assert (again["status"], again["tickers_done"]) == ("complete", 1)
    assert worker.database.analytics_failures.count_documents({}) == 0


def test_a_worker_that_lost_its_lease_writes_nothing(worker: Worker, stocked) -> None:
    (run_id,) = accept_due(worker, NOW)
    worker.celery.control.purge()
    run = runs.get_run(worker.database, run_id)
    batch = batches.build_batch(run_id, "00000", TICKERS, "US", NOW)
    assert runs.start_run(worker.database, run_id, [batch], NOW)
    limits = {"lease_seconds": 60, "max_attempts": 5}
    held = batches.claim_batch(worker.database, batch["_id"], "one", **limits)
    worker.database.batches.update_one({"_id": batch["_id"]}, {"$set": {"state": "pending"}})
    assert batches.claim_batch(worker.database, batch["_id"], "other", **limits)
    from core.errors import LeaseLost  # noqa: PLC0415
    from tasks.kinds.analytics import compute  # noqa: PLC0415

    with pytest.raises(LeaseLost):
        compute(worker, run, held)
    assert worker.database.analytics.count_documents({}) == 0
    assert worker.database.analytics_overview.count_documents({}) == 0


def test_intraday_snapshots_have_an_end_and_their_own_year(worker: Worker, database: Db) -> None:
    bars = draw_intraday(3, 60)
    frame = bars.assign(date=pd.to_datetime(bars["time"], unit="s", utc=True))
    store(database, {"HOUR": frame[["date", "open", "high", "low", "close", "volume"]]}, "1h")
    tick(worker)
    found = get_snapshot(database, "HOUR", "1h")
    assert found["expires_at"] - found["computed_at"] == timedelta(days=90)
    # Seven bars a session; four on the three half days.
    assert 1_735 <= found["bars_per_year"] <= 1_765
    assert found["values"]["hourly_pattern"].keys() == {"9", "10", "11", "12", "13", "14", "15"}
    run = ask(worker, "HOUR", bars=30, interval="1h")
    assert run["status"] == "complete"
    again = find_snapshots(database, "HOUR", "1h", limit=100)
    assert len(again) == 30
    assert again[0]["values"] == found["values"]


def test_an_index_that_goes_on_is_the_benchmark_of_a_series_that_ended_years_ago(
    worker: Worker, database: Db
) -> None:
    frames = {"T00": make_bars(1_200, 1).iloc[:420], "^GSPC": make_bars(2_000, 2)}
    store(database, frames)
    tick(worker)
    found = get_snapshot(database, "T00", "1d")
    assert found["values"]["beta"] is not None, found["missing"]
    assert found["values"]["rolling_correlation"] is not None
    returns = pd.DataFrame(
        {t: np.log(f.set_index("date")["close"]).diff() for t, f in frames.items()}
    ).iloc[:420]
    expected = returns["T00"].iloc[-30:].corr(returns["^GSPC"].iloc[-30:])
    assert found["values"]["rolling_correlation"] == pytest.approx(expected, rel=1e-9)
    again = ask(worker, "T00")
    assert again["status"] == "complete"
    assert get_snapshot(database, "T00", "1d")["values"] == found["values"]


def test_unknown_series_says_what_to_do(worker: Worker, stocked) -> None:
    with pytest.raises(NotFound, match="no metrics of T00"):
        get_snapshot(worker.database, "T00", "1d")
    with pytest.raises(NotFound, match="no 1d bars of NONE"):
        get_snapshot(worker.database, "NONE", "1d")


def test_grades_come_with_the_next_slot(worker: Worker, stocked) -> None:
    tick(worker)
    shown = worker.database.analytics_overview.find_one({"ticker": "T04"})
    assert shown["anomaly_grade"] is None
    worker.database.anomalies.insert_one(
        {"_id": "x", "Ticker": "T04", "interval": "1d", "Datetime": shown["as_of"]}
        | {"grade": 81.0, "status": "new"}
    )
    version = overview.get_version(worker.database, "US", "1d")
    assert tick(worker, later(1)) == []
    shown = worker.database.analytics_overview.find_one({"ticker": "T04"})
    assert shown["anomaly_grade"] == 81.0
    assert overview.get_version(worker.database, "US", "1d") > version


def test_market_is_described_at_each_bar(worker: Worker, stocked) -> None:
    ask(worker, *TICKERS, bars=5)
    found = list(worker.database.analytics_markets.find().sort("time", -1))
    assert len(found) == 5
    assert found[0]["tickers"] == 12
    assert sum(found[0]["regimes"].values()) == 11
    assert -1 <= found[0]["breadth"]["advance_decline"] <= 1
    assert found[0]["z"] is not None


def test_stored_books_and_trades_are_joined_to_the_bars_they_fall_into(worker: Worker) -> None:
    hours = draw_intraday(3, 60)
    store(worker.database, {"BTC-USD": hours, "ETH-USD": hours}, "1h")
    (series,) = worker.database.series.find({"ticker": "BTC-USD"})
    closing = int(series["last_bar"].timestamp()) * 1_000_000
    hour = 3_600_000_000
    books = [
        ("BTC-USD", "binance", Snapshot(closing + 5, 1, ((99.0, 4.0),), ((101.0, 1.0),))),
        ("BTC-USD", "kraken", Snapshot(closing + hour - 1, 1, ((99.9, 3.0),), ((100.1, 1.0),))),
        # This trade belongs to the next bar.
        ("BTC-USD", "kraken", Snapshot(closing + hour, 1, ((1.0, 1.0),), ((2.0, 1.0),))),
    ]
    sides = ("buy", "buy", "sell", "unknown", "buy")
    trades = [
        Trade(closing + at, str(n), 100.0, 2.0 + n, side)
        for n, (at, side) in enumerate(zip((-1, 0, 7, 8, hour), sides, strict=True))
    ]
    arrived = {("BTC-USD", "binance"): trades[:3], ("BTC-USD", "kraken"): trades[3:]}
    expires = {"expires_at": NOW + timedelta(days=9)}
    with worker.database.client.start_session() as session:
        write_depth(worker.database, books, **expires, session=session)
        write_trades(worker.database, arrived, **expires, session=session)
    run = ask(worker, "BTC-USD", "ETH-USD", interval="1h")
    assert run["status"] == "complete"
    values = get_snapshot(worker.database, "BTC-USD", "1h")["values"]
    assert values["bid_ask_spread"] == pytest.approx(0.2)
    assert values["order_book_imbalance"] == pytest.approx((3 - 1) / (3 + 1))
    delta = values["volume_delta"]
    assert (delta["last"], delta["method"], delta["method_20"]) == (3.0 - 4.0, "trades", "mixed")
    other = get_snapshot(worker.database, "ETH-USD", "1h")
    assert other["missing"]["bid_ask_spread"] == {"reason": "no_depth"}
    assert other["values"]["volume_delta"]["method"] == "bulk"

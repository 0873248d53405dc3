"""Histories that MongoDB's cache cannot hold in one transaction."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from core.errors import SeriesError
from detection.models.plan import ThresholdPolicy, TrainingPlan
from detection.models.training import train_model
from market.bars import arriving
from market.bars.arriving import write_arrival
from market.bars.buckets import Columns
from market.bars.opening import Arrival
from market.bars.undoing import undo_import
from market.bars.writing import Written
from market.markets import SHIPPED
from market.sessions.calendar import load_sessions
from records.consistency import find_disagreements
from records.database import Db
from records.market.gaps import find_gaps
from records.market.revisions import find_last_revisions
from records.market.series import find_one_series
from records.work import runs
from records.work.documents import RunDocument
from records.work.requests import RunRequest, insert_run
from tasks.engine.execution import execute_batch
from tasks.engine.splitting import split_backfill
from tasks.process.worker import Worker

US = SHIPPED["US"]
KNOWN = load_sessions(US)
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def make_minutes(first_year: int, years: int) -> Columns:
    """Return the minutes of all sessions of these years, except those of one session a year."""
    opens, closes = KNOWN.opens, KNOWN.closes
    bounds = [
        np.datetime64(f"{year}-01-01", "D").astype(int) for year in (first_year, first_year + years)
    ]
    rows = slice(*np.searchsorted(KNOWN.days, bounds))
    times = np.concatenate(
        [
            np.arange(start, end, 60)
            for number, (start, end) in enumerate(zip(opens[rows], closes[rows], strict=True))
            if number % 252 != 100
        ]
    )
    close = 100 + np.arange(len(times)) % 977 / 100
    return {
        "times": times,
        "open": close,
        "high": close + 0.5,
        "low": close - 0.5,
        "close": close,
        "volume": np.full(len(times), 100.0),
    }


def write(database: Db, columns: Columns, **fields: Any) -> Written:
    arrival = Arrival("LONG", US, "1m", "test", NOW, KNOWN, columns, import_id="whole", **fields)
    return write_arrival(database, arrival)


def cut(columns: Columns, rows: slice) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


@pytest.mark.slow
def test_years_of_minutes_are_stored_in_the_smallest_cache(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    # mongod needs 256 MB at least, which these tests give it. Whether eight years still fit into
    # one transaction depends on what else its cache holds: they are stored completely, or refused
    # completely.
    columns = make_minutes(2014, 8)
    count = len(columns["times"])
    refused: SeriesError | None = None
    with monkeypatch.context() as patched:
        patched.setattr(arriving, "MOST_BARS_AT_ONCE", count)
        try:
            written = write(database, columns)
        except SeriesError as error:
            refused = error
    if refused is None:
        assert written.new == count
        undo_import(database, "whole", NOW)
    else:
        assert "larger cache" in refused.message
    assert find_one_series(database, "LONG", "1m") is None
    written = write(database, columns, splits={17_898: 2.0})
    assert (written.new, written.changed, written.splits) == (count, 0, 1)
    assert written.revision == (0 if refused else 1)  # Taking the import back was a revision.
    series = find_one_series(database, "LONG", "1m")
    assert series is not None
    assert series["bars"] == sum(series["counts"].values()) == count
    # One bucket for each week in which the exchange opened at least once.
    assert len(series["counts"]) == len({(day + 3) // 7 for day in columns["times"] // 86_400})
    assert len(find_gaps(database)) == 8
    again = write(database, columns)
    assert (again.new, again.changed, again.unchanged) == (0, 0, count)
    assert list(find_disagreements(database, NOW)) == []


def test_storing_in_steps_gives_the_same_as_in_one_transaction(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = make_minutes(2019, 3)
    middle = slice(len(columns["times"]) // 3, len(columns["times"]) // 2)
    told = []
    for most in (10**9, 100_000):
        monkeypatch.setattr(arriving, "MOST_BARS_AT_ONCE", most)
        write(database, cut(columns, middle))
        changed = {**columns, "volume": np.where(columns["times"] % 86_400 == 72_000, 7.0, 100.0)}
        written = write(database, changed)
        series = find_one_series(database, "LONG", "1m")
        assert series is not None
        names = (
            "bars",
            "first_bar",
            "last_bar",
            "counts",
            "digests",
            "fingerprint",
            "coverage",
            "figures",
            "oddities",
        )
        told.append(
            (
                {name: series[name] for name in names},  # type: ignore[literal-required]
                (written.new, written.changed, written.unchanged),
                [(gap["_id"], gap["bars_held"], gap["state"]) for gap in find_gaps(database)],
            )
        )
        undo_import(database, "whole", NOW)
        assert find_one_series(database, "LONG", "1m") is None
        assert find_gaps(database) == []
    assert told[0] == told[1]


def test_an_import_that_ends_between_two_steps_leaves_complete_buckets(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = make_minutes(2019, 3)
    steps = arriving._list_steps(database, Arrival("LONG", US, "1m", "test", NOW, KNOWN, columns))
    assert len(steps) == 3
    write_arrival(database, steps[0])
    series = find_one_series(database, "LONG", "1m")
    assert series is not None
    assert series["bars"] == len(steps[0].columns["times"]) <= arriving.MOST_BARS_AT_ONCE
    assert (
        datetime.fromisoformat(max(series["counts"])).timestamp() + 7 * 86_400
        <= (steps[1].columns["times"][0])
    )
    assert list(find_disagreements(database, NOW)) == []
    written = write(database, columns)
    assert written.new + len(steps[0].columns["times"]) == len(columns["times"])
    with database.client.start_session() as session:
        assert find_last_revisions(database, ["LONG"], "1m", session) == {}


def draw_minutes(ticker: str, count: int) -> Arrival:
    """Return this many consecutive minutes of a random walk."""
    rng = np.random.default_rng(count)
    columns = cut(make_minutes(2019, 3), slice(count))
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, count) * 1e-4))
    columns |= {"open": close, "close": close, "high": close * 1.001, "low": close * 0.999}
    columns["volume"] = rng.lognormal(8, 1, count).round()
    return Arrival(ticker, US, "1m", "test", NOW, KNOWN, columns, import_id=ticker)


def backfill(worker: Worker) -> RunDocument:
    """Detect all minutes, batch after batch, as a worker does."""
    request = RunRequest("backfill", "manual", market="US", interval="1m")
    run = insert_run(worker.database, request, NOW)
    plan = split_backfill(worker, run, NOW)
    runs.start_run(worker.database, run["_id"], plan, NOW)
    for batch in plan:
        execute_batch(worker, batch["_id"])
    return runs.get_run(worker.database, run["_id"])


@pytest.mark.slow
def test_more_anomalies_than_mongodb_can_store_at_once_are_refused_by_name(worker: Worker) -> None:
    database = worker.database
    for ticker, count in (("FEW", 3_000), ("LONG", 80_000)):
        write_arrival(database, draw_minutes(ticker, count))
    half = ThresholdPolicy("contamination", 0.5)
    small = {"trees": 5, "sample": 64}
    train_model(database, TrainingPlan("US", "1m", threshold=half, parameters=small), now=NOW)
    run = backfill(worker)
    (failed,) = run["failures"]
    assert (failed["ticker"], failed["reason"]) == ("LONG", "too_many_anomalies")
    assert "bars of LONG are flagged, more than MongoDB's cache can hold" in failed["error"]
    assert database.anomalies.distinct("Ticker") == ["FEW"]
    # The advice in the error helps.
    train_model(database, TrainingPlan("US", "1m", promote=True, parameters=small), now=NOW)
    run = backfill(worker)
    assert (run["status"], run["progress"]["tickers_failed"]) == ("complete", 0)
    assert database.anomalies.count_documents({"Ticker": "LONG"}) < 8_000

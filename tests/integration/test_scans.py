"""Periodic scans: one run a slot, however many processes tick, and one run for all missed slots."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Any

import pandas as pd
import pytest

from core.errors import LeaseLost
from core.settings import Settings
from market.imports import fetching
from market.imports.fetching import fetch_from_folder
from market.imports.importing import import_frame
from market.imports.report import SeriesReport
from records.database import Db, Document
from records.work import endings, runs, scan_switch, watchlists
from runner.programs import beat_command, worker_command
from tasks import names
from tasks.engine.planning import start
from tasks.periodic.scans import scan_due
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.commands import Command
from tests.integration.detecting import make_bars, run, store, train
from tests.processes import PATIENCE_SECONDS, wait_until

# A Wednesday: New York closes at 20:00 UTC, and the bar is given five minutes to arrive.
BEFORE, CLOSE = datetime(2024, 6, 5, 20, 4, tzinfo=UTC), datetime(2024, 6, 5, 20, 5, tzinfo=UTC)
TECH: dict[str, Any] = {
    "tickers": ["AAPL", "MSFT"],
    "interval": "1d",
    "schedule": "after_close",
    "delay_minutes": 5,
    "threshold": None,
    "enabled": True,
    "markets": ["US"],
}


@pytest.fixture
def tech(database: Db) -> Document:
    return watchlists.add_watchlist(database, "tech", TECH, BEFORE - timedelta(hours=1))


def get_list(database: Db, name: str = "tech") -> Document:
    return watchlists.get_watchlist(database, name)


def end(database: Db, run_id: str) -> None:
    endings.fail_run(database, run_id, "no_bars", "ended by the test", CLOSE)


@pytest.mark.usefixtures("tech")
def test_a_watchlist_is_scanned_once_when_its_market_has_closed_a_bar(worker: Worker) -> None:
    database = worker.database
    assert scan_due(worker, BEFORE) == []
    assert get_list(database)["next_scan"] == CLOSE
    (run_id,) = scan_due(worker, CLOSE)
    run = runs.get_run(database, run_id)
    assert (run["task"], run["trigger"], run["watchlist"]) == ("incremental", "scheduler", "tech")
    assert run["tickers"] == ["AAPL", "MSFT"]
    end(database, run_id)
    assert scan_due(worker, CLOSE + timedelta(seconds=5)) == []
    scanned = get_list(database)
    assert (scanned["last_scan"], scanned["last_run_id"]) == (CLOSE, run_id)
    assert scanned["next_scan"] == CLOSE + timedelta(days=1)


@pytest.mark.usefixtures("tech")
def test_many_simultaneous_ticks_start_one_run(worker: Worker, settings: Settings) -> None:
    scan_due(worker, BEFORE)
    others = [
        Worker(settings, worker.database, build_celery(settings), f"beat {n}") for n in range(8)
    ]
    ready = threading.Barrier(len(others))

    def tick(other: Worker) -> None:
        ready.wait()
        scan_due(other, CLOSE)

    threads = [threading.Thread(target=tick, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.database.detection_runs.count_documents({"trigger": "scheduler"}) == 1


@pytest.mark.usefixtures("tech")
def test_slots_missed_while_nothing_ticked_are_one_scan(worker: Worker) -> None:
    scan_due(worker, BEFORE)
    (run_id,) = scan_due(worker, CLOSE + timedelta(days=9, hours=3))
    end(worker.database, run_id)
    assert scan_due(worker, CLOSE + timedelta(days=9, hours=4)) == []
    # From Friday over the weekend to Monday.
    assert get_list(worker.database)["next_scan"] == datetime(2024, 6, 17, 20, 5, tzinfo=UTC)


@pytest.mark.usefixtures("tech")
def test_a_clock_that_was_a_year_ahead_does_not_prevent_later_scans(
    worker: Worker,
) -> None:
    scan_due(worker, BEFORE)
    (ahead,) = scan_due(worker, CLOSE + timedelta(days=365))
    end(worker.database, ahead)
    (run_id,) = scan_due(worker, CLOSE)
    end(worker.database, run_id)
    assert scan_due(worker, CLOSE + timedelta(hours=1)) == []
    assert get_list(worker.database)["next_scan"] == CLOSE + timedelta(days=1)
    assert len(scan_due(worker, CLOSE + timedelta(days=1))) == 1


@pytest.mark.usefixtures("tech")
def test_a_slot_that_a_clock_a_day_ahead_scanned_is_scanned_when_it_comes(
    worker: Worker,
) -> None:
    """The bars of the slot had not come yet when it was scanned too early."""
    scan_due(worker, BEFORE)
    tomorrow = CLOSE + timedelta(days=1)
    (early,) = scan_due(worker, tomorrow)
    end(worker.database, early)
    (today,) = scan_due(worker, CLOSE)
    end(worker.database, today)
    (in_time,) = scan_due(worker, tomorrow)
    assert len({early, today, in_time}) == 3


def test_bars_that_a_clock_a_day_ahead_fetched_too_early_are_fetched_when_they_come(
    worker: Worker,
) -> None:
    fields = TECH | {"source": "folder", "folder": "."}
    watchlists.add_watchlist(worker.database, "tech", fields, BEFORE - timedelta(hours=1))

    def fetch_and_scan(now: datetime) -> str:
        assert scan_due(worker, now) == []
        fetched = str(get_list(worker.database)["fetch_run_id"])
        end(worker.database, fetched)
        (run_id,) = scan_due(worker, now)
        end(worker.database, run_id)
        return fetched

    tomorrow = CLOSE + timedelta(days=1)
    assert len({fetch_and_scan(now) for now in (tomorrow, CLOSE, tomorrow)}) == 3


@pytest.mark.usefixtures("tech")
def test_no_scan_is_added_while_one_is_open_and_none_is_lost(worker: Worker) -> None:
    (first,) = scan_due(worker, CLOSE)
    later = CLOSE + timedelta(days=2)
    assert scan_due(worker, CLOSE + timedelta(days=1)) == []
    assert scan_due(worker, later) == []
    end(worker.database, first)
    (second,) = scan_due(worker, later)
    assert second != first
    end(worker.database, second)
    assert scan_due(worker, later) == []


@pytest.mark.usefixtures("tech")
def test_a_tick_that_dies_between_the_run_and_the_note_starts_no_second_run(worker: Worker) -> None:
    database = worker.database
    (run_id,) = scan_due(worker, CLOSE)
    # As if the note had never been written.
    forgotten = {"last_slot": BEFORE, "last_scan": None, "last_run_id": None, "next_scan": CLOSE}
    watchlists.note_scan(database, get_list(database), forgotten)
    end(database, run_id)
    scan_due(worker, CLOSE + timedelta(seconds=5))
    assert database.detection_runs.count_documents({"trigger": "scheduler"}) == 1
    assert get_list(database)["last_run_id"] == run_id


@pytest.mark.usefixtures("tech")
def test_scans_or_watchlists_that_were_off_are_scanned_once_when_on_again(
    worker: Worker,
) -> None:
    database = worker.database
    scan_switch.turn_switch(database, BEFORE, enabled=False)
    assert scan_due(worker, CLOSE + timedelta(days=2)) == []
    scan_switch.turn_switch(database, BEFORE, enabled=True)
    watchlists.replace_watchlist(database, "tech", TECH | {"enabled": False}, BEFORE)
    assert scan_due(worker, CLOSE + timedelta(days=2)) == []
    watchlists.replace_watchlist(database, "tech", TECH, BEFORE)
    assert len(scan_due(worker, CLOSE + timedelta(days=2))) == 1


@pytest.mark.usefixtures("tech")
def test_a_changed_schedule_counts_from_the_next_tick_on(worker: Worker) -> None:
    database = worker.database
    scan_due(worker, BEFORE)
    watchlists.replace_watchlist(database, "tech", TECH | {"schedule": "0 18 * * 1-5"}, BEFORE)
    (run_id,) = scan_due(worker, CLOSE + timedelta(hours=3))
    assert get_list(database)["last_slot"] == datetime(2024, 6, 5, 22, tzinfo=UTC)
    assert get_list(database)["next_scan"] == datetime(2024, 6, 6, 22, tzinfo=UTC)
    end(database, run_id)


def test_an_error_of_one_watchlist_does_not_affect_the_others(
    worker: Worker, tech: Document
) -> None:
    database = worker.database
    broken = watchlists.add_watchlist(database, "broken", TECH, BEFORE)
    watchlists.note_scan(database, broken, {"schedule": "no schedule at all"})
    (run_id,) = scan_due(worker, CLOSE)
    assert runs.get_run(database, run_id)["watchlist"] == tech["name"]


@pytest.mark.usefixtures("tech")
def test_no_scan_is_due_on_a_day_the_exchange_stays_shut(worker: Worker, flask: Command) -> None:
    scan_due(worker, BEFORE)
    assert (
        flask("sessions", "close", "us", "2024-06-05", "--note", "a day of mourning").exit_code == 0
    )
    assert scan_due(worker, CLOSE) == []
    assert get_list(worker.database)["next_scan"] == CLOSE + timedelta(days=1)
    assert flask("sessions", "open", "US", "2024-06-05", "09:30", "15:30").exit_code == 0
    assert "15:30" in flask("sessions", "list").output
    assert len(scan_due(worker, CLOSE - timedelta(minutes=25))) == 1
    assert flask("sessions", "forget", "US", "2024-06-05").exit_code == 0
    assert flask("sessions", "forget", "US", "2024-06-05").exit_code == 2
    assert flask("sessions", "open", "US", "2024-06-05", "16:00", "12:00").exit_code == 2
    assert flask("sessions", "close", "US", "today").exit_code == 2


@contextmanager
def started(environment: dict[str, str], folder: Path, *commands: list[str]) -> Iterator[None]:
    """Run processes of the service until the end of the `with`."""
    folder.mkdir()
    with (folder / "log").open("wb") as output:
        processes = [
            Popen(command, env=environment, stdout=output, stderr=output) for command in commands
        ]
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=PATIENCE_SECONDS)


@pytest.mark.slow
def test_two_beats_and_real_workers_scan_a_bar_that_has_come_in(
    environment: dict[str, str], database: Db, tmp_path: Path
) -> None:
    """Each of two beats ticks every second; the strange bar that came is found by one run of the
    watchlist.
    """
    frame = make_bars(400, shocks=[399])
    store(database, "AAPL", frame[:-1])
    train(database)
    run(database, "backfill", "AAPL")
    store(database, "AAPL", frame)
    now = datetime.now(UTC)
    # Due once a year; one such slot has passed, and was missed.
    fields = TECH | {"schedule": "0 0 1 1 *", "tickers": ["AAPL", "NOBARS"]}
    watchlists.add_watchlist(database, "tech", fields, now - timedelta(days=500))
    quick = environment | {"TICK_SECONDS": "1", "SWEEP_SECONDS": "1"}
    work = ",".join((names.INTERACTIVE_QUEUE, names.BACKFILL_QUEUE))
    workers = [worker_command("control", names.CONTROL_QUEUE, 1), worker_command("worker", work, 1)]
    for number in (1, 2):
        (tmp_path / f"beat{number}").mkdir()
    beats = [beat_command(tmp_path / f"beat{number}") for number in (1, 2)]
    with started(quick, tmp_path / "logs", *workers, *beats):
        wait_until(lambda: get_list(database)["last_run_id"], "a scan is noted")
        wait_until(
            lambda: runs.has_ended(database, get_list(database)["last_run_id"]), "it has ended"
        )
        # Time in which another tick could add a run.
        time.sleep(3)
        scans = list(
            database.detection_runs.find(
                {"trigger": "scheduler", "task": "incremental", "run_id": None}
            )
        )
    assert [(scan["status"], scan["options"]["without_bars"]) for scan in scans] == [
        ("complete", ["NOBARS"])
    ]
    found = database.anomalies.find_one({"detection_run_id": scans[0]["_id"]})
    assert found is not None
    assert (found["Ticker"], found["Datetime"]) == (
        "AAPL",
        frame["date"].iloc[-1].to_pydatetime().replace(tzinfo=UTC),
    )
    assert get_list(database)["last_run_id"] == scans[0]["_id"]


def write_bars(folder: Path, ticker: str, frame: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / f"{ticker}.csv", index=False)


def test_bars_are_fetched_from_a_folder_before_each_scan(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    worker = replace(
        worker, settings=worker.settings.model_copy(update={"watched_folder": str(tmp_path)})
    )
    bars = make_bars(2500)
    before = bars[bars["date"] < "2024-06-05"]
    for ticker in ("AAPL", "MSFT"):
        store(database, ticker, before)
    train(database)
    run(database, "backfill", "AAPL", "MSFT")
    write_bars(tmp_path / "prices", "AAPL", bars[bars["date"] <= "2024-06-05"])
    fields = TECH | {"source": "folder", "folder": "prices"}
    watchlists.add_watchlist(database, "tech", fields, BEFORE - timedelta(hours=1))
    assert scan_due(worker, CLOSE) == []
    (fetch,) = database.detection_runs.find({"task": "fetch"})
    assert scan_due(worker, CLOSE) == []  # The scan waits for the bars.
    execute(worker, fetch["_id"])
    fetched = runs.get_run(database, fetch["_id"])
    assert (fetched["status"], fetched["result"]["came"], fetched["result"]["not_came"]) == (
        "complete",
        ["AAPL"],
        ["MSFT"],
    )
    (scan_id,) = scan_due(worker, CLOSE + timedelta(seconds=30))
    scan = runs.get_run(database, scan_id)
    assert scan["options"]["fetch_run_id"] == fetch["_id"]
    assert scan["options"]["stale"] == {"tickers": 1, "named": ["MSFT"]}
    execute(worker, scan_id)
    assert runs.get_run(database, scan_id)["rows_processed"] == 1
    # A file that was read is not read again, and the next slot looks again.
    assert scan_due(worker, CLOSE + timedelta(days=1)) == []
    again = database.detection_runs.find_one({"task": "fetch", "_id": {"$ne": fetch["_id"]}})
    assert again is not None
    execute(worker, again["_id"])
    assert runs.get_run(database, again["_id"])["result"]["read"] == 0


def test_a_watched_file_is_read_once_it_is_complete_and_readable(
    database: Db, tmp_path: Path
) -> None:
    """A half-written file used to be read with its last volume cut, and an unreadable one was never
    tried again.
    """
    rows = make_bars(3).to_csv(index=False)
    written, locked = tmp_path / "AAPL.csv", tmp_path / "MSFT.csv"
    written.write_text(rows[:-4])
    locked.symlink_to(tmp_path / "elsewhere")
    fetch = partial(fetch_from_folder, database, tmp_path, interval="1d", on_series=lambda *_: None)

    def write_rest() -> None:
        if written.stat().st_size < len(rows):
            written.write_text(rows)

    report = fetch(now=CLOSE, on_wait=write_rest)
    assert [(one.ticker, one.new) for one in report.series] == [("AAPL", 3)]
    assert list(report.failures) == [str(locked)]
    assert "what is not there" in report.failures[str(locked)]
    assert fetch(now=CLOSE).failures == {}  # It is named once.
    locked.unlink()
    locked.write_text(rows)
    assert [(one.ticker, one.new) for one in fetch(now=CLOSE).series] == [("MSFT", 3)]
    # Another file with the same size and time in its place, as `cp -p` leaves it.
    before = locked.stat()
    locked.write_text(rows)
    os.utime(locked, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetch(now=CLOSE).total("read") == 3


def test_files_that_never_stop_growing_are_waited_for_together_once(
    database: Db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a live feed used to take a minute for each of its files."""
    files = [tmp_path / f"{ticker}.csv" for ticker in ("AAPL", "IBM", "MSFT")]
    for file in files:
        file.write_text(make_bars(3).to_csv(index=False))
    waits: list[float] = []

    def wait(_seconds: float) -> None:
        waits.append(0.1)
        time.sleep(waits[-1])
        for file in files:
            file.touch()

    monkeypatch.setattr(fetching, "sleep", wait)
    monkeypatch.setattr(fetching, "MOST_WRITE_SECONDS", 0.25)
    report = fetch_from_folder(
        database, tmp_path, interval="1d", now=CLOSE, on_series=lambda *_: None
    )
    assert (report.total("new"), len(waits)) == (9, 3)


@pytest.mark.slow
def test_small_files_of_a_watched_folder_are_stored_together_and_reported_one_by_one(
    database: Db, tmp_path: Path
) -> None:
    """Each file used to be stored in a transaction of its own."""
    for number in range(120):
        write_bars(tmp_path, f"T{number:03}", make_bars(3))
    (tmp_path / "BAD.csv").write_text("date,price\n2024-01-02,1\n")
    for file in tmp_path.iterdir():
        os.utime(file, (0, 0))
    fetch = partial(fetch_from_folder, database, tmp_path, interval="1d", now=CLOSE)
    stored: list[SeriesReport] = []

    def stop(series: SeriesReport, _tickers: int) -> None:
        stored.append(series)
        if len(stored) == 110:
            raise LeaseLost("another does it")

    before = count_commits(database)
    with pytest.raises(LeaseLost):
        fetch(on_series=stop)
    # Files that were not reported yet are read again, and no others.
    assert database.watched_files.count_documents({}) == 101
    report = fetch(on_series=lambda *_: None)
    assert [(one.ticker, one.unchanged, one.error) for one in report.series] == [
        (f"T{number:03}", 3, None) for number in range(100, 120)
    ]
    assert count_commits(database) - before < 20
    assert database.series.count_documents({"bars": 3}) == 120
    sources = database.bar_imports.distinct("source")
    assert sources == [f"T{number:03}.csv" for number in range(120)]  # The folder does not exist.
    assert len(database.bar_imports.distinct("import_id")) == 120
    bad = fetch(on_series=lambda *_: None, again=True)
    assert (bad.total("unchanged"), list(bad.failures)) == (360, [str(tmp_path / "BAD.csv")])


def count_commits(database: Db) -> int:
    return int(database.client.admin.command("serverStatus")["transactions"]["totalCommitted"])


def test_a_scan_goes_on_if_its_bars_cannot_be_fetched(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    store(database, "AAPL", make_bars(300))
    fields = TECH | {"tickers": ["AAPL"], "source": "folder", "folder": "gone"}
    watchlists.add_watchlist(database, "tech", fields, BEFORE - timedelta(hours=1))
    worker = replace(
        worker, settings=worker.settings.model_copy(update={"watched_folder": str(tmp_path)})
    )
    assert scan_due(worker, CLOSE) == []
    (fetch,) = database.detection_runs.find({"task": "fetch"})
    execute(worker, fetch["_id"])
    assert runs.get_run(database, fetch["_id"])["status"] == "failed"
    (scan_id,) = scan_due(worker, CLOSE)
    assert runs.get_run(database, scan_id)["options"]["stale"]["named"] == ["AAPL"]


def test_a_fetch_that_does_not_end_is_waited_for_ten_minutes(worker: Worker, database: Db) -> None:
    store(database, "AAPL", make_bars(300))
    fields = TECH | {"tickers": ["AAPL"], "source": "yahoo"}
    watchlists.add_watchlist(database, "tech", fields, BEFORE - timedelta(hours=1))
    assert scan_due(worker, CLOSE) == []
    assert scan_due(worker, CLOSE + timedelta(minutes=9)) == []
    assert len(scan_due(worker, CLOSE + timedelta(minutes=11))) == 1
    assert database.detection_runs.count_documents({"task": "fetch"}) == 1


def test_tickers_of_two_markets_are_scanned_each_after_their_market_closes(
    worker: Worker, database: Db
) -> None:
    store(database, "AAPL", make_bars(300))
    tokyo = pd.DataFrame(
        {"date": ["2024-06-04", "2024-06-05"], "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
    )
    import_frame(database, tokyo, interval="1d", source="test", ticker="7203.T", now=CLOSE)
    fields = TECH | {"tickers": ["AAPL", "7203.T", "NEWCO"], "markets": ["US", "JP"]}
    tokyo_closed = datetime(2024, 6, 5, 6, 5, tzinfo=UTC)
    watchlists.add_watchlist(database, "both", fields, tokyo_closed - timedelta(hours=1))
    (first,) = scan_due(worker, tokyo_closed)
    scan = runs.get_run(database, first)
    assert (scan["tickers"], scan["options"]["without_bars"]) == (["7203.T"], ["NEWCO"])
    execute(worker, first)
    assert get_list(database, "both")["next_scan"] == CLOSE
    (second,) = scan_due(worker, CLOSE)
    assert runs.get_run(database, second)["tickers"] == ["AAPL"]


def execute(worker: Worker, run_id: str) -> None:
    """Do a run's work in this process, as a worker would."""
    start(worker, run_id)

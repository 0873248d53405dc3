"""The ledger of gaps: it agrees with the bars, and gaps are filled, given up and explained."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import exchange_calendars as xc
import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.http.state import get_state
from core.settings import Settings
from detection.explain import explain_series
from market.bars import upgrading
from market.bars.deleting import delete_bars, rename_bars
from market.bars.ledger import measure_series, read_times
from market.bars.undoing import undo_import
from market.bars.upgrading import complete_series
from market.imports.fetching import fill_from_yahoo, reaches
from market.imports.importing import import_frame
from market.imports.sources.yahoo import Yahoo
from records.consistency import find_disagreements
from records.database import Db, Document
from records.market.bar_imports import find_import
from records.market.gaps import find_gaps
from records.market.series import find_one_series, find_series, find_uncovered
from records.migrations import MIGRATIONS, upgrade
from records.work import runs, watchlists
from tasks.engine.planning import start
from tasks.periodic.gaps import GAPS_AN_HOUR, fill_due
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.commands import Command
from tests.integration.detecting import make_bars, read_anomalies, run, store, train
from tests.slow import slow_but_first

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
CALENDAR = xc.get_calendar("XNYS", start="2023-01-03", end="2024-12-31")
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def worker(settings: Settings, database: Db, tmp_path: Path) -> Worker:
    watching = settings.model_copy(update={"watched_folder": str(tmp_path)})
    return Worker(watching, database, build_celery(settings), "test")


@pytest.fixture
def flask(flask: Command, tmp_path: Path) -> Command:
    """A function that runs `flask WORDS`, with the test's folder as a source of bars."""
    return partial(flask, WATCHED_FOLDER=str(tmp_path))


def build(times: pd.DatetimeIndex, name: str = "time") -> pd.DataFrame:
    return pd.DataFrame(
        {name: times, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 100.0}
    )


def bring(
    database: Db, frame: pd.DataFrame, ticker: str = "AAPL", interval: str = "1d"
) -> str | None:
    report = import_frame(database, frame, interval=interval, source="test", ticker=ticker, now=NOW)
    (series,) = report.series
    assert (series.error, series.rejected) == (None, [])
    return report.import_id


def days(first: str, last: str) -> pd.DatetimeIndex:
    return CALENDAR.sessions_in_range(first, last)


def test_whole_weeks_of_currencies_lack_nothing(database: Db) -> None:
    """Four weeks of two seasons, each of 120 hours from Sunday, 17:00 in New York."""
    hours = [
        pd.date_range(f"{sunday} 17:00", periods=120, freq="h", tz="America/New_York")
        for sunday in ("2025-10-19", "2025-10-26", "2025-11-02", "2025-11-09")
    ]
    bring(database, build(hours[0].append(hours[1:]).tz_convert("UTC")), "EURUSD=X", "1h")
    series = find_one_series(database, "EURUSD=X", "1h")
    assert series is not None
    assert (series["bars"], series["coverage"]["bars_held"]) == (480, 480)
    assert series["coverage"]["bars_expected"] == 480
    assert find_gaps(database, limit=1) == []


def test_a_christmas_without_currencies_is_no_gap_once_its_day_is_closed(
    database: Db, flask: Command
) -> None:
    """From 17:00 in New York on the 24th to 17:00 on the 25th nobody trades."""
    week = pd.date_range("2025-12-21 17:00", periods=120, freq="h", tz="America/New_York")
    shut = (week >= week[0] + pd.Timedelta("3D")) & (week < week[0] + pd.Timedelta("4D"))
    bring(database, build(week[~shut].tz_convert("UTC")), "EURUSD=X", "1h")
    assert [gap["state"] for gap in find_gaps(database, limit=2)] == ["partial"]
    said = flask("sessions", "close", "FX", "2025-12-25").output
    assert "shut from 17:00 on the eve to 17:00 on 2025-12-25 (America/New_York)" in said
    assert [gap["state"] for gap in find_gaps(database, limit=2)] == ["filled"]
    series = find_one_series(database, "EURUSD=X", "1h")
    assert series is not None
    assert (series["coverage"]["bars_held"], series["coverage"]["bars_expected"]) == (96, 96)
    flask("sessions", "forget", "FX", "2025-12-25")
    assert "partial" in [gap["state"] for gap in find_gaps(database, limit=2)]


def test_an_upgrade_tells_how_far_currencies_are_behind(database: Db) -> None:
    """Until the next import, which may never come, nobody knew their sessions."""
    hours = pd.date_range("2025-12-28 17:00", periods=72, freq="h", tz="America/New_York")
    bring(database, build(hours.tz_convert("UTC")), "EURUSD=X", "1h")
    upgrade(database, NOW, [each for each in MIGRATIONS if each.number == 20])
    assert explain_series(database, "EURUSD=X", "1h", NOW)["sessions_behind"] is None
    assert list(complete_series(database, NOW)) == ["what 1 series lack was counted"]
    # The last bar is of Wednesday, NOW a Monday.
    assert explain_series(database, "EURUSD=X", "1h", NOW)["sessions_behind"] == 2


def minutes(day: str, step: int = 5) -> pd.DatetimeIndex:
    return pd.date_range(
        CALENDAR.session_open(day), CALENDAR.session_close(day), freq=f"{step}min", inclusive="left"
    )


def tell(database: Db, ticker: str = "AAPL") -> list[tuple[str, str, int, int, str]]:
    """Return the gaps of a ticker, the newest first, without the attempts to fill them."""
    return [
        (
            f"{gap['first']:%Y-%m-%d}",
            f"{gap['last']:%Y-%m-%d}",
            gap["bars_held"],
            gap["bars_expected"],
            gap["state"],
        )
        for gap in find_gaps(database, tickers=[ticker])
    ]


def check(database: Db) -> list[str]:
    return [str(found) for found in find_disagreements(database, NOW) if "gaps" in str(found)]


def test_a_session_without_a_bar_is_a_gap_until_it_comes(database: Db) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    bring(database, frame.drop([3, 4, 9]))
    assert tell(database) == [
        ("2024-03-14", "2024-03-14", 0, 1, "open"),
        ("2024-03-06", "2024-03-07", 0, 2, "open"),
    ]
    bring(database, frame.loc[[3]])
    assert tell(database)[1] == ("2024-03-06", "2024-03-07", 1, 2, "partial")
    bring(database, frame)
    assert {gap[-1] for gap in tell(database)} == {"filled"}
    series = find_one_series(database, "AAPL", "1d")
    assert series is not None
    assert series["coverage"]["gap_count"] == 0
    assert check(database) == []


def test_an_intraday_session_may_lack_single_bars(database: Db) -> None:
    full = minutes("2024-07-02")
    half = minutes("2024-07-03")  # New York closed at 13:00.
    assert (len(full), len(half)) == (78, 42)
    after = minutes("2024-07-05")
    frame = build(full.append([half.delete([5, 6]), after[:10]]))
    bring(database, frame, interval="5m")
    assert tell(database) == [("2024-07-03", "2024-07-03", 40, 42, "partial")]
    # Of the last session only the bars up to the last stored one are expected.
    bring(database, build(after[12:20]), interval="5m")
    assert tell(database) == [("2024-07-03", "2024-07-05", 58, 62, "partial")]
    # Minute bars: missing bars of adjacent sessions are one gap that grows.
    day = minutes("2024-07-08")
    bring(database, build(after[20:].append(day[:30].delete(3))), interval="5m")
    assert tell(database) == [("2024-07-03", "2024-07-08", 145, 150, "partial")]
    bring(database, build(after[10:12]), interval="5m")
    assert tell(database) == [("2024-07-03", "2024-07-08", 147, 150, "partial")]
    bring(database, build(half[5:7].append(day[3:4])), interval="5m")
    assert tell(database) == [("2024-07-03", "2024-07-08", 150, 150, "filled")]
    assert check(database) == []


def test_removed_bars_are_a_gap_again(database: Db) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    bring(database, frame.drop([3, 4]))
    import_id = bring(database, frame.loc[3:4])
    assert tell(database)[0][-1] == "filled"
    assert import_id is not None
    undo_import(database, import_id, LATER)
    assert tell(database) == [("2024-03-06", "2024-03-07", 0, 2, "open")]
    assert check(database) == []
    rename_bars(database, "AAPL", "MSFT", None, LATER)
    assert (tell(database), tell(database, "MSFT")[0][-1]) == ([], "open")
    assert check(database) == []
    delete_bars(database, "MSFT", None, LATER)
    assert tell(database, "MSFT") == []
    assert check(database) == []


@pytest.mark.parametrize("seed", slow_but_first(range(4)))
@pytest.mark.parametrize("interval", ["1d", "1h"])
def test_the_ledger_is_the_same_in_whatever_order_bars_came(
    database: Db, interval: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    sessions = days("2024-02-01", "2024-03-28")
    times = (
        sessions
        if interval == "1d"
        else minutes(str(sessions[0].date()), 60).append(
            [minutes(str(session.date()), 60) for session in sessions[1:]]
        )
    )
    for _ in range(12):
        start_at = int(random.integers(0, len(times) - 4))
        rows = np.unique(random.integers(start_at, min(len(times), start_at + 40), 12))
        import_id = str(bring(database, build(times[rows]), interval=interval))
        if random.random() < 0.3 and find_import(database, import_id):
            undo_import(database, import_id, NOW)
        if not find_series(database):
            continue
        assert check(database) == []
        (series,) = find_series(database)
        lacking = _list_lacking(database, interval)
        held = pd.to_datetime(read_times(database, series), unit="s", utc=True)
        span = times[(times >= _like(held[0], times)) & (times <= _like(held[-1], times))]
        absent = span.difference(held if span.tz else held.tz_localize(None))
        assert lacking == {str(time.date()) for time in absent}
    before = _list_counts(database)
    measure_series(database, find_series(database), NOW)
    assert _list_counts(database) == before


def _like(time: pd.Timestamp, times: pd.DatetimeIndex) -> pd.Timestamp:
    return time if times.tz else time.tz_localize(None)


def _list_lacking(database: Db, interval: str) -> set[str]:
    """Return the sessions of unfilled gaps: for daily bars those without a bar, for hourly bars
    those within a gap that lack a bar.
    """
    lacking = set()
    for gap in find_gaps(database, states=["open", "partial"]):
        if interval == "1d":
            lacking |= {str(np.datetime64(day, "D")) for day in gap["empty"]}
            continue
        series = find_one_series(database, "AAPL", interval)
        assert series is not None
        held = pd.to_datetime(read_times(database, series), unit="s", utc=True)
        for session in days(f"{gap['first']:%Y-%m-%d}", f"{gap['last']:%Y-%m-%d}"):
            due = minutes(str(session.date()), 60)
            due = due[(due >= held[0]) & (due <= held[-1])]
            if len(due.difference(held)):
                lacking.add(str(session.date()))
    return lacking


def _list_counts(database: Db) -> list[Document]:
    own = ("next_try", "found_at", "filled_at")
    return [
        {name: value for name, value in gap.items() if name not in own}
        for gap in find_gaps(database)
    ]


def write_bars(folder: Path, ticker: str, frame: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    frame.rename(columns={"time": "date"}).to_csv(folder / f"{ticker}.csv", index=False)


def watch(database: Db, *tickers: str, **fields: Any) -> None:
    watched = {
        "tickers": list(tickers),
        "markets": ["US"],
        "interval": "1d",
        "schedule": "after_close",
        "delay_minutes": 5,
        "threshold": None,
        "enabled": True,
        "source": "folder",
        "folder": "prices",
    }
    watchlists.add_watchlist(database, "tech", watched | fields, NOW)  # type: ignore[arg-type]


def bring_market(database: Db, frame: pd.DataFrame, lacking: list[int]) -> None:
    """Store eleven tickers with all bars, and AAPL without some."""
    for number in range(11):
        bring(database, frame, f"T{number}")
    bring(database, frame.drop(lacking))


def test_a_gap_is_filled_automatically_from_the_source_of_its_watchlist(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    bring(database, frame.drop([3, 4, 9]))
    bring(database, frame.drop([5]), "UNWATCHED")
    write_bars(tmp_path / "prices", "AAPL", frame)
    watch(database, "AAPL")
    (run_id,) = fill_due(worker, LATER)
    assert {gap["state"] for gap in find_gaps(database, tickers=["AAPL"])} == {"filling"}
    assert fill_due(worker, LATER) == []  # This slot is already done.
    start(worker, run_id)
    filled = runs.get_run(database, run_id)
    assert (filled["status"], filled["task"]) == ("complete", "fill")
    assert len(filled["result"]["filled"]) == 2
    assert {gap["attempts"] for gap in find_gaps(database, tickers=["AAPL"])} == {1}
    assert {gap[-1] for gap in tell(database)} == {"filled"}
    assert tell(database, "UNWATCHED")[0][-1] == "open"
    assert check(database) == []


def test_a_gap_that_cannot_be_filled_is_tried_ever_more_rarely_and_given_up(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    bring_market(database, frame, [3])
    write_bars(tmp_path / "prices", "AAPL", frame.drop([3]))
    watch(database, "AAPL")
    now, waits = LATER, []
    for _ in range(5):
        (run_id,) = fill_due(worker, now)
        started = datetime.now(UTC)
        start(worker, run_id)
        assert runs.get_run(database, run_id)["result"]["source_empty"] == ["AAPL::1d::2024-03-06"]
        (gap,) = find_gaps(database, tickers=["AAPL"])
        assert gap["reason"] == "source_empty"
        if gap["next_try"] is None:
            break
        waits.append(round((gap["next_try"] - started) / timedelta(hours=1)))
        now = gap["next_try"] + timedelta(minutes=10)
        assert fill_due(worker, gap["next_try"] - timedelta(minutes=15)) == []
    assert waits == [1, 6, 24, 72]
    assert (gap["state"], gap["attempts"]) == ("error", 5)
    assert fill_due(worker, now + timedelta(days=30)) == []
    # Later the bar is imported after all.
    bring(database, frame.loc[[3]])
    assert tell(database)[0][-1] == "filled"


def test_a_session_on_which_the_market_did_not_trade_is_explained_as_such(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    bring_market(database, frame, [3])
    # Of the 13 other tickers whose bars cover the session, 11 have a bar: less than nine in ten.
    for ticker in ("OTHER", "ANOTHER"):
        bring(database, frame.drop([3]), ticker)
    bring(database, frame.loc[5:], "YOUNG")
    write_bars(tmp_path / "prices", "AAPL", frame.drop([3]))
    watch(database, "AAPL")
    (run_id,) = fill_due(worker, LATER)
    start(worker, run_id)
    (gap,) = find_gaps(database, tickers=["AAPL"])
    assert (gap["state"], gap["reason"], gap["attempts"]) == ("open", None, 1)


def test_the_number_of_gaps_tried_in_an_hour_is_bounded_a_market(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    frame = build(days("2023-01-03", "2024-12-31"))
    bring(database, frame.drop(list(range(1, 400, 2))))
    write_bars(tmp_path / "prices", "AAPL", frame)
    watch(database, "AAPL")
    (run_id,) = fill_due(worker, LATER)
    assert len(runs.get_run(database, run_id)["options"]["gaps"]) == GAPS_AN_HOUR
    assert fill_due(worker, LATER + timedelta(minutes=20)) == []
    assert len(fill_due(worker, LATER + timedelta(minutes=60))) == 1


def test_gaps_that_a_clock_a_year_ahead_tried_are_tried_again(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    frame = build(days("2023-01-03", "2024-12-31"))
    bring(database, frame.drop(list(range(1, 400, 2))))
    write_bars(tmp_path / "prices", "AAPL", frame)
    watch(database, "AAPL")
    ahead = LATER + timedelta(days=365)
    database.gaps.update_many(
        {}, {"$set": {"tried_at": ahead, "next_try": ahead + timedelta(hours=1)}}
    )
    assert len(fill_due(worker, LATER)) == 1


def answer_daily(frame: pd.DataFrame) -> pd.DataFrame:
    """Return bars in the form of Yahoo's answer."""
    index = pd.DatetimeIndex(frame["time"]).tz_localize("America/New_York")
    names = ("Open", "High", "Low", "Close", "Volume")
    return pd.DataFrame({name: frame[name.lower()].to_numpy() for name in names}, index=index)


def test_yahoo_is_asked_as_far_back_as_each_tickers_gaps(database: Db) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    for ticker in ("AAPL", "MSFT", "GONE"):
        bring(database, frame.drop([3]), ticker)
    asked: dict[str, datetime | None] = {}

    def fetch(ticker: str, start: datetime | None, _interval: str) -> pd.DataFrame:
        asked[ticker] = start
        return answer_daily(frame if ticker != "GONE" else frame[:0])

    now = datetime(2024, 5, 1, tzinfo=UTC)
    since = {
        "AAPL": datetime(2024, 3, 6, tzinfo=UTC),
        "MSFT": datetime(2022, 1, 3, tzinfo=UTC),
        "GONE": datetime(2024, 3, 6, tzinfo=UTC),
    }
    report = fill_from_yahoo(
        database, Yahoo(fetch), since, interval="1d", now=now, on_series=lambda *_: None
    )
    assert {series.ticker: (series.new, series.is_empty) for series in report.series} == {
        "AAPL": (1, False),
        "MSFT": (1, False),
        "GONE": (0, True),
    }
    assert all(start is not None and start <= since[name] for name, start in asked.items())
    assert asked["AAPL"] == asked["GONE"] != asked["MSFT"]
    # One import, which is undone as a whole.
    imported = find_import(database, str(report.import_id))
    assert {part["ticker"] for part in imported} == {"AAPL", "MSFT"}
    assert [gap[-1] for ticker in ("AAPL", "GONE") for gap in tell(database, ticker)] == [
        "filled",
        "open",
    ]


@pytest.mark.parametrize(
    ("interval", "days_ago", "reached"), [("1d", 9_000, True), ("1m", 6, True), ("1m", 8, False)]
)
def test_yahoo_has_minutes_of_a_week(interval: str, days_ago: int, *, reached: bool) -> None:
    assert reaches("yahoo", interval, NOW - timedelta(days=days_ago), NOW) == reached
    assert reaches("folder", interval, NOW - timedelta(days=days_ago), NOW)


def test_a_run_that_fails_counts_as_an_attempt(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    bring(database, build(days("2024-03-01", "2024-03-28")).drop([3]))
    watch(database, "AAPL", folder="gone")
    (run_id,) = fill_due(worker, LATER)
    start(worker, run_id)
    assert runs.get_run(database, run_id)["status"] == "failed"
    fill_due(worker, LATER + timedelta(minutes=10))
    (gap,) = find_gaps(database)
    assert (gap["state"], gap["attempts"], gap["reason"]) == ("open", 1, None)
    assert gap["next_try"] == LATER + timedelta(minutes=70)


def test_a_filled_gap_is_detected_again_as_far_as_it_has_effect(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    bars = make_bars(600, shocks=(300, 420, 560))
    store(database, "MSFT", make_bars(600, seed=2))
    store(database, "WHOLE", bars)
    store(database, "AAPL", bars.drop([419, 420, 421]))
    train(database)
    run(database, "backfill", "WHOLE", "MSFT", "AAPL")
    assert read_anomalies(database, "AAPL") != read_anomalies(database, "WHOLE")
    write_bars(tmp_path / "prices", "AAPL", bars)
    watch(database, "AAPL")
    (run_id,) = fill_due(worker, LATER)
    start(worker, run_id)
    (found,) = run(database, "incremental", "AAPL")
    # Not the bars before the gap, on which it has no effect.
    assert 600 - 419 <= found["rows_processed"] < 600 - 400
    whole = {
        anomaly["Datetime"]: anomaly["anomaly_score"]
        for anomaly in read_anomalies(database, "WHOLE")
    }
    again = {
        anomaly["Datetime"]: anomaly["anomaly_score"]
        for anomaly in read_anomalies(database, "AAPL")
        if anomaly["status"] != "superseded"
    }
    assert again.keys() == whole.keys()
    # Earlier anomalies keep their first score; anomalies in the gap have the score that they have
    # in complete bars.
    shock = bars["date"][420].to_pydatetime().replace(tzinfo=UTC)
    assert again[shock] == whole[shock]


def test_gaps_are_listed_filled_and_accepted_over_http(
    worker: Worker, database: Db, tmp_path: Path
) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    bring(database, frame.drop([3, 4, 9]))
    bring(database, frame.drop([5]), "MSFT")
    app = create_app(worker.settings)
    client: FlaskClient = app.test_client()
    try:
        first = client.get("/py/data/gaps?limit=2&market=us").json
        rest = {"market": "us", "cursor": first["next_cursor"]}
        second = client.get("/py/data/gaps", query_string=rest).json
        ids = [gap["_id"] for gap in first["items"] + second["items"]]
        assert ids == ["AAPL::1d::2024-03-14", "MSFT::1d::2024-03-08", "AAPL::1d::2024-03-06"]
        assert first["items"][1]["bars_expected"] == 1
        asked = {"tickers": ["AAPL"]}
        refused = client.post("/py/data/gaps/fill", json=asked)
        assert (refused.status_code, "source" in refused.json["detail"]) == (422, True)
        refused = client.post(
            "/py/data/gaps/fill", json=asked | {"source": "folder", "folder": "../x"}
        )
        assert refused.status_code == 422
        write_bars(tmp_path / "prices", "AAPL", frame.drop([9]))
        asked |= {"source": "folder", "folder": "prices"}
        accepted = client.post("/py/data/gaps/fill", json=asked)
        assert (accepted.status_code, accepted.json["status"]) == (202, "fill_started")
        nothing = client.post("/py/data/gaps/fill", json=asked)
        assert (nothing.status_code, nothing.json["reason"]) == (404, "no_gaps")
        start(worker, accepted.json["run_id"])
        result = client.get(f"/py/detection-runs/{accepted.json['run_id']}").json["result"]
        assert (result["filled"], result["lacking"]) == ([ids[2]], [ids[0]])
        explained = {"gaps": [ids[0]], "reason": "halt"}
        (halted,) = client.post("/py/data/gaps/accept", json=explained).json["items"]
        assert (halted["state"], halted["reason"], halted["next_try"]) == ("expected", "halt", None)
        missing = client.post(
            "/py/data/gaps/accept", json=explained | {"gaps": ["X::1d::2024-01-01"]}
        )
        assert missing.status_code == 404
        assert [gap["_id"] for gap in client.get("/py/data/gaps").json["items"]] == [ids[1]]
        shown = client.get("/py/data/gaps?state=expected&ticker=aapl").json["items"]
        assert [gap["_id"] for gap in shown] == [ids[0]]
        assert client.get("/py/data/gaps?state=nothing").status_code == 422
    finally:
        get_state(app).close()


def test_gaps_are_listed_filled_and_accepted_on_the_command_line(
    worker: Worker, database: Db, flask: Command, tmp_path: Path
) -> None:
    frame = build(days("2024-03-01", "2024-03-28"))
    bring(database, frame.drop([3, 4, 9]))
    listed = flask("gaps", "list", "--ticker", "aapl")
    assert listed.exit_code == 0
    assert "AAPL::1d::2024-03-14" in listed.output
    assert "0 of 2" in listed.output
    assert flask("gaps", "fill", "AAPL").exit_code == 2  # Nobody said where the bars come from.
    assert flask("gaps", "fill").exit_code == 2
    watch(database, "AAPL")
    write_bars(tmp_path / "prices", "AAPL", frame.drop([9]))
    accepted = json.loads(flask("gaps", "fill", "AAPL", "--no-wait", "--json").stdout)
    assert accepted["options"]["source"] == "folder"
    start(worker, accepted["_id"])
    named = "AAPL::1d::2024-03-14"
    answer = flask("gaps", "accept", named, "--reason", "halt")
    assert "expected" in answer.output
    assert flask("gaps", "accept", "X::1d::2024-01-01", "--reason", "halt").exit_code == 2
    assert "no gaps are known" in flask("gaps", "list").output
    assert (
        json.loads(flask("gaps", "list", "--state", "filled", "--json").stdout)[0]["bars_held"] == 2
    )
    database.gaps.update_one({"_id": named}, {"$set": {"bars_held": 7}})
    assert len(check(database)) == 1
    assert flask("gaps", "measure").exit_code == 0
    assert check(database) == []
    (gap,) = find_gaps(database, ids=[named])
    assert (gap["state"], gap["reason"]) == ("expected", "halt")
    database.series.delete_many({})
    assert "not stored" in check(database)[0]
    assert flask("gaps", "measure").exit_code == 0
    assert check(database) == []


def test_a_pushed_bar_off_the_grid_is_rejected(worker: Worker, database: Db) -> None:
    app = create_app(worker.settings)
    candles = [
        {"time": f"2024-01-03T{clock}:00Z", "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
        for clock in ("14:30", "14:42", "14:50")
    ]
    try:
        asked = {"ticker": "AAPL", "interval": "5m", "candles": candles}
        accepted = app.test_client().post("/py/data/candles", json=asked)
        start(worker, accepted.json["run_id"])
        (rejected,) = app.test_client().get("/py/data/rejected").json["items"]
    finally:
        get_state(app).close()
    assert (rejected["reason"], rejected["row"]) == ("off_grid", 2)
    assert tell(database) == [("2024-01-03", "2024-01-03", 2, 5, "partial")]


def test_how_many_series_are_left_is_said_while_an_upgrade_counts_what_they_lack(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 65,000 it took many minutes, of which nothing was said."""
    for ticker in ("AAA", "BBB", "CCC", "DDD", "EEE"):
        store(database, ticker, make_bars(30))
    database.series.update_many({}, {"$unset": {"coverage": "", "figures": ""}})
    monkeypatch.setattr(upgrading, "AT_ONCE", 2)
    monkeypatch.setattr(upgrading, "TOLD_SECONDS", 0)
    assert list(complete_series(database, NOW)) == [
        "what 5 series lack is still to be counted",
        "what 3 series lack is still to be counted",
        "what 5 series lack was counted",
    ]
    assert find_uncovered(database) == []


def test_a_damaged_series_is_named_and_the_others_are_measured(
    flask: Command, database: Db
) -> None:
    for ticker in ("AAA", "BBB"):
        store(database, ticker, make_bars(30))
    database.bars.update_one({"ticker": "AAA"}, {"$set": {"columns": b"torn"}})
    database.series.update_many({}, {"$unset": {"coverage": "", "figures": ""}})
    torn, counted = complete_series(database, NOW)
    assert torn.startswith("the stored 1d bars of AAA cannot be read (")
    assert counted == "what 1 series lack was counted"
    assert database.series.distinct("ticker", {"coverage": {"$exists": True}}) == ["BBB"]
    measured = flask("gaps", "measure")
    assert measured.exit_code == 1
    assert torn in measured.output.replace("\n", " ")
    assert "what 1 series lack was counted anew" in measured.output

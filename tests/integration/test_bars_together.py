"""Writing the bars of many series at once leaves the same documents as writing them one by one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from market.bars import writing
from market.bars.buckets import Columns
from market.bars.coverage import measure_held
from market.bars.ledger import read_times
from market.bars.opening import Arrival
from market.bars.writing import write_all, write_in
from market.intervals import INTERVALS
from market.markets import SHIPPED
from market.sessions.calendar import load_sessions
from records.database import Db, Document, in_transaction
from records.market.rejected import build_rejected
from tests.slow import slow_but_first

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
# The first day of the sessions, around the turn of a year, from which bars are drawn.
FIRST = datetime(2025, 12, 29, tzinfo=UTC)
GRIDS = {
    ("CRYPTO", "1m"): 3 * 1_440,
    ("CRYPTO", "1d"): 60,
    ("US", "5m"): 2_500,
    ("US", "1d"): 60,
    ("US", "1w"): 70,
    ("FX", "1h"): 300,
    ("TH", "15m"): 900,
}
COLLECTIONS = (
    "series", "bars", "gaps", "bar_revisions", "rejected_bars", "anomalies", "bar_imports",
)  # fmt: skip


def list_slots(market: str, interval: str) -> list[int]:
    """Return the times at which bars of a market can start, and a few at which none should."""
    known = load_sessions(SHIPPED.choose(market))
    length, start = INTERVALS[interval], int(FIRST.timestamp())
    if interval in ("1d", "1w"):
        days = known.days[np.searchsorted(known.days, start // 86_400) :]
        picked = days[: GRIDS[market, interval]]
        return [int(day) * 86_400 for day in (picked[::5] if interval == "1w" else picked)]
    grid = start + length * np.arange(GRIDS[market, interval])
    rows = np.searchsorted(known.closes, grid, side="right")
    inside = known.opens[rows] <= grid
    inside[::97] = True
    return [int(time) for time in grid[inside]]


def draw_arrivals(rng: np.random.Generator, slots: dict[str, list[int]], kinds: Any) -> Any:
    """Return rounds of arrivals: bars that follow the last ones, with gaps, and sometimes late
    bars.
    """
    places = dict.fromkeys(slots, 0)
    rounds = []
    for number in range(8):
        arrivals = []
        for name, own in slots.items():
            market, interval = kinds[name]
            if number and rng.random() < 0.15:
                continue
            skipped = int(rng.choice([0, 0, 0, 1, 3, len(own) // 12]))
            start = places[name] + skipped
            if number and rng.random() < 0.1:
                start = max(0, start - int(rng.integers(1, 9)))
            stop = start + int(rng.integers(1, max(2, len(own) // 10)))
            picked = np.array(own[start:stop], np.int64)
            picked = picked[rng.random(len(picked)) > rng.choice([0.0, 0.0, 0.2])]
            places[name] = max(places[name], stop)
            arrivals.append(build_arrival(rng, name, market, interval, picked, number))
        rounds.append(arrivals)
    return rounds


def build_arrival(
    rng: np.random.Generator, ticker: str, market: str, interval: str, times: Any, number: int
) -> Arrival:
    now = NOW + timedelta(minutes=number)
    close = 100 + rng.integers(-3, 3, len(times)) / 4
    columns: Columns = {"times": times, "open": close, "high": close, "low": close}
    columns |= {"close": close, "volume": rng.integers(0, 2, len(times)) * 7.0}
    chosen = SHIPPED.choose(market)
    rejected = []
    if rng.random() < 0.3:
        said: dict[str, Any] = {"row": 1, "time": None, "reason": "bad_time", "values": {"n": "1"}}
        rejected.append(build_rejected(ticker, interval, **said, source="feed:x", now=now))
    known = load_sessions(chosen)
    splits = {int(times[0]) // 86_400: 2.0} if len(times) and rng.random() < 0.1 else {}
    import_id = f"import {number}" if rng.random() < 0.5 else None
    said = (columns, splits, rejected, False, import_id)
    return Arrival(ticker, chosen, interval, "feed:x", now, known, *said)


def write_slowly(database: Db, arrivals: list[Arrival], session: Any) -> None:
    for arrival in arrivals:
        write_in(database, arrival, session)


def write_at_once(database: Db, arrivals: list[Arrival], session: Any) -> None:
    write_all(database, arrivals, session)


def check_coverage(database: Db) -> None:
    """Check that the coverage that was updated as bars came equals the one measured over all
    bars.
    """
    for series in database.series.find():
        known = load_sessions(SHIPPED.choose(series["market"]))
        first, last = (int(series[end].timestamp()) for end in ("first_bar", "last_bar"))
        held = measure_held(
            read_times(database, series), series["interval"], known, first=first, last=last
        ).count()
        for name in ("sessions", "missing", "bars_expected", "bars_held"):
            assert series["coverage"][name] == held[name], (series["_id"], name)


def write_rounds(
    database: Db, rounds: list[list[Arrival]], write: Callable[[Db, list[Arrival], Any], None]
) -> dict[str, list[Document]]:
    """Write the rounds to an empty database; return all it holds."""
    for name in COLLECTIONS:
        database[name].delete_many({})
    for number, name in enumerate(sorted({one.ticker for part in rounds for one in part})):
        time = FIRST + timedelta(days=number % 5)
        database.anomalies.insert_one(
            {"_id": f"{name}-{number}", "Ticker": name, "Datetime": time, "bars_gone_at": NOW}
            | {"interval": next(a.interval for part in rounds for a in part if a.ticker == name)}
        )
    for number, arrivals in enumerate(rounds):
        in_transaction(database, lambda session, part=arrivals: write(database, part, session))
        # Some gaps are handled meanwhile.
        for place, gap in enumerate(database.gaps.find().sort("_id", 1)):
            if (place + number) % 4 == 0:
                state = ("filling", "error", "expected", "open")[(place // 4) % 4]
                changes = {"state": state, "attempts": number % 2, "run_id": f"run {number}"}
                database.gaps.update_one({"_id": gap["_id"]}, {"$set": changes})
    check_coverage(database)
    # The `_id` of an import contains random characters.
    own = {"bar_imports": {"_id": 0}}
    return {
        name: list(
            database[name].find({}, own.get(name)).sort([("ticker", 1), ("at", 1), ("_id", 1)])
        )
        for name in COLLECTIONS
    }


@pytest.mark.parametrize("seed", slow_but_first(range(6)))
def test_writing_at_once_and_one_by_one_store_the_same(database: Db, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = {f"T{number}{copy}": kind for number, kind in enumerate(GRIDS) for copy in range(3)}
    grids = {kind: list_slots(*kind) for kind in GRIDS}
    slots = {name: grids[kind] for name, kind in kinds.items()}
    rounds = draw_arrivals(rng, slots, kinds)
    wanted = write_rounds(database, rounds, write_slowly)
    found = write_rounds(database, rounds, write_at_once)
    assert min(len(documents) for documents in wanted.values()) > 10
    assert {one["kind"] for one in wanted["bar_revisions"]} == {"changed", "inserted", "split"}
    assert found == wanted


def test_an_older_and_a_newer_series_with_bars_of_the_same_times_differ(database: Db) -> None:
    rng = np.random.default_rng(8)
    slots = np.array(list_slots("CRYPTO", "1m"))
    today, later = slots[2_000:2_050], slots[2_050:2_060]
    # The older one also has bars of the day before; today it lacks the start.
    old = np.concatenate((slots[:100], today))
    rounds = [
        [build_arrival(rng, name, "CRYPTO", "1m", times, number) for name, times in part.items()]
        for number, part in enumerate(
            ({"OLD-USD": old, "NEW-USD": today}, dict.fromkeys(("OLD-USD", "NEW-USD"), later))
        )
    ]
    wanted = write_rounds(database, rounds, write_slowly)
    found = write_rounds(database, rounds, write_at_once)
    assert found == wanted
    missing = {one["ticker"]: one["coverage"]["bars_expected"] for one in found["series"]}
    assert missing["OLD-USD"] > missing["NEW-USD"] == 60


def test_late_bars_of_long_series_keep_no_times_in_memory(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times of a year of minutes are 4 MB, and five hundred series are written at once."""
    rng = np.random.default_rng(9)
    slots = np.array(list_slots("CRYPTO", "1m"))
    kept: list[Any] = []
    measured = writing._Measured
    monkeypatch.setattr(writing, "_Measured", lambda: kept.append(measured()) or kept[-1])

    def write(columns: dict[str, Any]) -> None:
        arrivals = [
            build_arrival(rng, name, "CRYPTO", "1m", times, 0) for name, times in columns.items()
        ]
        in_transaction(database, lambda session: write_at_once(database, arrivals, session))

    names = [f"C{number}-USD" for number in range(4)]
    write({name: np.delete(slots, [50, 60 + place]) for place, name in enumerate(names)})
    kept.clear()
    write(dict.fromkeys(names, slots[50:51]))
    assert {one["bars"] for one in database.series.find()} == {len(slots) - 1}
    keys = [key for one in kept for key in (*one.held, *one.later)]
    assert len(keys) == 4
    assert sum(len(part) for key in keys for part in key if isinstance(part, bytes)) < 1_000

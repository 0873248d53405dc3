"""Two beats, a beat that hangs, and slots that pass while nothing runs."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from records.work.watchlists import add_watchlist, get_watchlist
from runner.programs import beat_command
from tasks.names import BACKFILL_QUEUE
from tasks.periodic.scans import scan_due
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.faults.stack import SERVICE, Program
from tests.faults.trial import TICKERS, Trial
from tests.processes import wait_until

pytestmark = pytest.mark.faults

WATCHLISTS = {f"list{number}": TICKERS[8 * number : 8 * number + 8] for number in range(8)}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def second_beat(trial: Trial) -> Iterator[str]:
    """A second beat beside the first one."""
    folder = trial.stack.folder / "beat2"
    folder.mkdir(exist_ok=True)
    trial.stack.programs["beat2"] = Program(beat_command(folder), {"LOG_LEVEL": "debug"})
    trial.stack.start("beat2")
    yield "beat2"
    trial.stack.kill("beat2")
    del trial.stack.programs["beat2"]


def test_two_beats_one_of_them_frozen_neither_lose_nor_double(
    trial: Trial, second_beat: str
) -> None:
    """While one beat hangs, the other's sweeps recover what is lost; when it wakes up, nothing is
    done twice.
    """
    wait_until(lambda: "Sending due task" in trial.stack.said(second_beat), "the second beat sends")
    with trial.stack.frozen("beat"):
        lose_messages(trial)
        with trial.recovering("messages lost with one of two beats frozen"):
            trial.wait_for_end()
    lose_messages(trial)
    with trial.recovering("messages lost with two beats"):
        trial.wait_for_end()
    trial.check()


def lose_messages(trial: Trial) -> None:
    """Request a backfill and delete its batches' messages while some of them wait."""
    trial.wait_for_lease(trial.backfill())
    trial.stack.broker.delete(BACKFILL_QUEUE)


def test_slots_missed_while_everything_was_down_are_one_scan_of_each_watchlist(
    trial: Trial, second_beat: str
) -> None:
    """Of 72 slots that passed while nothing ran, each watchlist is scanned once, for the latest,
    though two beats tick.
    """
    down = (*SERVICE, "redis", second_beat)
    trial.stack.kill(*down)
    now = datetime.now(UTC)
    # The watchlists are due hourly, and none of them while this test runs.
    latest = now.replace(second=0, microsecond=0) - timedelta(minutes=30)
    for name, tickers in WATCHLISTS.items():
        schedule = f"{latest.minute} * * * *"
        add_watchlist(
            trial.database, name, build_fields(tickers, schedule), now - timedelta(hours=72)
        )
    with trial.recovering("everything but MongoDB down while 72 slots passed"):
        trial.stack.start(*down)
        wait_until(
            lambda: len(find_slots(trial, status="complete")) == len(WATCHLISTS), "all are scanned"
        )
    trial.end_scans()
    assert find_slots(trial) == Counter((name, latest) for name in WATCHLISTS)
    trial.check()


@pytest.mark.parametrize(
    ("night", "slots"),
    [
        # 02:30 does not exist on this night: its slot comes when the clock is set from 02:00 to
        # 03:00.
        (
            datetime(2026, 3, 8, 5, tzinfo=UTC),
            ["2026-03-08T06:30", "2026-03-08T07:00", "2026-03-08T07:30"],
        ),
        # 01:30 comes twice: the first one counts.
        (
            datetime(2026, 11, 1, 4, tzinfo=UTC),
            ["2026-11-01T05:30", "2026-11-01T07:30", "2026-11-01T08:30"],
        ),
    ],
    ids=["forward", "back"],
)
def test_the_night_the_clock_changes_has_one_scan_a_slot(
    trial: Trial, night: datetime, slots: list[str]
) -> None:
    """With a watchlist due at 01:30, 02:30 and 03:30 of New York, and two beats, each slot is
    scanned once.
    """
    # A tick of the running beats would use the real clock.
    trial.stack.kill("beat", "control")
    add_watchlist(trial.database, "nightly", build_fields(TICKERS[:8], "30 1,2,3 * * *"), night)
    with build_celery(trial.stack.settings) as celery, ThreadPoolExecutor() as pool:
        worker = Worker(trial.stack.settings, trial.database, celery, "ticking")
        for minutes in range(0, 5 * 60, 10):
            now = night + timedelta(minutes=minutes)
            for accepted in pool.map(lambda _, now=now: scan_due(worker, now), range(2)):
                for run_id in accepted:
                    trial.wait_for_end(run_id)
    trial.end_scans()
    assert [f"{slot:%Y-%m-%dT%H:%M}" for _, slot in sorted(find_slots(trial).elements())] == slots
    trial.check()


def test_each_minute_has_one_scan_while_one_beat_freezes_and_the_other_is_killed(
    trial: Trial, second_beat: str
) -> None:
    """With two beats, one frozen in one minute and the other killed in the next, each slot is
    scanned once.
    """
    trial.add_watchlist("minutely", *TICKERS[:8], schedule="* * * * *")
    added = get_watchlist(trial.database, "minutely")["created_at"]
    first = added.replace(second=0, microsecond=0) + MINUTE
    slots = [first, first + MINUTE]
    with trial.stack.frozen("beat"):
        wait_until(
            lambda: ("minutely", slots[0]) in find_slots(trial), "the first slot is scanned", 120
        )
    trial.stack.kill(second_beat)
    wait_until(
        lambda: ("minutely", slots[1]) in find_slots(trial), "the second slot is scanned", 120
    )
    trial.end_scans()
    trial.wait_for_end()
    scanned = find_slots(trial)
    assert set(scanned.values()) == {1}
    assert {("minutely", slot) for slot in slots} <= scanned.keys()
    trial.check()


def build_fields(tickers: tuple[str, ...], schedule: str) -> dict[str, object]:
    """Return the fields of a watchlist as the API stores them."""
    common = {
        "markets": ["US"],
        "interval": "1d",
        "delay_minutes": 0,
        "threshold": None,
        "enabled": True,
    }
    return common | {"tickers": list(tickers), "schedule": schedule}


def find_slots(trial: Trial, **query: str) -> Counter[tuple[str, datetime]]:
    """Return how many scans each watchlist has of each slot."""
    scans = trial.database.detection_runs.find({"trigger": "scheduler", "run_id": None} | query)
    return Counter((scan["watchlist"], parse_slot(scan["idempotency_key"])) for scan in scans)


def parse_slot(key: str) -> datetime:
    return datetime.fromisoformat(key.rpartition(" at ")[2])

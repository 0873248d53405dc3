"""MongoDB loses its primary, or its majority."""

import time
from uuid import uuid4

import pytest

from records.work.requests import INSERT_SECONDS
from tests.faults.stack import MEMBERS
from tests.faults.trial import TICKERS, Trial
from tests.integration.serving import post
from tests.processes import wait_until


@pytest.mark.faults
def test_a_primary_stepped_down_twice_and_killed_while_writing_loses_nothing(trial: Trial) -> None:
    """Whichever primary gets the writes, each takes effect once; a run continues with the next
    primary.
    """
    for _ in range(2):
        trial.wait_for_lease(trial.backfill())
        with trial.recovering("primary stepped down"):
            trial.stack.step_down()
    trial.wait_for_lease(trial.backfill())
    killed = trial.stack.find_primary()
    with trial.recovering("primary killed (-9) while writing"):
        trial.stack.kill(killed)
    trial.stack.start(killed)
    trial.check()


@pytest.mark.faults
def test_a_frozen_primary_is_only_a_delay(trial: Trial) -> None:
    """A primary that hangs without closing its connections is given up, and the run continues with
    the next one.
    """
    trial.wait_for_lease(trial.backfill())
    frozen = trial.stack.find_primary()
    with trial.recovering("primary frozen (SIGSTOP)"), trial.stack.frozen(frozen):
        trial.wait_for_end()
    trial.check()


@pytest.mark.faults
def test_a_backfill_is_refused_in_time_without_a_majority_and_accepted_once_with_it(
    trial: Trial,
) -> None:
    """While MongoDB cannot confirm a write, a POST is answered 503 in time; repetitions with the
    same key become one run.
    """
    url, body = f"{trial.url}/anomalies/backfill", {"tickers": TICKERS, "max_period": "max"}
    key = {"Idempotency-Key": uuid4().hex}
    primary = trial.stack.find_primary()
    with trial.stack.frozen(*(name for name in MEMBERS if name != primary)):
        started = time.monotonic()
        assert post(url, body, **key)[0] == 503
        # Otherwise a transaction would be tried again for two minutes.
        assert time.monotonic() - started < 4 * INSERT_SECONDS

    def ask() -> str | None:
        status, answer = post(url, body, **key)
        assert status in {202, 503}, answer
        return answer["run_id"] if status == 202 else None

    with trial.recovering("MongoDB without a majority during a POST"):
        trial.run_ids.append(wait_until(ask, "the run is accepted") or "")
        trial.wait_for_end()
    assert ask() == trial.run_ids[-1]
    trial.check()

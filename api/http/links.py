"""Addresses of related resources in documents."""

from flask import url_for

from api.http.state import get_database, get_now, get_state
from records.work.documents import RunDocument, ShownRun
from tasks.requests.waiting import Wait, explain_wait


class LinkedRun(ShownRun):
    """A run with the address of its tickers' audit records, its verdicts, and why it waits."""

    tickers_url: str
    verdicts: dict[str, int]
    waits: Wait | None


def link_run(run: ShownRun) -> LinkedRun:
    """Return a run with the address of its tickers' audit records, and its outcome."""
    state = get_state()
    return {
        **run,
        "tickers_url": link_tickers(run["_id"]),
        "verdicts": read_verdicts(run),
        "waits": explain_wait(get_database(), run, state.workers, state.settings, get_now()),
    }


def read_verdicts(run: RunDocument) -> dict[str, int]:
    """Return how many anomalies a verification gave which verdict; empty for other runs."""
    verdicts: dict[str, int] = (run.get("result") or {}).get("verdicts", {})
    return verdicts


def link_tickers(run_id: str) -> str:
    """Return the address of the audit records of a run's tickers."""
    return url_for("runs.list_run_tickers", run_id=run_id)

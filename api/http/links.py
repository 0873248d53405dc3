"""Addresses that documents name."""

from flask import url_for

from records.work.documents import ShownRun


class LinkedRun(ShownRun):
    """A run with the address of its tickers' audit records."""

    tickers_url: str


def link_run(run: ShownRun) -> LinkedRun:
    """Return a run with the address of its tickers' audit records."""
    return {**run, "tickers_url": link_tickers(run["_id"])}


def link_tickers(run_id: str) -> str:
    """Return where the audit records of a run's tickers are."""
    return url_for("runs.list_run_tickers", run_id=run_id)

"""Addresses that documents name."""

from flask import url_for

from records.database import Document


def link_run(run: Document) -> Document:
    """Return a run with the address of its tickers' audit records."""
    return run | {"tickers_url": link_tickers(run["_id"])}


def link_tickers(run_id: str) -> str:
    """Return where the audit records of a run's tickers are."""
    return url_for("runs.list_run_tickers", run_id=run_id)

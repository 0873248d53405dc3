"""Stores documents as the service does, for tests that only read them back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from market.bars.buckets import pack_columns, read_columns
from market.markets import SHIPPED
from records.database import Db
from records.work.requests import RunRequest, insert_run
from records.work.watchlists import add_watchlist

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def add_series(database: Db, *tickers: str, interval: str = "1d", bars: int = 900) -> None:
    """Add series documents without bars, which is enough for code that only asks which series
    exist.
    """
    database.series.insert_many(
        {
            "_id": f"{ticker}::{interval}",
            "ticker": ticker,
            "interval": interval,
            "market": SHIPPED.get_of(ticker).code,
            "timezone": SHIPPED.get_of(ticker).timezone,
            "bars": bars,
            "first_bar": datetime(2010, 1, 4, tzinfo=UTC),
            "last_bar": datetime(2013, 7, 31, tzinfo=UTC),
            "counts": {},
            "splits": [],
            "revision": 0,
            "fingerprint": "sha256:00",
            "synthetic": True,
            "updated_at": NOW,
        }
        for ticker in tickers
    )


def add_list(database: Db, name: str, *tickers: str) -> None:
    """Create a watchlist of tickers of one market."""
    markets = sorted({SHIPPED.get_of(ticker).code for ticker in tickers})
    fields = {"tickers": list(tickers), "markets": markets, "interval": "1d", "enabled": True}
    add_watchlist(
        database,
        name,
        fields | {"schedule": "after_close", "delay_minutes": 5, "threshold": None},
        NOW,
    )


def add_run(database: Db, *tickers: str, task: str = "backfill", now: datetime = NOW) -> str:
    """Write a queued run and return its id."""
    trigger = "backfill" if task == "backfill" else "manual"
    request = RunRequest(task, trigger, tickers=tickers, period="5y")  # type: ignore[arg-type]
    run_id: str = insert_run(database, request, now)["_id"]
    return run_id


def change_bars(database: Db, query: dict[str, Any], name: str, row: int, value: float) -> None:
    """Change one value in the last bucket that a query finds, without updating its series
    document.
    """
    bucket = database.bars.find_one(query, sort=[("span", -1)])
    assert bucket is not None
    columns = read_columns(bucket)
    columns[name] = np.array(columns[name])
    columns[name][row] = value
    own = {"_id": bucket["_id"]}
    database.bars.update_one(own, {"$set": {"columns": pack_columns(columns)}})


def tear_bars(database: Db, query: dict[str, Any]) -> None:
    """Cut off the end of the last bucket that a query finds."""
    bucket = database.bars.find_one(query, sort=[("span", -1)])
    assert bucket is not None
    own = {"_id": bucket["_id"]}
    database.bars.update_one(own, {"$set": {"columns": bucket["columns"][:-3]}})


def ids(items: Sequence[dict[str, object]]) -> list[object]:
    return [item["_id"] for item in items]

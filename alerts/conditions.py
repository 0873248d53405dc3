"""Market conditions: what markets did at an anomaly's bar, and lately."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from analytics.conditions import WEEK_BARS, describe_conditions
from market.intervals import INTERVALS
from records.analytics.documents import MarketSnapshotDocument
from records.analytics.markets import find_market_snapshots
from records.analytics.snapshots import find_snapshots
from records.database import Db


def find_conditions(
    database: Db, market: str, ticker: str, interval: str, time: datetime
) -> dict[str, Any] | None:
    """Return the conditions at a bar with their source; None if the market was not computed at that
    very bar.

    They are not stored with the anomaly, which is never rewritten and must be derived again to the
    last bit: a market's snapshots may be computed again, and those of shorter bars expire.
    """
    bars = find_market_snapshots(database, market, interval, as_of=time, limit=WEEK_BARS)
    if not bars or bars[0]["time"] != time:
        return None
    fields = ("values.regime",)
    own = find_snapshots(database, ticker, interval, as_of=time, start=time, fields=fields)
    regime = own[0]["values"].get("regime") if own else None
    return describe_conditions(_keep_near(bars, interval), regime, interval) | _describe_origin(
        bars[0]
    )


def find_market_conditions(
    database: Db, market: str, interval: str, time: datetime
) -> dict[str, Any] | None:
    """Return the conditions of a market at a bar, not of one ticker; None if the market was not
    computed at that very bar.
    """
    bars = find_market_snapshots(database, market, interval, as_of=time, limit=WEEK_BARS)
    if not bars or bars[0]["time"] != time:
        return None
    return describe_conditions(_keep_near(bars, interval), None, interval) | _describe_origin(
        bars[0]
    )


def find_overview(database: Db, markets: Sequence[str], interval: str) -> list[dict[str, Any]]:
    """Return what each market did at its latest computed bar, in the order of the markets; markets
    without any are left out.
    """
    found = []
    for market in markets:
        bars = find_market_snapshots(database, market, interval, limit=WEEK_BARS)
        if bars:
            told = describe_conditions(_keep_near(bars, interval), None, interval)
            del told["regime"]  # of a series, and here is none
            origin = _describe_origin(bars[0])
            found.append({"market": market, "tickers": bars[0]["tickers"], **told, **origin})
    return found


def _keep_near(
    bars: Sequence[MarketSnapshotDocument], interval: str
) -> list[MarketSnapshotDocument]:
    """Keep the bars of the same week as the first: with a weekend, five bars lie within twice their
    length. Return nothing for a week with missing bars.
    """
    since = bars[0]["time"] - timedelta(seconds=2 * WEEK_BARS * INTERVALS[interval])
    return [bar for bar in bars if bar["time"] > since]


def _describe_origin(bar: MarketSnapshotDocument) -> dict[str, Any]:
    return {"set": bar["set"], "computed_at": bar["computed_at"], "run_id": bar["run_id"]}

"""Writes stored data in the shapes of ccxt's unified API, for programs that were written for it."""

from collections.abc import Sequence
from typing import Any

from market.ticks.fields import to_datetime
from records.ticks.chunks import Trade
from records.ticks.documents import FundingFields


def write_time(time: int) -> dict[str, Any]:
    """Return a time (microseconds) as `timestamp` in milliseconds and `datetime` in ISO 8601."""
    text = to_datetime(time).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"timestamp": time // 1_000, "datetime": text}


def write_trade(ticker: str, trade: Trade) -> dict[str, Any]:
    """Return a trade as `fetch_trades` has it."""
    return {
        "id": trade.id,
        **write_time(trade.time),
        "symbol": ticker,
        "order": None,
        "type": None,
        "side": None if trade.side == "unknown" else trade.side,
        "takerOrMaker": None,
        "price": trade.price,
        "amount": trade.amount,
        "cost": trade.price * trade.amount,
        "fee": None,
        "fees": [],
        "info": {},
    }


def write_candle(
    time: int, prices: tuple[float, float, float, float], volume: float
) -> tuple[int, float, float, float, float, float]:
    """Return a candle as `fetch_ohlcv` has it; `time` is in microseconds."""
    return (time // 1_000, *prices, volume)


def write_book(
    ticker: str,
    time: int,
    sequence: int,
    bids: Sequence[tuple[float, float]],
    asks: Sequence[tuple[float, float]],
) -> dict[str, Any]:
    """Return a snapshot as `fetch_order_book` has it."""
    sides = {"bids": [list(level) for level in bids], "asks": [list(level) for level in asks]}
    return {"symbol": ticker, **sides, **write_time(time), "nonce": sequence or None}


def write_funding(ticker: str, rate: FundingFields) -> dict[str, Any]:
    """Return a funding rate as `fetch_funding_rate_history` has it, with further fields."""
    hours, following = rate["interval_hours"], rate["next_time"]
    return {
        "symbol": ticker,
        "fundingRate": rate["rate"],
        **write_time(rate["time"]),
        "markPrice": rate["mark_price"],
        "indexPrice": rate["index_price"],
        "nextFundingTimestamp": None if following is None else following // 1_000,
        "interval": None if hours is None else f"{hours:g}h",
        "info": {},
    }

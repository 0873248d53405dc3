"""Trades are aggregated to candles as pandas would resample them."""

from random import Random

import pandas as pd
import pytest

from market.ticks.candles import add_up
from records.ticks.chunks import Trade

START = 1_767_600_000_000_000


def make_trades(count: int, seed: int) -> list[Trade]:
    random = Random(seed)
    times = sorted(START + random.randrange(3_600_000_000) for _ in range(count))
    return [
        Trade(time, str(n), random.randrange(1, 10_000) / 8, random.randrange(1, 64) / 8, "buy")
        for n, time in enumerate(times)
    ]


@pytest.mark.parametrize(("rule", "seconds"), [("1min", 60), ("15min", 900), ("1D", 86_400)])
def test_candles_equal_those_of_pandas(rule: str, seconds: int) -> None:
    trades = make_trades(700, seed=seconds)
    frame = pd.DataFrame(trades, columns=list(Trade._fields))
    frame.index = pd.to_datetime(frame.pop("time"), unit="us", utc=True)
    frame["quote"] = frame["price"] * frame["amount"]
    groups = frame.resample(rule)
    wanted = (
        groups["price"]
        .ohlc()
        .assign(
            volume=groups["amount"].sum(), quote=groups["quote"].sum(), count=groups["id"].count()
        )
    )
    wanted = wanted[wanted["count"] > 0]
    found = list(add_up(trades, seconds))
    assert [c.time for c in found] == [int(t.timestamp() * 1_000_000) for t in wanted.index]
    # Sums of eighths of small numbers are exact, in whatever order.
    assert [list(c[1:]) for c in found] == wanted.to_numpy().tolist()


def test_no_trades_make_no_candle() -> None:
    assert list(add_up([], 60)) == []

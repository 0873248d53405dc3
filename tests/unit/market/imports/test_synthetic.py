"""Synthetic bars look like bars."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.rows import read_rows
from market.imports.settling import settle_frame
from market.imports.sources.synthetic import make_bars
from market.markets import SHIPPED

END = datetime(2024, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize("interval", ["1d", "1h", "5m", "1w"])
@pytest.mark.parametrize("market", ["US", "JP", "TH"])
def test_every_bar_passes_the_checks(market: str, interval: str) -> None:
    suffix = SHIPPED[market].suffix
    frame = make_bars(
        [f"A{suffix}", f"B{suffix}"], SHIPPED[market], bars=300, end=END, seed=1, interval=interval
    )
    tickers = read_rows(
        settle_frame(frame), interval=interval, ticker=None, market=None, markets=SHIPPED, now=END
    )
    assert [(rows.ticker, len(rows.columns["times"]), rows.rejected) for rows in tickers] == [
        (f"A{suffix}", 300, []),
        (f"B{suffix}", 300, []),
    ]


def test_same_seed_same_bars() -> None:
    first, second, other = (
        make_bars(["A"], SHIPPED["US"], bars=50, end=END, seed=seed) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, second)
    assert not first["close"].equals(other["close"])


def test_returns_have_fat_tails_and_volatility_clusters() -> None:
    frame = make_bars([f"T{n}" for n in range(40)], SHIPPED["US"], bars=2_500, end=END, seed=1)
    close = frame["close"].to_numpy().reshape(40, 2_500)
    returns = np.diff(np.log(close), axis=1)
    kurtosis = ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2
    size = np.abs(returns)
    clustering = np.mean([np.corrcoef(row[:-1], row[1:])[0, 1] for row in size])
    assert 0.01 < returns.std() < 0.04
    assert kurtosis > 5
    assert clustering > 0.1


def test_a_request_for_more_bars_than_the_calendar_has_is_refused() -> None:
    with pytest.raises(BadInput, match="calendar of market JP has"):
        make_bars(["A.T"], SHIPPED["JP"], bars=100_000, end=END, seed=1)

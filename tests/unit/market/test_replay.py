"""The synthetic day that `make feed-demo` replays."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from market.imports.sources.replay import (
    BARS_A_DAY,
    EVENTS,
    HISTORY_DAYS,
    TICKERS,
    make_replay,
)

NOW = datetime(2026, 1, 5, 12, 3, tzinfo=UTC)


@pytest.mark.slow
def test_a_month_and_the_day_after_it_end_before_now() -> None:
    history, day = make_replay(NOW)
    assert len(day) == BARS_A_DAY * len(TICKERS)
    assert len(history) >= HISTORY_DAYS * BARS_A_DAY * len(TICKERS)
    assert day["time"].max() + pd.Timedelta("5min") <= NOW
    assert day["time"].max() > NOW - timedelta(days=1)
    assert (np.diff(np.unique(pd.concat([history, day])["time"])) == np.timedelta64(300, "s")).all()
    assert day["time"].is_monotonic_increasing
    both = pd.concat([history, day])
    prices = both[["open", "high", "low", "close"]]
    assert (prices.max(axis=1) == both["high"]).all()
    assert (prices.min(axis=1) == both["low"]).all()


def test_the_planted_events_stand_out_of_the_day() -> None:
    _, day = make_replay(NOW)
    for event in EVENTS:
        for ticker in TICKERS if event.ticker is None else (event.ticker,):
            own = day[day["ticker"] == ticker].reset_index(drop=True)
            moves = (own["close"] / own["close"].shift()).to_numpy()[1:] - 1
            usual = np.median(np.abs(moves))
            assert np.sign(moves[event.bar - 1]) == np.sign(event.move)
            assert abs(moves[event.bar - 1]) > 8 * usual, event

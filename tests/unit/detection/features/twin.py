"""The features by slow, obvious pandas code, written from the table of definitions: the oracle."""

import numpy as np
import pandas as pd

from core.arrays import Float64
from detection.features.compute import Features
from market.bars.panel import BarPanel
from market.imports.sources.demo import read_demo

PRICES = ["open", "high", "low", "close"]


def compute_twin(bars: pd.DataFrame, *, intraday: bool = False) -> pd.DataFrame:
    """Return the 14 features of one series; recursions begin at its first row. NaN where a window
    is not full.
    """
    open_, high, low, close = (bars[name] for name in PRICES)
    before = close.shift(1)
    true_range = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(
        axis=1
    )
    flat = close.rolling(20).max() == close.rolling(20).min()
    deviation = close.rolling(20).apply(np.std, raw=True).where(~flat, 0.0)
    change = close.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    macd = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    body = (close - open_).abs()
    upper = high - np.maximum(open_, close)
    lower = np.minimum(open_, close) - low
    return pd.DataFrame(
        {
            "return_1": close / close.shift(1) - 1,
            "return_3": close / close.shift(3) - 1,
            "return_6": close / close.shift(6) - 1,
            "zscore_20": ((close - close.rolling(20).mean()) / deviation).where(deviation > 0, 0.0),
            "ATR_14": true_range.ewm(alpha=1 / 14, adjust=False).mean(),
            "bb_width": 4 * deviation,
            "RSI": (100 * gain / (gain + loss)).where(gain + loss > 0, 50.0),
            "MACD": macd,
            "MACD_hist": macd - macd.ewm(span=9, adjust=False).mean(),
            "VWAP": _weigh(bars, intraday=intraday),
            "body": body,
            "upper_wick": upper,
            "lower_wick": lower,
            "wick_ratio": (upper + lower) / np.maximum(body, close / 10000),
        }
    )


def compute_twin_inputs(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the feature sets `two_yardsticks` and `events`, the latter without the
    market, before rounding to the grid.
    """
    open_, high, low, close, volume = (bars[name] for name in [*PRICES, "volume"])
    before = close.shift(1)
    true_range = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(
        axis=1
    )
    relative = (true_range / before).iloc[1:].to_numpy()
    lately = [(high[0] - low[0]) / close[0]]
    for share in relative:
        lately.append(lately[-1] * 13 / 14 + min(share, 3 * max(lately[-1], 1e-4)) / 14)
    fast = np.maximum(pd.Series(lately).shift(1), 1e-4)
    shares = volume.to_numpy()
    # In the slower yardsticks, the range of a bar counts as the whole price at most.
    whole = relative.clip(max=1.0)
    slow, steady, usual_volume = np.full((3, len(bars)), np.nan)
    for t in range(11, len(bars)):
        tens = (t - 1) // 10
        slow[t] = max(np.mean(whole[t - 1 - 10 * min(tens, 25) : t - 1] ** 0.25) ** 4, 1e-4)
        quarter = np.mean(whole[t - 1 - 10 * min(tens, 6) : t - 1] ** 0.25) ** 4
        steady[t] = np.sqrt(slow[t] * max(quarter, 1e-4))
        usual_volume[t] = shares[t - 10 * min(tens, 6) : t].mean()
    wick = np.maximum(high - np.maximum(open_, close), np.minimum(open_, close) - low) / before
    times_volume = np.where(
        usual_volume > 0, shares / np.where(usual_volume > 0, usual_volume, 1.0), 1.0
    )

    def depart(yardstick: np.ndarray) -> np.ndarray:
        parts = (true_range / before / yardstick, 2 * wick / yardstick, 0.8 * times_volume)
        return np.sqrt(np.maximum.reduce(parts))

    return pd.DataFrame(
        {
            "return_fast": np.sqrt((close / before - 1).abs() / fast),
            "return_slow": np.sqrt((close / before - 1).abs() / slow),
            "gap_fast": np.sqrt((open_ / before - 1).abs() / fast),
            "departure_fast": depart(fast.to_numpy()),
            "departure_slow": depart(slow),
            "event_steady": np.maximum(depart(steady), np.sqrt(1.5)),
        }
    )


def compute_twin_clock_inputs(bars: pd.DataFrame, window_bars: int) -> pd.DataFrame:
    """Return the columns of the feature set `time_of_day`, before rounding to the grid."""
    before = bars["close"].shift(1)
    high, low = np.maximum(bars["high"], before), np.minimum(bars["low"], before)
    true_range = (high - low) / before
    wick = np.maximum(
        bars["high"] - bars[["open", "close"]].max(axis=1),
        bars[["open", "close"]].min(axis=1) - bars["low"],
    )
    returned = (bars["close"] / before - 1).abs()
    usual = np.full((len(bars), 4), np.nan)
    parts = (true_range, returned, bars["volume"])
    for t in range(1, len(bars)):
        earlier = np.flatnonzero(bars["clock"].to_numpy()[:t] == bars["clock"].iloc[t])
        earlier = earlier[(earlier > max(t // 128 * 128 - window_bars, 0))][-20:]
        if len(earlier) >= 10:
            second = [values.iloc[earlier].nlargest(2).iloc[-1] / 2 for values in parts]
            usual[t] = *second, (true_range.iloc[earlier].clip(upper=1.0) ** 0.25).mean()
    known = ~np.isnan(usual[:, 0])
    roots = (true_range.clip(upper=1.0) ** 0.25).to_numpy()
    unrest = np.ones(len(bars))
    for t in range(20, len(bars)):
        lately = [j for j in range(t - 20, t) if known[j]]
        if lately and usual[lately, 3].sum() > 0:
            ratio = (roots[lately].sum() / usual[lately, 3].sum()) ** 4
            unrest[t] = min(max(ratio, 1 / 127), 127)
    slow = np.maximum(usual[:, 0], 1e-4)
    fast = np.maximum(slow * unrest, 1e-4)
    change = np.maximum(usual[:, 1], slow / 2)
    loud = np.where(
        usual[:, 2] > 0, bars["volume"] / np.where(usual[:, 2] > 0, usual[:, 2], 1.0), 1.0
    )

    def depart(yardstick: np.ndarray) -> np.ndarray:
        parts = (true_range / yardstick, 2 * wick / before / yardstick, 0.8 * loud)
        return np.sqrt(np.maximum.reduce(parts))

    columns = {
        "clock_return_fast": np.sqrt(np.maximum(returned / (change * unrest), 1.0)),
        "clock_return_slow": np.sqrt(np.maximum(returned / change, 1.0)),
        "clock_span_fast": depart(fast),
        "clock_span_slow": depart(slow),
    }
    return pd.DataFrame({name: np.where(known, column, 1.0) for name, column in columns.items()})


def mark_twin_still(bars: pd.DataFrame) -> np.ndarray:
    """Return which bars stand still (repeat the one before), one after another."""
    marks = []
    for t, bar in enumerate(bars[[*PRICES, "volume"]].itertuples(index=False)):
        idle = bar.volume == 0 and len({bar.open, bar.high, bar.low, bar.close}) == 1
        if t > 0:
            before = bars.iloc[t - 1]
            same = all(getattr(bar, name) == before[name] for name in PRICES)
            idle = idle or (same and bar.volume in (0, before["volume"]))
            idle = idle or bar.high == bar.low == before["close"]
        marks.append(idle)
    return np.array(marks)


def draw_sessions(seed: int, sessions: int, per_session: int) -> pd.DataFrame:
    """Return random bars whose sessions have a shape: a jump at the open, high range and volume at
    both ends, a quiet noon.
    """
    random = np.random.default_rng(seed)
    count = sessions * per_session
    place = np.arange(count) % per_session
    shape = 0.6 + 1.6 * (2 * place / (per_session - 1) - 1) ** 2
    scale = 0.001 * shape * np.exp(np.repeat(random.normal(0, 0.3, sessions), per_session))
    jump = np.where(
        place == 0, random.standard_t(4, count) * 0.006, random.normal(0, 0.05, count) * scale
    )
    close = 100 * np.exp(np.cumsum(random.standard_t(4, count) * scale + jump))
    open_ = np.append(100.0, close[:-1]) * np.exp(jump)
    reach = np.abs(random.normal(0, 0.5, (2, count))) * scale
    volume = random.lognormal(10, 0.4, count) * shape**2
    bars = {"open": open_, "high": np.maximum(open_, close) * (1 + reach[0])}
    bars |= {
        "low": np.minimum(open_, close) * (1 - reach[1]),
        "close": close,
        "volume": volume.round(),
    }
    return pd.DataFrame(bars | {"session": np.arange(count) // per_session, "clock": 100 + place})


def _weigh(bars: pd.DataFrame, *, intraday: bool) -> pd.Series:
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    money = typical * bars["volume"]
    if intraday:
        session = bars["session"]
        shares = bars["volume"].groupby(session).cumsum()
        plain = typical.groupby(session).expanding().mean().droplevel(0).sort_index()
        return (money.groupby(session).cumsum() / shares).where(shares > 0, plain)
    shares = bars["volume"].rolling(20).apply(np.sum, raw=True)
    return (money.rolling(20).apply(np.sum, raw=True) / shares).where(
        shares > 0, typical.rolling(20).mean()
    )


def document_all(features: Features) -> Float64:
    """Return the documented features of all bars."""
    return features.document(np.arange(features.rows.size))


def build_panel(*series: pd.DataFrame, interval: str = "1d", start: int = 0) -> BarPanel:
    """Return a panel of the series' rows from position `start` on."""
    cut = [bars.iloc[start:] for bars in series]
    whole = pd.concat(cut, ignore_index=True)
    sessions = whole["session"] if "session" in whole else pd.Series(np.arange(len(whole)))
    columns = (whole[name].to_numpy(np.float64) for name in [*PRICES, "volume"])
    return BarPanel(
        interval,
        tuple(f"T{position}" for position in range(len(series))),
        np.cumsum([0, *map(len, cut)], dtype=np.int64),
        np.full(len(series), start, np.int64),
        np.arange(len(whole), dtype=np.int64),
        sessions.to_numpy(np.int64),
        (whole["clock"] if "clock" in whole else pd.Series(np.zeros(len(whole)))).to_numpy(
            np.int64
        ),
        *columns,
    )


def read_real_bars() -> dict[str, pd.DataFrame]:
    """Return real daily bars by ticker, as quoted."""
    frame = read_demo()
    frame.columns = frame.columns.str.lower()
    return {
        str(ticker): (
            bars.sort_values("date").reset_index(drop=True)[[*PRICES, "volume"]].astype(float)
        )
        for ticker, bars in frame.groupby("ticker")
    }


def draw_bars(
    seed: int, count: int, *, price: float = 100.0, flat: float = 0.0, idle: float = 0.0
) -> pd.DataFrame:
    """Return random bars; the shares `flat` of them do not move and `idle` have no volume."""
    random = np.random.default_rng(seed)
    still = random.random(count) < flat
    moves = np.where(still, 0.0, random.standard_t(4, count) * 0.02).clip(-0.4, 0.4)
    close = price * np.exp(np.cumsum(moves))
    open_ = np.where(still, close, close * np.exp(random.normal(0, 0.01, count)))
    reach = np.where(still, 0.0, np.abs(random.normal(0, 0.01, (2, count))))
    volume = np.where(random.random(count) < idle, 0.0, random.integers(1, 10**6, count))
    bars = {"open": open_, "high": np.maximum(open_, close) * (1 + reach[0])}
    bars |= {"low": np.minimum(open_, close) * (1 - reach[1]), "close": close, "volume": volume}
    return pd.DataFrame(bars)


def compute_twin_market(series: list[pd.DataFrame]) -> pd.DataFrame:
    """Return `move` and `ratio` of each day of a market, before rounding to the grid, from series
    indexed by day; they have no pause, and all bars have a trade.
    """
    returns = pd.concat([bars["close"].pct_change() for bars in series], axis=1)
    known = returns.notna().sum(axis=1) >= 6
    move = returns.median(axis=1).where(known)
    size = move.abs().dropna()
    # The recursion begins with the first root, and adds each root once its day has passed.
    usual = (size**0.25).ewm(alpha=1 / 14, adjust=False).mean().shift(1)
    ratio = np.sqrt(size / np.maximum(usual**4, 1e-4)).where(np.arange(len(size)) >= 20, 0.0)
    return pd.DataFrame({"move": move, "ratio": ratio.reindex(move.index).fillna(0.0)})

"""Series for the tests of metrics: real, random, flat, gapped, short, intraday."""

import numpy as np
import pandas as pd

from analytics.market import arrange, surround
from analytics.snapshot import Snapshot, compute_snapshots
from analytics.subject import Subject, Taken, build_subject
from market.bars.panel import BarPanel
from market.imports.sources.demo import read_demo

DAY = 86_400
PRICES = ["open", "high", "low", "close"]
YEAR_BARS = 252.0


def read_real_bars() -> dict[str, pd.DataFrame]:
    """Return real daily bars by ticker, as quoted, with their times."""
    frame = read_demo()
    frame.columns = frame.columns.str.lower()
    found = {}
    for ticker, bars in frame.groupby("ticker"):
        own = bars.sort_values("date").reset_index(drop=True)
        times = pd.to_datetime(own["date"]).to_numpy().astype("datetime64[s]").astype(np.int64)
        found[str(ticker)] = own[[*PRICES, "volume"]].astype(float).assign(time=times)
    return found


def draw_bars(
    seed: int, count: int, *, price: float = 100.0, flat: float = 0.0, idle: float = 0.0
) -> pd.DataFrame:
    """Return random daily bars; shares `flat` do not move and `idle` have no volume."""
    random = np.random.default_rng(seed)
    still = random.random(count) < flat
    swing = np.exp(np.cumsum(random.normal(0.0, 0.1, count)).clip(-2.0, 2.0))
    moves = np.where(still, 0.0, random.standard_t(4, count) * 0.01 * swing).clip(-0.4, 0.4)
    close = price * np.exp(np.cumsum(moves))
    gap = np.where(still, 0.0, random.normal(0, 0.005, count))
    open_ = np.concatenate(([price], close[:-1])) * np.exp(gap)
    open_ = np.where(still, close, open_)
    reach = np.where(still, 0.0, np.abs(random.normal(0, 0.01, (2, count))))
    volume = np.where(random.random(count) < idle, 0.0, random.integers(1, 10**6, count) * swing)
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * (1 + reach[0]),
            "low": np.minimum(open_, close) * (1 - reach[1]),
            "close": close,
            "volume": np.rint(volume),
            "time": list_weekdays(count),
        }
    )


def draw_intraday(
    seed: int, sessions: int, *, minutes: int = 60, lost: float = 0.0
) -> pd.DataFrame:
    """Return random bars of New York's hours, a share `lost` of which is missing."""
    days = pd.bdate_range("2024-01-02", periods=sessions)
    local = pd.DatetimeIndex(
        [
            day + pd.Timedelta(minutes=570 + minutes * i)
            for day in days
            for i in range(int(np.ceil(390 / minutes)))
        ]
    ).tz_localize("America/New_York")
    bars = draw_bars(seed, len(local))
    bars["time"] = local.as_unit("s").asi8
    bars["clock"] = local.tz_localize(None).as_unit("s").asi8
    kept = np.random.default_rng(seed + 1).random(len(bars)) >= lost
    return bars[kept].reset_index(drop=True)


def list_weekdays(count: int) -> np.ndarray:
    days = pd.bdate_range("2015-01-05", periods=count)
    return days.as_unit("s").asi8


def build_panel(
    series: dict[str, pd.DataFrame], interval: str = "1d", *, start: int = 0
) -> BarPanel:
    """Return a panel of the rows of each series from position `start` on."""
    cut = [bars.iloc[start:] for bars in series.values()]
    whole = pd.concat(cut, ignore_index=True)
    days = whole["clock"] if "clock" in whole else whole["time"]
    columns = (whole[name].to_numpy(np.float64) for name in [*PRICES, "volume"])
    return BarPanel(
        interval,
        tuple(series),
        np.cumsum([0, *map(len, cut)], dtype=np.int64),
        np.full(len(cut), start, np.int64),
        whole["time"].to_numpy(np.int64),
        days.to_numpy(np.int64) // DAY,
        np.zeros(len(whole), np.int64),  # No metric reads the time of day.
        *columns,
    )


def build(
    series: dict[str, pd.DataFrame],
    rows: list[int] | np.ndarray,
    interval: str = "1d",
    *,
    start: int = 0,
    market: str | None = None,
    **facts: object,
) -> Subject:
    """Return the subject of the panel's `rows`, with its market if one is named."""
    panel = build_panel(series, interval, start=start)
    wanted = np.asarray(rows, np.int64)
    clock = None
    if "clock" in next(iter(series.values())):
        clock = np.concatenate([bars["clock"].iloc[start:].to_numpy() for bars in series.values()])
    around = surround(arrange(panel, market, 0), panel, wanted) if market is not None else None
    years = np.full(wanted.size, YEAR_BARS)
    return build_subject(panel, wanted, bars_per_year=years, clock=clock, around=around, **facts)


def compute(bars: pd.DataFrame, *, interval: str = "1d", **facts: object) -> list[Snapshot]:
    """Return the snapshot of every bar of a series that is alone in its market."""
    rows = np.arange(len(bars))
    return list(compute_snapshots(build({"T": bars}, rows, interval, market="US", **facts)))


def column(snapshots: list[Snapshot], name: str) -> np.ndarray:
    """Return the values of a numeric metric, NaN where it is missing."""
    return np.array(
        [np.nan if s.values[name] is None else s.values[name] for s in snapshots], np.float64
    )


__all__ = ["Taken", "build", "build_panel", "column", "compute", "draw_bars", "draw_intraday"]

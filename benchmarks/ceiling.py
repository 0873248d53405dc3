"""`python -m benchmarks.ceiling`: how many of the known event days could be found at all?

It uses the real bars of bench-quality, with 1 % of each ticker's days flagged, and rankings that
know more than a service can. One compares a day's range with the 60 days before and after it. Two
have learned from the events of all other years how to weigh the columns (logistic regression): one
from the bars before, the other also from the bars after. The events that they miss are news that
the bars hardly show.
"""

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.made import Made
from benchmarks.quality import (
    FIRST_BAR,
    FIRST_YEAR,
    FLAGGED,
    FOLDER,
    Z_BARS,
    compute_moves,
    read_bars,
)
from core.arrays import Bools, Float64

YARDSTICKS = (14, 20, 60, 250)
BOTH_SIDES = (20, 60)


def main() -> None:
    real = Made(read_bars(), pd.read_csv(FOLDER / "events.csv", parse_dates=["date"]))
    moves = pd.concat(
        {t: np.log(b.set_index("date")["close"]).diff() for t, b in real.bars.items()}
    )
    market = moves.groupby(level=1).median()
    before, after = [], []
    for bars in real.bars.values():
        looked_back, looked_ahead = describe(bars, market)
        before.append(looked_back)
        after.append(looked_ahead)
    dates = np.concatenate([bars["date"].to_numpy() for bars in real.bars.values()])
    owners = np.repeat(np.arange(len(real.bars)), [len(bars) for bars in real.bars.values()])
    told = pd.MultiIndex.from_frame(real.events[["ticker", "date"]])
    tickers = np.array(list(real.bars))[owners]
    events = pd.MultiIndex.from_arrays([tickers, dates]).isin(told)
    years = pd.DatetimeIndex(dates).year.to_numpy()
    places = np.concatenate([np.arange(len(bars)) for bars in real.bars.values()])
    judged = (years >= FIRST_YEAR) & (places >= FIRST_BAR)
    past, both = (
        np.concatenate(before),
        np.column_stack((np.concatenate(before), np.concatenate(after))),
    )
    rankings = {
        "absolute log return": _join(real, None),
        f"z-score of {Z_BARS} days": _join(real, Z_BARS),
        "range by 60 days before and after": both[:, -2],
        "learned from the other years' events": learn(past, events, years),
        "the same, bars after the day as well": learn(both, events, years),
    }
    table = Table("ranking", "events found", "of")
    for name, strangeness in rankings.items():
        hits: list[bool] = []
        for owner in range(len(real.bars)):
            own = judged & (owners == owner) & ~np.isnan(strangeness)
            limit = np.quantile(strangeness[own], 1.0 - FLAGGED)
            hits += (strangeness[own & events] >= limit).tolist()
        table.add_row(name, f"{np.mean(hits):.2f}", str(len(hits)))
    Console().print(table)


def _join(real: Made, z_bars: int | None) -> Float64:
    return np.concatenate([compute_moves(bars["close"], z_bars) for bars in real.bars.values()])


def describe(bars: pd.DataFrame, market: pd.Series) -> tuple[Float64, Float64]:
    """Return logarithms of the visible measures of each bar (n, columns): relative to the bars
    before, and to those before and after.
    """
    before = bars["close"].shift(1)
    moved = np.log(bars["close"] / before).abs()
    opened = np.log(bars["open"] / before).abs()
    reach = np.log(np.fmax(bars["high"], before) / np.fmin(bars["low"], before))
    shared = market.abs().reindex(bars["date"]).reset_index(drop=True)
    past = [moved * 100, opened * 100, reach * 100, shared * 100]
    for days in YARDSTICKS:
        usual = _find_usual(reach, days)
        past += [moved / usual, opened / usual, reach / usual]
        past += [
            bars["volume"] / _find_usual(bars["volume"], days),
            shared / _find_usual(shared, days),
        ]
    both = []
    for days in BOTH_SIDES:
        for column in (moved, reach, bars["volume"]):
            sides = pd.concat([_find_usual(column, days), _find_usual(column[::-1], days)], axis=1)
            both.append(column / sides.mean(axis=1))
    return _take_logarithm(past), _take_logarithm(both)


def _find_usual(values: pd.Series, days: int) -> pd.Series:
    roots = np.sqrt(np.sqrt(values)).shift(1).rolling(days, min_periods=10).mean()
    return roots**4


def _take_logarithm(columns: list[pd.Series]) -> Float64:
    values = np.column_stack([column.to_numpy(np.float64) for column in columns])
    return np.log(np.clip(np.nan_to_num(values, nan=0.1, posinf=50.0), 0.05, None))


def learn(columns: Float64, events: Bools, years: np.ndarray) -> Float64:
    """Return how much each bar resembles an event, learned from the events of all years but its
    own.
    """
    # Beside each column its part above the usual value: the slope may change there.
    shown = np.column_stack((columns, np.maximum(columns, 1.0) ** 2))
    found = np.full(len(years), np.nan)
    for year in range(FIRST_YEAR, int(years.max()) + 1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1_000))
        model.fit(shown[years != year], events[years != year])
        found[years == year] = model.decision_function(shown[years == year])
    return found


if __name__ == "__main__":
    main()

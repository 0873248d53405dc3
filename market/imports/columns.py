"""Finding the columns of bars in a table, however they are named."""

import re

import pandas as pd

from core.errors import BadInput

# A vendor's "Stock Splits" column is no alias of `split`: it comes with prices that are adjusted already. The same
# vendors' "Adj Close" is left aside: bars are stored as they were quoted, or highs and lows would not fit the close.
ALIASES: dict[str, tuple[str, ...]] = {
    "ticker": ("ticker", "symbol", "code", "act_symbol", "tic"),
    "time": ("time", "datetime", "timestamp", "date", "t", "begins_at"),
    "open": ("open", "o", "opening", "open_price"),
    "high": ("high", "h", "max", "high_price"),
    "low": ("low", "l", "min", "low_price"),
    "close": ("close", "c", "last", "close_price"),
    "volume": ("volume", "v", "vol"),
    "split": ("split", "split_factor", "split_ratio"),
}
REQUIRED = ("time", "open", "high", "low", "close")


def match_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `ALIASES` that a table has, under their first names; a named index counts as columns.

    Separate `date` and `time` columns are joined. Raises BadInput where one that bars cannot do without is missing, or
    the table holds no row.
    """
    if any(frame.index.names):
        frame = frame.reset_index()
    positions: dict[str, int] = {}
    for position, column in enumerate(frame.columns):
        positions.setdefault(_key(column), position)
    chosen = {name: positions[alias] for name in ALIASES if (alias := _first(ALIASES[name], positions)) is not None}
    missing = [name for name in REQUIRED if name not in chosen]
    if missing:
        found = ", ".join(str(column)[:40] for column in list(frame.columns)[:20]) or "none"
        raise BadInput(
            f"no usable column for {', '.join(missing)}; found: {found}. Bars need a time (or date), open, high, low "
            "and close; ticker, volume and split are optional"
        )
    if frame.empty:
        raise BadInput("the table has column names but no row")
    matched = frame.iloc[:, list(chosen.values())].set_axis(list(chosen), axis="columns").reset_index(drop=True)
    if "date" in positions and "time" in positions:
        parts = (frame.iloc[:, positions[part]].astype(str).reset_index(drop=True) for part in ("date", "time"))
        matched["time"] = next(parts) + " " + next(parts)
    return matched


def is_ticker_column(name: object) -> bool:
    """Whether a column of this name holds tickers."""
    return _key(name) in ALIASES["ticker"]


def _key(column: object) -> str:
    """Return a column's name without case, brackets and blanks: `<DATE>` and `Split Factor` are known too."""
    return re.sub(r"[^a-z0-9]+", "_", str(column).lower()).strip("_")


def _first(aliases: tuple[str, ...], positions: dict[str, int]) -> str | None:
    return next((alias for alias in aliases if alias in positions), None)

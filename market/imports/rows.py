"""A source's table as checked rows, ticker by ticker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import numpy as np
import pandas as pd

from core.arrays import Int64
from core.errors import BadInput
from market.bars.buckets import VALUES, Columns, empty_columns
from market.imports.checks import ACCEPTED, CODES, NAMES, Codes, check_order, check_times, check_values, clip_rounding
from market.imports.columns import match_columns
from market.imports.report import Rejection
from market.imports.times import label_times, read_times
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market, complete_ticker, get_market_of
from market.sessions.calendar import Sessions, find_closes, load_sessions, local_days
from market.tickers import normalize_ticker

MOST_ROWS = 5_000_000
# Of one ticker and source; there is something wrong with all of it long before.
MOST_REJECTIONS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class TickerRows:
    """One ticker's rows of one source.

    Attributes:
        ticker: normalized; where `error` says that it is no ticker, as the source wrote it.
        read: how many rows the source has of it.
        columns: the accepted rows, ascending by time.
        splits: factor by session (days since 1970) of the accepted rows that carry one.
        rejected: the others, at most 10,000, in the order of the source.
        notes: what a reader of the report should know.
        error: why none of the rows can be used, or None.
    """

    ticker: str
    read: int
    columns: Columns = field(default_factory=empty_columns)
    splits: dict[int, float] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    """All rows of a source: as written, and what was read out of them. Arrays have the shape (n,)."""

    interval: str
    written: pd.DataFrame
    columns: Columns
    reasons: Codes


def read_rows(
    frame: pd.DataFrame,
    *,
    interval: str,
    ticker: str | None,
    market: Market | None,
    now: datetime,
    sessions_of: Callable[[Market], Sessions] = load_sessions,
) -> list[TickerRows]:
    """Check a table with any usual column names and return its tickers, in order of first appearance.

    Args:
        frame: the table.
        interval: of the bars.
        ticker: whose they are where the table has no ticker column; where it has one, the only one to take.
        market: whose suffix tickers without one get.
        now: bars that close later are rejected.
        sessions_of: what tells the sessions of a market.

    Raises BadInput where columns are missing, no time can be read, or there are too many rows.
    """
    if len(frame) > MOST_ROWS:
        raise BadInput(f"the table has more than {MOST_ROWS:,} rows; import it in parts")
    written = match_columns(frame)
    codes, errors = _name_tickers(written, ticker, market)
    sessions = {market: sessions_of(market) for market in dict.fromkeys(get_market_of(name) for name in errors)}
    table = _read_table(written, codes, [get_market_of(name) for name in errors], interval, now, sessions)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(errors) + 1))
    slices = [order[start:stop] for start, stop in pairwise(bounds)]
    return [
        TickerRows(name, len(rows), error=error) if error else _select_rows(name, table, rows)
        for (name, error), rows in zip(errors.items(), slices, strict=True)
    ]


def _name_tickers(
    written: pd.DataFrame, ticker: str | None, market: Market | None
) -> tuple[Int64, dict[str, str | None]]:
    """Return each row's position among the tickers (-1: not asked for), and each ticker's error or None."""

    def complete(text: str) -> str:
        return complete_ticker(text, market) if market else normalize_ticker(text)

    if "ticker" not in written:
        if ticker is None:
            raise BadInput("the table has no ticker column: say whose bars these are (--ticker AAPL)")
        return np.zeros(len(written), np.int64), {complete(ticker): None}
    row_texts, texts = pd.factorize(written["ticker"].astype(object).where(written["ticker"].notna(), "").astype(str))
    errors: dict[str, str | None] = {}
    names = []
    for text in texts:
        try:
            names.append(complete(text))
            errors.setdefault(names[-1], None)
        except BadInput as error:
            names.append(text)
            errors[text] = error.message
    if ticker is not None:
        wanted = complete(ticker)
        if wanted not in errors:
            raise BadInput(f"{wanted} is nowhere in the table; it has {', '.join(list(errors)[:10])}")
        errors = {wanted: None}
    positions = {name: position for position, name in enumerate(errors)}
    lookup = np.array([positions.get(name, -1) for name in names], np.int64)
    return lookup[row_texts], errors


def _read_table(
    written: pd.DataFrame,
    codes: Int64,
    markets: list[Market],
    interval: str,
    now: datetime,
    sessions: Mapping[Market, Sessions],
) -> _Table:
    times = read_times(written["time"])
    if times.bad.all():
        raise BadInput(f"no time can be read in the time column; the first is {str(written['time'].iloc[0])[:40]!r}")
    columns = {name: _to_numbers(written, name, codes) for name in VALUES} | {"times": np.zeros(len(codes), np.int64)}
    reasons = np.where(times.bad, CODES["bad_time"], check_values(columns))
    for market, known in sessions.items():
        of_market = np.array([m is market for m in markets])
        rows = np.flatnonzero(of_market[codes] & (codes >= 0) & ~times.bad)
        labels = label_times(times.take(rows), market, interval)
        columns["times"][rows] = labels.seconds
        held, closes = find_closes(labels.seconds, market, interval, known)
        late = np.where(labels.bad, CODES["bad_time"], check_times(held, closes, int(now.timestamp())))
        reasons[rows] = np.where(reasons[rows] == ACCEPTED, late, reasons[rows])
    return _Table(interval, written, columns, reasons.astype(np.int8))


def _to_numbers(written: pd.DataFrame, name: str, codes: Int64) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a column as floats, NaN for what is no number; a ticker all of whose volumes are empty has volume 0."""
    if name not in written:
        return np.zeros(len(written))
    numbers = pd.to_numeric(written[name], errors="coerce").to_numpy(np.float64, na_value=np.nan, copy=True)
    if name == "volume":
        empty = written[name].isna().to_numpy()
        given = np.bincount(codes[~empty] + 1, minlength=codes.max() + 2)
        numbers[given[codes + 1] == 0] = 0.0
    return numbers


def _select_rows(name: str, table: _Table, rows: Int64) -> TickerRows:
    """Return one ticker's rows, checked for duplicates and order."""
    reasons = table.reasons[rows]
    standing = reasons == ACCEPTED
    reasons[standing], backwards = check_order(table.columns["times"][rows[standing]])
    repeated = np.count_nonzero(reasons == CODES["duplicate_time"])
    if repeated > len(rows) / 2 and not is_intraday(table.interval):
        error = f"most of its rows share their {table.interval} bar with another: are these bars of a shorter interval?"
        return TickerRows(name, len(rows), error=error)
    accepted = rows[reasons == ACCEPTED]
    accepted = accepted[np.argsort(table.columns["times"][accepted])]
    columns = clip_rounding({column: values[accepted] for column, values in table.columns.items()})
    refused = np.flatnonzero(reasons != ACCEPTED)
    kept = refused[:MOST_REJECTIONS_KEPT]
    notes = ["the source runs from the newest to the oldest bar"] if backwards else []
    if len(refused) > len(kept):
        notes.append(f"{len(refused) - len(kept)} of {len(refused)} rejected rows are only counted, not kept")
    return TickerRows(
        name,
        len(rows),
        columns,
        _read_splits(name, table, accepted),
        [
            _describe(table.written, int(row), NAMES[int(code)])
            for row, code in zip(rows[kept], reasons[kept], strict=True)
        ],
        notes,
    )


def _read_splits(name: str, table: _Table, accepted: Int64) -> dict[int, float]:
    if "split" not in table.written:
        return {}
    factors = pd.to_numeric(table.written["split"].iloc[accepted], errors="coerce").to_numpy(np.float64)
    times = table.columns["times"][accepted]
    days = local_days(times, get_market_of(name).zone) if is_intraday(table.interval) else times // DAY_SECONDS
    given = np.isfinite(factors) & (factors > 0) & (factors != 1)
    return dict(zip(days[given].tolist(), factors[given].tolist(), strict=True))


def _describe(written: pd.DataFrame, row: int, reason: str) -> Rejection:
    cells = {str(name): str(value)[:100] for name, value in written.iloc[row].items()}
    cells.pop("ticker", None)
    return Rejection(row + 1, cells.pop("time"), reason, cells)

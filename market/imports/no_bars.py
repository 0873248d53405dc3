"""Leaves out rows of a table that are no bars: totals, blank lines, and unfinished bars."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from core.arrays import Bools, Int64
from core.errors import BadInput
from core.words import PRICES
from market.imports.settled import SHOWN, Settled, encode_texts, find_series

# The values of a column for an unfinished bar, and for a finished one.
GOES_ON = {"false", "0", "no", "n", "f"}
ENDED = {"true", "1", "yes", "y", "t"}
_ADVICE = (
    "If the column means something else, leave it aside: say that none is the field finished"
    " (finished=, with no column behind it)"
)
LISTED_TOTALS = 3


def leave_totals_aside(settled: Settled) -> Settled:
    """Return a table without its rows that are no bars, such as totals below a table and blank
    lines: rows without ticker and time, and rows without time and prices.
    """
    suspected = np.flatnonzero(settled.times.bad)
    if not len(suspected) or "ticker" not in settled.written:
        return settled
    no_ticker, no_time = (
        _mark_blank(settled.written[name], suspected) for name in ("ticker", "time")
    )
    prices = np.array([settled.numbers[name][suspected] for name in PRICES])
    totals = suspected[no_ticker | (no_time & np.isnan(prices).all(axis=0))]
    if not len(totals):
        return settled
    kept = settled.take(np.delete(np.arange(len(settled)), totals))
    named = ", ".join(f"{row + 1:,}" for row in settled.rows[totals[:LISTED_TOTALS]].tolist())
    more = " and others" if len(totals) > LISTED_TOTALS else ""
    note = f"left aside as no bars of a ticker, like sums: row {named}{more}"
    return replace(kept, notes=[*settled.notes, note])


def leave_unfinished(settled: Settled) -> Settled:
    """Return a table without its bars that are marked as unfinished.

    Raises BadInput where no bar is finished, or where the column must mean something else, as a
    column Closed for holidays does: a bar that later bars follow is finished.
    """
    if "finished" not in settled.written:
        return settled
    codes, texts = encode_texts(settled.written["finished"])
    goes_on = np.array([text.strip().lower() in GOES_ON for text in texts], bool)[codes]
    if not goes_on.any():
        return settled
    name = settled.names.get("finished", "finished")[:SHOWN]
    followed, bars = _count_followed(settled, goes_on)
    if followed > bars / 2:
        raise BadInput(
            f"{name} says of {followed:,} of {bars:,} bars that they are not finished, and later"
            f" ones follow them. {_ADVICE}"
        )
    if goes_on.all():
        raise BadInput(f"none of its bars is finished yet, as {name} says. {_ADVICE}")
    kept = settled.take(np.flatnonzero(~goes_on))
    bars = int(goes_on.sum())
    note = (
        f"{bars:,} bar{' is' if bars == 1 else 's are'} not finished yet, as {name} says, and left"
        f" out (finished= keeps {'it' if bars == 1 else 'them'})"
    )
    return replace(kept, notes=[*settled.notes, note])


def _count_followed(settled: Settled, goes_on: Bools) -> tuple[int, int]:
    """Return how many bars no row marks as finished although later bars of their series follow, and
    how many bars there are. In a recorded stream a bar has several rows, and only the last one
    marks it as finished.
    """
    series = find_series(settled.written)
    series = np.zeros(len(settled), np.int64) if series is None else series
    bars, bar_of = np.unique(
        np.column_stack((series, settled.times.seconds)), axis=0, return_inverse=True
    )
    is_followed = np.append(bars[1:, 0] == bars[:-1, 0], False)
    is_followed[bar_of.ravel()[~goes_on]] = False
    return int(is_followed.sum()), len(bars)


def find_unknown(column: pa.ChunkedArray) -> str:
    """Return a value of a column that means neither yes nor no, "" where there is none."""
    known = GOES_ON | ENDED | {""}
    return next((t for t in encode_texts(column)[1] if t.strip().lower() not in known), "")


def _mark_blank(column: pa.ChunkedArray, rows: Int64) -> Bools:
    codes, texts = encode_texts(column.take(pa.array(rows)))
    return np.array([not text.strip() for text in texts], bool)[codes]

"""What a table's columns say beside the ticker of which series its rows are: the interval of each,
and whether they are of several (of two exchanges at one time, in two currencies).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import Int64
from core.errors import BadInput
from market.imports.column_names import BRACKETED
from market.imports.numbers import NOTHING
from market.imports.settled import Settled, encode_texts
from market.imports.spacing import find_interval_of
from market.intervals import AUTO, read_interval
from market.markets import Market
from market.spellings import HUNDREDTHS, is_currency

# Rows of one ticker and time that differ in one of these are of several series.
PARTINGS = ("venue", "board", "currency", "adjusted", "contract")
SHOWN = 40


def part_by_interval(settled: Settled, wanted: str) -> Mapping[str, Settled]:
    """Return the rows of a table by interval: as a column of it says, else all as wanted, or as
    they are spaced where that is `auto`. What is no interval that is known is as it is written.

    Raises BadInput where rows say another interval than is wanted, or nothing tells it.
    """
    if "interval" not in settled.written:
        return {find_interval_of(settled) if wanted == AUTO else wanted: settled}
    codes, texts = encode_texts(settled.written["interval"])
    rows: dict[str, list[Int64]] = {}
    for code, text in enumerate(texts):
        own = np.flatnonzero(codes == code)
        meant = read_interval(text) or (text[:SHOWN],)
        if len(meant) == 1:
            name = meant[0]
        else:
            name = wanted if wanted in meant else find_interval_of(settled.take(own))
        rows.setdefault(name, []).append(own)
    if wanted != AUTO and set(rows) != {wanted}:
        named = settled.names.get("interval", "interval")
        raise BadInput(
            f"its rows are of {', '.join(repr(name) for name in rows)} by the column"
            f" {named[:SHOWN]!r}, and {wanted} was said: interval auto imports each interval for"
            " itself"
        )
    if len(rows) == 1:
        return dict.fromkeys(rows, settled)
    return {name: settled.take(np.sort(np.concatenate(parts))) for name, parts in rows.items()}


def find_intervals(settled: Settled) -> list[str]:
    """Return the intervals of a table's rows. Raises BadInput where nothing tells them."""
    return list(part_by_interval(settled, AUTO))


def count_tickers(settled: Settled, ticker: str | None) -> dict[str, int]:
    """Return how many rows there are of each ticker, as the table writes it; of `ticker`, where it
    writes none.
    """
    if "ticker" not in settled.written:
        return {ticker or "": len(settled)}
    codes, texts = encode_texts(settled.written["ticker"])
    counts = np.bincount(codes, minlength=len(texts)).tolist()
    return {text[:SHOWN]: count for text, count in zip(texts, counts, strict=True) if count}


@dataclass(frozen=True, slots=True)
class Parting:
    """What a column says of which series each row of a table is: `texts[codes[row]]`."""

    name: str
    codes: Int64
    texts: list[str]


def read_partings(settled: Settled) -> list[Parting]:
    """Return what the columns of a table say of which series its rows are."""
    return [
        Parting(settled.names.get(name, name), *encode_texts(settled.written[name]))
        for name in PARTINGS
        if name in settled.written
    ]


def find_mixed(partings: Sequence[Parting], rows: Int64, times: Int64) -> str | None:
    """Return why rows of one ticker are of several series; None where nothing says so.

    `times` are those of the rows.
    """
    for parting in partings:
        codes = parting.codes[rows]
        order = np.lexsort((codes, times))
        same = np.diff(times[order]) == 0
        at = np.flatnonzero(same & (np.diff(codes[order]) != 0))
        if len(at):
            one, other = (parting.texts[codes[order[at[0] + step]]][:SHOWN] for step in (0, 1))
            return (
                f"rows of one time differ in {parting.name[:SHOWN]!r} ({one!r} and {other!r}): they"
                " are of several series. Import each from a file of its own, or under a ticker of"
                " its own"
            )
    return None


@dataclass(frozen=True, slots=True)
class Currencies:
    """What a table's rows say that their prices are in: `texts[codes[row]]`, empty where nothing
    is.
    """

    codes: Int64
    texts: list[str]

    def list_of(self, rows: Int64) -> list[str]:
        """Return the different ones of some rows, sorted."""
        return sorted({self.texts[code] for code in np.unique(self.codes[rows])} - {""})


def read_currencies(settled: Settled) -> Currencies | None:
    """Return the currencies that a table's rows are in; None where no column says so."""
    if "currency" not in settled.written:
        return None
    codes, texts = encode_texts(settled.written["currency"])
    nothing = set(NOTHING.to_pylist())
    return Currencies(codes, ["" if t.strip() in nothing else t.strip() for t in texts])


def find_currencies(settled: Settled, rows: Int64, currencies: Currencies | None) -> str | None:
    """Return why rows of one ticker cannot be a series, as they are in pence and in pounds, or in
    other currencies; None where nothing says so.
    """
    named = currencies.list_of(rows) if currencies else []
    if len(named) < 2:
        return None
    return (
        f"its rows are in several currencies ({', '.join(repr(text[:SHOWN]) for text in named[:3])}"
        f" in {settled.names.get('currency', 'currency')[:SHOWN]!r}), and the prices of a series"
        " are in one: convert them, or import each currency from a file and under a ticker of its"
        " own"
    )


def find_foreign(
    settled: Settled, rows: Int64, currencies: Currencies | None, ticker: str, market: Market
) -> str | None:
    """Return why rows of a ticker, which is of a market by its style alone, may be of another: they
    are in another currency by a column of theirs, or by the names of their prices; None where
    nothing says so.
    """
    field = "currency" if currencies else "close"
    where = settled.names.get(field, field)
    if currencies:
        said = currencies.list_of(rows)
    else:
        match = BRACKETED.fullmatch(where)
        said = [match["said"].strip()] if match else []
    for text in said:
        currency = HUNDREDTHS.get(text, text.upper())
        if currency != market.currency and is_currency(currency):
            return (
                f"{ticker} is in the style of {market.code} tickers, whose prices are in"
                f" {market.currency}, and {where[:SHOWN]!r} says {text[:SHOWN]!r}: say of which"
                " market it is, or write its suffix"
            )
    return None

"""Which series the rows of a ticker belong to: their interval, and whether they are of several
series, such as of two exchanges or in two currencies.
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
    """Return the rows of a table by interval: that of its interval column, or else the wanted one;
    with `auto`, the one that the distance of the bars tells. An unknown interval stays as it is
    written.

    Raises BadInput where rows have another interval than the wanted one, or nothing tells it.
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
    """Return the number of rows of each ticker, as the table writes it; of `ticker`, where the
    table has no ticker column.
    """
    if "ticker" not in settled.written:
        return {ticker or "": len(settled)}
    codes, texts = encode_texts(settled.written["ticker"])
    counts = np.bincount(codes, minlength=len(texts)).tolist()
    return {text[:SHOWN]: count for text, count in zip(texts, counts, strict=True) if count}


@dataclass(frozen=True, slots=True)
class Parting:
    """A column by which rows of a ticker may be of several series; a row's text is
    `texts[codes[row]]`.
    """

    name: str
    codes: Int64
    texts: list[str]


def read_partings(settled: Settled) -> list[Parting]:
    """Return the columns of a table by which rows of a ticker may be of several series."""
    return [
        Parting(settled.names.get(name, name), *encode_texts(settled.written[name]))
        for name in PARTINGS
        if name in settled.written
    ]


def find_mixed(partings: Sequence[Parting], rows: Int64, times: Int64) -> str | None:
    """Return why some `rows` of one ticker are of several series; None where no column says so.

    `times` are the times of these rows.
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
    """The currencies of a table's rows; that of a row is `texts[codes[row]]`, empty where
    unknown.
    """

    codes: Int64
    texts: list[str]

    def list_of(self, rows: Int64) -> list[str]:
        """Return the distinct currencies of some rows, sorted."""
        return sorted({self.texts[code] for code in np.unique(self.codes[rows])} - {""})


def read_currencies(settled: Settled) -> Currencies | None:
    """Return the currencies of a table's rows; None where no column has them."""
    if "currency" not in settled.written:
        return None
    codes, texts = encode_texts(settled.written["currency"])
    nothing = set(NOTHING.to_pylist())
    return Currencies(codes, ["" if t.strip() in nothing else t.strip() for t in texts])


def find_currencies(settled: Settled, rows: Int64, currencies: Currencies | None) -> str | None:
    """Return why some rows of one ticker cannot be one series, as their prices are in several
    currencies, or in pence and in pounds; None where no column says so.
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
    """Return why a ticker, whose market only its spelling tells, may be of another market: its
    prices are in another currency, by a column or by the names of the prices; else None.
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

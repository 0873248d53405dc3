"""Finds the candles in a document, whatever they are wrapped in, and their tickers."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from core.errors import BadInput
from market.imports.column_names import build_key, find_field
from market.imports.readers.candles import (
    KRAKEN,
    Candle,
    flatten,
    from_chart,
    from_columns,
    from_lists,
    from_rows,
    from_times,
    is_candle,
    write_cell,
)
from market.intervals import read_interval

SHOWN, SAID = 40, 200
MOST_DEPTH = 6
# Huobi's names of fields: `vol` is the turnover in money.
HUOBI = {"id": "time", "amount": "volume", "vol": "turnover"}
# Names of lists of candles that are no tickers.
WRAPPERS = {
    "bars", "candles", "data", "results", "values", "historical", "prices", "items", "history",
    "quotes", "daily", "weekly", "hourly", "minutely", "intraday", "list", "rows", "records",
    "ohlc", "ohlcv", "klines", "series", "timeseries", "result", "response", "chart", "content",
    "payload", "output", "body",
}  # fmt: skip
# Fewer times in common may be an accident.
FEWEST_SHARED = 2
_TICKER = re.compile(r"[\w.^=:/-]{1,20}")
# Values of a field `code` by which services say that a request went well.
_WENT_WELL = re.compile("0+|200|200000")


def find_candles(value: Any, depth: int = 0) -> tuple[list[Candle], str | None]:
    """Return the candles of a document, each with the exchange and the currency that the document
    names beside them, and the ticker that the document names, else None.

    Raises BadInput where there are no candles.
    """
    candles, ticker = _find(value, depth)
    if isinstance(value, dict):
        for field in ("venue", "currency"):
            said = find_said(value, field)
            if said is not None and all(find_field(name) != field for name in candles[0]):
                candles = [{**candle, field: said} for candle in candles]
    return candles, ticker


def _find(value: Any, depth: int) -> tuple[list[Candle], str | None]:
    if isinstance(value, list):
        return _from_list(flatten(value)), None
    if not isinstance(value, dict) or depth > MOST_DEPTH:
        raise _no_candles()
    ticker = find_said(value, "ticker")
    for read in (from_rows, from_columns, from_times):
        if found := read(value):
            return found, ticker
    if by_ticker := _from_tickers(value):
        return by_ticker, None
    if chart := from_chart(value):
        return chart, ticker
    candles, own = _gather(value.items(), depth)
    channel = value.get("ch")
    if isinstance(channel, str) and ".kline." in channel:
        candles = [{HUOBI.get(name, name): cell for name, cell in c.items()} for c in candles]
        own = own or channel.split(".")[1]
    last = value.get("last")
    if isinstance(last, int) and tuple(candles[0]) == KRAKEN:
        # The document says up to when candles are committed; later ones are not finished.
        candles = [{**candle, "complete": candle["time"] <= last} for candle in candles]
    return candles, ticker or own


def _gather(named: Iterable[tuple[str, Any]], depth: int) -> tuple[list[Candle], str | None]:
    """Return the candles below several names. Where several names have candles, each list names its
    ticker, or the names are the tickers.

    Raises BadInput.
    """
    found: dict[str, tuple[list[Candle], str | None]] = {}
    first: tuple[list[Candle], str | None] | None = None
    refused: BadInput | None = None
    said, is_empty = "", False
    for name, inner in named:
        is_empty |= inner == []
        if isinstance(inner, (list, dict)) and inner:
            try:
                candles, own = find_candles(inner, depth + 1)
            except BadInput as error:
                refused = refused or error
            else:
                first = first or (candles, own)
                if is_candle(candles[0]):
                    found[name] = (candles, own)
        elif isinstance(inner, str) and " " in inner and not said:
            said = f"; it says {name[:SHOWN]}: {inner[:SAID]}"
    if len(found) > 1:
        return _join(found)
    for name, (candles, own) in found.items():
        is_name = name.isupper() and _TICKER.fullmatch(name) and not _are_wrappers([name])
        return candles, own or (name if is_name else None)
    if first is not None:
        return first
    if is_empty:
        raise BadInput("it holds no candle" + said)
    raise refused or _no_candles(said)


def _join(
    found: Mapping[str, tuple[list[Candle], str | None]],
) -> tuple[list[Candle], str | None]:
    """Return the candles of several tickers, or of several intervals of one ticker, as one list,
    and the ticker where it is one.
    """
    tickers = {own for _, own in found.values()}
    if all(_is_interval(name) and not name.isdigit() for name in found):
        has_own = all(find_field(key) != "ticker" for cs, _ in found.values() for key in cs[0])
        # Lists with the same times have one interval, so names such as W and D are tickers.
        if not (has_own and tickers == {None} and _are_tickers(found)):
            _refuse_letters(found, tickers)
            lists = [
                [{"interval": name, **candle} for candle in candles]
                for name, (candles, _) in found.items()
            ]
            owner = tickers.pop() if len(tickers) == 1 else None
            return [candle for candles in lists for candle in candles], owner
        return _name_lists(found, is_named=True), None
    return _name_lists(found, is_named=not _are_wrappers(found)), None


def _are_tickers(found: Mapping[str, tuple[list[Candle], str | None]]) -> bool:
    """Return whether lists below names such as D and W are of tickers, as their candles have the
    same times.
    """
    times = [
        {write_cell(cell) for candle in candles for name, cell in candle.items() if _is_time(name)}
        for candles, _ in found.values()
    ]
    shared = len(set.intersection(*times))
    return all(map(_is_letter, found)) and shared >= max(FEWEST_SHARED, max(map(len, times)) / 2)


def _refuse_letters(
    found: Mapping[str, tuple[list[Candle], str | None]], tickers: set[str | None]
) -> None:
    """Raise BadInput where nothing settles whether single letters are tickers or intervals."""
    if tickers == {None} and all(map(_is_letter, found)):
        raise BadInput(
            f"the names {', '.join(found)[:SAID]} above its lists can be read two ways: as tickers,"
            " or as intervals: write a ticker, or an interval, into each candle"
        )


def _is_letter(name: str) -> bool:
    return len(name) == 1 and name.isupper()


def _is_time(name: str) -> bool:
    return find_field(name) == "time"


def _name_lists(
    found: Mapping[str, tuple[list[Candle], str | None]], *, is_named: bool
) -> list[Candle]:
    """Return several lists of candles as one, each candle with its ticker. Raises BadInput."""
    lists = []
    for name, (candles, own) in found.items():
        if any(find_field(key) == "ticker" for key in candles[0]):
            lists.append(candles)
        elif own is None and not (is_named and _TICKER.fullmatch(name)):
            raise BadInput(
                f"it holds several lists of candles ({', '.join(found)[:SAID]}), and nothing says"
                " which tickers they are of: write each as a file of its own"
            )
        else:
            lists.append([{"ticker": own or name, **candle} for candle in candles])
    return [candle for candles in lists for candle in candles]


def _are_wrappers(names: Iterable[str]) -> bool:
    """Return whether the names of lists are usual words or intervals, and so no tickers."""
    return any(build_key(name) in WRAPPERS for name in names) or all(map(_is_interval, names))


def _is_interval(name: str) -> bool:
    """Return whether a name is a length of time. A name of digits only may be a ticker, such as
    7203 and 0005; it counts only where it is a known interval.
    """
    meant = read_interval(name)
    return bool(meant) and not (name.isdigit() and (name.startswith("0") or meant == (name,)))


def _no_candles(said: str = "") -> BadInput:
    return BadInput(
        "expected a list of candles such as {time, open, high, low, close, volume}, or it under a"
        f" name such as `bars`{said}"
    )


def _from_list(value: list[Any]) -> list[Candle]:
    if not value:
        raise BadInput("it holds no candle")
    if all(isinstance(candle, dict) for candle in value):
        if not any(map(is_candle, value)) and any(map(_holds_lists, value)):
            named = {f"number {place}": inner for place, inner in enumerate(value, start=1)}
            candles, ticker = _gather(named.items(), 1)
            return [{"ticker": ticker, **c} for c in candles] if ticker else candles
        return value
    if all(isinstance(candle, list) for candle in value):
        return from_lists(value)
    raise _no_candles()


def _holds_lists(value: Mapping[str, Any]) -> bool:
    return any(isinstance(inner, (list, dict)) and inner for inner in value.values())


def _from_tickers(value: Mapping[str, Any]) -> list[Candle]:
    """Return the candles of {"AAPL": [...], "MSFT": [...]}."""
    lists = {
        name: inner
        for name, inner in value.items()
        if isinstance(inner, list) and all(is_candle(candle) for candle in inner)
    }
    filled = {name: inner for name, inner in lists.items() if inner}
    if not filled or len(lists) < len(value) or _are_wrappers(lists):
        return []
    lists = filled
    if any(find_field(name) == "ticker" for name in next(iter(lists.values()))[0]):
        return []
    return [{"ticker": name, **candle} for name, inner in lists.items() for candle in inner]


def find_said(value: Mapping[str, Any], field: str) -> str | None:
    """Return the ticker or the interval (`field`) that a document names for its candles, at its top
    level or in its description of them; else None.
    """
    for name, inner in value.items():
        if (
            isinstance(inner, str)
            and find_field(name) == field
            and 0 < len(inner) <= 40
            and not (build_key(name) == "code" and _WENT_WELL.fullmatch(inner))
        ):
            return inner
        if isinstance(inner, dict) and build_key(name) in {"metadata", "meta"}:
            found = find_said(inner, field)
            if found is not None:
                return found
    return None

"""The shapes that vendors give the candles of a document: objects, lists, columns side by side."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from core.errors import BadInput
from core.words import PRICES
from market.imports.column_names import build_key, find_field
from market.imports.readers.layouts import KLINE
from market.imports.readers.limits import MOST_CELL_BYTES

OHLCV = ("time", "open", "high", "low", "close", "volume")
KRAKEN = ("time", "open", "high", "low", "close", "vwap", "volume", "count")
# Orders of the fields of candles that are lists, by length. Where there are several, the prices
# must settle which it is.
LISTS: dict[int, tuple[tuple[str, ...], ...]] = {
    5: (OHLCV[:5], ("time", "low", "high", "open", "close")),
    # Coinbase's is the second, and Bitfinex's the last.
    6: (
        OHLCV,
        ("time", "low", "high", "open", "close", "volume"),
        ("time", "open", "close", "high", "low", "volume"),
    ),
    # KuCoin's is the last.
    7: (
        (*OHLCV, "turnover"),
        ("time", "open", "close", "high", "low", "volume", "turnover"),
    ),
    # Kraken's, and Gate.io's.
    8: (
        KRAKEN,
        ("time", "turnover", "close", "high", "low", "open", "volume", "window_closed"),
    ),
    # OKX's.
    9: ((*OHLCV, "contract_volume", "turnover", "confirm"),),
    12: (KLINE,),
}
# pandas' tables of Yahoo's bars have the close first and the open last.
TURNED = {"open": "close", "close": "open"}
# Open and close are swapped where the gaps between at least LEAST_GAPS candles are then smaller by
# this factor. Smaller differences prove nothing, as nights may be wilder than days.
LEAST_GAPS = 20
CLEARLY_LESS = 0.8
# An order of fields fits where at least this share of the candles has its high and low where the
# order says; the other candles are wrong in themselves.
LEAST_FITTING = 0.9
SHOWN = 40
# Names of the list of a document's column names.
NAMES = {"columns", "columnnames", "fields", "header", "headers"}
# Names below which a candle may have its prices. The mid prices are the candle's, others get a name
# with a dot (bid.o). Prices below any other name, such as "raw" or "adj", are refused: they would
# be read as tickers.
MIDDLE = "mid"
QUOTES = (MIDDLE, "bid", "ask")
Candle = Mapping[str, Any]


def is_candle(value: Any) -> bool:
    """Return whether a value has the fields of a candle."""
    fields = {find_field(name) for name in value} if isinstance(value, dict) else set()
    return {"open", "close"} <= fields


def from_lists(value: list[list[Any]]) -> list[Candle]:
    """Return the candles of [[time, open, ...], ...], of which the first list may name the
    fields.
    """
    if value[0] and all(isinstance(cell, str) for cell in value[0]) and find_field(value[0][0]):
        names = [str(name) for name in value[0]]
        if len(value) == 1:
            raise BadInput("it holds no candle")
        return [dict(zip(names, _same_length(row, names), strict=True)) for row in value[1:]]
    names = list(_name_list(value))
    return [dict(zip(names, _same_length(candle, names), strict=True)) for candle in value]


def _name_list(value: list[list[Any]]) -> tuple[str, ...]:
    """Return the order of the fields in candles that are lists, by their length, then by their
    highs and lows.

    Raises BadInput where no order fits, or several do.
    """
    ways = LISTS.get(len(value[0]), ())
    fits = {
        names: sum(_is_possible(dict(zip(names, row, strict=False))) for row in value)
        for names in ways
    }
    likeliest = max(fits, key=fits.__getitem__, default=())
    if likeliest and fits[likeliest] >= LEAST_FITTING * len(value):
        # Two orders that fit all highs and lows differ in open and close only.
        turned = tuple(TURNED.get(name, name) for name in likeliest)
        is_turned = _sum_gaps(value, turned) < CLEARLY_LESS * _sum_gaps(value, likeliest)
        return turned if is_turned else likeliest
    raise BadInput(
        f"its candles are lists of {len(value[0])} values, and none is known to be the high and the"
        " low; write them as objects such as {time, open, high, low, close, volume}"
    )


def _sum_gaps(value: list[list[Any]], names: Sequence[str]) -> float:
    """Return the sum of the distances of all opens from the close before; 0 for too few candles.

    By the right order it is smaller than with open and close swapped.
    """
    time, first, last = (names.index(name) for name in ("time", "open", "close"))
    try:
        ordered = sorted(value, key=lambda row: row[time])
        gaps = [abs(float(b[first]) - float(a[last])) for a, b in pairwise(ordered)]
    except (IndexError, TypeError, ValueError):  # A wrong row is reported later.
        return 0.0
    return sum(gaps) if len(gaps) >= LEAST_GAPS else 0.0


def _same_length(row: list[Any], names: Sequence[Any]) -> list[Any]:
    if len(row) != len(names):
        raise BadInput(f"a candle has {len(row)} values where others have {len(names)}")
    return row


def _is_possible(candle: Candle) -> bool:
    try:
        o, h, l, c = (float(candle[name]) for name in PRICES)  # noqa: E741 - the field's
    except (KeyError, TypeError, ValueError):
        return False
    return h >= max(o, l, c) and l <= min(o, c)


def from_rows(value: Mapping[str, Any]) -> list[Candle]:
    """Return the candles of {columns: [...], data: [[...], ...]}, as pandas' `split`, Nasdaq Data
    Link, Tushare and Moscow's exchange write it.

    Raises BadInput where the names do not fit the rows, or several lists of rows could be meant.
    """
    lists = {name: inner for name, inner in value.items() if isinstance(inner, list) and inner}
    named = next((inner for name, inner in lists.items() if build_key(name) in NAMES), [])
    written = [one.get("name") if isinstance(one, dict) else one for one in named]
    index = value.get("index")
    if any(isinstance(one, list) for one in (*written, *(index if written and index else ()))):
        raise BadInput(
            "its rows or columns are named by several levels: write it as CSV or Parquet"
        )
    names = [str(name) for name in written]
    tables = {
        name: inner
        for name, inner in lists.items()
        if inner is not named and all(isinstance(row, list) for row in inner)
    }
    if not tables or not any(map(find_field, names)):
        return []
    fitting = [name for name, inner in tables.items() if len(inner[0]) == len(names)]
    if len(fitting) > 1:
        raise BadInput(
            f"it holds several tables ({', '.join(fitting)[:SHOWN]}) beside the names of their"
            " columns: write each as a file of its own"
        )
    rows = tables[next(iter(fitting or tables))]
    found: list[Candle] = [dict(zip(names, _same_length(row, names), strict=True)) for row in rows]
    if isinstance(index, list) and all(find_field(name) != "time" for name in names):
        return [
            {"time": time, **row}
            for time, row in zip(_same_length(index, rows), found, strict=True)
        ]
    return found


def from_columns(value: Mapping[str, Any]) -> list[Candle]:
    """Return the candles of {t: [...], o: [...]}, and of pandas' {open: {0: ...}, ...}."""
    columns = {
        name: inner
        for name, inner in value.items()
        if find_field(name) and isinstance(inner, (list, dict))
    }
    if not set(PRICES) <= {find_field(name) for name in columns}:
        return []
    if all(isinstance(inner, list) for inner in columns.values()):
        lengths = {len(inner) for inner in columns.values()}
        if len(lengths) > 1:
            raise BadInput(
                f"its columns have different lengths: {', '.join(map(str, sorted(lengths)))}"
            )
        rows: Iterator[tuple[Any, ...]] = zip(*columns.values(), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]
    if all(isinstance(inner, dict) for inner in columns.values()):
        keys = list(dict.fromkeys(key for inner in columns.values() for key in inner))
        timed = (
            {}
            if any(find_field(name) == "time" for name in columns)
            else {"time": {key: key for key in keys}}
        )
        whole = timed | columns
        return [{name: dict(inner).get(key) for name, inner in whole.items()} for key in keys]
    return []


def from_times(value: Mapping[str, Any]) -> list[Candle]:
    """Return the candles of {"2024-01-02": {open, ...}, ...}."""
    if value and all(
        is_candle(inner) and find_field(name) is None for name, inner in value.items()
    ):
        if any(
            any(find_field(inner_name) == "time" for inner_name in inner)
            for inner in value.values()
        ):
            return []
        return [{"time": name, **inner} for name, inner in value.items()]
    return []


def from_chart(value: Mapping[str, Any]) -> list[Candle]:
    """Return the candles of Yahoo's {timestamp: [...], indicators: {quote: [{open: [...]}]}}."""
    times, indicators = value.get("timestamp"), value.get("indicators")
    quotes = indicators.get("quote") if isinstance(indicators, dict) else None
    if not isinstance(times, list) or not isinstance(quotes, list) or len(quotes) != 1:
        return []
    if not isinstance(quotes[0], dict):
        return []
    candles = from_columns({"timestamp": times, **quotes[0]})
    if candles and _goes_on(value.get("meta"), times[-1]):
        last = len(candles) - 1
        candles = [{**candle, "complete": place < last} for place, candle in enumerate(candles)]
    return candles


def _goes_on(meta: Any, last: Any) -> bool:
    """Return whether a chart of Yahoo's was made before the session of its last bar had ended."""
    try:
        session, traded = meta["currentTradingPeriod"]["regular"], meta["regularMarketTime"]
        return bool(session["start"] <= last and traded < session["end"])
    except (KeyError, TypeError):
        return False


def flatten(value: list[Any]) -> list[Any]:
    """Return candles without the level below which some have their prices: Oanda's {mid: {o, h, l,
    c}} becomes {o, h, l, c}, or {bid.o, ...} where bid and ask are quoted.
    """
    if not value or not isinstance(value[0], dict):
        return value
    deeper = [name for name in QUOTES if is_candle(value[0].get(name))]
    if not deeper or is_candle(value[0]):
        return value
    flat = []
    for candle in value:
        if not isinstance(candle, dict):
            return value
        own = {name: cell for name, cell in candle.items() if name not in deeper}
        for name in deeper:
            inner = candle.get(name)
            if isinstance(inner, dict):
                prefix = "" if name == MIDDLE else f"{name}."
                own |= {f"{prefix}{key}": cell for key, cell in inner.items()}
        flat.append(own)
    return flat


def write_cell(value: Any) -> str | None:
    """Return a value as a cell of text, None for null."""
    if value is None:
        return None
    text = value.encode(errors="replace").decode() if isinstance(value, str) else str(value)
    return text[:MOST_CELL_BYTES]

"""JSON: lists of candles as objects or as lists, columns side by side,
and vendors' ways of wrapping them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from core.errors import BadInput
from market.imports.column_names import build_key, find_field
from market.imports.readers.headers import Header
from market.imports.readers.layouts import KLINE
from market.imports.readers.limits import HEAD_ROWS, MIB, MOST_CELL_BYTES, MOST_KEYS, MOST_ROWS
from market.imports.readers.tables import Columns, Opened
from market.intervals import read_interval

MOST_JSON_BYTES = 256 * MIB
MOST_DEPTH = 6
OHLCV = ("time", "open", "high", "low", "close", "volume")
KRAKEN = ("time", "open", "high", "low", "close", "vwap", "volume", "count")
# Of candles that are lists: by length, the ways to read them. Where there are two, the prices must
# settle which.
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
# Of the candles, that have their high and low where a way to read them says; the others are wrong
# in themselves.
LEAST_FITTING = 0.9
# As Huobi names what it has of a pair: `vol` is the money.
HUOBI = {"id": "time", "amount": "volume", "vol": "turnover"}
# What lists of candles are called that are nobody's name.
WRAPPERS = {
    "bars", "candles", "data", "results", "values", "historical", "prices", "items", "history",
    "quotes", "daily", "weekly", "hourly", "minutely", "intraday", "list", "rows", "records",
    "ohlc", "ohlcv", "klines", "series", "timeseries", "result", "response", "chart", "content",
    "payload", "output", "body",
}  # fmt: skip
SHOWN, SAID = 40, 200
# So few times in common may be an accident.
FEWEST_SHARED = 2
# What the prices of a candle are of, where it has them below a name; those in the middle are the
# candle's, others are named with a dot (bid.o). Prices below any other name are refused: "raw" and
# "adj" are not tickers, as which such names are read.
MIDDLE = "mid"
QUOTES = (MIDDLE, "bid", "ask")
_TICKER = re.compile(r"[\w.^=:/-]{1,20}")
Candle = Mapping[str, Any]


def open_json(content: bytes) -> Opened:
    """Find the candles in a document, or in lines of them. Raises BadInput."""
    if len(content) > MOST_JSON_BYTES:
        raise BadInput(f"it has more than {MOST_JSON_BYTES // MIB} MiB; write it as CSV or Parquet")
    document = _parse(content)
    candles, ticker = _find_candles(document)
    if not candles:
        raise BadInput("it holds no candle")
    interval = _find_said(document, "interval") if isinstance(document, dict) else None
    if interval is not None and not any(find_field(name) == "interval" for name in candles[0]):
        candles = [{**candle, "interval": interval} for candle in candles]
    if len(candles) > MOST_ROWS:
        raise BadInput(f"it has {len(candles):,} candles; at most {MOST_ROWS:,} are taken at once")
    names: dict[str, None] = {}
    for candle in candles:
        names.update(dict.fromkeys(candle))
        if len(names) > MOST_KEYS:
            raise BadInput(f"its candles have more than {MOST_KEYS:,} different names between them")
    columns = list(names)
    head = [[_write(candle.get(name)) or "" for name in columns] for candle in candles[:HEAD_ROWS]]
    shown = [str(name)[:200] for name in columns]
    has_ticker = any(find_field(name) == "ticker" for name in shown)
    read = partial(_read, candles, columns)
    return Opened(
        [shown, *head], read, has_names=True, ticker=None if has_ticker else ticker, decimal="."
    )


def _parse(content: bytes) -> Any:
    text = content.decode(json.detect_encoding(content))
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for line in lines):
            raise
        return [json.loads(line) for line in lines]


def _read(
    candles: Sequence[Candle], names: Sequence[str], _: Header, positions: Sequence[int]
) -> Columns:
    return {
        p: pa.chunked_array([_build_array([c.get(names[p]) for c in candles])]) for p in positions
    }


def _build_array(values: list[Any]) -> pa.Array:
    """Return whole numbers and floats as such, and anything else as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and kinds:
        try:
            return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
        except (OverflowError, pa.ArrowInvalid):
            pass
    return pa.array([_write(value) for value in values], pa.string())


def _write(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else value.encode(errors="replace").decode()[:MOST_CELL_BYTES]
    return str(value)[:MOST_CELL_BYTES]


def _find_candles(value: Any, depth: int = 0) -> tuple[list[Candle], str | None]:
    """Return the candles, and the ticker that the document names beside them.

    Raises BadInput where there are none.
    """
    if isinstance(value, list):
        return _from_list(_flatten(value)), None
    if not isinstance(value, dict) or depth > MOST_DEPTH:
        raise _no_candles()
    ticker = _find_said(value, "ticker")
    if side_by_side := _from_columns(value):
        return side_by_side, ticker
    if by_time := _from_times(value):
        return by_time, ticker
    if by_ticker := _from_tickers(value):
        return by_ticker, None
    if chart := _from_chart(value):
        return chart, ticker
    candles, own = _gather(value.items(), depth)
    channel = value.get("ch")
    if isinstance(channel, str) and ".kline." in channel:
        candles = [{HUOBI.get(name, name): cell for name, cell in c.items()} for c in candles]
        own = own or channel.split(".")[1]
    last = value.get("last")
    if isinstance(last, int) and tuple(candles[0]) == KRAKEN:
        # It says up to when they are committed, and that the last one is not.
        candles = [{**candle, "complete": candle["time"] <= last} for candle in candles]
    return candles, ticker or own


def _gather(named: Iterable[tuple[str, Any]], depth: int) -> tuple[list[Candle], str | None]:
    """Return the candles below several names. Where there are some below more than one of them, a
    ticker is said with each, or the names are tickers.

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
                candles, own = _find_candles(inner, depth + 1)
            except BadInput as error:
                refused = refused or error
            else:
                first = first or (candles, own)
                if _is_candle(candles[0]):
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
    """Return the candles of several tickers, or of several intervals of one, as one list, and whose
    they are.
    """
    tickers = {own for _, own in found.values()}
    if all(_is_interval(name) and not name.isdigit() for name in found):
        has_own = all(find_field(key) != "ticker" for cs, _ in found.values() for key in cs[0])
        # Candles of the same times are of one interval, so that the names are tickers: W and D.
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
    """Whether lists below names such as D and W hold candles of the same times."""
    times = [
        {_write(cell) for candle in candles for name, cell in candle.items() if _is_time(name)}
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
    """Return lists of candles as one, each with its ticker. Raises BadInput."""
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
    """Whether what stands above lists are words or intervals, and no tickers."""
    return any(build_key(name) in WRAPPERS for name in names) or all(map(_is_interval, names))


def _is_interval(name: str) -> bool:
    """Whether a name is a length of time: of digits alone, such as the tickers 7203 and 0005, only
    one that is an interval here.
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
        if not any(map(_is_candle, value)) and any(map(_holds_lists, value)):
            named = {f"number {place}": inner for place, inner in enumerate(value, start=1)}
            candles, ticker = _gather(named.items(), 1)
            return [{"ticker": ticker, **c} for c in candles] if ticker else candles
        return value
    if all(isinstance(candle, list) for candle in value):
        if value[0] and all(isinstance(cell, str) for cell in value[0]) and find_field(value[0][0]):
            names = [str(name) for name in value[0]]
            return [dict(zip(names, _same_length(row, names), strict=True)) for row in value[1:]]
        names = list(_name_list(value))
        return [dict(zip(names, _same_length(candle, names), strict=True)) for candle in value]
    raise _no_candles()


def _same_length(row: list[Any], names: Sequence[str]) -> list[Any]:
    if len(row) != len(names):
        raise BadInput(f"a candle has {len(row)} values where others have {len(names)}")
    return row


def _name_list(value: list[list[Any]]) -> tuple[str, ...]:
    """Return what the values of candles that are lists mean: by their number,
    then by their highs and lows.

    Raises BadInput.
    """
    ways = LISTS.get(len(value[0]), ())
    fits = {
        names: sum(_is_possible(dict(zip(names, row, strict=False))) for row in value)
        for names in ways
    }
    likeliest = max(fits, key=fits.__getitem__, default=())
    if likeliest and fits[likeliest] >= LEAST_FITTING * len(value):
        return likeliest  # where two ways fit all highs and lows, they say the same
    raise BadInput(
        f"its candles are lists of {len(value[0])} values, and none is known to be the high and the"
        " low; write them as objects such as {time, open, high, low, close, volume}"
    )


def _is_possible(candle: Candle) -> bool:
    try:
        o, h, l, c = (float(candle[name]) for name in ("open", "high", "low", "close"))  # noqa: E741 - the field's
    except (KeyError, TypeError, ValueError):
        return False
    return h >= max(o, l, c) and l <= min(o, c)


def _is_candle(value: Any) -> bool:
    fields = {find_field(name) for name in value} if isinstance(value, dict) else set()
    return {"open", "close"} <= fields


def _from_columns(value: Mapping[str, Any]) -> list[Candle]:
    """Return candles out of {t: [...], o: [...]} and out of pandas' {open: {0: ...}, ...}."""
    columns = {
        name: inner
        for name, inner in value.items()
        if find_field(name) and isinstance(inner, (list, dict))
    }
    if not {"open", "high", "low", "close"} <= {find_field(name) for name in columns}:
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


def _from_times(value: Mapping[str, Any]) -> list[Candle]:
    """Return candles out of {"2024-01-02": {open, ...}, ...}."""
    if value and all(
        _is_candle(inner) and find_field(name) is None for name, inner in value.items()
    ):
        if any(
            any(find_field(inner_name) == "time" for inner_name in inner)
            for inner in value.values()
        ):
            return []
        return [{"time": name, **inner} for name, inner in value.items()]
    return []


def _from_chart(value: Mapping[str, Any]) -> list[Candle]:
    """Return candles out of Yahoo's {timestamp: [...], indicators: {quote: [{open: [...]}]}}."""
    times, indicators = value.get("timestamp"), value.get("indicators")
    quotes = indicators.get("quote") if isinstance(indicators, dict) else None
    if not isinstance(times, list) or not isinstance(quotes, list) or len(quotes) != 1:
        return []
    if not isinstance(quotes[0], dict):
        return []
    candles = _from_columns({"timestamp": times, **quotes[0]})
    if candles and _goes_on(value.get("meta"), times[-1]):
        last = len(candles) - 1
        candles = [{**candle, "complete": place < last} for place, candle in enumerate(candles)]
    return candles


def _goes_on(meta: Any, last: Any) -> bool:
    """Whether a chart of Yahoo's was asked for while its last bar's session went on."""
    try:
        session, traded = meta["currentTradingPeriod"]["regular"], meta["regularMarketTime"]
        return bool(session["start"] <= last and traded < session["end"])
    except (KeyError, TypeError):
        return False


def _flatten(value: list[Any]) -> list[Any]:
    """Return candles whose prices lie a step deeper, such as Oanda's {mid: {o, h, l, c}}, as such
    with {o, h, l, c}, or with {bid.o, ...} where several prices are quoted.
    """
    if not value or not isinstance(value[0], dict):
        return value
    deeper = [name for name in QUOTES if _is_candle(value[0].get(name))]
    if not deeper or _is_candle(value[0]):
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


def _holds_lists(value: Mapping[str, Any]) -> bool:
    return any(isinstance(inner, (list, dict)) and inner for inner in value.values())


def _from_tickers(value: Mapping[str, Any]) -> list[Candle]:
    """Return candles out of {"AAPL": [...], "MSFT": [...]}."""
    lists = {
        name: inner
        for name, inner in value.items()
        if isinstance(inner, list) and all(_is_candle(candle) for candle in inner)
    }
    filled = {name: inner for name, inner in lists.items() if inner}
    if not filled or len(lists) < len(value) or _are_wrappers(lists):
        return []
    lists = filled
    if any(find_field(name) == "ticker" for name in next(iter(lists.values()))[0]):
        return []
    return [{"ticker": name, **candle} for name, inner in lists.items() for candle in inner]


def _find_said(value: Mapping[str, Any], field: str) -> str | None:
    """Return whose candles a document says it holds, or of which interval, itself or in what it
    says of them.
    """
    for name, inner in value.items():
        if isinstance(inner, str) and find_field(name) == field and 0 < len(inner) <= 40:
            return inner
        if isinstance(inner, dict) and build_key(name) in {"metadata", "meta"}:
            found = _find_said(inner, field)
            if found is not None:
                return found
    return None

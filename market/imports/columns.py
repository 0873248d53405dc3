# ruff: noqa: RUF001 - names of columns in other languages
"""Finding the columns of bars by their names,
in the words of vendors and of several languages (plain Python).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import BadInput

# Names as `build_key` writes them, the likeliest first. A vendor's "Stock Splits" column is no
# alias of `split`: it comes with prices that are adjusted already. Nor is "Adj Close" one of
# `close`: bars are stored as they were quoted, or highs and lows would not fit the close.
ALIASES: dict[str, tuple[str, ...]] = {
    "ticker": (
        "ticker", "symbol", "code", "actsymbol", "tic", "tickersymbol", "sym", "securitycode",
        "localcode", "ric", "secid", "tscode", "tckrsymb",
        "instrument", "security", "asset", "pair", "productid",
        "kürzel", "simbolo", "symbole", "銘柄コード", "コード", "证券代码",
        "股票代码", "代码", "代號", "종목코드", "종목",
    ),
    "time": (
        # Seconds since 1970 are of no zone that nobody says, as a clock's time beside them may be.
        "time", "timestamp", "opentime", "windowstart", "unix", "unixtime", "unixtimestamp",
        "epoch", "datetime", "date", "t", "beginsat", "dates", "starttime", "bartime",
        "startofbar", "tsevent", "ts", "gmttime", "localtime", "utctime", "timeutc", "dateutc",
        "datetimeutc", "timestamputc", "dtyyyymmdd", "traddt",
        "tradedate", "tradingdate", "tradingday", "pricedate", "quotedate", "asofdate",
        "businessdate", "tradetime", "datum", "datumzeit", "zeit", "fecha", "data", "dataora",
        "datahora", "дата",
        "日付", "日付け", "日時", "年月日", "日期", "时间", "時間", "交易日期", "날짜", "일자",
        "일시", "วันที่", "tarih", "start",
    ),
    "open": (
        "open", "o", "opening", "openprice", "openingprice", "pxopen", "opn", "eröffnung", "eröffn",
        "eröffnungskurs", "eroeffnung", "erster", "apertura", "aper", "abertura", "ouverture",
        "ouv", "otwarcie", "открытие", "откр", "öppning", "öppen", "opnpric", "始値",
        "开盘", "开盘价", "開盤", "開盤價",
        "시가", "เปิด", "ราคาเปิด", "açılış", "acilis",
    ),
    "high": (
        "high", "h", "max", "highprice", "pxhigh", "hi", "dayhigh", "hoch", "höchst", "höchstkurs",
        "tageshoch", "hoog", "máximo", "máxima", "massimo", "plushaut", "haut", "najwyższy",
        "максимум", "макс", "högst", "hghpric", "高値",
        "最高", "最高价", "最高價", "高", "고가", "สูงสุด", "ราคาสูงสุด",
        "yüksek",
    ),
    "low": (
        "low", "l", "min", "lowprice", "pxlow", "lo", "daylow", "tief", "tiefst", "tiefstkurs",
        "tagestief", "laag", "mínimo", "mínima", "minimo", "plusbas", "bas", "najniższy", "минимум",
        "мин", "lägst", "lwpric",
        "安値", "最低", "最低价", "最低價", "低", "저가", "ต่ำสุด", "ราคาต่ำสุด", "düşük",
    ),
    "close": (
        "close", "c", "last", "closeprice", "closingprice", "closelast", "lastprice", "pxlast",
        "pxclose", "schluss", "schlusskurs", "schluß", "schlußkurs", "zuletzt", "letzter",
        "slotkoers", "slot", "cierre", "último", "ultimo", "chiusura", "fechamento", "clôture",
        "clot", "dernier", "zamknięcie", "ostatnio", "закрытие", "цена", "laatste", "senaste",
        "clspric",
        "終値", "收盘", "收盘价", "收盤", "收盤價", "종가",
        "ปิด", "ราคาปิด", "kapanış", "şimdi", "price",
        # What Yahoo's page says when a mouse rests on the name is copied with it.
        "closeclosepriceadjustedforsplits",
    ),
    "volume": (
        "volume", "v", "vol", "vo", "pxvolume", "totalvolume", "tradedvolume", "sharestraded",
        "totaltradedquantity", "totaltradequantity", "tottrdqty", "ttltradgvol", "noofshares",
        "numberofshares",
        # Before the German words for volume: beside pieces these are what they were sold for.
        "stücke", "stuecke", "stück", "stückzahl", "umsatzstück", "volumen", "umsatz", "wolumen",
        "volumes", "wol", "hac", "объем", "成交股數", "出来高",
        "売買高", "成交量", "交易量", "거래량", "ปริมาณ", "hacim",
    ),
    "split": (
        "split", "splitfactor", "splitratio", "splitcoefficient", "splitcoef", "splitsfactor",
        "adjustmentfactor", "adjfactor",
    ),
    "interval": (
        "interval", "timeframe", "barsize", "barinterval", "candleinterval", "resolution",
        "granularity", "datagranularity", "tf", "per", "period", "periodicity", "frequency", "freq",
    ),
    # Not stored: what they say parts rows of one ticker and time into several series.
    "venue": (
        "exchange", "venue", "mic", "market", "exch", "exchangecode", "marketcode",
        "primaryexchange", "publisherid", "boardid", "series", "sctysrs",
    ),
    "currency": ("currency", "ccy", "currencycode", "quotecurrency"),
    "adjusted": ("adjusted", "isadjusted"),
    "contract": ("contract", "expiry", "expiration", "instrumentid", "contractcode"),
    # Nor is this: a bar that is not finished is left out.
    "finished": (
        "complete", "iscomplete", "completed", "closed", "isclosed", "isfinal", "finished",
        "isfinished", "confirm", "confirmed", "windowclosed",
    ),
}  # fmt: skip
# The time of day, where it has a column of its own beside the date's.
DATES = (
    "date",
    "dates",
    "tradedate",
    "tradingdate",
    "dtyyyymmdd",
    "day",
    "datum",
    "fecha",
    "data",
    "日付",
    "日期",
    "날짜",
    "дата",
)
CLOCKS = (
    "time",
    "hour",
    "clock",
    "uhrzeit",
    "zeit",
    "hora",
    "heure",
    "ora",
    "時刻",
    "时间",
    "시간",
    "время",
)
# Old shares for each new one, where all other names of `split` say new ones for each old one.
INVERSE_SPLITS = ("adjustmentfactor", "adjfactor")
REQUIRED = ("time", "open", "high", "low", "close")
# What other columns of bars may be called; together with the aliases they tell rows of names from
# rows of data.
OTHERS = ("adjclose", "adjustedclose", "dividends", "stocksplits", "capitalgains", "repaired")
# How currencies are written, in a pattern.
CURRENCIES = (
    "USD|EUR|GBP|GBp|GBX|JPY|THB|HKD|INR|KRW|CNY|CHF|CAD|AUD|SGD|TWD|BRL|RUB|SEK|NOK|DKK|PLN"
)
_MONEY = re.compile("[$€£¥₹]")
_UNIT_MONEY = re.compile(CURRENCIES)
# What stands behind a name in brackets: a zone, a unit.
_BRACKETED = re.compile(r"(?P<bare>.*\S)\s*[(\[](?P<said>[^()\[\]]+)[)\]]\s*")
# DD/MM/YYYY and MS are none.
_ZONE = re.compile(
    r"(?![DMYHS/]+$)(?:[A-Z]{1,5}|[A-Za-z_]+(?:/[A-Za-z_]+){1,2})|[+-]\d{1,2}(?::?\d{2})?"
)
_OFFSET = re.compile(r"(?P<said>(?:utc|gmt)\s*[+-]\s*\d{1,2}(?::?\d{2})?)", re.IGNORECASE)
_UTC = re.compile("(?:utc|gmt)(?P<after>.*)|(?P<before>.*)(?:utc|gmt)")
# How many shares one of a volume's units is, in the words of vendors; 手 is a lot of China's.
_UNITS = {
    1: "shares share units pcs qty stück stk st szt шт 株 股 주",
    100: "00s 00 手",
    1_000: "000 000s 000shares thousand thousands thou ths k 1000 1000s tsd tys тыс 千株 千股",
    10_000: "万 万股 万株 萬 만",
    100_000: "lac lacs lakh lakhs",
    1_000_000: "m mn mln mm mio million millions млн 百万 百萬",
    10_000_000: "cr crore crores",
}
_SIZE_OF = {word: size for size, words in _UNITS.items() for word in words.split()}
_TIMES_1000 = re.compile(r"(?P<bare>.*[^\W_])\s*[x×*]\s*(?P<size>1,?000)", re.IGNORECASE)
# What stands above an index that has no name, as pandas writes it.
NO_NAMES = ("", "unnamed0")
LISTED = 20


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which columns of a table are which.

    Attributes:
        positions: by field, from 0.
        aside: the other columns, as the source names them.
        notes: what a reader of the report should know.
        inverse_split: whether the split column has old shares for each new one.
    """

    positions: dict[str, int]
    aside: list[str]
    notes: list[str]
    inverse_split: bool = False


def build_key(name: object) -> str:
    """Return a name as it is compared: `<DATE>`, `1. open`,
    `Split Factor` and `splitFactor` are known too.
    """
    text = unicodedata.normalize("NFKC", str(name)[:200]).casefold()
    return re.sub(r"[\W_]+", "", re.sub(r"^\s*\d+[a-z]?[.)]\s+", "", text))


def _plain(key: str) -> str:
    """Return a key without the accents of Latin letters."""
    bare = re.sub(r"[\u0300-\u036f]", "", unicodedata.normalize("NFD", key))
    return unicodedata.normalize("NFC", bare)


FIELD_OF: dict[str, str] = {}
for _field, _aliases in ALIASES.items():
    for _alias in _aliases:
        _key_of_alias = build_key(_alias)
        FIELD_OF.setdefault(_key_of_alias, _field)
        FIELD_OF.setdefault(_plain(_key_of_alias), _field)
_RANK = {
    key: rank for aliases in ALIASES.values() for rank, key in enumerate(map(build_key, aliases))
}


def find_field(name: object) -> str | None:
    """Return which field a column of this name is, or None."""
    key = build_key(name)
    field = FIELD_OF.get(key) or FIELD_OF.get(_plain(key)) or _find_qualified(str(name)[:200])
    # "Volume ($)" and "Umsatz (€)" are of money, not of shares.
    return None if field == "volume" and _MONEY.search(str(name)) else field


def _find_qualified(name: str) -> str | None:
    """Return which field a column is that says its zone, unit or currency behind its name."""
    bare, zone = part_zone(name)
    key = build_key(bare)
    if zone and (FIELD_OF.get(key) == "time" or key in CLOCKS):
        return "time"
    bare, size = part_unit(name)
    if size is not None:
        return "volume" if FIELD_OF.get(build_key(bare)) == "volume" else None
    match = _BRACKETED.fullmatch(name)
    field = FIELD_OF.get(build_key(match["bare"])) if match else None
    is_price = field in {"open", "high", "low", "close"}
    return field if match and is_price and _UNIT_MONEY.fullmatch(match["said"].strip()) else None


def part_zone(name: str) -> tuple[str, str]:
    """Return the name of a time without the zone that it says, and the zone; "" where it says none:
    Gmt time, time_utc, Date (UTC), Time [Europe/Athens], Time (EST).
    """
    text = unicodedata.normalize("NFKC", name).strip()
    if match := _OFFSET.search(text):
        return text.replace(match["said"], ""), match["said"]
    # Whatever parts the two: date-utc, [UTC] time.
    if match := _UTC.fullmatch(build_key(text)):
        return match["after"] or match["before"] or "", "UTC"
    match = _BRACKETED.fullmatch(text)
    said = match["said"].strip() if match else ""
    if match and _ZONE.fullmatch(said):
        return match["bare"], "UTC" if said == "Z" else said
    return text, ""


def part_unit(name: str) -> tuple[str, int | None]:
    """Return the name of a volume without its unit, and how many shares that is; None where the
    name says no unit that is known: Volume (000), Vol. (mn), Volume x1000.
    """
    text = unicodedata.normalize("NFKC", name).strip()
    if match := _TIMES_1000.fullmatch(text):
        return match["bare"], 1_000
    if match := _BRACKETED.fullmatch(text):
        said = re.sub(r"^in\s+|[\W_]+", "", match["said"].strip().casefold())
        return match["bare"], _SIZE_OF.get(said)
    return text, None


def choose_columns(names: Sequence[str], wanted: Mapping[str, str] | None = None) -> Chosen:
    """Return which of a table's columns are which;
    what a person wanted goes before what the names say.

    Separate `date` and `time` columns are `time` and `clock`. Raises BadInput where a wanted column
    is nowhere, or two columns of one name could be the same field.
    """
    positions = {
        field: _find_wanted(names, field, column) for field, column in (wanted or {}).items()
    }
    taken = set(positions.values())
    candidates: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        field = find_field(name)
        # Polygon's grouped bars: T is the ticker, t the time.
        field = "ticker" if name == "T" and "t" in names else field
        if field is not None and position not in taken:
            candidates.setdefault(field, []).append(position)
    for field, found in candidates.items():
        if field in positions:
            continue
        found.sort(key=lambda position: _rank(names[position]))
        if len(found) > 1 and _are_equal(names[found[0]], names[found[1]]):
            raise BadInput(
                f"columns {found[0] + 1} and {found[1] + 1} are both named"
                f" {names[found[0]][:40]!r}, or of several currencies: say which one is meant"
                f" ({field}={found[0] + 1})"
            )
        positions[field] = found[0]
    if "time" not in (wanted or {}):
        _part_time(names, positions)
    is_index = bool(names) and build_key(names[0]) in NO_NAMES and 0 not in positions.values()
    if is_index and {"open", "close"} <= set(positions):
        # Before bars it is their time.
        positions.setdefault("time", 0)
    aside = [
        name
        for position, name in enumerate(names)
        if position not in positions.values() and name.strip()
    ]
    return Chosen(
        positions,
        aside,
        _explain(names, positions),
        "split" in positions and build_key(names[positions["split"]]) in INVERSE_SPLITS,
    )


def find_missing(chosen: Chosen) -> list[str]:
    """Return the fields that bars cannot do without and a table lacks."""
    return [field for field in REQUIRED if field not in chosen.positions]


def list_names(names: Sequence[str]) -> str:
    """Return a table's column names for a message."""
    shown = ", ".join(name.strip()[:40] or "(no name)" for name in names[:LISTED]) or "none"
    return shown + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def build_missing(names: Sequence[str], missing: Sequence[str]) -> BadInput:
    """Return the error of a table that lacks columns."""
    return BadInput(
        f"no usable column for {', '.join(missing)}; found: {list_names(names)}. Bars need a time"
        " (or date), open, high, low and close; ticker, volume and split are optional. Say which"
        f" column is which, such as the {missing[-1]}"
    )


def _find_wanted(names: Sequence[str], field: str, column: str) -> int:
    for same in (str.strip, build_key):
        found = [position for position, name in enumerate(names) if same(name) == same(column)]
        if len(found) == 1:
            return found[0]
        if found:
            places = ", ".join(str(position + 1) for position in found)
            raise BadInput(
                f"{len(found)} columns are named {column[:40]!r}: give the position of one"
                f" ({places})"
            )
    if column.isascii() and column.isdigit() and 1 <= int(column[:6]) <= len(names):
        return int(column) - 1
    raise BadInput(f"there is no column {column[:40]!r} for {field}; found: {list_names(names)}")


def _are_equal(first: str, second: str) -> bool:
    """Whether nothing says which of two columns is meant: Close and close, or Close (EUR) and Close
    (USD).
    """
    bare = {match["bare"] for name in (first, second) if (match := _BRACKETED.fullmatch(name))}
    return build_key(first) == build_key(second) or (
        len(bare) == 1
        and all(map(_BRACKETED.fullmatch, (first, second)))
        and find_field(*bare) in {"open", "high", "low", "close"}
    )


def _rank(name: str) -> int:
    key = build_key(name)
    return _RANK.get(key, _RANK.get(_plain(key), len(_RANK)))


def _part_time(names: Sequence[str], positions: dict[str, int]) -> None:
    """Make a date's column `time`, and that of the time of day beside it `clock`."""
    keys = [build_key(part_zone(name)[0]) for name in names]
    free = [
        p for p in range(len(names)) if p not in positions.values() or p == positions.get("time")
    ]
    dates = [p for p in free if keys[p] in DATES]
    clocks = [p for p in free if keys[p] in CLOCKS and p not in dates]
    if dates and clocks and positions.get("time") in {dates[0], clocks[0]}:
        positions["time"] = dates[0]
        positions.setdefault("clock", clocks[0])


def _explain(names: Sequence[str], positions: Mapping[str, int]) -> list[str]:
    keys = [build_key(name) for name in names]
    if "tickvol" in keys and positions.get("volume") != keys.index("tickvol"):
        name = names[keys.index("tickvol")]
        return [f"the number of ticks in {name} is not taken for the volume: say so if it is"]
    others = [p for p in range(len(names)) if keys[p] and p not in positions.values()]
    others = [p for p in others if keys[p] not in OTHERS]
    if others and "volume" not in positions:
        # Such as that of the base and that of the quote: either could be meant.
        likely = (names[p].strip()[:40] for p in others if "volume" in keys[p])
        named = next(likely, "another column")
        return [f"no column is taken for the volume, which is 0: say so if {named} is"]
    return []

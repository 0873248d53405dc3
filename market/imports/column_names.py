# ruff: noqa: RUF001 - names of columns in other languages
"""Names of the columns of bars, as vendors write them and in several languages (plain Python)."""

import re
import unicodedata
from functools import lru_cache

from core.words import PRICES
from market.spellings import CURRENCIES, HUNDREDTHS

# Names in the form of `build_key`, the likeliest first. A vendor's "Stock Splits" column is no
# alias of `split`: it comes with prices that are adjusted already. Nor is "Adj Close" an alias of
# `close`: bars are stored as they were quoted, and highs and lows would not fit an adjusted close.
ALIASES: dict[str, tuple[str, ...]] = {
    "ticker": (
        "ticker", "symbol", "code", "actsymbol", "tic", "tickersymbol", "sym", "securitycode",
        "localcode", "ric", "secid", "tscode", "tckrsymb", "orderbookid", "windcode", "stockcode",
        "instrument", "security", "asset", "pair", "productid",
        "kürzel", "simbolo", "symbole", "symbool", "sembol", "тикер",
        "銘柄コード", "コード", "证券代码",
        "股票代码", "代码", "代號", "證券代號", "stkcd", "종목코드", "종목",
    ),
    "time": (
        # Seconds since 1970 have a known zone, unlike a time of the clock in another column. Where
        # a bar has its start and its end, the start counts; `time_open` beside a period's start is
        # the time of the first trade.
        "timeperiodstart", "periodstart", "timeopen", "opentime", "startedat", "startat",
        "candledatetimeutc",
        "time", "timestamp", "windowstart", "unix", "unixtime", "unixtimestamp",
        "epoch", "datetime", "date", "t", "beginsat", "dates", "starttime", "bartime",
        "startofbar", "tsevent", "ts", "gmttime", "localtime", "utctime", "timeutc", "dateutc",
        "datetimeutc", "timestamputc", "dtyyyymmdd", "dateymd", "traddt",
        "tradedate", "exchangedate", "date1", "tradingdate", "tradingday", "pricedate",
        "quotedate", "asofdate", "pricingdate", "trddt", "dlycaldt",
        "businessdate", "tradetime", "datum", "datumzeit", "zeit", "fecha", "data", "dataora",
        "datahora", "дата",
        "日付", "日付け", "日時", "年月日", "日期", "时间", "時間", "交易日期", "날짜", "일자",
        "일시", "データ日付", "วันที่", "วันเดือนปี", "tarih", "dátum", "tanggal", "dato", "päivämäärä",
        "ημερομηνία", "תאריך", "التاريخ", "datadate", "start", "begin",
        "day", "tag", "handelstag",
        "jour", "día", "giorno", "dag",
    ),
    "open": (
        "open", "o", "opening", "openprice", "priceopen", "openingprice", "pxopen", "opn", "prcod",
        "openingskoers", "开市", "開市", "開市價", "nyitó", "otevření", "pembukaan", "kursotwarcia",
        "eröffnung", "eröffn", "eröffnungskurs", "eroeffnung", "erster", "apertura", "aper",
        "abertura", "ouverture", "ouv", "otwarcie", "открытие", "откр", "öppen",
        "öppningskurs", "öppning", "åpning", "åbning", "avaus", "άνοιγμα", "פתיחה", "افتتاح",
        "opnpric", "opnprc", "dlyopen", "dayopen", "tradeopen", "始値",
        "开盘", "开盘价", "開盤", "開盤價",
        "시가", "เปิด", "ราคาเปิด", "açılış", "acilis",
    ),
    "high": (
        "high", "h", "max", "maximum", "highestprice", "prchd", "hoogste", "tertinggi", "kursmax",
        "highprice", "pricehigh", "pxhigh", "hi", "dayhigh", "hoch", "höchst",
        "höchstkurs", "tageshoch", "hoog", "máximo", "máxima", "massimo", "plushaut", "haut",
        "najwyższy", "максимум", "макс", "högst", "högsta", "högstakurs", "høy", "høj", "ylin",
        "υψηλό", "גבוה", "الأعلى", "hghpric", "hiprc", "dlyhigh", "tradehigh", "高値",
        "最高", "最高价", "最高價", "高", "고가", "สูงสุด", "สูง", "ราคาสูงสุด",
        "yüksek",
    ),
    "low": (
        "low", "l", "min", "minimum", "lowestprice", "prcld", "laagste", "terendah", "kursmin",
        "lowprice", "pricelow", "pxlow", "lo", "daylow", "tief", "tiefst",
        "tiefstkurs", "tagestief", "laag", "mínimo", "mínima", "minimo", "plusbas", "bas",
        "najniższy", "минимум", "мин", "lägst", "lägsta", "lägstakurs", "lav", "alin", "χαμηλό",
        "נמוך", "الأدنى", "lwpric", "loprc", "dlylow", "tradelow",
        "安値", "最低", "最低价", "最低價", "低", "저가", "ต่ำสุด",
        "ต่ำ", "ราคาต่ำสุด", "düşük",
    ),
    "close": (
        "close", "c", "prccd", "收市", "收市價", "záró", "zavření", "penutupan", "kurszamknięcia",
        "last", "closeprice", "priceclose", "closingprice", "closelast", "lastprice",
        "pxlast", "pxclose", "schluss", "schlusskurs", "schluß", "schlußkurs", "zuletzt", "letzter",
        "slotkoers", "slot", "cierre", "último", "ultimo", "chiusura", "fechamento", "clôture",
        "clot", "dernier", "zamknięcie", "ostatnio", "закрытие", "цена", "laatste", "stängning",
        "stängningskurs", "senaste", "senastekurs", "senast", "siste", "seneste", "viimeisin",
        "τελευταία", "terakhir", "שער", "الأخير", "letzterkurs", "prezzochiusura",
        "clspric", "clsprc", "dlyclose", "dayclose", "tradeclose", "tradeprice",
        "終値", "收盘", "收盘价", "收盤", "收盤價", "종가",
        "현재가", "ปิด", "ล่าสุด", "ราคาปิด", "kapanış", "şimdi", "price", "px",
        # The settlement price of futures, where there is no column of the last trade.
        "settle", "settlement", "settleprice", "settlementprice", "pxsettle",
        # Text copied from Yahoo's page includes the name's tooltip.
        "closeclosepriceadjustedforsplits",
    ),
    "volume": (
        # Beside a column of pieces, volumes of Brazil and Italy are turnover in money.
        "quantidade", "quantità", "volume", "v", "vol", "vo", "pxvolume", "totalvolume",
        "tradedvolume", "sharestraded",
        "totaltradedquantity", "totaltradequantity", "tottrdqty", "ttltradgvol", "ttltrdqnty",
        "noofshares", "numberofshares",
        # These come before the German words for volume, which mean turnover in money where a column
        # counts pieces.
        "stücke", "stuecke", "stück", "stückzahl", "umsatzstück", "volumen", "umsatz", "wolumen",
        "volumes", "wol", "hac", "объем", "成交股數", "出来高",
        "cshtrd", "objem", "volym", "volum", "volumi", "shares", "qty", "quantity",
        "umsatzinstück", "όγκος", "נפח", "الحجم", "dnshrtrd", "dlyvol", "tradevolume",
        "candleacctradevolume", "売買高", "成交量", "交易量", "거래량", "ปริมาณ", "hacim",
    ),
    "split": (
        "split", "splitfactor", "splitratio", "splitcoefficient", "splitcoef", "splitsfactor",
        "adjustmentfactor", "adjfactor",
    ),
    "interval": (
        "interval", "timeframe", "barsize", "barinterval", "candleinterval", "resolution",
        "granularity", "datagranularity", "tf", "per", "period", "periodicity", "frequency", "freq",
    ),
    # Not stored: rows of one ticker and time that differ in one of these are of several series.
    "venue": (
        "exchange", "venue", "mic", "market", "exch", "exchangecode", "marketcode", "exchangename",
        "miccode", "primaryexchange", "publisherid", "src",
    ),
    # Boards of Moscow's exchange, series of India's.
    "board": ("boardid", "series", "sctysrs"),
    "currency": ("currency", "ccy", "currencycode", "quotecurrency"),
    "adjusted": ("adjusted", "isadjusted"),
    "contract": (
        "contract", "expiry", "expiration", "instrumentid", "contractcode", "fininstrmid",
    ),
    # Not stored: a bar that is not finished is left out.
    "finished": (
        "complete", "iscomplete", "completed", "closed", "isclosed", "isfinal", "finished",
        "isfinished", "confirm", "confirmed", "windowclosed",
    ),
}  # fmt: skip
# Names of a date's column where the time of day has its own column.
DATES = (
    "date", "dates", "tradedate", "tradingdate", "tradingday", "exchangedate", "pricedate",
    "quotedate", "asofdate", "businessdate", "dtyyyymmdd", "dateymd", "traddt", "day", "datum",
    "tag", "handelstag", "fecha", "data", "jour", "día", "dia", "giorno", "dag", "tarih", "dátum",
    "tanggal", "dato", "日付", "日付け", "年月日", "日期", "交易日期", "날짜", "일자", "วันที่",
    "дата",
)  # fmt: skip
# Of these columns, digits alone are hours.
HOURS = ("hour", "hora", "heure", "ora", "시간")
MINUTES = ("minute", "minutes", "minuto", "minuten")
CLOCKS = (
    *HOURS, "time", "clock", "uhrzeit", "zeit", "tijd", "tid", "czas", "godzina", "čas", "idő",
    "saat", "jam", "時刻", "時間", "时间", "시각", "เวลา", "время",
)  # fmt: skip
# Names of other columns of bars; together with the aliases they tell a row of names from data.
OTHERS = ("adjclose", "adjustedclose", "dividends", "stocksplits", "capitalgains", "repaired")
# How names of prices give a currency; a "p" alone is too little to tell pence by.
QUOTED_IN = "|".join((CURRENCIES, *(code for code in HUNDREDTHS if len(code) == 3)))
# Longer names are not looked at: patterns are tried from each letter of a name.
MOST_LETTERS = 200
_MONEY = re.compile("[$€£¥₹]")
_UNIT_MONEY = re.compile(rf"{QUOTED_IN}|p|[元円圓원]")
# A zone or a unit in brackets behind a name.
BRACKETED = re.compile(r"(?P<bare>.*\S)\s*[(\[](?P<said>[^()\[\]]+)[)\]]\s*")
# DD/MM/YYYY and MS are no zones.
_ZONE = re.compile(
    r"(?![DMYHS/]+$)(?:[A-Z]{1,5}|[A-Za-z_]+(?:/[A-Za-z_]+){1,2})|[+-]\d{1,2}(?::?\d{2})?"
)
_OFFSET = re.compile(r"(?P<said>(?:utc|gmt)\s*[+-]\s*\d{1,2}(?::?\d{2})?)", re.IGNORECASE)
_UTC = re.compile("(?:utc|gmt)(?P<after>.*)|(?P<before>.*)(?:utc|gmt)")
# How many shares a unit of volume is, by the vendors' names of units; 手 is a Chinese lot.
_UNITS = {
    1: "shares share units pcs qty stück stk st szt шт 株 股 주",
    100: "00s 00 手",
    1_000: "000 000s 000shares thousand thousands thou ths k 1000 1000s tsd tys тыс 千株 千股 พันหุ้น",
    10_000: "万 万股 万株 萬 만",
    100_000: "lac lacs lakh lakhs",
    1_000_000: "m mn mln mm mio million millions млн 百万 百萬",
    10_000_000: "cr crore crores",
}
_SIZE_OF = {word: size for size, words in _UNITS.items() for word in words.split()}
_TIMES_1000 = re.compile(r"(?P<bare>.*[^\W_])\s*[x×*]\s*(?P<size>1,?000)", re.IGNORECASE)


def build_key(name: object) -> str:
    """Return a name in the form in which names are compared, so that `<DATE>`, `1. open`,
    `Split Factor` and `splitFactor` are recognised.
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
    return _find_field(str(name)[:MOST_LETTERS])


@lru_cache(maxsize=4_096)
def _find_field(name: str) -> str | None:
    key = build_key(name)
    field = FIELD_OF.get(key) or FIELD_OF.get(_plain(key)) or _find_qualified(name)
    # "Volume ($)" and "Umsatz (€)" are money, not shares.
    return None if field == "volume" and _MONEY.search(name) else field


def rank_name(name: str) -> int:
    """Return the rank of a name among the names of its field; 0 is the likeliest."""
    key = build_key(name)
    return _RANK.get(key, _RANK.get(_plain(key), len(_RANK)))


def _find_qualified(name: str) -> str | None:
    """Return the field of a column whose name ends with a zone, a unit or a currency."""
    bare, zone = part_zone(name)
    key = build_key(bare)
    # Dukascopy names its times Etc/UTC, and nothing else.
    if zone and (FIELD_OF.get(key) == "time" or key in {*CLOCKS, "", "etc"}):
        return "time"
    bare, size = part_unit(name)
    if size is not None:
        return "volume" if FIELD_OF.get(build_key(bare)) == "volume" else None
    match = BRACKETED.fullmatch(name)
    field = FIELD_OF.get(build_key(match["bare"])) if match else None
    is_price = field in PRICES
    return field if match and is_price and _UNIT_MONEY.fullmatch(match["said"].strip()) else None


def part_zone(name: str) -> tuple[str, str]:
    """Return the name of a time's column without its zone, and the zone, "" where it has none.

    Examples: Gmt time, time_utc, Date (UTC), Time [Europe/Athens], Time (EST).
    """
    text = unicodedata.normalize("NFKC", name).strip()
    if match := _OFFSET.search(text):
        return text.replace(match["said"], ""), match["said"]
    # With any separator between the two: date-utc, [UTC] time.
    if match := _UTC.fullmatch(build_key(text)):
        return match["after"] or match["before"] or "", "UTC"
    match = BRACKETED.fullmatch(text)
    said = match["said"].strip() if match else ""
    if match and _ZONE.fullmatch(said):
        return match["bare"], "UTC" if said == "Z" else said
    return text, ""


def part_unit(name: str) -> tuple[str, int | None]:
    """Return the name of a volume's column without its unit, and how many shares the unit is; None
    where the name has no known unit.

    Examples: Volume (000), Vol. (mn), Volume x1000.
    """
    text = unicodedata.normalize("NFKC", name).strip()
    if match := _TIMES_1000.fullmatch(text):
        return match["bare"], 1_000
    if match := BRACKETED.fullmatch(text):
        said = re.sub(r"^in\s+|[\W_]+", "", match["said"].strip().casefold())
        return match["bare"], _SIZE_OF.get(said)
    return text, None

"""Names of files: which files are files of bars, and which ticker a file is named after."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from core.errors import BadInput
from market.imports.column_names import find_field
from market.intervals import read_interval
from market.spellings import is_currency, read_spelling

_PLAIN = (".csv", ".tsv", ".txt", ".json", ".ndjson", ".jsonl")
# Suffixes of a single packed file.
PACKED = (".gz", ".bz2", ".xz", ".zst")
SUFFIXES = (
    *(plain + packed for plain in _PLAIN for packed in ("", *PACKED)), ".parquet", ".xlsx", ".zip"
)  # fmt: skip
WRITTEN_SUFFIXES = (
    f"{', '.join(('.parquet', '.xlsx', '.zip', *_PLAIN))}, the last {len(_PLAIN)} also packed:"
    f" {', '.join(_PLAIN[0] + packed for packed in PACKED)}"
)
UNREAD = {
    ".ods": "an OpenDocument spreadsheet (.ods): save it as .xlsx",
    ".xls": "named as Excel's old format (.xls): save it as .xlsx. Some programs write plain text"
    " under that name: name such a file .csv",
    ".xlsb": "Excel's binary format (.xlsb): save it as .xlsx",
}
# The ways in which vendors name a file after a ticker, with the other parts of the name.
PATTERNS = (
    (
        "Alpha Vantage",
        r"(?:daily|weekly|monthly|intraday)(?:_adjusted)?(?:_\d+min)?_(?P<ticker>[A-Za-z0-9.-]+)",
    ),
    ("Stooq", r"(?P<ticker>[A-Za-z0-9^.-]+?)(?:[._][a-z]{2})?_[dwmqy]"),
    ("Stooq", r"(?P<ticker>[a-z0-9^-]+)\.us"),
    ("Binance", r"(?P<ticker>[A-Z0-9]{5,})-(?:\d{1,2}[smhdw]|1mo)(?:-[\w-]+)?"),
    (
        "TradingView",
        r"(?:[A-Z]+_(?:DLY|MINI)_|[A-Z]{3,8}_)(?P<ticker>[A-Za-z0-9.!-]+), \d*[SDWMH]?",
    ),
    (
        "investing.com",
        (
            r"(?P<ticker>[A-Za-z0-9.-]+?)(?:(?: -)? (?:Historical Data"
            r"|Historische Daten|Données Historiques|Dados Históricos|Geçmiş Verileri"
            r"|過去データ|과거 데이터)|历史数据)"
        ),
    ),
    (
        "investing.com",
        r"(?:Dati storici|Datos históricos|Прошлые данные)(?: -)? (?P<ticker>[A-Za-z0-9.-]+)",
    ),
    (
        "MetaTrader",
        r"(?P<ticker>[A-Za-z0-9.#-]+)_(?:M1|M5|M15|M30|H1|H4|Daily|Weekly)(?:_\d{12}_\d{12})?",
    ),
)
# The mark of a copy, as browsers and file managers add it to a name.
_COPY = re.compile(r"\s*\(\d+\)$| - Copy$")
# Names that programs give to files of any content.
_NO_TICKERS = {
    "bars", "book", "book1", "candles", "chart", "daily", "data", "dataset", "download",
    "downloads", "eod", "export", "file", "hist", "historical", "history", "hourly", "import",
    "intraday", "klines", "market", "minute", "minutes", "ohlc", "ohlcv", "output", "price",
    "prices", "quote", "quotes", "result", "results", "sheet", "sheet1", "stock", "stocks",
    "table", "ticker", "tickers", "untitled", "weekly",
}  # fmt: skip
# Vendors' names are no tickers either, but in capitals one may be a ticker, such as POLYGON.
_VENDORS = {
    "alpaca", "alphavantage", "barchart", "bbg", "binance", "bitfinex", "bitstamp", "bloomberg",
    "bybit", "coinbase", "coingecko", "cryptocompare", "databento", "deribit", "dukascopy",
    "eikon", "eodhd", "euronext", "factset", "finnhub", "firstrate", "histdata", "investing",
    "kibot", "kraken", "kucoin", "marketstack", "metatrader", "mt4", "mt5", "nasdaq",
    "ninjatrader", "nyse", "oanda", "okx", "polygon", "quandl", "refinitiv", "reuters", "schwab",
    "stooq", "tiingo", "tradestation", "tradier", "tradingview", "twelvedata", "upbit", "yahoo",
    "yfinance",
}  # fmt: skip
_CLEAR = re.compile(r"[A-Za-z0-9.^=$-]{1,20}")
# A title that is a ticker, and usual names of sheets, which are not.
_TITLE = re.compile(r"[A-Z]{2,5}(?:[.-][A-Z]{1,4})?|[A-Z0-9]{1,6}\.[A-Z]{1,2}")
_NO_TITLES = {
    "adj", "all", "amex", "api", "asx", "back", "base", "blad", "bse", "calc", "clean", "close",
    "code", "conf", "copy", "cours", "csv", "dados", "date", "daten", "datos", "day", "db", "draft",
    "dump", "eq", "etf", "eu", "excel", "feed", "feuil", "final", "fx", "high", "hkex", "hloc",
    "hoja", "hour", "index", "info", "input", "jpx", "krx", "kurse", "list", "live", "log", "lse",
    "main", "min", "mon", "month", "name", "new", "notes", "nse", "old", "out", "page", "px",
    "raw", "serie", "setup", "sgx", "src", "sse", "stats", "tab", "temp", "test", "tick", "ticks",
    "time", "tmp", "today", "total", "trade", "tse", "tsx", "uk", "us", "usa", "usdt", "value",
    "view", "vol", "week", "work", "xetra", "xls", "xnas", "xnys", "yf", "ytd",
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    "march", "april", "june", "july",
}  # fmt: skip
# A security as Bloomberg writes it: SPX Index.
_KEYED = re.compile(r"\S+(?: \S+)? (?:Equity|Index|Curncy|Comdty|Govt|Corp)", re.IGNORECASE)
# Names of the pieces of one table, by number, by day and by year.
_PIECE = re.compile(r"(?P<word>[A-Za-z]+)[-_. ]?\d[\w-]*")
_YEAR = re.compile(r"(?:19|20)\d{2}")
_PERIOD = re.compile(r"(?:19|20)\d{2}(?:[-_](?:\d{2}|[QqHh][1-4])|[Qq][1-4]|[-_]?\d{2}[-_]?\d{2})")
# In folders named after a market whose tickers are numbers, or after its exchange, 2002.csv is the
# file of a ticker, not of a year.
_PLACES_OF_NUMBERS = {
    "JP", "TSE", "TYO", "JPX", "XTKS", "HK", "HKG", "HKEX", "SEHK", "XHKG", "KR", "CN",
    "TW", "TPE", "TPEX", "TWSE", "XTAI",
}  # fmt: skip
# A ticker such as Singapore's D05; nobody writes an interval like this.
_CODE = re.compile(r"[A-Za-z]0\d")
_YEARED = re.compile(r"(?P<ticker>[A-Za-z0-9.^=-]+?)[_-](?:19|20)\d{2}(?:[_-]?\d{2}){0,2}")


@dataclass(frozen=True, slots=True)
class Owner:
    """The ticker that a file is named after, and a note about it."""

    ticker: str
    note: str | None = None


def find_suffix(filename: str) -> str:
    """Return the suffix that tells the kind of a file. Raises BadInput on a kind that is
    not read.
    """
    name = PurePosixPath(filename).name.lower()
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    if kind := find_unread(name):
        raise BadInput(f"it is {kind}")
    if suffix is None:
        raise BadInput(f"not a kind of file that is known: choose one of {WRITTEN_SUFFIXES}")
    return suffix


def find_unread(filename: str) -> str | None:
    """Return what a spreadsheet of an unsupported kind is, by its name, with what to do;
    else None.
    """
    return UNREAD.get(PurePosixPath(filename.lower()).suffix)


def cut_suffix(filename: str) -> str:
    """Return a file's name without its folder and without the suffixes that tell its kind."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    found = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    suffix = max(found, key=len) if found else PurePosixPath(name).suffix
    return name[: len(name) - len(suffix)] if suffix else name


def is_spelled_as_ticker(text: str) -> bool:
    """Return whether a text is written like a ticker, not like a word or a name."""
    is_code = _CLEAR.fullmatch(text) and text == text.upper() and text.lower() not in _NO_TICKERS
    return bool(is_code or _KEYED.fullmatch(text) or read_spelling(text))


def is_titled_as_ticker(text: str) -> bool:
    """Return whether a sheet's name or a title can only be a ticker."""
    return bool(
        _TITLE.fullmatch(text)
        and text.lower() not in _NO_TICKERS | _NO_TITLES | _VENDORS
        and not is_currency(text)
    )


def find_owner(filename: str) -> Owner:
    """Return the ticker that a file is named after, or its folder, where a table is partitioned by
    ticker (ticker=AAPL/part-0.parquet).

    Raises BadInput where the name is not clearly a ticker.
    """
    stem = cut_suffix(filename)
    folders = PurePosixPath(filename.replace("\\", "/")).parts[:-1]
    for parted in reversed(folders):
        key, _, value = parted.partition("=")
        if value and find_field(key) == "ticker":
            ticker = unquote(value)
            return Owner(ticker, f"the folder {parted[:60]!r} is taken for {ticker.upper()[:40]}")
    bare = _COPY.sub("", stem)
    for vendor, pattern in PATTERNS:
        if match := re.fullmatch(pattern, bare):
            ticker = match["ticker"]
            return Owner(
                ticker,
                f"the file {stem[:60]!r}, named as {vendor} does, is taken for {ticker.upper()}",
            )
    if match := _YEARED.fullmatch(bare):
        raise BadInput(
            f"the table has no ticker column, and the name {stem[:60]!r} is a ticker with a year or"
            f" something else: say whose bars these are (ticker {match['ticker'].upper()[:20]})"
        )
    named_otherwise = bare.lower() in _NO_TICKERS or (
        bare.lower() in _VENDORS and not bare.isupper()
    )
    folder = folders[-1] if folders and is_spelled_as_ticker(folders[-1]) else None
    if _is_piece(bare, folder):
        raise BadInput(
            f"the table has no ticker column, and the name {stem[:60]!r} is that of a part, a time"
            " or an interval: say whose bars these are"
            f" (ticker {folder[:20] if folder else 'AAPL'}), or name the file after it"
        )
    if _CLEAR.fullmatch(bare) and not named_otherwise:
        note = f"the file {stem[:60]!r} is taken for {bare.upper()}" if bare != stem else None
        return Owner(bare, note)
    raise BadInput(
        f"the table has no ticker column, and the name {stem[:60]!r} is not clearly a ticker: say"
        " whose bars these are (a ticker such as AAPL)"
    )


def _is_piece(name: str, folder: str | None) -> bool:
    """Return whether a file's name tells a piece of a table: a part, a time or an interval. A
    number may be a year where the file is in a folder that is named like a ticker.
    """
    piece = _PIECE.fullmatch(name)
    return bool(
        (piece and piece["word"].lower() in _NO_TICKERS | {"part", "chunk", "page"})
        or _PERIOD.fullmatch(name)
        or (_YEAR.fullmatch(name) and folder and folder.upper() not in _PLACES_OF_NUMBERS)
        or _is_interval(name)
    )


def _is_interval(name: str) -> bool:
    if name.isalpha() or name.isdigit() or _CODE.fullmatch(name):
        return False
    return bool(read_interval(name))

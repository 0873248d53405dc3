"""Converts vendors' spellings of tickers to those of this service (plain Python).

Only spellings with a single meaning are read: Bloomberg's `VOD LN Equity`, Reuters' `AAPL.O`,
`NYSE:IBM` of Google and TradingView, pairs such as `BTC/USDT`. Spellings that would need a list of
names, such as `SPX Index`, are refused by `market/tickers.py` with advice.
"""

import re
import unicodedata
from collections.abc import Iterable

CURRENCIES = (
    "USD|EUR|GBP|JPY|CHF|AUD|NZD|CAD|CNY|CNH|HKD|SGD|THB|INR|KRW|TWD"
    "|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|BRL|ILS|RUB"
)
# The hundredth parts that shares of London, Johannesburg and Tel Aviv are quoted in, by how they
# are written.
HUNDREDTHS = {
    "GBp": "GBP", "GBX": "GBP", "p": "GBP", "ZAc": "ZAR", "ZAX": "ZAR", "ILA": "ILS", "ILa": "ILS",
}  # fmt: skip
# Suffix by what Bloomberg writes of an exchange, or of all of a country. IN is of two exchanges.
_BLOOMBERG = {
    "US": "", "UN": "", "UW": "", "UQ": "", "UR": "", "UA": "", "UP": "", "UF": "",
    "LN": ".L", "JP": ".T", "JT": ".T", "HK": ".HK", "GY": ".DE", "FP": ".PA",
    "IS": ".NS", "IB": ".BO", "AU": ".AX", "AT": ".AX", "CN": ".TO", "CT": ".TO",
    "KP": ".KS", "KQ": ".KQ", "CG": ".SS", "CS": ".SZ", "SP": ".SI", "TT": ".TW", "TB": ".BK",
}  # fmt: skip
# Suffix by what Google and TradingView write before a colon, by ISO 10383 and by Yahoo's codes of
# exchanges. TSE is Tokyo's or Toronto's.
_EXCHANGES = {
    "NASDAQ": "", "NYSE": "", "AMEX": "", "NYSEAMERICAN": "", "NYSEARCA": "", "ARCA": "",
    "LON": ".L", "LSE": ".L", "TYO": ".T", "HKG": ".HK", "HKEX": ".HK",
    "ETR": ".DE", "EPA": ".PA", "NSE": ".NS", "BSE": ".BO", "BOM": ".BO",
    "ASX": ".AX", "TSX": ".TO", "TSXV": ".V", "KOSPI": ".KS", "KOSDAQ": ".KQ", "SSE": ".SS",
    "SHA": ".SS", "SZSE": ".SZ", "SHE": ".SZ", "SGX": ".SI", "TWSE": ".TW", "TPE": ".TW",
    "TPEX": ".TWO", "BKK": ".BK", "SET": ".BK", "XETRA": ".DE", "JPX": ".T", "KRX": ".KS",
    "MOEX": ".ME",
    "XNYS": "", "XNAS": "", "XASE": "", "ARCX": "", "BATS": "", "IEXG": "", "XLON": ".L",
    "XTKS": ".T", "XHKG": ".HK", "XETR": ".DE", "XPAR": ".PA", "XNSE": ".NS", "XBOM": ".BO",
    "XASX": ".AX", "XTSE": ".TO", "XTSX": ".V", "XKRX": ".KS", "XKOS": ".KQ", "XSHG": ".SS",
    "XSHE": ".SZ", "XSES": ".SI", "XTAI": ".TW", "ROCO": ".TWO", "XBKK": ".BK",
    "NMS": "", "NGM": "", "NCM": "", "NYQ": "", "PCX": "", "GER": ".DE", "PAR": ".PA",
    "NSI": ".NS", "TOR": ".TO", "VAN": ".V", "KSC": ".KS", "KOE": ".KQ", "SHH": ".SS",
    "SHZ": ".SZ", "SES": ".SI", "TAI": ".TW", "TWO": ".TWO",
    # Of markets that are not shipped: their suffix is asked for, or they were of the US.
    "AMS": ".AS", "XAMS": ".AS", "EBR": ".BR", "XBRU": ".BR", "ELI": ".LS", "XLIS": ".LS",
    "BIT": ".MI", "XMIL": ".MI", "MTAA": ".MI", "BME": ".MC", "XMAD": ".MC", "BMEX": ".MC",
    "SWX": ".SW", "XSWX": ".SW", "STO": ".ST", "XSTO": ".ST", "HEL": ".HE", "XHEL": ".HE",
    "CPH": ".CO", "XCSE": ".CO", "OSL": ".OL", "XOSL": ".OL", "VIE": ".VI", "XWBO": ".VI",
    "WSE": ".WA", "XWAR": ".WA", "XIST": ".IS", "BIST": ".IS", "TLV": ".TA", "XTAE": ".TA",
    "JSE": ".JO", "XJSE": ".JO", "BVMF": ".SA", "XMEX": ".MX", "NZE": ".NZ", "XNZE": ".NZ",
    "XKLS": ".KL", "XIDX": ".JK", "TADAWUL": ".SR", "XSAU": ".SR",
}  # fmt: skip
# Suffix by words of an exchange's whole name, the more particular first.
_WHOLE_NAMES = {
    "XETRA": ".DE", "FRANKFURT": ".F", "DEUTSCHE BOERSE": ".DE", "DEUTSCHE BORSE": ".DE",
    "LONDON": ".L", "TOKYO": ".T", "HONG KONG": ".HK", "PARIS": ".PA", "TSX VENTURE": ".V",
    "TORONTO": ".TO", "AUSTRALIAN": ".AX", "SINGAPORE": ".SI", "TAIPEI": ".TWO",
    "TAIWAN": ".TW", "THAILAND": ".BK", "KOSDAQ": ".KQ", "KOREA": ".KS", "SHANGHAI": ".SS",
    "SHENZHEN": ".SZ", "BEIJING": ".BJ", "NATIONAL STOCK EXCHANGE": ".NS", "BOMBAY": ".BO",
    "MOSCOW": ".ME", "AMSTERDAM": ".AS", "BRUSSELS": ".BR", "LISBON": ".LS",
    "BORSA ITALIANA": ".MI", "MILAN": ".MI", "MADRID": ".MC", "SWISS": ".SW", "ZURICH": ".SW",
    "STOCKHOLM": ".ST", "HELSINKI": ".HE", "COPENHAGEN": ".CO", "OSLO": ".OL", "VIENNA": ".VI",
    "WIENER": ".VI", "WARSAW": ".WA", "PRAGUE": ".PR", "BUDAPEST": ".BD", "ISTANBUL": ".IS",
    "ATHENS": ".AT", "DUBLIN": ".IR", "TEL AVIV": ".TA", "JOHANNESBURG": ".JO",
    "SAO PAULO": ".SA", "MEXICAN": ".MX", "NEW ZEALAND": ".NZ", "MALAYSIA": ".KL",
    "INDONESIA": ".JK", "SAUDI": ".SR", "RIGA": ".RG", "TALLINN": ".TL", "VILNIUS": ".VS",
    "ICELAND": ".IC", "DUBAI": ".AE",
    "NEW YORK": "", "NYSE": "", "NASDAQ": "", "NASDAQGS": "", "NASDAQGM": "", "NASDAQCM": "",
}  # fmt: skip
# What trades no shares: London's exchange of metals is none of London's shares.
_NO_SHARES = re.compile(
    r"\b(METALS?|MERCANTILE|COMMODIT(Y|IES)|FUTURES?|DERIVATIVES?|OPTIONS?|ENERGY)\b"
)
# Words beside an exchange's code that say nothing of which it is.
_WORDS_BESIDE = {
    "ALL", "EQUITIES", "EQUITY", "EXCHANGE", "GROUP", "INC", "INDIA", "LIMITED", "LTD", "MAIN",
    "MARKET", "MARKETS", "OF", "PLC", "SHARES", "STOCK", "STOCKS", "US",
}  # fmt: skip
# The exchange of a table by some of the boards, or series, that a column of it names.
_BOARDS = {
    "TQBR": "MOEX", "TQTF": "MOEX",
    "EQ": "NSE", "BE": "NSE", "BZ": "NSE", "SM": "NSE", "ST": "NSE",
}  # fmt: skip
# What parts a class of shares, or a pair's second coin, from what is before it.
_MARKS = ".-_"
MOST_CLASS_LETTERS = 4
# What says that a pair is one of coins: XAU/USD and US30/USD are none.
_COINS = "USDT|USDC|BUSD|FDUSD|TUSD|BTC|ETH"
_CODE = r"(?P<code>[A-Z0-9]{1,12}(?:[/.-][A-Z])?)"
_SPACED = re.compile(rf"{_CODE}\s+(?P<exchange>[A-Z]{{2}})(?:\s+EQUITY)?")
_PREFIXED = re.compile(rf"(?P<exchange>[A-Z]{{2,12}}):{_CODE}")
# Alpha Vantage's TSCO.LON, RiceQuant's 600519.XSHG; what has two letters is a suffix of Yahoo's.
_ENDED = re.compile(r"(?P<code>[A-Z0-9]{1,12}(?:[/-][A-Z])?)\.(?P<exchange>[A-Z]{3,12})")
# Reuters' codes of NYSE and Nasdaq; a class of shares is a small letter before.
_REUTERS = re.compile(r"(?P<code>[A-Z]{1,5})(?P<cls>[a-z])?\.(?:N|O|OQ)")
_FX = re.compile(rf"(?P<base>{CURRENCIES})(?P<quote>{CURRENCIES}) CURNCY")
_PAIR = re.compile(rf"([A-Z0-9]{{2,12}})/({_COINS})|({_COINS})/({CURRENCIES})")
_ANY_COIN = re.compile(rf"([A-Z0-9]{{2,12}})/({CURRENCIES}|{_COINS})")
_OF_THREE = re.compile(r"([A-Z]{3})/([A-Z]{3})")


def read_spelling(text: str) -> str | None:
    """Return the ticker that a vendor's spelling means; None where it has no single meaning."""
    written = " ".join(text.split())
    if match := _REUTERS.fullmatch(written) or _REUTERS.fullmatch(written.upper()):
        return match["code"] + (f".{match['cls'].upper()}" if match["cls"] else "")
    upper = written.upper()
    if match := _FX.fullmatch(upper):
        return f"{match['base']}{match['quote']}=X"
    for pattern, suffixes in (
        (_SPACED, _BLOOMBERG),
        (_PREFIXED, _EXCHANGES),
        (_ENDED, _EXCHANGES),
    ):
        match = pattern.fullmatch(upper)
        suffix = suffixes.get(match["exchange"]) if match else None
        # Of digits alone no code is Canada's, which Bloomberg calls CN.
        if match and suffix is not None and not (suffix == ".TO" and match["code"].isdigit()):
            return _join(match["code"], suffix)
    return upper.replace("/", "-") if _PAIR.fullmatch(upper) else None


def is_currency(text: str) -> bool:
    """Whether a text is the code of a currency that is known."""
    return re.fullmatch(CURRENCIES, text) is not None


def read_venue(text: str) -> str | None:
    """Return the suffix of a venue's tickers, which is empty in the US; None of one that is not
    known: XLON, London Stock Exchange, NASDAQ Global Select.
    """
    marked = unicodedata.normalize("NFD", text.upper())
    bare = " ".join(re.sub(r"[\u0300-\u036f]", "", marked).split())
    if bare in _EXCHANGES:
        return _EXCHANGES[bare]
    # Nasdaq Stockholm is of Stockholm: places go before the names of those who run exchanges.
    words = " ".join(re.findall(r"[A-Z0-9]+", bare))
    if _NO_SHARES.search(words):
        return None
    held = (suffix for name, suffix in _WHOLE_NAMES.items() if f" {name} " in f" {words} ")
    # LSE - MAIN MARKET, BSE Ltd, NSE of India
    code, *rest = words.split() or [""]
    return next(held, _EXCHANGES.get(code) if _WORDS_BESIDE.issuperset(rest) else None)


def find_exchange(boards: Iterable[str]) -> str:
    """Return of which exchange the boards are that a column names, by one that is known; else an
    empty text.
    """
    return next((_BOARDS[text.strip()] for text in boards if text.strip() in _BOARDS), "")


def is_same_spelling(one: str, other: str) -> bool:
    """Whether two texts may be one ticker: AAPL of AAPL.US, brk-b of BRK.B, 7203 of 7203.T, BTC of
    BTC-USD.
    """
    texts = [text.upper() for text in (one, other)]
    short, long = sorted((re.sub(r"[^A-Z0-9]", "", text) for text in texts), key=len)
    codes = {text.partition(".")[0] for text in texts}
    return (
        short == long
        or re.fullmatch(f"{short}(?:{CURRENCIES}|{_COINS})", long) is not None
        or (len(codes) == 1 and not all("." in text for text in texts))
    )


def list_alike(ticker: str) -> list[str]:
    """Return the other spellings of a ticker that differ in punctuation only: BRK-B and BRKB for
    BRK.B.
    """
    found = {
        ticker[:at] + mark + ticker[at + 1 :]
        for at, letter in enumerate(ticker)
        if letter in _MARKS
        for mark in ("", *_MARKS)
    }
    code, dot, suffix = ticker.rpartition(".") if "." in ticker else (ticker, "", "")
    if code.isalnum():
        found |= {
            f"{code[:at]}{mark}{code[at:]}{dot}{suffix}"
            for at in range(max(1, len(code) - MOST_CLASS_LETTERS), len(code))
            for mark in _MARKS
        }
    return sorted(found - {ticker})


def read_pair(text: str, market: str) -> str | None:
    """Return the ticker of a pair with a slash, given its market; None where it is no pair."""
    pattern = {"FX": _OF_THREE, "CRYPTO": _ANY_COIN}.get(market.strip().upper())
    match = pattern.fullmatch(text.strip().upper()) if pattern else None
    if match is None:
        return None
    return f"{match[1]}{match[2]}=X" if pattern is _OF_THREE else f"{match[1]}-{match[2]}"


def _join(code: str, suffix: str) -> str:
    """Return a code with its suffix: a class after a dot in the US, a hyphen elsewhere."""
    code = write_class(code.replace("/", ".")) if suffix else re.sub("[/-]", ".", code)
    return (code.zfill(4) if suffix == ".HK" else code) + suffix


def write_class(code: str) -> str:
    """Return a code of another country than the US with its class of shares after a hyphen; London
    ends codes of two letters with a dot.
    """
    return code.rstrip(".").replace(".", "-")

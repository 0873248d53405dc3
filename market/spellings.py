"""How vendors write tickers, and what that is here (plain Python).

Read is what can only mean one ticker: Bloomberg's `VOD LN Equity`, Reuters' `AAPL.O`, `NYSE:IBM` of
Google and TradingView, pairs such as `BTC/USDT`. What would need a list of names, such as `SPX
Index`, is refused by `market/tickers.py` with how to write it.
"""

import re

CURRENCIES = (
    "USD|EUR|GBP|JPY|CHF|AUD|NZD|CAD|CNY|CNH|HKD|SGD|THB|INR|KRW|TWD"
    "|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|BRL|ILS|RUB"
)
# Suffix by what Bloomberg writes of an exchange, or of all of a country. IN is of two exchanges.
_BLOOMBERG = {
    "US": "", "UN": "", "UW": "", "UQ": "", "UR": "", "UA": "", "UP": "", "UF": "",
    "LN": ".L", "JP": ".T", "JT": ".T", "HK": ".HK", "GY": ".DE", "FP": ".PA",
    "IS": ".NS", "IB": ".BO", "AU": ".AX", "AT": ".AX", "CN": ".TO", "CT": ".TO",
    "KP": ".KS", "KQ": ".KQ", "CG": ".SS", "CS": ".SZ", "SP": ".SI", "TT": ".TW", "TB": ".BK",
}  # fmt: skip
# Suffix by what Google and TradingView write before a colon. TSE is Tokyo's or Toronto's.
_EXCHANGES = {
    "NASDAQ": "", "NYSE": "", "AMEX": "", "NYSEAMERICAN": "", "NYSEARCA": "", "ARCA": "",
    "BATS": "", "LON": ".L", "LSE": ".L", "TYO": ".T", "HKG": ".HK", "HKEX": ".HK",
    "ETR": ".DE", "XETR": ".DE", "EPA": ".PA", "NSE": ".NS", "BSE": ".BO", "BOM": ".BO",
    "ASX": ".AX", "TSX": ".TO", "TSXV": ".V", "KOSPI": ".KS", "KOSDAQ": ".KQ", "SSE": ".SS",
    "SHA": ".SS", "SZSE": ".SZ", "SHE": ".SZ", "SGX": ".SI", "TWSE": ".TW", "TPE": ".TW",
    "TPEX": ".TWO", "BKK": ".BK",
}  # fmt: skip
# What says that a pair is one of coins: XAU/USD and US30/USD are none.
_COINS = "USDT|USDC|BUSD|FDUSD|TUSD|BTC|ETH"
_CODE = r"(?P<code>[A-Z0-9]{1,12}(?:[/.-][A-Z])?)"
_SPACED = re.compile(rf"{_CODE}\s+(?P<exchange>[A-Z]{{2}})(?:\s+EQUITY)?")
_PREFIXED = re.compile(rf"(?P<exchange>[A-Z]{{2,12}}):{_CODE}")
# Reuters' codes of NYSE and Nasdaq; a class of shares is a small letter before.
_REUTERS = re.compile(r"(?P<code>[A-Z]{1,5})(?P<cls>[a-z])?\.(?:N|O|OQ)")
_FX = re.compile(rf"(?P<base>{CURRENCIES})(?P<quote>{CURRENCIES}) CURNCY")
_PAIR = re.compile(rf"([A-Z0-9]{{2,12}})/({_COINS})|({_COINS})/({CURRENCIES})")
_ANY_COIN = re.compile(rf"([A-Z0-9]{{2,12}})/({CURRENCIES}|{_COINS})")
_OF_THREE = re.compile(r"([A-Z]{3})/([A-Z]{3})")


def read_spelling(text: str) -> str | None:
    """Return the ticker that a vendor's way to write one can only mean, or None."""
    written = " ".join(text.split())
    if match := _REUTERS.fullmatch(written) or _REUTERS.fullmatch(written.upper()):
        return match["code"] + (f".{match['cls'].upper()}" if match["cls"] else "")
    upper = written.upper()
    if match := _FX.fullmatch(upper):
        return f"{match['base']}{match['quote']}=X"
    for pattern, suffixes in ((_SPACED, _BLOOMBERG), (_PREFIXED, _EXCHANGES)):
        match = pattern.fullmatch(upper)
        suffix = suffixes.get(match["exchange"]) if match else None
        # Of digits alone no code is Canada's, which Bloomberg calls CN.
        if match and suffix is not None and not (suffix == ".TO" and match["code"].isdigit()):
            return _join(match["code"], suffix)
    return upper.replace("/", "-") if _PAIR.fullmatch(upper) else None


def read_pair(text: str, market: str) -> str | None:
    """Return the ticker of a pair that a slash parts, where it is told of which market it is."""
    pattern = {"FX": _OF_THREE, "CRYPTO": _ANY_COIN}.get(market.strip().upper())
    match = pattern.fullmatch(text.strip().upper()) if pattern else None
    if match is None:
        return None
    return f"{match[1]}{match[2]}=X" if pattern is _OF_THREE else f"{match[1]}-{match[2]}"


def _join(code: str, suffix: str) -> str:
    """Return a code with its suffix: a class after a dot in the US, a hyphen elsewhere."""
    code = re.sub("[/.-]", "-" if suffix else ".", code)
    return (code.zfill(4) if suffix == ".HK" else code) + suffix

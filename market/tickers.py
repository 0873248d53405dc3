"""A ticker is written in upper case, in a few letters, digits and marks."""

import re

from core.errors import BadInput

SHORTEST_CURRENCY = 3
# A ticker needs a letter or digit (".." is none), as API paths and files are named after it.
_TICKER = re.compile(r"(?=.*[A-Z0-9])[A-Z0-9.^=_-]{1,20}")
# How tickers are written here whose Bloomberg names end with these words.
_WRITTEN = {
    "EQUITY": "Yahoo does (AAPL, VOD.L, RELIANCE.NS)",
    "INDEX": "Yahoo does (^GSPC, ^N225; ES=F of a future)",
    "CURNCY": "Yahoo does (EURUSD=X)",
    "COMDTY": "Yahoo does (CL=F, GC=F)",
}
_YELLOW_KEY = re.compile(rf"\S.* ({'|'.join(_WRITTEN)})")
_PARTED = re.compile(r"([A-Z0-9]{1,16})[/ ]([A-Z]{1,4})")


def normalize_ticker(text: str) -> str:
    """Return the ticker in upper case without blanks around it.

    Raises BadInput on text that is not a ticker.
    """
    ticker = text.strip().upper()
    if not _TICKER.fullmatch(ticker):
        raise BadInput(
            f"{text[:40]!r} is no ticker: a ticker is 1 to 20 letters A-Z, digits and . ^ = _ -,"
            f" at least one of them a letter or digit (AAPL, 7203.T, ^GSPC){_propose(ticker)}"
        )
    return ticker


def _propose(ticker: str) -> str:
    """Return a hint how to write a text that is not a ticker: a Bloomberg name, or a share class or
    pair with a slash or blank; empty for other texts.
    """
    if match := _YELLOW_KEY.fullmatch(ticker):
        example = _WRITTEN[match[1]]
        return f"; Bloomberg names like this are not known here: write it as {example}"
    match = _PARTED.fullmatch(ticker)
    if match is None:
        return ""
    first, second = match.groups()
    if len(second) < SHORTEST_CURRENCY:
        return f"; write {first}.{second} or {first}-{second}"
    return (
        f"; write {first}-{second} (a coin) or {first}{second}=X (currencies), or say of which"
        " market it is, CRYPTO or FX"
    )

"""A ticker is written in upper case, in a few letters, digits and marks."""

import re

from core.errors import BadInput

SHORTEST_CURRENCY = 3
# Marks alone, such as "..", are none: a path of the API, or a file, is named after it.
_TICKER = re.compile(r"(?=.*[A-Z0-9])[A-Z0-9.^=_-]{1,20}")
# What Bloomberg's names end with, and tickers of that kind here.
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

    Raises BadInput on anything else than a ticker.
    """
    ticker = text.strip().upper()
    if not _TICKER.fullmatch(ticker):
        raise BadInput(
            f"{text[:40]!r} is no ticker: 1 to 20 of the letters A-Z, digits and . ^ = _ - are,"
            f" not of marks alone (AAPL, 7203.T, ^GSPC){_propose(ticker)}"
        )
    return ticker


def _propose(ticker: str) -> str:
    """Return how a class of shares or a pair is written, where a slash or a blank parts it."""
    if match := _YELLOW_KEY.fullmatch(ticker):
        example = _WRITTEN[match[1]]
        return f"; Bloomberg's names of this kind are not known here: write it as {example}"
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

"""A ticker is written in upper case, in a few letters, digits and marks."""

import re

from core.errors import BadInput

_TICKER = re.compile(r"[A-Z0-9.^=_-]{1,20}")


def normalize_ticker(text: str) -> str:
    """Return the ticker in upper case without blanks around it.

    Raises BadInput on anything else than a ticker.
    """
    ticker = text.strip().upper()
    if not _TICKER.fullmatch(ticker):
        raise BadInput(
            f"{text[:40]!r} is no ticker: 1 to 20 of the letters A-Z, digits and . ^ = _ - are"
            " (AAPL, 7203.T, ^GSPC)"
        )
    return ticker

"""A market has a calendar, a time zone and a ticker suffix."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from core.errors import BadInput
from market.tickers import normalize_ticker


@dataclass(frozen=True, slots=True)
class Market:
    """One market.

    Attributes:
        code: such as `US`.
        calendar: ISO 10383 code of the exchange whose sessions count, as exchange_calendars names it.
        timezone: IANA name of the exchange's local time.
        suffix: how tickers of this market end; empty for the one whose tickers have none.
    """

    code: str
    calendar: str
    timezone: str
    suffix: str

    @property
    def zone(self) -> ZoneInfo:
        """The exchange's local time."""
        return ZoneInfo(self.timezone)


MARKETS: dict[str, Market] = {
    market.code: market
    for market in (
        Market("US", "XNYS", "America/New_York", ""),
        Market("JP", "XTKS", "Asia/Tokyo", ".T"),
        Market("TH", "XBKK", "Asia/Bangkok", ".BK"),
    )
}


def get_market(code: str) -> Market:
    """Return the market of this code, in any case. Raises BadInput on one that is not known."""
    market = MARKETS.get(code.strip().upper())
    if market is None:
        raise BadInput(f"{code!r} is no market that is known: choose one of {', '.join(MARKETS)}")
    return market


def get_market_of(ticker: str) -> Market:
    """Return the market of a ticker by its suffix; without a known one it is the US market's."""
    for market in MARKETS.values():
        if market.suffix and ticker.endswith(market.suffix):
            return market
    return MARKETS["US"]


def complete_ticker(text: str, market: Market) -> str:
    """Return the ticker with its market's suffix, added where missing. Raises BadInput on another market's ticker."""
    ticker = normalize_ticker(text)
    if get_market_of(ticker) is market:
        return ticker
    if get_market_of(ticker).suffix:
        raise BadInput(f"{ticker} is a ticker of market {get_market_of(ticker).code}, not of {market.code}")
    return normalize_ticker(ticker + market.suffix)

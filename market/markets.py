"""The markets, with calendar, time zone and suffixes, and the rule that tells a ticker's market.

`Markets` is a value: it is read from the database once for a request, batch or import, and passed
as an argument.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from core.errors import BadInput
from market.spellings import CURRENCIES, read_pair, read_spelling, read_venue, write_class
from market.tickers import normalize_ticker
from records.database import Db
from records.market.documents import MarketDocument
from records.market.markets import SHIPPED_ROWS, find_markets, find_set_tickers

US = "US"
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,7}")
# The part of a US ticker after a dot or hyphen: a class of shares, preferred shares, warrants,
# units.
_CLASS = r"([.-]([A-Z]|P[A-Z]|PR?[.-]?[A-Z]|WSA?|WT|UN?|RI|RT|WI|CL))"
_US_STYLE = re.compile(rf"(?=[A-Z0-9_]*[A-Z])[A-Z0-9_]+{_CLASS}?")
# Texts that have the style of US tickers but are probably something else, with what they may be.
_LOOKS: tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...] = (
    (re.compile(rf"({CURRENCIES})[_/]?({CURRENCIES})"), "a pair of currencies", ("FX", "CRYPTO")),
    (
        re.compile(r"[A-Z0-9]{2,12}[._-]?(USD|USDT|USDC|BUSD)([._-]P|[._-]?PERP)"),
        "a perpetual future of a coin",
        ("CRYPTO",),
    ),
    (re.compile(r"(SH|SZ)[0-9]{6}"), "a code of Shanghai or Shenzhen", ("CN",)),
    (
        re.compile(r"[A-Z0-9]+\.[FS]"),
        "of Frankfurt (.F) or Zurich (.S) with some vendors, a class of shares with others",
        (),
    ),
    (re.compile(r"[A-Z0-9]{2,12}_?(USDT|USDC|BUSD|FDUSD|TUSD)"), "a pair of a coin", ("CRYPTO",)),
    (
        re.compile(r"[A-Z0-9]{3,12}_?(USD|BTC|ETH)|[A-Z0-9]{2,12}_(EUR|GBP|JPY|KRW)"),
        "a pair",
        ("CRYPTO", "FX"),
    ),
    (
        re.compile(r"[A-Z0-9]{1,2}[FGHJKMNQUVXZ](20)?[0-9]{1,2}"),
        "a contract of a future",
        ("FUT",),
    ),
    (
        re.compile(
            r"(US|USA|NAS|NDX|SPX|SP|DJ|WS|GER|DE|UK|GB|FRA|FR|EU|EUSTX|ESP|ES|ITA|IT|JP|JPN|NIK"
            r"|HK|HKG|HSI|AUS|AU|CHN|CHINA|CN|SWI|CH|NETH|NL|IND)[0-9]{2,4}(\.?CASH)?"
        ),
        "an index as brokers call it, whose hours are neither the exchange's nor the US's",
        (),
    ),
    # Shares, units, and certificates of other countries' shares; F is of odd lots.
    (re.compile(r"(B3SA|[A-Z]{4})([3-8]|11|3[2-59])F?"), "a code of São Paulo's exchange", ()),
    (re.compile(r"A[0-9]{6}"), "a code of Korea's exchange", ("KR",)),
    (re.compile(r"[0-9]{3}[A-Z]0?"), "a code of Tokyo's exchange", ("JP",)),
    (re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]"), "an ISIN", ()),
    (re.compile(r"[0-9]+"), "a number", ("JP", "HK", "KR", "CN", "TW")),
)
# Vendors' forms of codes, which are read only where the market is given.
_JQUANTS = re.compile(r"([0-9]{3}[0-9A-Z])0")
_HONG_KONG = re.compile(r"0*([0-9]{1,5})")
_CHINA = re.compile(r"(?:(SH|SZ)\.?)?([0-9]{6})")
_KOREA = re.compile(r"A([0-9]{6})")
# Bombay uses numbers for shares that have letters at the National Stock Exchange.
_BOMBAY = re.compile(r"5[0-9]{5}")
_BEIJING = re.compile(r"(?:[48][0-9]|92)[0-9]{4}")
# First digits of the codes of Shenzhen's shares and funds; those of Shanghai are 5, 6 and 9.
_SHENZHEN = "0123"


@dataclass(frozen=True, slots=True)
class Market:
    """One market.

    Attributes:
        code: such as `US`.
        name: for people.
        calendar: name of the calendar whose sessions count, as exchange_calendars has it (`XNYS`,
            `24/7`).
        timezone: IANA name of the exchange's local time.
        suffixes: how its tickers end. A ticker without one gets the first, which may be empty.
        aliases: how vendors end them; read as the first suffix.
        indices: tickers of its indices.
        currency: of its prices, ISO 4217.
        index_ticker: the index that stands for the market, or None.
        tick_delay_seconds: how long a bar may take to come in after it has closed.
    """

    code: str
    name: str
    calendar: str
    timezone: str
    suffixes: tuple[str, ...]
    aliases: tuple[str, ...]
    indices: tuple[str, ...]
    currency: str
    index_ticker: str | None
    tick_delay_seconds: int

    @classmethod
    def from_document(cls, row: MarketDocument) -> "Market":
        """Return the market of a stored or shipped row."""
        stored: Mapping[str, Any] = row
        fields = {name: stored[name] for name in cls.__dataclass_fields__}
        fields |= {name: tuple(stored[name]) for name in ("suffixes", "aliases", "indices")}
        return cls(**fields)

    @property
    def zone(self) -> ZoneInfo:
        """Return the exchange's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def suffix(self) -> str:
        """Return the suffix that is added to a ticker of this market without one."""
        return self.suffixes[0]


class UnknownMarket(BadInput):
    """The market of a ticker cannot be told."""

    reason = "unknown_market"


class Markets(Mapping[str, Market]):
    """All markets by code, and the rule that tells a ticker's market, in this order: set by hand,
    an index of the market, the longest suffix, the style.
    """

    def __init__(
        self, rows: Mapping[str, MarketDocument], set_by_hand: Mapping[str, str] | None = None
    ) -> None:
        self._markets = {code: Market.from_document(row) for code, row in rows.items()}
        self._set_by_hand = {
            t: code for t, code in (set_by_hand or {}).items() if code in self._markets
        }
        self._named: dict[str, Market] = {}
        endings: dict[str, tuple[Market, str | None]] = {}
        for market in self._markets.values():
            self._named |= dict.fromkeys(
                (*market.indices, *filter(None, (market.index_ticker,))), market
            )
            endings |= dict.fromkeys(market.aliases, (market, market.suffix))
            endings |= {suffix: (market, None) for suffix in market.suffixes if suffix}
        self._endings = sorted(endings.items(), key=lambda ending: -len(ending[0]))

    def __getitem__(self, code: str) -> Market:
        """Return the market of a code. Raises KeyError."""
        return self._markets[code]

    def __iter__(self) -> Iterator[str]:
        """Yield the codes."""
        return iter(self._markets)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._markets)

    def choose(self, code: str) -> Market:
        """Return the market of a code in any case. Raises BadInput with the choices."""
        market = self._markets.get(code.strip().upper())
        if market is None:
            raise BadInput(
                f"{code[:40]!r} is no market that is known: choose one of"
                f" {', '.join(self._markets)}"
            )
        return market

    def find(self, code: str) -> Market | None:
        """Return the market of a code, or None."""
        return self._markets.get(code)

    def find_of(self, ticker: str) -> Market | None:
        """Return the market of a ticker, None where its spelling does not tell."""
        if ticker in self._set_by_hand:
            return self._markets[self._set_by_hand[ticker]]
        if ticker in self._named:
            return self._named[ticker]
        for ending, (market, _) in self._endings:
            if ticker.endswith(ending) and len(ticker) > len(ending):
                return market
        is_us = _US_STYLE.fullmatch(ticker) and not any(
            look.fullmatch(ticker) for look, _, _ in _LOOKS
        )
        return self._markets.get(US) if is_us else None

    def get_of(self, ticker: str) -> Market:
        """Return the market of a ticker.

        Raises UnknownMarket, which names the possible markets and how to choose one.
        """
        market = self.find_of(ticker)
        if market is None:
            raise UnknownMarket(self._explain_unknown(ticker))
        return market

    def spell(self, text: str) -> str:
        """Return a ticker as it is stored: in upper case, a vendor's suffix replaced.

        Raises BadInput.
        """
        written = text.strip().upper()
        # A suffix of a market goes before what a vendor may mean: Nairobi's .N, where it was added.
        is_own = written in self._set_by_hand or any(map(written.endswith, dict(self._endings)))
        ticker = normalize_ticker(text) if is_own else read_spelling(text) or normalize_ticker(text)
        for ending, (_, suffix) in self._endings:
            if ticker.endswith(ending) and len(ticker) > len(ending):
                return (
                    ticker
                    if suffix is None
                    else normalize_ticker(ticker.removesuffix(ending) + suffix)
                )
        return ticker

    def complete(self, text: str, market: Market) -> str:
        """Return a ticker of a given market, with the market's suffix added where it is missing.

        Vendors' codes are read, too: 72030 is Tokyo's 7203.T, 00700 Hong Kong's 0700.HK. Raises
        BadInput on a ticker that is clearly of another market.
        """
        if pair := read_pair(text, market.code):
            return pair
        written, ticker = text.strip().upper(), self.spell(text)
        found = self.find_of(ticker)
        if found == market:
            return ticker
        if found is not None and (found.code != US or ticker in self._named or ticker != written):
            raise BadInput(f"{written} is a ticker of market {found.code}, not of {market.code}")
        if market.code == "CN" and _BEIJING.fullmatch(ticker):
            raise BadInput(
                f"{written} is a code of Beijing's exchange: add a market whose suffix is .BJ"
                " (flask markets add), and write that"
            )
        return normalize_ticker(_add_suffix(ticker, market))

    def tells_market(self, ticker: str) -> bool:
        """Return whether more than the style of a ticker tells its market."""
        market = self.find_of(ticker)
        return market is not None and (
            market.code != US or ticker in self._set_by_hand or ticker in self._named
        )

    def find_at(self, ticker: str, venue: str) -> tuple[str, Market] | None:
        """Return a ticker in its stored form, with its market, by the code of the market or
        exchange at which it is traded. It is for tickers whose market only their style tells. None
        where the venue is not known.

        Raises BadInput, or UnknownMarket where no market has the exchange's suffix.
        """
        suffix = read_venue(venue)
        if not suffix:
            market = self._markets.get(venue.strip().upper() if suffix is None else US)
            return None if market is None else (self.complete(ticker, market), market)
        market = self.get_of(ticker + suffix)
        # In a market with several exchanges the venue tells which one: 000001 is a bank in
        # Shenzhen, and an index in Shanghai.
        stored = self.complete(ticker, market)
        own = next(filter(stored.endswith, filter(None, market.suffixes)), "")
        return normalize_ticker(stored.removesuffix(own) + suffix), market

    def _explain_unknown(self, ticker: str) -> str:
        look, codes = next(
            ((words, codes) for look, words, codes in _LOOKS if look.fullmatch(ticker)),
            ("not in the style of US tickers, and has no suffix that is known", ()),
        )
        likely = [self._markets[code] for code in codes if code in self._markets]
        shown = [f"{m.code} ({_add_suffix(ticker, m)})" if m.suffix else m.code for m in likely]
        says = f"{ticker} is {look}: of which market is it?"
        may_be = f" It may be of {' or '.join(shown)}." if shown else ""
        known = ", ".join(self._markets)
        end = "or write its suffix"
        if match := re.fullmatch(r"[A-Z0-9-]+(\.[A-Z]{1,4})", ticker):
            end = f"or add the market whose suffix is {match[1]} (flask markets add)"
        return f"{says}{may_be} Say so with a market ({known}), {end}"


SHIPPED = Markets({row["code"]: row for row in SHIPPED_ROWS})
"""The markets as they are shipped, before a user adds any."""


def load_markets(database: Db) -> Markets:
    """Return the markets as they are now, in two small queries."""
    return Markets(find_markets(database), find_set_tickers(database))


def read_market(stored: MarketDocument | None, code: str) -> Market:
    """Return the market of a code from its stored row, or the shipped one. Raises BadInput where
    there is none.
    """
    return SHIPPED.choose(code) if stored is None else Market.from_document(stored)


def is_market_code(text: str) -> bool:
    """Return whether a text is a valid code of a market."""
    return _CODE.fullmatch(text) is not None


def _add_suffix(ticker: str, market: Market) -> str:
    """Return a code with the suffix of its market; known vendors' forms of codes become those of
    the exchange.
    """
    suffix = market.suffix
    if market.code == "JP" and (code := _JQUANTS.fullmatch(ticker)):
        ticker = code[1]
    elif market.code == "HK" and (code := _HONG_KONG.fullmatch(ticker)):
        ticker = code[1].zfill(4)
    elif market.code == "CN" and (code := _CHINA.fullmatch(ticker)):
        ticker = code[2]
        suffix = ".SZ" if code[1] == "SZ" or (not code[1] and code[2][0] in _SHENZHEN) else ".SS"
    elif market.code == "KR" and (code := _KOREA.fullmatch(ticker)):
        ticker = code[1]
    elif market.code == "IN" and _BOMBAY.fullmatch(ticker):
        suffix = ".BO"
    elif market.code == "FX":
        ticker = ticker.replace("_", "")
    elif suffix.startswith("."):
        ticker = write_class(ticker)
    return ticker + suffix

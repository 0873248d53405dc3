"""Adds and changes markets: checks their rows, and when a row may not change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pymongo.client_session import ClientSession

from core.errors import BadInput, Conflict, NotFound
from market.markets import Market, Markets, is_market_code, load_markets
from market.tickers import normalize_ticker
from records.database import Db
from records.market import markets as rows
from records.market.documents import MarketDocument
from records.market.series import find_series, set_timezone
from records.models.champions import ALL_MARKETS

# The calendars of exchange_calendars 4.13, which is not imported here, as it would load pandas into
# the web process; and FX, that of currencies (sessions/calendar.py). Left out are those that it
# cannot build with pandas 3.1: of Athens, Belgrade, Bucharest and Nicosia (Orthodox Easter), and of
# Tel Aviv.
CALENDARS = (
    "24/5", "24/7", "AIXK", "BVMF", "CMES", "FX", "IEPA", "XAMS", "XASX", "XBDA",
    "XBKK", "XBOG", "XBOM",
    "XBRA", "XBRU", "XBUD", "XBUE", "XCBF", "XCSE", "XDUB", "XDUS", "XEEE",
    "XETR", "XEUR", "XFRA",
    "XHAM", "XHEL", "XHKG", "XICE", "XIDX", "XIST", "XJSE", "XKAR", "XKLS", "XKRX", "XLIM",
    "XLIS", "XLIT", "XLJU",
    "XLON", "XLUX", "XMAD", "XMEX", "XMIL", "XMOS", "XNYS", "XNZE", "XOSL", "XPAR", "XPHS",
    "XPRA", "XRIS", "XSAU",
    "XSES", "XSGO", "XSHG", "XSTO", "XSTU", "XSWX", "XTAI", "XTAL", "XTKS", "XTSE",
    "XWAR", "XWBO", "XZAG",
    "us_futures",
)  # fmt: skip
SCHEDULE_FIELDS = ("calendar", "timezone")


def add_market(
    database: Db, fields: Mapping[str, Any], now: datetime, session: ClientSession | None = None
) -> Market:
    """Add a market and return it.

    Raises BadInput on an invalid row, Conflict where a market with its code exists.
    """
    if str(fields["code"]).strip().upper() == ALL_MARKETS:
        raise BadInput(f"{ALL_MARKETS} stands for all markets: give the new one another code")
    markets = load_markets(database)
    row = build_row(fields, markets, now)
    if row["code"] in markets:
        raise Conflict(
            f"there is a market {row['code']}; change it with `flask markets change` or PUT"
        )
    rows.add_market(database, row, session)
    return Market.from_document(row)


def change_market(
    database: Db,
    code: str,
    fields: Mapping[str, Any],
    now: datetime,
    *,
    keep_rows: bool = False,
    session: ClientSession,
) -> Market:
    """Change fields of a market and return it.

    Raises BadInput, and Conflict where its calendar or time zone would change although it has
    stored bars, unless `keep_rows` says that these stay.
    """
    markets = load_markets(database)
    market = markets.choose(code)
    present = {name: getattr(market, name) for name in Market.__dataclass_fields__}
    row = build_row(present | dict(fields), markets, now)
    stored = rows.count_series(database, market.code)
    future: Mapping[str, Any] = row
    moved = [name for name in SCHEDULE_FIELDS if future[name] != present[name]]
    if moved and stored and not keep_rows:
        raise Conflict(
            f"{stored} series of {market.code} are stored, which the {moved[0]} {present[moved[0]]}"
            f" has let in: `flask markets change {market.code} --{moved[0]} {future[moved[0]]}`"
            " says which of their bars the new one would not have, and with --keep-rows changes it"
            " and keeps them",
            reason="market_in_use",
        )
    rows.replace_market(database, row, session)
    if stored and row["timezone"] != present["timezone"]:
        set_timezone(database, market.code, row["timezone"], session)
    return Market.from_document(row)


def remove_market(database: Db, code: str, session: ClientSession) -> None:
    """Remove a market that was added, or what was changed of a shipped one.

    Raises Conflict where bars of it are stored, NotFound where nothing was added or changed.
    """
    market = load_markets(database).choose(code)
    stored = rows.count_series(database, market.code)
    if stored:
        raise Conflict(
            f"market {market.code} has {stored} series with stored bars: delete these first (`flask"
            " bars delete`)",
            reason="market_in_use",
        )
    if not rows.remove_market(database, market.code, session):
        raise NotFound(
            f"market {market.code} is shipped and was not changed: there is nothing to remove"
        )


def set_ticker_market(
    database: Db, ticker: str, code: str, now: datetime, session: ClientSession
) -> str:
    """Set the market of a ticker, whatever its spelling tells, and return the ticker as it is
    stored.

    Raises BadInput, and Conflict where bars of it are stored under another market.
    """
    name, market = normalize_ticker(ticker), load_markets(database).choose(code)
    for series in find_series(database, tickers=[name]):
        if series["market"] != market.code:
            raise Conflict(
                f"{name} has {series['interval']} bars of market {series['market']}: delete them"
                f" first (`flask bars delete {name}`), and import them again as of {market.code}",
                reason="ticker_in_use",
            )
    rows.set_ticker_markets(database, {name: market.code}, now, session)
    return name


def build_row(fields: Mapping[str, Any], markets: Markets, now: datetime) -> MarketDocument:
    """Return a market's row as it is stored. Raises BadInput on an invalid field."""
    code = str(fields["code"]).strip().upper()
    if not is_market_code(code):
        raise BadInput(
            f"{code[:20]!r} is no code of a market: write 2 to 8 letters and digits, a letter first"
        )
    calendar, timezone = str(fields["calendar"]), str(fields["timezone"])
    if calendar not in CALENDARS:
        raise BadInput(
            f"{calendar[:20]!r} is no calendar that is known: choose one of {', '.join(CALENDARS)}"
        )
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise BadInput(
            f"{timezone[:40]!r} is no time zone: write its IANA name, such as Asia/Tokyo"
        ) from error
    suffixes = [_check_suffix(suffix) for suffix in fields["suffixes"]]
    aliases = [_check_suffix(suffix) for suffix in fields["aliases"]]
    if not suffixes:
        raise BadInput(
            "a market needs a suffix for its tickers, such as .SA; '' where they have none"
        )
    _refuse_shared((*suffixes, *aliases), code, markets)
    index = fields.get("index_ticker")
    return {
        "_id": code,
        "code": code,
        "name": str(fields["name"]).strip() or code,
        "calendar": calendar,
        "timezone": timezone,
        "suffixes": suffixes,
        "aliases": aliases,
        "indices": [normalize_ticker(ticker) for ticker in fields["indices"]],
        "currency": str(fields["currency"]).upper(),
        "index_ticker": normalize_ticker(index) if index else None,
        "tick_delay_seconds": int(fields["tick_delay_seconds"]),
        "changed_at": now,
    }


def _check_suffix(text: str) -> str:
    suffix = text.strip().upper()
    if suffix and (suffix[0] not in ".-=" or len(suffix) < 2):
        raise BadInput(
            f"{text[:20]!r} is no suffix: it begins with a dot, hyphen or = (.SA, -USD, =X)"
        )
    return normalize_ticker(suffix) if suffix else ""


def _refuse_shared(suffixes: tuple[str, ...], code: str, markets: Markets) -> None:
    for market in markets.values():
        shared = set(filter(None, suffixes)) & {*market.suffixes, *market.aliases}
        if market.code != code and shared:
            raise BadInput(f"the suffix {min(shared)} is that of market {market.code}")

"""Markets: rows that say where tickers are traded, to which a user can add rows; and the markets
that users set for single tickers.

The shipped rows are in this module. A stored row replaces the shipped row of the same code.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from core.errors import Conflict
from records.database import Db, Query
from records.market.documents import (
    HoldingFields,
    MarketDocument,
    markets_in,
    series_in,
    ticker_markets_in,
)
from records.questions import Question, get_first

_QUOTES = (
    "USD",
    "USDT",
    "USDC",
    "BUSD",
    "EUR",
    "GBP",
    "JPY",
    "AUD",
    "CAD",
    "KRW",
    "TRY",
    "BRL",
    "BTC",
    "ETH",
    "PERP",
)
_VENUES = (
    "BINANCE", "BINANCEUS", "COINBASE", "KRAKEN", "BITSTAMP", "BITFINEX", "BYBIT", "OKX",
    "KUCOIN", "GATEIO", "GEMINI",
    "DERIBIT", "HYPERLIQUID", "UPBIT", "BITHUMB", "BITFLYER",
)  # fmt: skip
COIN_SUFFIXES = tuple(f"-{quote}" for quote in _QUOTES) + tuple(f".{venue}" for venue in _VENUES)

Suffixes = tuple[str, ...]


def _row(  # noqa: PLR0917 - rows of a table
    code: str,
    name: str,
    calendar: str,
    timezone: str,
    suffixes: Suffixes,
    currency: str,
    index_ticker: str | None,
    *,
    aliases: Suffixes = (),
    indices: Suffixes = (),
    tick_delay_seconds: int = 900,
) -> MarketDocument:
    return {
        "_id": code,
        "code": code,
        "name": name,
        "calendar": calendar,
        "timezone": timezone,
        "suffixes": list(suffixes),
        "aliases": list(aliases),
        "indices": list(indices),
        "currency": currency,
        "index_ticker": index_ticker,
        "tick_delay_seconds": tick_delay_seconds,
    }


# A ticker without a suffix whose market is given gets the first suffix of the market, which may be
# empty.
SHIPPED_ROWS: tuple[MarketDocument, ...] = (
    _row(
        "US", "United States", "XNYS", "America/New_York", ("",), "USD", "^GSPC",
        aliases=(".US",),
        indices=("^IXIC", "^DJI", "^NDX", "^RUT", "^VIX", "^NYA", "^OEX", "^SPX", "^XAX", "^SOX",
                 "^MID", "^TNX",
                 "^TYX", "^FVX", "^IRX", "^W5000"),
    ),
    _row("JP", "Tokyo", "XTKS", "Asia/Tokyo", (".T",), "JPY", "^N225", aliases=(".JP", ".TYO"),
         indices=("^TPX",)),
    _row("TH", "Thailand", "XBKK", "Asia/Bangkok", (".BK",), "THB", "^SET.BK", aliases=(".TB",)),
    _row("HK", "Hong Kong", "XHKG", "Asia/Hong_Kong", (".HK",), "HKD", "^HSI", indices=("^HSCE",
         "^HSTECH")),
    _row("UK", "London", "XLON", "Europe/London", (".L", ".IL"), "GBP", "^FTSE", aliases=(".UK",
         ".LSE", ".LN"),
         indices=("^FTMC", "^FTAS")),
    _row("DE", "Germany (Xetra)", "XETR", "Europe/Berlin", (".DE",), "EUR", "^GDAXI",
         aliases=(".XETRA",),
         indices=("^MDAXI", "^SDAXI", "^TECDAX")),
    _row("FR", "Paris", "XPAR", "Europe/Paris", (".PA",), "EUR", "^FCHI", aliases=(".FR",),
         indices=("^SBF120",)),
    _row("IN", "India", "XBOM", "Asia/Kolkata", (".NS", ".BO"), "INR", "^NSEI", indices=("^BSESN",
         "^NSEBANK")),
    _row("AU", "Australia", "XASX", "Australia/Sydney", (".AX",), "AUD", "^AXJO", aliases=(".AU",),
         indices=("^AORD",)),
    _row("CA", "Toronto", "XTSE", "America/Toronto", (".TO", ".V", ".NE"), "CAD", "^GSPTSE"),
    _row("KR", "Korea", "XKRX", "Asia/Seoul", (".KS", ".KQ"), "KRW", "^KS11", indices=("^KQ11",
         "^KS200")),
    _row("CN", "China (Shanghai, Shenzhen)", "XSHG", "Asia/Shanghai", (".SS", ".SZ"), "CNY",
         "000001.SS",
         aliases=(".SH",)),
    _row("SG", "Singapore", "XSES", "Asia/Singapore", (".SI",), "SGD", "^STI"),
    _row("TW", "Taiwan", "XTAI", "Asia/Taipei", (".TW", ".TWO"), "TWD", "^TWII"),
    _row("CRYPTO", "Coins, round the clock", "24/7", "UTC", ("", *COIN_SUFFIXES), "USD", "BTC-USD",
         tick_delay_seconds=60),
    _row("FX", "Currencies, Sunday evening to Friday", "FX", "UTC", ("=X",), "USD", "DX-Y.NYB",
         tick_delay_seconds=60),
    _row("FUT", "Futures in Chicago and New York", "us_futures", "America/New_York", ("=F",),
         "USD", "ES=F"),
)  # fmt: skip


def find_markets(database: Db) -> dict[str, MarketDocument]:
    """Return all markets by code, the shipped ones first; a stored row replaces a shipped one."""
    rows = {row["code"]: row for row in SHIPPED_ROWS}
    return rows | {stored["code"]: stored for stored in markets_in(database).find().sort("_id", 1)}


def ask_market(database: Db, code: str) -> Question[MarketDocument | None]:
    """Ask for the stored row of a market; None for a shipped market that nobody has changed."""
    return Question(markets_in(database), [{"$match": {"_id": code}}], get_first)


def add_market(database: Db, row: MarketDocument, session: ClientSession | None) -> None:
    """Store a market. Raises Conflict where a market with its code is stored."""
    try:
        markets_in(database).insert_one(row, session=session)
    except DuplicateKeyError as error:
        raise Conflict(
            f"there is a market {row['code']}; change it with PUT, or choose another code"
        ) from error


def replace_market(database: Db, row: MarketDocument, session: ClientSession) -> None:
    """Store a market in place of a stored one with the same code."""
    markets_in(database).replace_one({"_id": row["_id"]}, row, upsert=True, session=session)


def remove_market(database: Db, code: str, session: ClientSession) -> bool:
    """Delete the stored row of a market, so that a shipped row of its code counts again; return
    whether there was one.
    """
    return markets_in(database).delete_one({"_id": code}, session=session).deleted_count == 1


def count_series(database: Db, code: str) -> int:
    """Return how many series of a market have stored bars."""
    return series_in(database).count_documents({"market": code})


def find_holdings(
    database: Db,
    watermarks: Mapping[str, datetime],
    find_needed: Callable[[str, str, str], int | None],
) -> dict[str, HoldingFields]:
    """Return a summary of the stored series of each market, by code; markets without bars are left
    out.

    `watermarks` are the last bars that detection has scored, by the `_id` of their series;
    `find_needed` returns how many bars a series (market, interval, ticker) needs for a first score.
    """
    traded = {"$subtract": ["$bars", {"$ifNull": ["$coverage.no_trade", 0]}]}
    group = {
        "_id": "$market",
        "lasts": {"$push": {"id": "$_id", "bar": "$last_bar", "of": "$interval", "traded": traded}},
        "series": {"$sum": 1},
        "tickers": {"$addToSet": "$ticker"},
        "intervals": {"$addToSet": "$interval"},
        "bars": {"$sum": "$bars"},
        "first_bar": {"$min": "$first_bar"},
        "last_bar": {"$max": "$last_bar"},
        "synthetic": {"$max": "$synthetic"},
    }
    stages: list[Query] = [{"$group": group}, {"$set": {"tickers": {"$size": "$tickers"}}}]
    found: dict[str, HoldingFields] = {}
    for one in database.series.aggregate(stages):
        held = one.pop("lasts")
        lasts = [(watermarks.get(each["id"]), each["bar"], each["of"]) for each in held]
        missed = [interval for mark, _, interval in lasts if mark is None]
        behind = [interval for mark, bar, interval in lasts if mark is None or mark < bar]
        one["looked_at"], one["up_to_date"] = len(lasts) - len(missed), len(lasts) - len(behind)
        one["missed"], one["behind"] = sorted(set(missed)), sorted(set(behind))
        needed = [
            find_needed(one["_id"], each["of"], each["id"].rpartition("::")[0]) for each in held
        ]
        one["too_short"] = sum(
            each["traded"] < bars for each, bars in zip(held, needed, strict=True) if bars
        )
        found[one.pop("_id")] = one
    return found


def find_set_tickers(database: Db) -> dict[str, str]:
    """Return the market's code of each ticker whose market a user has set."""
    return {
        document["_id"]: document["market"]
        for document in ticker_markets_in(database).find({}, {"market": 1})
    }


def set_ticker_markets(
    database: Db, markets: Mapping[str, str], now: datetime, session: ClientSession | None = None
) -> None:
    """Set the market of each ticker, which then counts in place of the one its suffix names."""
    writes = [
        UpdateOne({"_id": ticker}, {"$set": {"market": market, "set_at": now}}, upsert=True)
        for ticker, market in markets.items()
    ]
    if writes:
        ticker_markets_in(database).bulk_write(writes, ordered=False, session=session)


def forget_ticker_market(database: Db, ticker: str, session: ClientSession) -> bool:
    """Delete the market that was set for a ticker, whose suffix then names its market again;
    return whether one was set.
    """
    removed = ticker_markets_in(database).delete_one({"_id": ticker}, session=session)
    return removed.deleted_count == 1

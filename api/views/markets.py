"""Markets: those that are shipped, those that a user adds,
and tickers whose market is set by hand.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import url_for

from alerts.flagged_days import FlaggedDay as FlaggedDayFields
from alerts.flagged_days import find_flagged_day
from api.http.auth import needs_scope
from api.http.notes import change_noted
from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import get_database, get_markets, get_now
from api.schemas.markets import (
    FlaggedDay,
    FlaggedDayQuery,
    MarketFields,
    MarketPage,
    MarketQuery,
    NewMarket,
    ShownMarket,
    TickerMarket,
)
from core.errors import BadInput
from market import market_rows
from market.intervals import FIRST_YEAR, LAST_YEAR
from market.markets import Market
from records.alerts.trail import compare
from records.database import Document
from records.findings.watermarks import find_all_watermark_times
from records.market.documents import HoldingFields
from records.market.markets import find_holdings
from records.models.champions import find_bars_needed
from records.work.watchlists import find_watched_tickers

markets = APIBlueprint("markets", __name__, tag="markets")

EXAMPLE = {
    "name": "Sao Paulo",
    "calendar": "BVMF",
    "timezone": "America/Sao_Paulo",
    "suffixes": [".SA"],
}
EXAMPLE |= {"currency": "BRL", "index_ticker": "^BVSP"}


@markets.get("/markets")
@markets.input(MarketQuery, location="query")
@markets.output(MarketPage)
def list_markets(query_data: MarketQuery) -> Listed[Document]:
    """List the markets, by their codes."""
    (after,) = decode_cursor(query_data.cursor, (str,)) or ("",)
    known = get_markets()
    codes = sorted(code for code in known if code > after)[: query_data.limit + 1]
    held = _find_holdings()
    shown = [_show(known[code], held) for code in codes]
    return build_page(shown, query_data.limit, lambda one: (one["code"],))


@markets.get("/markets/<code>")
@markets.output(ShownMarket)
def get_market(code: str) -> Document:
    """Return a market."""
    return _show(get_markets().choose(code), _find_holdings())


@markets.post("/markets")
@needs_scope("admin")
@markets.input(NewMarket, example={"code": "BR", **EXAMPLE})
@markets.output(ShownMarket, 201)
@markets.doc(responses={409: "there is one of this code"})
def add_market(json_data: NewMarket) -> tuple[Document, int, dict[str, str]]:
    """Add a market."""
    database, fields, now = get_database(), json_data.model_dump(), get_now()
    market = change_noted(
        lambda session: market_rows.add_market(database, fields, now, session),
        "make",
        f"market {json_data.code}",
        fields,
    )
    address = url_for("markets.get_market", code=market.code)
    return _show(market, _find_holdings()), 201, {"Location": address}


@markets.put("/markets/<code>")
@needs_scope("admin")
@markets.input(MarketFields, example=EXAMPLE)
@markets.output(ShownMarket)
@markets.doc(responses={409: "its calendar or time zone would change under stored bars"})
def change_market(code: str, json_data: MarketFields) -> Document:
    """Change a market.

    Its calendar stays while bars of it are stored, unless the command line changes it.
    """
    database, fields, now = get_database(), json_data.model_dump(), get_now()
    held = get_markets().choose(code)
    market = change_noted(
        lambda session: market_rows.change_market(database, code, fields, now, session=session),
        "change",
        f"market {held.code}",
        compare(asdict(held), fields),
    )
    return _show(market, _find_holdings())


@markets.delete("/markets/<code>")
@needs_scope("admin")
@markets.output({}, 204)
@markets.doc(responses={409: "bars of it are stored"})
def remove_market(code: str) -> str:
    """Remove a market that was added, or what was changed of a shipped one."""
    database = get_database()
    change_noted(
        lambda session: market_rows.remove_market(database, code, session),
        "remove",
        f"market {code.upper()}",
    )
    return ""


@markets.put("/markets/<code>/tickers/<ticker>")
@needs_scope("admin")  # the ticker will be scored by its market's champion and threshold
@markets.output(TickerMarket)
@markets.doc(responses={409: "bars of it are stored as another market's"})
def set_ticker_market(code: str, ticker: str) -> Document:
    """Say of which market a ticker is, whatever it looks like."""
    database, now = get_database(), get_now()
    name = change_noted(
        lambda session: market_rows.set_ticker_market(database, ticker, code, now, session),
        "change",
        f"ticker {ticker.upper()}",
        {"market": code.upper()},
    )
    return {"ticker": name, "market": code.upper()}


@markets.get("/markets/<code>/days/<day>")
@markets.input(FlaggedDayQuery, location="query")
@markets.output(FlaggedDay)
def get_flagged_day(code: str, day: str, query_data: FlaggedDayQuery) -> FlaggedDayFields:
    """Return a day seen across its market: how many tickers were flagged, of which sectors.

    A day is a date as bars are labelled, in UTC: that of the session where bars are daily.
    """
    database, market = get_database(), get_markets().choose(code).code
    asked = query_data.model_dump(exclude={"watchlist"})
    return find_flagged_day(
        database,
        market,
        asked.pop("interval"),
        _read_day(day),
        tickers=find_watched_tickers(database, query_data.watchlist),
        **asked,
    )


def _read_day(text: str) -> datetime:
    """Return when a day begins. Raises BadInput."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInput(
            f"{text[:40]!r} is no day; one is written year-month-day, as in 2001-09-17"
        ) from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise BadInput(
            f"{text} is none of the days that bars are kept of, which are of the years {FIRST_YEAR}"
            f" to {LAST_YEAR}: is its year right?"
        )
    return day


def _find_holdings() -> dict[str, HoldingFields]:
    database = get_database()
    watermarks = find_all_watermark_times(database)
    return find_holdings(database, watermarks, find_bars_needed(database))


def _show(market: Market, held: Mapping[str, HoldingFields]) -> Document:
    return {"series": 0, **asdict(market), **held.get(market.code, {})}

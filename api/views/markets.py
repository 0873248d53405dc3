"""Markets: those that are shipped, those that a user adds,
and tickers whose market is set by hand.
"""

from dataclasses import asdict

from apiflask import APIBlueprint
from flask import url_for

from api.http.auth import needs_scope
from api.http.paging import Listed, build_page, decode_cursor
from api.http.state import get_database, get_markets, get_now
from api.schemas.markets import (
    MarketFields,
    MarketPage,
    MarketQuery,
    NewMarket,
    ShownMarket,
    TickerMarket,
)
from market import market_rows
from market.markets import Market
from records.database import Document
from records.market.markets import count_series

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
    return build_page(
        [_show(known[code]) for code in codes], query_data.limit, lambda shown: (shown["code"],)
    )


@markets.get("/markets/<code>")
@markets.output(ShownMarket)
def get_market(code: str) -> Document:
    """Return a market."""
    return _show(get_markets().choose(code))


@markets.post("/markets")
@needs_scope("admin")
@markets.input(NewMarket, example={"code": "BR", **EXAMPLE})
@markets.output(ShownMarket, 201)
@markets.doc(responses={409: "there is one of this code"})
def add_market(json_data: NewMarket) -> tuple[Document, int, dict[str, str]]:
    """Add a market."""
    market = market_rows.add_market(get_database(), json_data.model_dump(), get_now())
    return _show(market), 201, {"Location": url_for("markets.get_market", code=market.code)}


@markets.put("/markets/<code>")
@needs_scope("admin")
@markets.input(MarketFields, example=EXAMPLE)
@markets.output(ShownMarket)
@markets.doc(responses={409: "its calendar or time zone would change under stored bars"})
def change_market(code: str, json_data: MarketFields) -> Document:
    """Change a market.

    Its calendar stays while bars of it are stored, unless the command line changes it.
    """
    return _show(market_rows.change_market(get_database(), code, json_data.model_dump(), get_now()))


@markets.delete("/markets/<code>")
@needs_scope("admin")
@markets.output({}, 204)
@markets.doc(responses={409: "bars of it are stored"})
def remove_market(code: str) -> str:
    """Remove a market that was added, or what was changed of a shipped one."""
    market_rows.remove_market(get_database(), code)
    return ""


@markets.put("/markets/<code>/tickers/<ticker>")
@needs_scope("admin")  # by its market's champion and thresholds it will be judged
@markets.output(TickerMarket)
@markets.doc(responses={409: "bars of it are stored as another market's"})
def set_ticker_market(code: str, ticker: str) -> Document:
    """Say of which market a ticker is, whatever it looks like."""
    name = market_rows.set_ticker_market(get_database(), ticker, code, get_now())
    return {"ticker": name, "market": code.upper()}


def _show(market: Market) -> Document:
    return asdict(market) | {"series": count_series(get_database(), market.code)}

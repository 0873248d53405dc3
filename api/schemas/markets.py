"""Markets."""

from pydantic import BaseModel, Field

from api.schemas.common import Body, Market, Page, PageQuery, Record, Ticker


class MarketFields(Body):
    """What a market is."""

    name: str = Field("", max_length=80, description="for people", examples=["Sao Paulo"])
    calendar: str = Field(
        max_length=12, description="of exchange_calendars 4.13", examples=["BVMF", "24/7"]
    )
    timezone: str = Field(
        max_length=40, description="IANA name of its local time", examples=["America/Sao_Paulo"]
    )
    suffixes: list[str] = Field(
        min_length=1,
        max_length=50,
        description="how its tickers end; one without gets the first, which may be empty",
        examples=[[".SA"]],
    )
    aliases: list[str] = Field(
        default_factory=list,
        max_length=50,
        description="how vendors end them; read as the first suffix",
    )
    indices: list[Ticker] = Field(
        default_factory=list, max_length=100, description="tickers of its indices"
    )
    currency: str = Field(
        "", pattern=r"^([A-Za-z]{3})?$", description="of its prices", examples=["BRL"]
    )
    index_ticker: Ticker | None = Field(
        None, description="the index that stands for it", examples=["^BVSP"]
    )
    tick_delay_seconds: int = Field(
        900, ge=0, le=86_400, description="how long a bar may take to come in"
    )


class NewMarket(MarketFields):
    """A market to add."""

    code: Market


class ShownMarket(Record):
    """A market, and of how many series bars are stored."""

    code: str = Field(examples=["US"])
    name: str
    calendar: str
    timezone: str
    suffixes: list[str]
    aliases: list[str]
    indices: list[str]
    currency: str
    index_ticker: str | None = None
    tick_delay_seconds: int
    series: int


class MarketPage(Page[ShownMarket]):
    """Markets, by code."""


class MarketQuery(PageQuery):
    """Which markets are wanted."""


class TickerMarket(BaseModel):
    """Of which market a ticker was said to be."""

    ticker: str
    market: str

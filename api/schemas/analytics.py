"""Analytics: metrics of series, correlations of sets, and what a market does."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, Field, RootModel, model_validator

from analytics.catalogue import list_metrics
from analytics.metric import REASONS, Category, Regime
from api.schemas.common import (
    MAX_PAGE,
    Body,
    Interval,
    Market,
    Page,
    PageQuery,
    Query,
    Record,
    Ticker,
    Time,
    WatchlistName,
    checked,
)
from core.errors import BadInput
from market.tickers import normalize_ticker
from tasks.requests.analytics import MOST_BARS
from tasks.requests.selection import Selection

MOST_NAMED = 100
MOST_HISTORY = 500
SortBy = Literal["ticker", "volatility", "volume", "trend", "regime", "grade"]


def _split_tickers(text: str) -> str:
    """Return the tickers of a comma-separated list, each in our spelling and once."""
    named = dict.fromkeys(normalize_ticker(part) for part in text.split(",") if part.strip())
    if not 1 <= len(named) <= MOST_NAMED:
        raise BadInput(
            f"{len(named)} tickers are named: name 1 to {MOST_NAMED}, with commas between them"
        )
    return ",".join(named)


Tickers = Annotated[str, Field(max_length=2_100, examples=["AAPL,MSFT"]), checked(_split_tickers)]


class _OfInterval(Query):
    interval: Interval = Field(
        "1d", validation_alias=AliasChoices("interval", "period", "timeframe")
    )


class AnalysisQuery(_OfInterval):
    """Of which series, as of when, how many bars.

    `pair` and `symbol` are taken for `ticker`, `period` and `timeframe` for `interval`, `since`
    for `start`, since other services' clients say so.
    """

    ticker: Ticker = Field(validation_alias=AliasChoices("ticker", "pair", "symbol"))
    window: int | None = Field(
        None, ge=1, le=10_000, description="only the metrics of so many bars; others are refused"
    )
    as_of: Time | None = Field(None, description="the last bar at or before this time")
    start: Time | None = Field(
        None,
        validation_alias=AliasChoices("start", "since"),
        description="no bar before this time; asks for a list",
    )
    limit: int = Field(
        1, ge=1, le=MAX_PAGE, description="above 1 the answer is a list, the newest bar first"
    )
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before")

    def choose_names(self, category: Category) -> list[str]:
        """Return the metrics of a category that are asked for.

        Raises BadInput for a window of none.
        """
        metrics = [metric for metric in list_metrics(category) if metric.scope != "set"]
        windows = sorted({metric.window for metric in metrics if metric.window is not None})
        if self.window is None:
            return [metric.name for metric in metrics]
        if self.window not in windows:
            raise BadInput(
                f"no metric of {category} has a window of {self.window} bars: leave it out for all"
                f" of them, or choose {' or '.join(map(str, windows)) or 'none'}"
            )
        return [metric.name for metric in metrics if metric.window == self.window]

    @property
    def is_list(self) -> bool:
        """Whether a list is asked for."""
        return self.limit > 1 or self.start is not None or self.cursor is not None


class SnapshotMetadata(BaseModel):
    """What the values were computed from, by whom and when."""

    set: str = Field(description="name and version of the definitions", examples=["analytics/1"])
    bars_used: int
    completeness: float = Field(
        description="bars held of those that the sessions of the last 250 bars should have"
    )
    computed_at: datetime
    fingerprint: str = Field(description="of the bars it was computed from")
    run_id: str
    synthetic: bool


class Analysis(BaseModel):
    """The metrics of one category of one series at one bar."""

    ticker: str
    interval: str
    metric: str = Field(description="the category")
    as_of: datetime = Field(description="start of the bar")
    window: int | None = Field(description="what was asked for, or all of them have; null: several")
    values: dict[str, Any] = Field(description="by the metric's name; null where there is none")
    units: dict[str, str]
    bars_per_year: float = Field(description="of the market's calendar")
    missing: dict[str, dict[str, int | str]] = Field(
        description="for each null, how many bars it needs and there are, or a reason: "
        + "; ".join(f"`{word}`: {text}" for word, text in REASONS.items()),
        examples=[{"volatility_of_volatility": {"needed": 40, "have": 33}}],
    )
    metadata: SnapshotMetadata


class AnalysisPage(Page[Analysis]):
    """The same of several bars, the newest first."""


class AnalysisAnswer(RootModel[Analysis | AnalysisPage]):
    """The metrics at one bar, or, where a list was asked for, at several."""


class _SetQuery(_OfInterval):
    """A set of tickers: exactly one of the three."""

    tickers: Tickers | None = Field(None, description="with commas between them")
    market: Market | None = None
    watchlist: WatchlistName | None = None

    @model_validator(mode="after")
    def _name_one(self) -> Self:
        try:
            self.select()
        except BadInput as error:
            raise ValueError(error.message) from error
        return self

    def select(self) -> Selection:
        """Return the selection. Raises BadInput where nothing, or too much, is named."""
        named = tuple(self.tickers.split(",")) if self.tickers else ()
        return Selection(named, self.market, self.watchlist)


class CorrelationQuery(_SetQuery):
    """Of which tickers; of a market those that are traded most."""

    as_of: Time | None = Field(None, description="no bar after this time")
    limit: int = Field(
        50,
        ge=2,
        le=MOST_NAMED,
        description="of a market or watchlist, so many that are traded most",
    )


class PairTest(BaseModel):
    """Whether the prices of two tickers move together (Engle and Granger 1987)."""

    tickers: list[str]
    p_value: float | None = Field(description="that they do not; small says they do")
    hedge_ratio: float | None
    half_life: float | None = Field(description="bars in which half of a departure is gone")
    bars: int | None = None
    missing: dict[str, int | str] | None = None


class SeriesCorrelation(BaseModel):
    """What one ticker has with its benchmark, as of its last bar."""

    ticker: str
    as_of: datetime
    values: dict[str, Any]
    missing: dict[str, dict[str, int | str]]


class Correlation(BaseModel):
    """The correlations of a set; `matrix` is null, and `run_id` names the run,
    until they are computed.
    """

    interval: str
    tickers: list[str] = Field(description="in the order of the matrix")
    as_of: datetime | None = None
    window: int = 60
    matrix: list[list[float | None]] | None = Field(
        None, description="Pearson of log returns over the last 60 bars; null below 30 common bars"
    )
    common: list[list[int]] | None = Field(None, description="common bars of each pair")
    order: list[int] | None = Field(None, description="positions, alike tickers side by side")
    clusters: list[int] | None = Field(None, description="the cluster of each ticker")
    pairs: list[PairTest] | None = Field(
        None, description="of at most ten tickers, a test of each pair"
    )
    series: list[SeriesCorrelation]
    unusable: dict[str, str] = Field(
        default_factory=dict, description="tickers whose bars cannot be used, and why"
    )
    computed_at: datetime | None = None
    run_id: str | None = Field(None, description="the run that computes, or computed, the matrix")
    missing: dict[str, dict[str, str]] = Field(default_factory=dict)


class ComputeBody(Body):
    """The metrics of a ticker, or of all of a market's."""

    ticker: Ticker | None = None
    market: Market | None = Field(None, description="all its series of the interval")
    interval: Interval = "1d"
    bars: int = Field(1, ge=1, le=MOST_BARS, description="of so many of each series' last bars")

    def select(self) -> Selection:
        """Return the selection. Raises BadInput where nothing, or too much, is named."""
        return Selection((self.ticker,) if self.ticker else (), self.market)


class OverviewQuery(_SetQuery, PageQuery):
    """Which tickers, in which order."""

    sort_by: SortBy = Field(
        "ticker",
        description="`volume`: by how many times the usual; `trend`: by the change over 10 bars;"
        " `grade`: by how strange the last bar was",
    )
    sort_order: Literal["asc", "desc"] = Field("asc", description="of `sort_by`")
    regime: Regime | None = Field(None, description="only tickers in this regime")
    prefix: Annotated[str, Field(max_length=20)] = Field(
        "", description="only tickers that begin so"
    )
    history: int = Field(
        1, ge=0, le=MOST_HISTORY, description="so many bars of the market, the newest first"
    )


COMPUTED = "when; corrections of bars that came since are taken in at the next slot"


class OverviewItem(Record):
    """A series as of its last bar."""

    ticker: str
    close: float
    return_1: float | None = Field(description="C / C before - 1")
    annualized_volatility: float | None
    volume_spike_ratio: float | None
    rate_of_change: float | None
    crossover: str | None = Field(description="bullish or bearish: SMA20 over or under SMA50")
    crossed: bool = Field(description="at this bar")
    regime: str | None
    confidence: float | None
    anomaly_grade: float | None = Field(
        description="of the bar's anomaly, where there is one; taken over once a slot"
    )
    as_of: datetime
    computed_at: datetime = Field(description=COMPUTED)
    stale: bool = Field(description="the market has a later bar")


class Breadth(BaseModel):
    """Of at least ten tickers."""

    advance_decline: float | None
    above_sma_50: float | None


class MarketBarItem(Record):
    """What all tickers of a market did at one bar."""

    time: datetime
    tickers: int
    breadth: Breadth
    regimes: dict[str, int] = Field(description="how many tickers are in each regime")
    market_return: float | None = Field(alias="return", description="median log return")
    z: float | None = Field(description="of the return by its deviation over the 60 bars before")
    computed_at: datetime = Field(description=COMPUTED)


class MarketState(BaseModel):
    """The market of an overview."""

    code: str
    as_of: datetime | None = None
    bars: list[MarketBarItem] = Field(description="the newest first")


class Overview(Page[OverviewItem]):
    """A market, or part of it, at a glance."""

    interval: str
    market: MarketState | None = Field(description="null where the tickers are of several markets")


def describe_window(names: Sequence[str], category: Category) -> int | None:
    """Return the one window that metrics have; None where there are several, or none."""
    windows = {metric.window for metric in list_metrics(category) if metric.name in names}
    return windows.pop() if len(windows) == 1 else None

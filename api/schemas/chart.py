"""Charts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from alerts.counterparts import CounterpartKind
from api.schemas.bars import ShownCandle
from api.schemas.common import (
    Interval,
    IntervalQuery,
    Period,
    Record,
    Ticker,
    TimesQuery,
    checked,
)
from core.errors import BadInput
from detection.indicators import NAMES


def _check_indicators(text: str) -> str:
    unknown = [name for name in text.split(",") if name and name not in NAMES]
    if unknown:
        raise BadInput(f"{unknown[0]!r} is none of {', '.join(NAMES)}")
    return text


class ChartQuery(IntervalQuery):
    """What to draw."""

    ticker: Ticker
    period: Period = Field("1y", description="counted back from the last stored bar")
    indicators: Annotated[
        str, Field(max_length=300, examples=["sma,RSI"]), checked(_check_indicators)
    ] = Field("", description=f"of {', '.join(NAMES)}, with commas between them")


class Marker(Record):
    """An anomaly, as a mark on the chart."""

    id: str = Field(alias="_id")
    time: datetime = Field(alias="Datetime")
    grade: float
    severity: str
    anomaly_score: float
    reasons: list[str]


class Chart(BaseModel):
    """Bars, with what belongs to each of them; `indicators` has one value a bar,
    null where too little came before.
    """

    ticker: str
    interval: str
    period: str
    synthetic: bool
    bars: list[ShownCandle]
    cut_at: datetime | None = Field(
        None,
        description=(
            "the first bar, where earlier ones of the period are left out: 20,000 are given at the"
            " most"
        ),
    )
    indicators: dict[str, list[float | None]] = Field(examples=[{"RSI": [48.2, 51.7]}])
    markers: list[Marker]
    watermark: datetime | None = Field(None, description="last bar that was looked at")
    run_id: str | None = Field(
        None, description="the run that looks at what came since, where there is one"
    )


class ComparisonQuery(TimesQuery):
    """What to compare with what."""

    ticker: Ticker
    interval: Interval = "1d"
    other: Ticker | None = Field(None, description="with this ticker", examples=["MSFT"])
    against: Literal["index", "sector"] | None = Field(
        None,
        description="or with the index of its market, or with its sector; with neither, the closes"
        " of the ticker alone are given, and what it can be compared with",
    )


class Comparison(BaseModel):
    """The closes of two lines on the bars that either has, null where one has none.

    A sector's line begins at 100 and moves by the mean log return of its other tickers.
    """

    ticker: str
    interval: str
    market: str = Field(description="of the ticker")
    index: str | None = Field(description="of its market, where bars of it are stored")
    sector: str | None = Field(description="that it was said to be of")
    kind: CounterpartKind | None = Field(description="what the other line is")
    name: str | None = Field(description="of the other line", examples=["MSFT", "Technology"])
    tickers: list[str] = Field(description="whose closes the other line is made of")
    left_out: int = Field(description="tickers of the sector beyond the first 50")
    times: list[datetime]
    closes: list[float | None]
    others: list[float | None]

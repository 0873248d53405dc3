"""What a detection is asked for."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from api.schemas.common import Body, Interval, Market, Period, Ticker, WatchlistName, checked
from detection.detectors.catalogue import DETECTORS, get_detector
from tasks.requests.selection import Selection

MAX_TICKERS = 10_000

DetectorName = Annotated[
    str,
    Field(max_length=40, examples=["isolation_forest"]),
    checked(lambda text: get_detector(text).name),
    WithJsonSchema({"type": "string", "enum": list(DETECTORS), "examples": ["isolation_forest"]}),
]


class SelectionBody(Body):
    """Exactly one of ticker, tickers, watchlist and market."""

    ticker: Ticker | None = None
    tickers: Annotated[list[Ticker], Field(min_length=1, max_length=MAX_TICKERS)] | None = None
    watchlist: WatchlistName | None = None
    market: Market | None = Field(None, description="all its series of the interval")
    interval: Interval = "1d"

    def select(self) -> Selection:
        """Return the selection. Raises BadInput where nothing, or too much, is named."""
        named = () if self.ticker is None else (self.ticker,)
        return Selection((*named, *(self.tickers or ())), self.market, self.watchlist)


class DetectBody(SelectionBody):
    """A detection whose caller wants to see what is found."""

    detector: DetectorName | None = Field(
        None,
        description="by the market's latest model of it, with store false; null: by the champions",
    )
    max_period: Period | None = Field(
        None,
        description=(
            "look at so much of each history; null: at what came since the last look or, with store"
            " false, at the last five days"
        ),
    )
    include_explanation: bool = True
    include_root_cause: bool = True
    store: bool = Field(default=True, description="keep what is found, and raise alerts of it")


class BackfillBody(SelectionBody):
    """A backfill: the last five years or what `max_period` says,
    scored by the champion model of each market.
    """

    max_period: Period = Field(
        "5y", description="how far back from the last stored bar; `max` for everything"
    )
    force: bool = Field(
        default=False, description="cancel a backfill of these series that is in the way"
    )
    raise_alerts: bool = Field(
        default=False, description="have what is found new become alerts, as a scan's does"
    )
    walk_forward: bool = Field(
        default=False,
        description=(
            "score each stretch with the latest model that had not seen it, not the champion"
        ),
    )
    keep_scores: bool = Field(
        default=False,
        description="keep the score of every bar for 30 days; `/export/scores` brings them",
    )

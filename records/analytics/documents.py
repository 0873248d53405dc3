"""What the documents of analytics look like, and the collections that they are in."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from pymongo.collection import Collection

from records.database import Db

MetricValues = dict[str, Any]
"""Metrics by name, as `analytics/catalogue.py` lists them; None where there is no value."""
MissingValues = dict[str, dict[str, int | str]]
"""Why a metric is None: `{"needed": 21, "have": 12}` or `{"reason": "flat"}`."""


class SnapshotDocument(TypedDict):
    """All metrics of one series at one bar.

    Attributes:
        set: name and version of the definitions.
        time: start of the bar.
        notional: mean of price times volume over 20 bars.
        bars_per_year: of the market's calendar.
        completeness: bars held of those that the sessions of the last 250 should have.
        fingerprint, bars_revision: of the bars it was computed from.
        expires_at: only of intraday bars.
    """

    _id: str
    set: str
    ticker: str
    interval: str
    time: datetime
    values: MetricValues
    missing: MissingValues
    close: float
    return_1: float | None
    notional: float
    bars_per_year: float
    bars_used: int
    completeness: float
    fingerprint: str
    bars_revision: int
    synthetic: bool
    computed_at: datetime
    run_id: str
    expires_at: NotRequired[datetime]


class SnapshotLineage(TypedDict):
    """Which bars a snapshot was computed from."""

    fingerprint: str
    bars_used: int
    bars_revision: int


class OverviewState(TypedDict):
    """Of which bars a row of the overview is, and the grade that it shows."""

    _id: str
    ticker: str
    interval: str
    market: str
    as_of: datetime
    bars_revision: int
    set: str
    anomaly_grade: float | None


class OverviewDocument(OverviewState):
    """What the overview shows of a series, as of its latest snapshot."""

    close: float
    return_1: float | None
    notional: float
    annualized_volatility: float | None
    volume_spike_ratio: float | None
    rate_of_change: float | None
    crossover: str | None
    crossed: bool
    regime: str | None
    confidence: float | None
    computed_at: datetime
    snapshot_id: str


class BreadthFields(TypedDict):
    """Two measures of how many tickers take part in a move; None below ten tickers."""

    advance_decline: float | None
    above_sma_50: float | None


MarketSnapshotDocument = TypedDict(
    "MarketSnapshotDocument",
    {
        "_id": str,
        "set": str,
        "market": str,
        "interval": str,
        "time": datetime,
        "tickers": int,
        "breadth": BreadthFields,
        "return": float | None,
        "z": float | None,
        "regimes": dict[str, int],
        "computed_at": datetime,
        "run_id": str,
        "expires_at": NotRequired[datetime],
    },
)
"""What all tickers of a market did at one bar; `regimes` counts them."""


class PairFields(TypedDict):
    """Whether the prices of two tickers move together."""

    tickers: list[str]
    p_value: float | None
    hedge_ratio: float | None
    half_life: float | None
    bars: NotRequired[int]
    missing: NotRequired[dict[str, int | str]]


class SetDocument(TypedDict):
    """The correlations of the tickers that somebody asked about.

    Attributes:
        bars_key: which bars they were computed from.
        unusable: tickers whose bars cannot be used, and why.
        common: common bars of each pair.
        order: positions, alike tickers side by side.
        clusters: the cluster of each ticker.
        pairs: None for more than ten tickers.
    """

    _id: str
    set: str
    bars_key: str
    tickers: list[str]
    unusable: dict[str, str]
    interval: str
    as_of: datetime
    matrix: list[list[float | None]]
    common: list[list[int]]
    order: list[int]
    clusters: list[int]
    pairs: list[PairFields] | None
    computed_at: datetime
    run_id: str


class FailureDocument(TypedDict):
    """A series whose bars cannot be used, and which bars those are:
    it is not tried again until they change.
    """

    _id: str
    as_of: datetime
    bars_revision: int
    set: str
    error: str
    run_id: str


class VersionDocument(TypedDict):
    """How often anything that the overview shows of a market and interval has changed."""

    _id: str
    version: int


def snapshots_in(database: Db) -> Collection[SnapshotDocument]:
    """Return the collection of snapshots."""
    return database.analytics


def overview_in(database: Db) -> Collection[OverviewDocument]:
    """Return the collection of the overview."""
    return database.analytics_overview


def market_snapshots_in(database: Db) -> Collection[MarketSnapshotDocument]:
    """Return the collection of market snapshots."""
    return database.analytics_markets


def sets_in(database: Db) -> Collection[SetDocument]:
    """Return the collection of sets."""
    return database.analytics_sets


def failures_in(database: Db) -> Collection[FailureDocument]:
    """Return the collection of series that cannot be used."""
    return database.analytics_failures


def versions_in(database: Db) -> Collection[VersionDocument]:
    """Return the collection of the overview's versions."""
    return database.analytics_versions

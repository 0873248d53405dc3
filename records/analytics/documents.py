"""The documents and collections of analytics."""

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
        set: name and version of the metrics' definitions.
        time: start of the bar.
        notional: mean of price times volume over 20 bars.
        bars_per_year: how many bars a year of the market's calendar has.
        completeness: the share of stored bars among those that the calendar has, over the stretch
            of the last 250 stored bars.
        fingerprint, bars_revision: those of the bars from which it was computed.
        expires_at: only snapshots of intraday bars have it.
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
    """The fields that tell from which bars a snapshot was computed."""

    fingerprint: str
    bars_used: int
    bars_revision: int


class OverviewState(TypedDict):
    """The fields of an overview row that tell from which bars it was made, and its grade."""

    _id: str
    ticker: str
    interval: str
    market: str
    as_of: datetime
    bars_revision: int
    set: str
    anomaly_grade: float | None


class OverviewDocument(OverviewState):
    """A row of the overview: a series as of its latest snapshot."""

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
"""How all tickers of a market moved at one bar; `regimes` counts the tickers in each regime."""


class PairFields(TypedDict):
    """Whether the prices of two tickers move together."""

    tickers: list[str]
    p_value: float | None
    hedge_ratio: float | None
    half_life: float | None
    bars: NotRequired[int]
    missing: NotRequired[dict[str, int | str]]


class SetDocument(TypedDict):
    """The correlations of a set of tickers that a user asked for.

    Attributes:
        bars_key: changes with the bars from which they are computed.
        unusable: tickers whose bars cannot be used, and why.
        matrix: the correlation of each pair, in the order of `tickers`.
        common: the number of bars that each pair has in common.
        order: positions in `tickers` that put similar tickers side by side.
        clusters: the number of each ticker's cluster.
        pairs: whether each pair moves together; None for more than ten tickers.
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
    """A series whose bars cannot be used, with the fields that identify these bars: the series is
    not computed again until they change.
    """

    _id: str
    as_of: datetime
    bars_revision: int
    set: str
    error: str
    run_id: str


class VersionDocument(TypedDict):
    """How often the overview of a market and interval has changed."""

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
    """Return the collection of series whose bars cannot be used."""
    return database.analytics_failures


def versions_in(database: Db) -> Collection[VersionDocument]:
    """Return the collection of the overview's versions."""
    return database.analytics_versions

"""The documents and collections of models, champions and thresholds."""

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from pymongo.collection import Collection

from core.words import ChallengerState, GateName, ModelState, ScopeKind, ThresholdKind
from records.database import Db


class TrainedTicker(TypedDict):
    """A ticker that a model learned from, and how many of its bars."""

    ticker: str
    rows: int


class LeftOutTicker(TypedDict):
    """A ticker that a model could not learn from, and why."""

    ticker: str
    reason: str


class TailFields(TypedDict):
    """A threshold, and how rare a score is, of one market's bars."""

    threshold: float
    score_quantiles: dict[str, Any]


class FitSummary(TypedDict):
    """What a model learned from, and what came of it.

    Attributes:
        columns: what it sees of a bar.
        warm_up_bars: how many bars it needs before the first that it scores.
        window_start, window_end: first and last bar that it may have learned from.
        rows, rows_fitted: how many bars that were, and how many of them were fitted.
        synthetic: whether any of them were made up.
        parameters: of its algorithm, with the algorithm's name.
        threshold: bars with a lower score are anomalies.
    """

    market: str
    interval: str
    feature_set: str
    columns: list[str]
    warm_up_bars: int
    window_start: datetime
    window_end: datetime
    rows: int
    rows_fitted: int
    ticker_count: int
    synthetic: bool
    seed: int
    parameters: dict[str, Any]
    threshold: float


class AskedFields(TypedDict):
    """What a training was asked to learn from: which tickers (none: all of the market), and from
    which first bar on (None: the first one stored).
    """

    tickers: list[str]
    window_start: datetime | None


class InputShares(TypedDict):
    """How a column of a model's inputs was distributed among its training bars: `shares` of them
    lie up to each of the `edges`, and the last share beyond all.
    """

    edges: list[float]
    shares: list[float]


class FitFields(FitSummary):
    """What a fit determines, with the tickers, of which a market has thousands.

    Attributes:
        score_quantiles: how rare a score is, as a grade table writes itself down.
        by_market: of a model of all markets threshold and grades of each with bars enough; of the
            others those of all hold.
        column_tails: the largest values of its columns, as grade tables write themselves down.
        asked, input_shares, column_tails, by_market: versions that were made before these were kept
            lack them.
    """

    score_quantiles: dict[str, Any]
    tickers: list[TrainedTicker]
    left_out: list[LeftOutTicker]
    asked: NotRequired[AskedFields]
    input_shares: NotRequired[dict[str, InputShares]]
    column_tails: NotRequired[dict[str, dict[str, Any]]]
    by_market: NotRequired[dict[str, TailFields]]


class _VersionFields(TypedDict):
    _id: str
    version: str
    sha256: str
    artefact_bytes: int
    # Of an artefact that was brought to another form; `sha256` stays, by which anomalies name the
    # model.
    artefact_sha256: str | None
    library_versions: dict[str, str]
    training_run_id: str | None
    created_at: datetime
    promoted_at: datetime | None
    retired_at: datetime | None


class _UseFields(TypedDict):
    state: ModelState
    champion_of: list[str]


class ModelDocument(FitFields, _VersionFields):
    """A version of a market's model, as it is stored."""


class ModelSummary(FitSummary, _VersionFields, _UseFields):
    """A version as lists show it: with its state and who uses it, without its tickers."""


class ModelRecord(ModelDocument, _UseFields):
    """A version with all that is known of it."""


class LineageFields(TypedDict):
    """What of a version the number of the next depends on."""

    _id: str
    feature_set: str
    parameters: dict[str, Any]


class MoveFields(TypedDict):
    """A move of a pointer: when, how and to which version; None where the wider scope's counts."""

    version: str | None
    sha256: str | None
    action: Literal["promoted", "rolled_back"]
    at: datetime


class PointerDocument(TypedDict):
    """Which version is in use in a scope for bars of an interval, with every move."""

    _id: str
    scope: ScopeKind
    name: str
    interval: str
    market: str
    version: str | None
    sha256: str | None
    changed_at: datetime
    history: list[MoveFields]


class ChampionAge(TypedDict):
    """How long ago the last bar was that a market's champion may have learned from."""

    market: str
    interval: str
    version: str
    age_seconds: float


class PolicyFields(TypedDict):
    """What passes: by `contamination`, by `grade` or as a `score`."""

    kind: ThresholdKind
    value: float


class ThresholdDocument(PolicyFields):
    """What passes in a scope, in place of the threshold that a model was trained with."""

    _id: str
    scope: ScopeKind
    name: str
    changed_at: datetime


def models_in(database: Db) -> Collection[ModelDocument]:
    """Return the collection of models."""
    return database.models


def pointers_in(database: Db) -> Collection[PointerDocument]:
    """Return the collection of the champions' pointers."""
    return database.champions


def thresholds_in(database: Db) -> Collection[ThresholdDocument]:
    """Return the collection of thresholds."""
    return database.thresholds


class SeriesHead(TypedDict):
    """What is known of a single series; `latest` is raised by the transaction
    that inserts a version.
    """

    _id: str
    latest: int
    detector: str
    predictions: int
    created_at: datetime
    updated_at: datetime


class StateFields(TypedDict):
    """What a detector knows, as JSON text, and the hash of it."""

    state: str
    state_sha256: str


class SeriesFit(StateFields):
    """What a fit of a single series came to, before it has its version.

    `data_sha256` is the hash of the history under `fit_id`, and `fingerprint` that of the history
    with detector and parameters.
    """

    series_id: str
    detector: str
    parameters: dict[str, Any]
    points_used: int
    first_timestamp: int
    last_timestamp: int
    fit_id: str
    data_sha256: str
    fingerprint: str
    points_learned: int
    created_at: datetime


class SeriesVersion(SeriesFit):
    """A version of a single series' model. Only a detector that learns changes its state."""

    _id: str
    version: int


class SeriesPoints(TypedDict):
    """A part of the history of a fit: two columns of 8 bytes a number."""

    _id: str
    fit_id: str
    chunk: int
    timestamps: bytes
    values: bytes
    created_at: datetime


def heads_in(database: Db) -> Collection[SeriesHead]:
    """Return the collection of single series."""
    return database.single_series


def versions_in(database: Db) -> Collection[SeriesVersion]:
    """Return the collection of the versions of single series."""
    return database.series_models


def points_in(database: Db) -> Collection[SeriesPoints]:
    """Return the collection of the histories of single series."""
    return database.series_points


class LabelFields(TypedDict):
    """What a person says of one bar: whether it is an anomaly. `time` is a time within the bar."""

    ticker: str
    time: datetime
    is_anomaly: bool


class JudgedLabels(TypedDict):
    """How a version's alarms fit labels.

    Attributes:
        true_alarms, false_alarms, missed, rightly_quiet: bars.
        not_scored: labels whose bar has no score.
        contradictory: bars that were labelled both ways; an evaluation before it was kept has none.
    """

    true_alarms: int
    false_alarms: int
    missed: int
    rightly_quiet: int
    not_scored: int
    contradictory: NotRequired[int]
    precision: float | None
    recall: float | None


class DriftFields(TypedDict):
    """Whether the bars of a stretch look to a version as its training bars did; None: not known.

    Attributes:
        stability_index, distance: of the scores; see `detection/scoring/drift.py`.
        flagged_share, asked_share: of the bars, that were flagged and that were asked for.
        age_days: from the last bar that it may have learned from to the last that it scored.
        unknown_tickers: share of the tickers that it did not learn from.
        inputs: the stability index of each column of its inputs; empty where it is not known.
        reasons: what has drifted.
    """

    stability_index: float | None
    distance: float | None
    flagged_share: float | None
    asked_share: float | None
    age_days: float
    unknown_tickers: float
    inputs: dict[str, float]
    reasons: list[str]


class VersionJudgement(TypedDict):
    """What a version flags of a stretch; bars are those that it scored.

    Attributes:
        threshold: the version's, or that of the only market of the stretch.
        thresholds: by market, of those of the stretch; lacks before it was kept.
        large_moves, large_moves_flagged: bars that moved at least three of their ticker's usual
            ranges, which no version should miss.
        faults_planted, faults_found: known faults in copies of the bars, and how many of them are
            anomalies; 0 where one version is judged alone.
        microseconds_a_bar: what scoring took; None where there was nothing to score.
    """

    version: str
    threshold: float
    thresholds: NotRequired[dict[str, float]]
    bars: int
    tickers: int
    alarms: int
    alarms_per_thousand: float | None
    large_moves: int
    large_moves_flagged: int
    faults_planted: int
    faults_found: int
    microseconds_a_bar: float | None
    labels: JudgedLabels | None
    drift: DriftFields


class AgreementFields(TypedDict):
    """How far two versions flag the same, of the bars that both scored.

    `strangest_in_common` is the share of the strangest hundredth of one that is among that of the
    other.
    """

    bars: int
    flagged_by_both: int
    only_by_first: int
    only_by_second: int
    strangest_in_common: float | None


class EvaluationDocument(TypedDict):
    """Versions judged on a stretch of bars.

    Attributes:
        _id: its own; the run that computes it names it in its options.
        start, end: first and last time of a bar; None: from the first, or to the last one stored.
        tickers: whose bars; empty: of all of the market.
        labels: what people said of single bars.
        keep_scores: whether the score of every bar is kept besides.
        judgements, agreement, errors, done_at: what came of it; None before it is computed.
            `agreement` is of two versions only, `errors` are of tickers whose bars cannot be used.
        session: where a champion is watched, the day (ISO date) that is noted.
    """

    _id: str
    market: str
    interval: str
    versions: list[str]
    start: datetime | None
    end: datetime | None
    tickers: list[str]
    labels: list[LabelFields]
    keep_scores: bool
    session: NotRequired[str]
    created_at: datetime
    run_id: str | None
    judgements: list[VersionJudgement] | None
    agreement: AgreementFields | None
    errors: dict[str, str] | None
    done_at: datetime | None


class DriftDocument(DriftFields):
    """How a market's champion fared on its latest bars, noted once a session.

    Attributes:
        _id: such as `US::1d::2026-01-05`.
        session: the day (ISO date) of the last bar.
        start, end: first and last bar that was looked at, as asked.
        bars: how many it scored.
        labels, precision: how many of its anomalies were labelled, and how many of these were true
            ones; None where none was.
    """

    _id: str
    market: str
    interval: str
    session: str
    version: str
    start: datetime
    end: datetime
    bars: int
    labels: int
    precision: float | None
    run_id: str
    at: datetime


class GateFields(TypedDict):
    """A condition that a challenger must pass: what was found, beside what is asked."""

    name: GateName
    passed: bool
    words: str


class ChallengerDocument(TypedDict):
    """A version that was trained because the champion had drifted, and how the two compare.

    Attributes:
        _id: the run that trains it.
        market: of the model, which may be `ALL`.
        champion: the version that it challenges.
        reasons: what had drifted.
        held_out_from: it learns from no later bar; by the later ones, up to `last_bar`, the two are
            compared.
        version: its own, once it is trained.
        evaluation, evaluation_run_id: the report that compares the two, and the run that makes it.
        gates: what it must pass, once it was judged; `passed` says whether it passed all.
        promoted_at: when it was put in use by itself.
        error: what went wrong, or why it was not put in use although it passed.
    """

    _id: str
    market: str
    interval: str
    champion: str
    reasons: list[str]
    held_out_from: datetime
    last_bar: datetime
    state: ChallengerState
    version: str | None
    evaluation: str | None
    evaluation_run_id: str | None
    gates: list[GateFields]
    passed: bool | None
    promoted_at: datetime | None
    error: str | None
    created_at: datetime
    updated_at: datetime


class BarScores(TypedDict):
    """The scores of a ticker's bars by one version, or some of them: little-endian binaries, times
    in UTC seconds.

    Attributes:
        run_id: the run that gave them.
        first: the first of its times.
        count: how many there are.
    """

    _id: str
    run_id: str
    version: str
    ticker: str
    interval: str
    first: int
    count: int
    times: bytes
    scores: bytes
    created_at: datetime


def evaluations_in(database: Db) -> Collection[EvaluationDocument]:
    """Return the collection of evaluations."""
    return database.get_collection("evaluations")


def bar_scores_in(database: Db) -> Collection[BarScores]:
    """Return the collection of scores of every bar."""
    return database.get_collection("bar_scores")


def drifts_in(database: Db) -> Collection[DriftDocument]:
    """Return the collection of what was noted of champions, once a session."""
    return database.get_collection("drifts")


def challengers_in(database: Db) -> Collection[ChallengerDocument]:
    """Return the collection of challengers."""
    return database.get_collection("challengers")

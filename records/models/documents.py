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
    """A threshold, and the table that tells how rare a score is, for one market's bars."""

    threshold: float
    score_quantiles: dict[str, Any]


class FitSummary(TypedDict):
    """What a model learned from, and what came of it.

    Attributes:
        columns: the features of a bar that the model reads.
        warm_up_bars: how many bars the model needs before the first that it scores.
        window_start, window_end: first and last bar that it may have learned from.
        rows, rows_fitted: how many bars there were to learn from, and how many of them were fitted.
        synthetic: whether any of these bars were made up.
        parameters: those of its algorithm, with the algorithm's name.
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
    """What a training was asked to learn from: `tickers` (empty: all of the market), and the time
    of the first bar (None: the first stored bar).
    """

    tickers: list[str]
    window_start: datetime | None


class InputShares(TypedDict):
    """How the values of one input column were distributed among a model's training bars: a share
    for the values up to each of the `edges`, and a last one for those beyond all edges.
    """

    edges: list[float]
    shares: list[float]


class FitFields(FitSummary):
    """All that a fit determines, with the tickers, of which a market has thousands.

    Attributes:
        score_quantiles: how rare a score is, as a stored grade table.
        by_market: in a model of all markets, threshold and grade table of each market with enough
            bars; the other markets use those of all bars.
        column_tails: the largest values of each column, as stored grade tables.
        asked, input_shares, column_tails, by_market: absent in versions that are older than these
            fields.
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
    # The hash of an artefact that was converted to another form. `sha256`, by which anomalies name
    # the model, stays.
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
    """A version as lists show it: with its state and the pointers that name it, without its
    tickers.
    """


class ModelRecord(ModelDocument, _UseFields):
    """A version with all its fields, its state and the pointers that name it."""


class LineageFields(TypedDict):
    """The fields of a version from which the number of the next version is computed."""

    _id: str
    feature_set: str
    parameters: dict[str, Any]


class MoveFields(TypedDict):
    """A move of a pointer: when, how and to which version (None: that of the wider scope)."""

    version: str | None
    sha256: str | None
    action: Literal["promoted", "rolled_back"]
    at: datetime


class PointerDocument(TypedDict):
    """The version that a scope uses for bars of an interval, with every move of the pointer."""

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
    """The age of a market's champion, counted from the last bar that it may have learned from."""

    market: str
    interval: str
    version: str
    age_seconds: float


class PolicyFields(TypedDict):
    """A threshold: a share of bars (`contamination`), a `grade` or a `score`."""

    kind: ThresholdKind
    value: float


class ThresholdDocument(PolicyFields):
    """A threshold of a scope, in place of the one that a model was trained with."""

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
    """A single series. The transaction that inserts a version raises `latest`, the last version's
    number; `predictions` counts stored predictions.
    """

    _id: str
    latest: int
    detector: str
    predictions: int
    created_at: datetime
    updated_at: datetime


class StateFields(TypedDict):
    """The state of a detector as JSON text, and its hash."""

    state: str
    state_sha256: str


class SeriesFit(StateFields):
    """The result of a fit of a single series, before it gets its version.

    `data_sha256` is the hash of the history that is stored under `fit_id`; `fingerprint` is the
    hash of history, detector and parameters.
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
    """A version of a single series' model. Its state changes only where its detector learns from
    predictions.
    """

    _id: str
    version: int


class SeriesPoints(TypedDict):
    """A part of the history of a fit: two columns with 8 bytes for each number."""

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
    """A person's label of one bar: whether it is an anomaly. `time` is any time within the bar;
    without `interval`, the bar is of whatever interval is judged.
    """

    ticker: str
    time: datetime
    is_anomaly: bool
    interval: NotRequired[str]


class JudgedLabels(TypedDict):
    """How a version's alarms agree with labels.

    Attributes:
        true_alarms, false_alarms, missed, rightly_quiet: numbers of bars.
        not_scored: number of labels whose bar has no score.
        contradictory: number of bars that were labelled both ways; absent in evaluations that are
            older than this field.
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
    """How far the bars of a stretch differ from a version's training bars; None: not known.

    Attributes:
        stability_index, distance: those of the scores; see `detection/scoring/drift.py`.
        flagged_share, asked_share: the share of bars that the version flagged, and the share that
            it was asked to flag.
        age_days: from the last bar that it may have learned from to the last bar that it scored.
        unknown_tickers: the share of tickers that it did not learn from.
        inputs: the stability index of each input column; empty where it is not known.
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
    """What a version flags in a stretch of bars. `bars` counts those that it scored.

    Attributes:
        threshold: the version's own, or its threshold for the only market of the stretch.
        thresholds: by market, those of the stretch's markets; absent in evaluations that are older
            than this field.
        large_moves, large_moves_flagged: bars that moved at least three of their ticker's usual
            ranges, and how many of them it flagged; no version should miss one.
        faults_planted, faults_found: known faults planted in copies of the bars, and how many of
            them it finds; 0 where one version is judged alone.
        microseconds_a_bar: how long scoring took; None where there was nothing to score.
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
    """How far two versions flag the same bars, among the bars that both scored.

    `strangest_in_common` is the share of the first version's strangest hundredth of bars that is
    also in the second version's.
    """

    bars: int
    flagged_by_both: int
    only_by_first: int
    only_by_second: int
    strangest_in_common: float | None


class EvaluationDocument(TypedDict):
    """Versions judged on a stretch of bars.

    Attributes:
        _id: an id of its own, which the options of the run that computes it name.
        start, end: first and last time of a bar; None: from the first, or to the last stored bar.
        tickers: the tickers whose bars are judged; empty: all of the market.
        labels: people's labels of single bars.
        keep_scores: whether the scores of all bars are kept, too.
        judgements, agreement, errors, done_at: the results; None before they are computed. Only two
            versions have an `agreement`; `errors` are those of tickers whose bars cannot be used.
        session: the day (ISO date) whose drift is measured; absent in other evaluations.
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
    """The drift of a market's champion on its latest bars, measured once a session.

    Attributes:
        _id: such as `US::1d::2026-01-05`.
        session: the day (ISO date) of the last bar.
        start, end: the stretch of bars that was asked for.
        bars: how many bars the champion scored.
        labels, precision: the number of labels on the champion's anomalies, and the share of these
            that say true; a `precision` of None where there are no labels.
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
    """A condition that a challenger must pass; `words` say what was found and what is required."""

    name: GateName
    passed: bool
    words: str


class ChallengerDocument(TypedDict):
    """A version that was trained because the champion had drifted, and its comparison with the
    champion.

    Attributes:
        _id: the run that trains the challenger.
        market: that of the model, which may be `ALL`.
        champion: the version that it challenges.
        reasons: what had drifted.
        held_out_from: the bars from here to `last_bar`, from which the challenger does not learn,
            are those by which the two are compared.
        version: the challenger's version, once it is trained.
        evaluation, evaluation_run_id: the evaluation that compares the two, and the run that
            computes it.
        gates: the conditions, once they were checked; `passed` says whether it passed them all.
        promoted_at: when it was promoted automatically.
        error: what went wrong, or why it was not promoted although it passed.
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
    """The scores of a ticker's bars by one version, or a part of them.

    Attributes:
        run_id: the run that scored the bars.
        first: the first of `times`.
        count: the number of scores.
        times: UTC seconds as little-endian 64-bit integers, ascending.
        scores: little-endian 64-bit floats.
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
    """Return the collection of the scores of all bars."""
    return database.get_collection("bar_scores")


def drifts_in(database: Db) -> Collection[DriftDocument]:
    """Return the collection of the champions' drifts."""
    return database.get_collection("drifts")


def challengers_in(database: Db) -> Collection[ChallengerDocument]:
    """Return the collection of challengers."""
    return database.get_collection("challengers")

"""The models of one process: each version is loaded and checked once,
and the champion's pointer read at every use.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import RLock
from typing import Any

from core.arrays import Bools
from core.errors import ModelIntegrity, NoModel
from detection.detectors.catalogue import get_detector
from detection.detectors.contract import Detector, SeriesDetector
from detection.detectors.rows import SeriesRows
from detection.features.feature_sets import FeatureSet, get_feature_set
from detection.models.artefacts import load_arrays
from detection.models.plan import ThresholdPolicy
from detection.models.plausibility import find_problem
from detection.models.registry import explain_no_model, get_champion
from detection.models.sealed import read_champion
from detection.scoring.drift import InputTable
from detection.scoring.grades import ColumnTails, GradeTable
from detection.scoring.thresholds import find_threshold
from records.database import Db
from records.models.champions import ALL_MARKETS, Champion, find_champions
from records.models.documents import ModelDocument, ModelSummary
from records.models.models import find_models, get_artefact_hash, get_model_record
from records.models.thresholds import find_thresholds


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A version ready to score.

    Attributes:
        version, sha256: such as `US_model-0.1.0`, and `sha256:...` of its artefact.
        market, interval: what it learned from.
        feature_set: what its detector must be shown.
        warm_up_bars: how many bars it needs before the first that it scores.
        history_bars: on how many stored bars before a bar its score may depend, besides what the
            bar's features do.
        threshold: bars with a lower score are anomalies.
        threshold_problem: of one that was set in place of its own, why it may not be meant.
        detector: scores and attributes.
        grades: how rare a score is.
        by_market: of a model of all markets both, of each market that has its own.
        inputs, tails: how its training inputs were distributed, and the largest of them, where its
            record has that.
        window_start, window_end: aware; first and last start of the bars it may have learned from.
        parameters, library_versions: as recorded at training.
    """

    version: str
    sha256: str
    market: str
    interval: str
    feature_set: FeatureSet
    warm_up_bars: int
    history_bars: int
    threshold: float
    detector: Detector | SeriesDetector
    grades: GradeTable
    inputs: InputTable
    tails: ColumnTails
    window_start: datetime
    window_end: datetime
    parameters: dict[str, Any]
    library_versions: dict[str, str]
    by_market: Mapping[str, tuple[float, GradeTable]] = field(default_factory=dict)
    threshold_problem: str = ""

    def of_market(self, market: str) -> "LoadedModel":
        """Return the model with the threshold and grades that it has for a market's bars."""
        if market not in self.by_market:
            return self
        threshold, grades = self.by_market[market]
        return replace(self, threshold=threshold, grades=grades)

    def find_known(self, rows: SeriesRows) -> Bools:
        """Return which wanted rows it can score, shape (m,): those with enough before them."""
        return get_detector(self.parameters["detector"]).find_known(rows, self.parameters)

    def reach(self, index: int, interval: str) -> int:
        """Return the position in the stored series from which bars are needed to score the bar
        at `index`.
        """
        return self.feature_set.reach(max(0, index - self.history_bars), interval)


class ModelManager:
    """Hands out models by market and interval, tickers or version,
    and keeps the `capacity` last used ones.

    A version is opened once a process, after hash and signature of its artefact were checked; one
    that fails the check is refused each time it is asked for, and never kept. A promotion is seen
    by the next call.
    """

    def __init__(self, database: Db, capacity: int = 8) -> None:
        self._database = database
        self._capacity = capacity
        self._models: OrderedDict[Champion, LoadedModel] = OrderedDict()
        self._counts = {"hits": 0, "misses": 0, "loads": 0}
        self._taken = dict(self._counts)
        self._lock = RLock()

    def get_model(self, market: str, interval: str) -> LoadedModel:
        """Return the champion of a market for bars of an interval.

        Raises NoModel, ModelIntegrity.
        """
        return self.open(get_champion(self._database, market, interval)).of_market(market)

    def get_model_version(self, version: str) -> LoadedModel:
        """Return a version, champion or not. Raises NotFound, ModelIntegrity."""
        return self.open(Champion(version, get_model_record(self._database, version)["sha256"]))

    def find_of_detector(self, market: str, interval: str, detector: str) -> LoadedModel:
        """Return the latest version of a detector for a market's bars, or that of all markets.

        Raises NoModel, ModelIntegrity.
        """
        for name in (market, ALL_MARKETS):
            for record in find_models(self._database, market=name):
                usable = record["interval"] == interval and record["state"] != "retired"
                if usable and record["parameters"]["detector"] == detector:
                    return self.get_model_version(record["version"]).of_market(market)
        raise NoModel(
            f"market {market} has no {detector} model for {interval} bars; train one:"
            f" `flask models train --market {market} --interval {interval} --detector {detector}`",
            reason="no_model",
        )

    def group_by_model(
        self, market: str, interval: str, tickers: Sequence[str], *, watchlist: str | None = None
    ) -> list[tuple[LoadedModel, tuple[str, ...]]]:
        """Return tickers of one market by the model, with its threshold,
        in use for their bars of an interval.

        Raises NoModel, ModelIntegrity.
        """
        champions = find_champions(self._database, market, interval, tickers, watchlist=watchlist)
        policies = find_thresholds(self._database, market, tickers, watchlist=watchlist)
        groups: dict[tuple[Champion, ThresholdPolicy | None], list[str]] = {}
        # Most share what is of their market: one object each, which is compared once.
        shared: dict[tuple[int, int], list[str]] = {}
        for ticker in tickers:
            champion, found = champions.get(ticker), policies.get(ticker)
            if champion is None:
                raise explain_no_model(market, interval)
            members = shared.get((id(champion), id(found)))
            if members is None:
                policy = ThresholdPolicy(found["kind"], found["value"]) if found else None
                members = groups.setdefault((champion, policy), [])
                shared[id(champion), id(found)] = members
            members.append(ticker)
        return [
            (_with_threshold(self.open(champion).of_market(market), policy), tuple(members))
            for (champion, policy), members in groups.items()
        ]

    def list_walk_forward(
        self, market: str, interval: str
    ) -> list[tuple[LoadedModel, datetime | None]]:
        """Return, earliest first, the models by which a history can be scored
        with none having seen what it scores: the market's, or where it has none those of all
        markets.

        With each comes the last bar it is to score: the end of the window of the next, None for the
        last one. Raises NoModel where no version of the market and interval is there,
        ModelIntegrity.
        """
        by_end: dict[datetime, ModelSummary] = {}
        for name in (market, ALL_MARKETS):
            by_end = by_end or {
                r["window_end"]: r
                for r in reversed(find_models(self._database, market=name))
                if r["interval"] == interval and not r["retired_at"]
            }
        if not by_end:
            raise NoModel(
                f"a walk-forward backfill needs models of {market} that end before the bars they"
                f" score; train some: `flask models train --market {market} --interval {interval}"
                " --window-end DATE --no-promote`"
            )
        ends = sorted(by_end)
        champions = [Champion(by_end[end]["_id"], by_end[end]["sha256"]) for end in ends]
        return [
            (self.open(champion).of_market(market), last)
            for champion, last in zip(champions, [*ends[1:], None], strict=True)
        ]

    def may_see_market(self, market: str, interval: str) -> bool:
        """Whether a loaded model that may score a market's bars looks at what the market did;
        where none is loaded yet, whether its champion does.
        """
        with self._lock:
            held = [
                model
                for model in self._models.values()
                if model.interval == interval and model.market in (market, ALL_MARKETS)
            ]
        if held:
            return any(model.feature_set.sees_market for model in held)
        try:
            return self.get_model(market, interval).feature_set.sees_market
        except (NoModel, ModelIntegrity):  # it may not be needed; where it is, that is said
            return False

    def get_cache_stats(self) -> dict[str, Any]:
        """Return `hits`, `misses` and `loads` since the start,
        the `models` loaded (last used last) and `capacity`.
        """
        with self._lock:
            loaded = [champion.version for champion in self._models]
            return {**self._counts, "models": loaded, "capacity": self._capacity}

    def take_counts(self) -> dict[str, int]:
        """Return the `hits`, `misses` and `loads` since the last call."""
        with self._lock:
            counts = {name: count - self._taken[name] for name, count in self._counts.items()}
            self._taken = dict(self._counts)
            return counts

    def open(self, champion: Champion) -> LoadedModel:
        """Return the model of a champion. Raises NoModel, NotFound, ModelIntegrity."""
        # Loading happens under the lock: two threads that ask for the same version must not both
        # open it.
        with self._lock:
            if champion in self._models:
                self._counts["hits"] += 1
                self._models.move_to_end(champion)
                return self._models[champion]
            self._counts["misses"] += 1
            model = _load(self._database, champion)
            self._counts["loads"] += 1
            self._models[champion] = model
            while len(self._models) > self._capacity:
                self._models.popitem(last=False)
            return model


def _with_threshold(model: LoadedModel, policy: ThresholdPolicy | None) -> LoadedModel:
    if policy is None:
        return model
    threshold = find_threshold(policy.kind, policy.value, model.grades)
    flagged, rows = model.grades.count_below(threshold), model.grades.rows
    # A champion may have come after it was set, or have changed.
    problem = find_problem(flagged, rows, policy)
    if problem:
        problem = (
            f"by the threshold that is set ({policy.kind} {policy.value:g}) {model.version} flags"
            f" {flagged:,} of the {rows:,} bars that its grades are of, {problem}: `flask models"
            " threshold` of the ticker, watchlist or market shows where it is set, and with"
            " `--reset` takes it back"
        )
    return replace(model, threshold=threshold, threshold_problem=problem)


def _load(database: Db, champion: Champion) -> LoadedModel:
    record, content = read_champion(database, champion)
    fitted = load_arrays(champion.version, get_artefact_hash(record), content)
    kind = get_detector(record["parameters"]["detector"])
    return _build_model(record, kind.load(fitted))


def _build_model(record: ModelDocument, detector: Detector | SeriesDetector) -> LoadedModel:
    kind = get_detector(record["parameters"]["detector"])
    return LoadedModel(
        version=record["version"],
        sha256=record["sha256"],
        market=record["market"],
        interval=record["interval"],
        feature_set=get_feature_set(record["feature_set"]),
        warm_up_bars=record["warm_up_bars"],
        history_bars=kind.history_bars,
        threshold=record["threshold"],
        detector=detector,
        grades=GradeTable.from_document(record["score_quantiles"]),
        inputs=InputTable.from_document(record.get("input_shares", {})),
        tails=ColumnTails.from_document(record.get("column_tails", {})),
        window_start=record["window_start"],
        window_end=record["window_end"],
        parameters=record["parameters"],
        library_versions=record["library_versions"],
        by_market={
            code: (own["threshold"], GradeTable.from_document(own["score_quantiles"]))
            for code, own in record.get("by_market", {}).items()
        },
    )

"""The models of one process: each version is loaded and checked once; the champion's pointer is
read at every use.
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
        market, interval: of the bars that it learned from.
        feature_set: the feature set of its detector.
        warm_up_bars: how many bars it needs before the first one that it scores.
        history_bars: how many stored bars before a bar its score may depend on, besides those that
            the bar's features depend on.
        threshold: bars with a lower score are anomalies.
        threshold_problem: why a threshold that was set in place of the model's own may be a
            mistake; "" where it seems right.
        detector: computes scores and attributions.
        grades: how rare a score is.
        by_market: for a model of all markets, threshold and grades of each market with its own.
        inputs, tails: the distribution of its training inputs, and the largest of them, where its
            record has them.
        window_start, window_end: aware; first and last start of the bars it may have learned from.
        parameters: as recorded at training.
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
    by_market: Mapping[str, tuple[float, GradeTable]] = field(default_factory=dict)
    threshold_problem: str = ""

    def of_market(self, market: str) -> "LoadedModel":
        """Return the model with the threshold and grades that it has for a market's bars."""
        if market not in self.by_market:
            return self
        threshold, grades = self.by_market[market]
        return replace(self, threshold=threshold, grades=grades)

    def find_known(self, rows: SeriesRows) -> Bools:
        """Return which wanted rows it can score, shape (m,): those with enough rows before them."""
        return get_detector(self.parameters["detector"]).find_known(rows, self.parameters)

    def reach(self, index: int, interval: str) -> int:
        """Return the position in the stored series from which bars are needed to score the bar
        at `index`.
        """
        return self.feature_set.reach(max(0, index - self.history_bars), interval)


class ModelManager:
    """Returns models by market and interval, by ticker or by version; keeps the `capacity` last
    used ones in memory.

    A version is opened once, after hash and signature of its artefact were checked. A version that
    fails the check is refused each time, and never kept. A promotion is seen by the next call.
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
        """Return each model in use for bars of an interval of some tickers of a market, with its
        threshold for them, and its tickers.

        Raises NoModel, ModelIntegrity.
        """
        champions = find_champions(self._database, market, interval, tickers, watchlist=watchlist)
        policies = find_thresholds(self._database, market, tickers, watchlist=watchlist)
        groups: dict[tuple[Champion, ThresholdPolicy | None], list[str]] = {}
        # Most tickers share the champion and the threshold of their market, which are the same two
        # objects for all of them: so they are grouped by identity first.
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
        """Return, earliest first, the models for a walk forward, in which no model scores bars that
        it has learned from: the market's models, or those of all markets where it has none.

        With each comes the last bar that it scores, which is the end of the next one's window; None
        for the last model. Raises NoModel where there is no version for the market and interval,
        and ModelIntegrity.
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
        """Return whether a loaded model that may score a market's bars looks at the market's days;
        where none is loaded yet, whether the market's champion does.
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
        except (NoModel, ModelIntegrity):  # Reported later, if the model is needed at all.
            return False

    def get_cache_stats(self) -> dict[str, Any]:
        """Return `hits`, `misses` and `loads` since the start, the loaded `models` (last used last)
        and the `capacity`.
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
        # Loading happens under the lock, so that two threads do not open the same version twice.
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
    # The threshold may have been set before there was a champion, or for another one.
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
        by_market={
            code: (own["threshold"], GradeTable.from_document(own["score_quantiles"]))
            for code, own in record.get("by_market", {}).items()
        },
    )

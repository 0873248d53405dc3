"""Strange bars become anomaly documents, with all that is needed to derive them again."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import repeat
from math import isnan
from typing import NamedTuple

import numpy as np

from core.arrays import Float64, Int64
from detection.detectors.catalogue import get_detector
from detection.detectors.contract import VotingDetector
from detection.detectors.rows import SeriesRows, attribute_rows
from detection.detectors.weights import Vote, compute_agreement
from detection.features.compute import Features
from detection.features.kernel import MEASURES
from detection.features.market_move import hash_ratios
from detection.features.names import FEATURES
from detection.pipeline.job import Job
from detection.pipeline.load import Load
from detection.scoring.confidence import compute_completeness, compute_stability
from detection.scoring.faults import THRESHOLD as FAULT_THRESHOLD
from detection.scoring.faults import Fault
from detection.scoring.grades import get_severity
from detection.scoring.phrases import build_reasons
from detection.scoring.suspected_split import find_suspected_split, is_no_split
from market.bars.fingerprint import PanelFingerprints
from market.bars.panel import BarPanel
from records.findings.anomalies import parse_anomaly_id, write_anomaly_id
from records.findings.documents import AnomalyBar, AnomalyDocument, TrustFields

# What finds faults, where a model's detector finds events.
RULES = "rules"


class Describer:
    """Describes bars of a load as anomalies, with all that is needed to derive them again.

    What MongoDB has indexes of comes first in a document, which it looks through from its beginning
    for each of them.
    """

    def __init__(self, load: Load, features: Features, job: Job, now: datetime) -> None:
        self._load, self._features, self._job, self._now = load, features, job, now
        self._fingerprints = PanelFingerprints(load.panel)

    def describe_events(self, shown: SeriesRows, scores: Float64) -> Iterator[AnomalyDocument]:
        """Yield the documents of the rows that are wanted of those `shown` to the model, which have
        these scores, in the same order.
        """
        model, features, picked = self._load.model, self._features, shown.wanted
        if picked.size == 0:
            return
        rows = features.rows[picked]
        facts = (
            scores,
            model.grades.compute(scores),
            features.document(picked),
            attribute_rows(model.detector, shown),
            features.measures[picked],
        )
        # Whole columns become lists at once: row by row, numpy would take longer than all else.
        listed = (values.tolist() for values in facts)
        detector = str(model.parameters["detector"])
        trust = _find_trust(self._load, shown, scores, rows)
        columns = model.feature_set.columns
        market_days = self._describe_market(rows, model.history_bars)
        for bar, score, grade, of_features, of_columns, of_measures, trusted, market in zip(
            self._describe_bars(rows), *listed, trust, market_days, strict=True
        ):
            documented = dict(zip(FEATURES, of_features, strict=True))
            attribution = dict(zip(columns, of_columns, strict=True))
            measures = dict(zip(MEASURES, of_measures, strict=True), **market.words)
            yield {
                "kind": "event",
                "severity": get_severity(grade),
                "anomaly_score": score,
                "grade": grade,
                **bar,  # type: ignore[typeddict-item] # the keys that it lacks may be missing
                "detector": detector,
                "fault": None,
                "features": documented,
                "threshold": model.threshold,
                "confidence": trusted["confidence"],
                "confidence_factors": trusted["confidence_factors"],
                "members": trusted["members"],
                "attribution": attribution,
                "reasons": build_reasons(documented, measures, attribution, close=bar["Close"]),
                "market_fingerprint": market.fingerprint,
            }

    def describe_faults(self, faults: Sequence[Fault]) -> Iterator[AnomalyDocument]:
        """Yield the documents of bars that are wrong. A bar without a warm-up has no features."""
        features, rows = self._features, np.array([fault.row for fault in faults], np.int64)
        at = features.rows.searchsorted(rows)
        has = features.rows.searchsorted(rows, side="right") > at
        values = features.document(at[has]).tolist()
        documented = dict(zip(rows[has].tolist(), values, strict=True))
        for fault, bar, market in zip(
            faults, self._describe_bars(rows), self._describe_market(rows, 0), strict=True
        ):
            yield {
                "kind": "fault",
                "severity": get_severity(fault.grade),
                "anomaly_score": fault.score,
                "grade": fault.grade,
                **bar,  # type: ignore[typeddict-item] # as above
                "detector": RULES,
                "fault": fault.name,
                "features": dict(zip(FEATURES, documented.get(fault.row, ()), strict=False)),
                "threshold": FAULT_THRESHOLD,
                "attribution": {},
                "reasons": [fault.words],
                "market_fingerprint": market.fingerprint,
            }

    def _describe_bars(self, rows: Int64) -> Iterator[AnomalyBar]:
        """Yield what both kinds of anomalies have of each panel row."""
        panel, model, times = self._load.panel, self._load.model, self._load.panel.times[rows]
        series = np.searchsorted(panel.offsets, rows, side="right") - 1
        starts, before, opened = panel.offsets[series], panel.close[rows - 1], panel.open[rows]
        window = (model.window_start.timestamp(), model.window_end.timestamp())
        # Most opens are so near the last close that no ratio needs to be looked for.
        jumped = (rows > starts) & ~is_no_split(before, opened)
        facts = (
            rows,
            series,
            starts,
            panel.first_index[series],
            times,
            np.datetime_as_string(times.astype("datetime64[s]")),
            (window[0] <= times) & (times <= window[1]),
            jumped,
            before,
            opened,
            panel.close[rows],
            panel.volume[rows],
        )
        feature_set = model.feature_set.label
        for (
            row,
            s,
            start,
            first_index,
            seconds,
            stamp,
            known,
            jump,
            last,
            first,
            close,
            volume,
        ) in zip(*(values.tolist() for values in facts), strict=True):
            ticker = panel.tickers[s]
            # The first of the rows that this row's score is a function of.
            needed = model.reach(first_index + row - start, panel.interval) - first_index
            yield {
                "_id": write_anomaly_id(ticker, panel.interval, stamp),
                "Ticker": ticker,
                "Datetime": datetime.fromtimestamp(seconds, UTC),
                "status": "new",
                "market": self._job.market,
                "interval": panel.interval,
                "detection_run_id": self._job.run_id,
                "model_version": model.version,
                "Close": close,
                "Volume": volume,
                "detection_timestamp": self._now,
                "model_hash": model.sha256,
                "feature_set": feature_set,
                "bars_fingerprint": self._fingerprints.compute(start + max(0, needed), row + 1),
                "in_training_window": known,
                "suspected_split": find_suspected_split(last, first) if jump else None,
                "opinions": [],
                "sent": False,
                "created_at": self._now,
            }

    def _describe_market(self, rows: Int64, seen_bars: int) -> Iterator["_MarketDay"]:
        """Yield what the market did on the day of each panel row, where its score depends on what
        the model saw of so many bars before it.
        """
        panel, market = self._load.panel, self._load.market
        if market is None:
            yield from repeat(_MarketDay(None, {}), len(rows))
            return
        times = panel.times[rows]
        ratios, moves = market.look_up(times), market.find_moves(times).tolist()
        starts = panel.offsets[np.searchsorted(panel.offsets, rows, side="right") - 1]
        firsts = np.maximum(rows - seen_bars, starts)
        # Most look at no day but the bar's own.
        before = market.look_up(panel.times) if seen_bars else None
        for row, first, day, move in zip(
            rows.tolist(), firsts.tolist(), ratios, moves, strict=True
        ):
            fingerprint = hash_ratios(day if before is None else before[first : row + 1])
            words = {"market_move": move, "market_fast": float(day) * float(day)}
            yield _MarketDay(fingerprint, {} if isnan(move) else words)


class _MarketDay(NamedTuple):
    """What a market did on a day: a hash of what scores depend on, and values for words."""

    fingerprint: str | None
    words: dict[str, float]


def _find_trust(
    load: Load, shown: SeriesRows, scores: Float64, rows: Int64
) -> Iterator[TrustFields]:
    """Yield the confidence in the finding of each panel row, and what members said of it."""
    panel, model = load.panel, load.model
    series = np.searchsorted(panel.offsets, rows, side="right") - 1
    before = rows - panel.offsets[series] + panel.first_index[series]
    kind = get_detector(model.parameters["detector"])
    needed = model.feature_set.warm_up_bars + kind.warm_up_bars
    votes: list[list[Vote]] = [[] for _ in rows]
    if isinstance(model.detector, VotingDetector):
        votes = model.detector.describe_votes(shown)
    for members, stability, completeness in zip(
        votes,
        compute_stability(scores, model.threshold, model.grades).tolist(),
        compute_completeness(before, needed).tolist(),
        strict=True,
    ):
        agreement = compute_agreement(members) if members else 1.0
        yield {
            "confidence": stability * agreement * completeness,
            "confidence_factors": {
                "stability": stability,
                "agreement": agreement,
                "completeness": completeness,
            },
            "members": members,
        }


def find_rows(panel: BarPanel, anomaly_ids: Iterable[str]) -> Int64:
    """Return the panel rows of the bars that these anomalies are about;
    bars that are not there are left out.
    """
    position = {ticker: s for s, ticker in enumerate(panel.tickers)}
    rows = []
    for anomaly_id in anomaly_ids:
        ticker, time = parse_anomaly_id(anomaly_id)
        if ticker in position:
            series = panel.series(position[ticker])
            row = series.start + int(np.searchsorted(panel.times[series], int(time.timestamp())))
            if row < series.stop and panel.times[row] == int(time.timestamp()):
                rows.append(row)
    return np.array(rows, dtype=np.int64)

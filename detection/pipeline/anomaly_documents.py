"""Strange bars become anomaly documents, with all that is needed to derive them again."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import numpy as np

from core.arrays import Float64, Int64
from detection.detectors.contract import VotingDetector
from detection.detectors.rows import SeriesRows, attribute_rows
from detection.detectors.weights import Vote, compute_agreement
from detection.features.compute import Features
from detection.features.kernel import MEASURES
from detection.features.names import FEATURES
from detection.models.manager import LoadedModel
from detection.pipeline.job import Job
from detection.pipeline.load import Load
from detection.scoring.confidence import compute_completeness, compute_stability
from detection.scoring.faults import THRESHOLD as FAULT_THRESHOLD
from detection.scoring.faults import Fault
from detection.scoring.grades import get_severity
from detection.scoring.phrases import build_reasons
from detection.scoring.suspected_split import find_suspected_split
from market.bars.fingerprint import PanelFingerprints
from market.bars.panel import BarPanel
from records.findings.anomalies import build_anomaly_id, parse_anomaly_id
from records.findings.documents import AnomalyBar, AnomalyDocument, TrustFields


def build_events(
    load: Load, features: Features, shown: SeriesRows, scores: Float64, job: Job, now: datetime
) -> Iterator[AnomalyDocument]:
    """Yield the documents, found `now`, of the rows that are wanted of those `shown` to the model,
    which have these scores, in the same order.
    """
    panel, model, picked = load.panel, load.model, shown.wanted
    if picked.size == 0:
        return
    rows = features.rows[picked]
    facts = (
        rows,
        panel.times[rows],
        panel.close[rows],
        scores,
        model.grades.compute(scores),
        features.documented[picked],
        attribute_rows(model.detector, shown),
        features.measures[picked],
    )
    names = (FEATURES, model.feature_set.columns, MEASURES)
    describe = _Describer(load, job, now)
    trust = _find_trust(load, shown, scores, rows)
    # Whole columns become lists at once: row by row, numpy would take longer than all the rest.
    listed = (values.tolist() for values in facts)
    for (row, seconds, close, score, grade, *vectors), trusted in zip(
        zip(*listed, strict=True), trust, strict=True
    ):
        documented, attribution, measures = (
            dict(zip(n, v, strict=True)) for n, v in zip(names, vectors, strict=True)
        )
        told = measures | _describe_market(load, seconds)
        yield {
            **describe(row),  # type: ignore[typeddict-item] # the keys that it lacks may be missing
            "kind": "event",
            "fault": None,
            "features": documented,
            "anomaly_score": score,
            "threshold": model.threshold,
            "grade": grade,
            "severity": get_severity(grade),
            "confidence": trusted["confidence"],
            "confidence_factors": trusted["confidence_factors"],
            "members": trusted["members"],
            "attribution": attribution,
            "reasons": build_reasons(documented, told, attribution, close=close),
            "market_fingerprint": load.market.fingerprint(seconds) if load.market else None,
        }


def build_faults(
    load: Load, features: Features, faults: Iterable[Fault], job: Job, now: datetime
) -> Iterator[AnomalyDocument]:
    """Yield the documents, found `now`, of bars that are wrong.

    A bar without a warm-up has no features.
    """
    describe = _Describer(load, job, now)
    for fault in faults:
        at = int(features.rows.searchsorted(fault.row))
        has = at < features.rows.size and features.rows[at] == fault.row
        values = features.documented[at].tolist() if has else []
        yield {
            **describe(fault.row),  # type: ignore[typeddict-item] # as above
            "kind": "fault",
            "fault": fault.name,
            "features": dict(zip(FEATURES, values, strict=False)),
            "anomaly_score": fault.score,
            "threshold": FAULT_THRESHOLD,
            "grade": fault.grade,
            "severity": get_severity(fault.grade),
            "attribution": {},
            "reasons": [fault.words],
            "market_fingerprint": (
                load.market.fingerprint(int(load.panel.times[fault.row])) if load.market else None
            ),
        }


class _Describer:
    """Describes bars of a load as both kinds of anomalies have them."""

    def __init__(self, load: Load, job: Job, now: datetime) -> None:
        self._load, self._job, self._now = load, job, now
        self._fingerprints = PanelFingerprints(load.panel)

    def __call__(self, row: int) -> AnomalyBar:
        panel, model = self._load.panel, self._load.model
        s = int(panel.offsets.searchsorted(row, side="right")) - 1
        ticker, time = panel.tickers[s], datetime.fromtimestamp(int(panel.times[row]), UTC)
        before, opened = float(panel.close[row - 1]), float(panel.open[row])
        first = _find_first_needed(panel, s, row, model)
        return {
            "_id": build_anomaly_id(ticker, panel.interval, time),
            "Ticker": ticker,
            "Datetime": time,
            "interval": panel.interval,
            "market": self._job.market,
            "Close": float(panel.close[row]),
            "Volume": float(panel.volume[row]),
            "detection_run_id": self._job.run_id,
            "detection_timestamp": self._now,
            "model_version": model.version,
            "model_hash": model.sha256,
            "feature_set": model.feature_set.label,
            "bars_fingerprint": self._fingerprints.compute(first, row + 1),
            "in_training_window": model.window_start <= time <= model.window_end,
            "suspected_split": (
                None if row == panel.offsets[s] else find_suspected_split(before, opened)
            ),
            "opinions": [],
            "sent": False,
            "status": "new",
            "created_at": self._now,
        }


def _find_trust(
    load: Load, shown: SeriesRows, scores: Float64, rows: Int64
) -> Iterator[TrustFields]:
    """Yield the confidence in the finding of each panel row, and what members said of it."""
    panel, model = load.panel, load.model
    series = np.searchsorted(panel.offsets, rows, side="right") - 1
    before = rows - panel.offsets[series] + panel.first_index[series]
    needed = model.feature_set.warm_up_bars + model.history_bars
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


def _describe_market(load: Load, seconds: int) -> dict[str, float]:
    """Return what the market did on a day, for words."""
    if load.market is None:
        return {}
    fast, slow, ever = load.market.look_up(np.array([seconds]))[0].tolist()
    move = load.market.find_move(seconds)
    return {
        "market_move": 0.0 if move is None else move,
        "market_fast": fast * fast,
        "market_slow": slow * slow,
        "market_all": ever * ever,
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


def _find_first_needed(panel: BarPanel, s: int, row: int, model: LoadedModel) -> int:
    """Return the first of the rows that this row's score is a function of."""
    start, first_index = int(panel.offsets[s]), int(panel.first_index[s])
    needed = model.reach(first_index + row - start, panel.interval) - first_index
    return start + max(0, needed)

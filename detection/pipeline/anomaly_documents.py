"""Builds anomaly documents of strange bars, with all that is needed to derive them again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice, repeat
from typing import Any, cast

import numpy as np

from core.arrays import Float32, Float64, Int64
from core.grades import get_severity
from detection.detectors.catalogue import get_detector
from detection.detectors.contract import VotingDetector, attribute_rows
from detection.detectors.rows import SeriesRows
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
from detection.scoring.phrases import build_reasons
from detection.scoring.suspected_split import find_suspected_split, is_few_ticks, is_no_split
from market.bars.fingerprint import PanelFingerprints
from market.bars.panel import BarPanel
from records.findings.anomalies import parse_anomaly_id, write_anomaly_id
from records.findings.documents import AnomalyDocument

# The `detector` of faults; that of events is the model's.
RULES = "rules"

# All tickers of a market share its days. The cache holds those of sixteen years.
_hash_day = lru_cache(4_096)(hash_ratios)

# By the name of a document's field its values, one a bar.
Columns = Mapping[str, Iterable[Any]]


class Describer:
    """Describes bars of a load as anomalies, with all that is needed to derive them again.

    Documents are built from columns with one value a bar: a step of Python for each bar would take
    longer than all of numpy's work. Indexed fields come first in a document, as MongoDB searches a
    document from its beginning for each of them.
    """

    def __init__(self, load: Load, features: Features, job: Job, now: datetime) -> None:
        self._load, self._features, self._job, self._now = load, features, job, now
        self._fingerprints = PanelFingerprints(load.panel)

    def describe_events(self, shown: SeriesRows, scores: Float64) -> list[AnomalyDocument]:
        """Return an anomaly document for each wanted row of `shown`, in the same order.

        `scores` are the scores of the wanted rows, shape (q,).
        """
        model, features, picked = self._load.model, self._features, shown.wanted
        if picked.size == 0:
            return []
        rows = features.rows[picked]
        # Whole columns become lists at once: row by row, numpy would take longer than all else.
        columns = model.feature_set.columns
        rarities = model.tails.find_rarity(columns, shown.get_wanted())
        grades = model.grades.compute(scores, rarities).tolist()
        shares = attribute_rows(model.detector, shown).tolist()
        attribution = _name_values(columns, shares)
        documented = _name_values(FEATURES, features.document(picked).tolist())
        measures = _name_values(*self._measure(rows, features.measures[picked]))
        closes = self._load.panel.close[rows].tolist()
        return build_documents(
            {
                "kind": repeat("event"),
                "severity": map(get_severity, grades),
                "anomaly_score": scores.tolist(),
                "grade": grades,
                **self._describe_bars(rows),
                "detector": repeat(str(model.parameters["detector"])),
                "fault": repeat(None),
                "features": documented,
                "threshold": repeat(model.threshold),
                **_find_trust(self._load, shown, scores, rows),
                "attribution": attribution,
                "reasons": map(build_reasons, documented, measures, attribution, closes),
                "market_fingerprint": self._fingerprint_market(rows, model.history_bars),
            },
            len(rows),
        )

    def describe_faults(self, faults: Sequence[Fault]) -> list[AnomalyDocument]:
        """Return the documents of bars that are wrong. A bar without a warm-up has no features."""
        if not faults:
            return []
        features, rows = self._features, np.array([fault.row for fault in faults], np.int64)
        at = features.rows.searchsorted(rows)
        has = features.rows.searchsorted(rows, side="right") > at
        documented = iter(_name_values(FEATURES, features.document(at[has]).tolist()))
        grades = [fault.grade for fault in faults]
        return build_documents(
            {
                "kind": repeat("fault"),
                "severity": map(get_severity, grades),
                "anomaly_score": (fault.score for fault in faults),
                "grade": grades,
                **self._describe_bars(rows),
                "detector": repeat(RULES),
                "fault": (fault.name for fault in faults),
                "features": (next(documented) if known else {} for known in has.tolist()),
                "threshold": repeat(FAULT_THRESHOLD),
                "attribution": ({} for _ in faults),
                "reasons": ([fault.words] for fault in faults),
                "market_fingerprint": self._fingerprint_market(rows, 0),
            },
            len(rows),
        )

    def _describe_bars(self, rows: Int64) -> Columns:
        """Return the fields that events and faults share, for each panel row."""
        panel, model, times = self._load.panel, self._load.model, self._load.panel.times[rows]
        series = panel.find_series(rows)
        tickers = [panel.tickers[s] for s in series.tolist()]
        stamps = np.datetime_as_string(times.astype("datetime64[s]")).tolist()
        window = (model.window_start.timestamp(), model.window_end.timestamp())
        return {
            "_id": map(write_anomaly_id, tickers, repeat(panel.interval), stamps),
            "Ticker": tickers,
            "Datetime": (datetime.fromtimestamp(seconds, UTC) for seconds in times.tolist()),
            "status": repeat("new"),
            "market": repeat(self._job.market),
            "interval": repeat(panel.interval),
            "detection_run_id": repeat(self._job.run_id),
            "model_version": repeat(model.version),
            "Close": panel.close[rows].tolist(),
            "Volume": panel.volume[rows].tolist(),
            "detection_timestamp": repeat(self._now),
            "model_hash": repeat(model.sha256),
            "feature_set": repeat(model.feature_set.label),
            "bars_fingerprint": self._fingerprint_bars(rows, series),
            "in_training_window": ((window[0] <= times) & (times <= window[1])).tolist(),
            "suspected_split": self._find_splits(rows, series),
            "opinions": ([] for _ in tickers),
            "sent": (False for _ in tickers),
            "created_at": repeat(self._now),
        }

    def _fingerprint_bars(self, rows: Int64, series: Int64) -> Iterator[str]:
        """Return for each row a fingerprint of the bars that its score is a function of."""
        panel, model = self._load.panel, self._load.model
        # The row of the stored series' first bar, were all of its bars in the panel.
        begins = panel.offsets[series] - panel.first_index[series]
        needed = [model.reach(at, panel.interval) for at in (rows - begins).tolist()]
        firsts = np.maximum(panel.offsets[series], begins + needed)
        return map(self._fingerprints.compute, firsts.tolist(), (rows + 1).tolist())

    def _find_splits(self, rows: Int64, series: Int64) -> list[float | None]:
        """Return for each row the ratio of the split that its open looks like, None for none."""
        panel = self._load.panel
        before, opened = panel.close[rows - 1], panel.open[rows]
        splits: list[float | None] = [None] * len(rows)
        # Most opens are so near the last close that no split can explain them.
        jumped = (rows > panel.offsets[series]) & ~is_no_split(before, opened)
        for at in np.flatnonzero(jumped).tolist():
            if is_few_ticks(panel, int(panel.offsets[series[at]]), int(rows[at])):
                continue
            splits[at] = find_suspected_split(float(before[at]), float(opened[at]))
        return splits

    def _fingerprint_market(self, rows: Int64, seen_bars: int) -> Iterable[str | None]:
        """Return for each panel row a hash of the market's ratios that its score depends on: those
        of the row's day and of the days of `seen_bars` bars before it. None without a market.
        """
        panel, market = self._load.panel, self._load.market
        if market is None:
            return repeat(None)
        if not seen_bars:
            # Most models look at the bar's own day only, which other tickers' bars share.
            return map(_hash_day, market.look_up(panel.times[rows]))
        starts = panel.offsets[panel.find_series(rows)]
        firsts, ratios = np.maximum(rows - seen_bars, starts), market.look_up(panel.times)
        return (
            hash_ratios(ratios[first : row + 1])
            for row, first in zip(rows.tolist(), firsts.tolist(), strict=True)
        )

    def _measure(self, rows: Int64, measures: Float32) -> tuple[Sequence[str], list[list[float]]]:
        """Return names and values, for each panel row, of what its reasons are worded from: its
        measures, and the market's move and ratio.
        """
        market, times = self._load.market, self._load.panel.times[rows]
        if market is None:
            return MEASURES, measures.tolist()
        moves = market.find_moves(times)
        ratios = np.where(np.isnan(moves), 0.0, market.look_up(times).astype(np.float64))
        names = (*MEASURES, "market_move", "market_fast")
        return names, np.column_stack((measures, moves, ratios * ratios)).tolist()


def build_documents(columns: Columns, count: int) -> list[AnomalyDocument]:
    """Return `count` documents, the i-th of the i-th value of each column. A column that has the
    same value for all of them is an endless `repeat`.

    Raises ValueError where another column is longer or shorter, so that no anomaly is lost.
    """
    rows = zip(
        *(islice(each, count) if isinstance(each, repeat) else each for each in columns.values()),
        strict=True,
    )
    return cast("list[AnomalyDocument]", _name_values(columns, rows))


def _name_values(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return for each row a dict of its values by name."""
    # `strict` would take a quarter longer.
    return [dict(zip(names, row)) for row in rows]  # noqa: B905 - columns are as many as names


def _find_trust(load: Load, shown: SeriesRows, scores: Float64, rows: Int64) -> Columns:
    """Return the confidence in the finding of each panel row, its factors, and the members' votes.

    The bars of `rows` are the wanted rows of `shown`.
    """
    panel, model = load.panel, load.model
    series = panel.find_series(rows)
    before = rows - panel.offsets[series] + panel.first_index[series]
    kind = get_detector(model.parameters["detector"])
    needed = model.feature_set.warm_up_bars + kind.warm_up_bars
    votes: list[list[Vote]] = [[] for _ in rows]
    if isinstance(model.detector, VotingDetector):
        votes = model.detector.describe_votes(shown)
    stability = compute_stability(scores, model.threshold, model.grades)
    agreement = np.array([compute_agreement(members) if members else 1.0 for members in votes])
    completeness = compute_completeness(before, needed)
    factors = np.column_stack((stability, agreement, completeness)).tolist()
    return {
        "confidence": (stability * agreement * completeness).tolist(),
        "confidence_factors": _name_values(("stability", "agreement", "completeness"), factors),
        "members": votes,
    }


def find_rows(panel: BarPanel, anomaly_ids: Iterable[str]) -> Int64:
    """Return the panel rows of the bars of some anomalies, without bars that the panel lacks."""
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

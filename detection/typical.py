"""What is usual for a ticker: each input of a strange bar to the model, beside the range of the
input in the 250 bars before.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np

from core.arrays import Float64
from detection.features.compute import Features, compute_features
from detection.features.feature_sets import DISTANCES, FeatureSet, get_feature_set
from detection.market_days import read_days
from market.bars.panel import BarPanel
from market.bars.segments import find_segments
from market.bars.store import load_panel
from market.intervals import INTERVALS
from records.database import Db
from records.findings.documents import AnomalyDocument, InputFields

TYPICAL_BARS = 250
LEAST_BARS = 20
# Nine bars in ten lie between these.
QUANTILES = (0.05, 0.5, 0.95)
# So many anomalies are compared with the bars before them at once: a megabyte or two.
DESCRIBED_AT_ONCE = 64
# So many tickers are read together, with at most so many bars between their anomalies, counted as
# in a market that never closes.
CHUNK = 100
CHUNK_BARS = 200_000
# The columns of distances; all other columns are as their name says.
_WORDS = {
    "return_fast": "return of the bar in usual ranges of the last weeks",
    "return_slow": "return of the bar in usual ranges of the last year",
    "gap_fast": "gap at the open in usual ranges of the last weeks",
    "departure_fast": "range, wicks or volume in usual ranges of the last weeks",
    "departure_slow": "range, wicks or volume in usual ranges of the last year",
    "event_steady": (
        "range, wicks, volume or the market's move in usual ranges of the last quarter and year"
    ),
    "clock_return_fast": "return in usual returns of its time of day and of the last 20 bars",
    "clock_return_slow": "return in usual returns of its time of day",
    "clock_span_fast": (
        "range, wicks or volume in usual ranges of their time of day and of the last 20 bars"
    ),
    "clock_span_slow": "range, wicks or volume in usual ranges of their time of day",
}


def find_typical(
    database: Db, interval: str, anomalies: Sequence[AnomalyDocument]
) -> Iterator[dict[str, list[InputFields]]]:
    """Yield the inputs by anomaly id, for some tickers at a time, those of the largest share first.

    Anomalies whose bars are gone, or that have fewer than 20 bars before them, are left out.
    """
    groups: dict[tuple[str, str], dict[str, list[AnomalyDocument]]] = {}
    for anomaly in anomalies:
        of = groups.setdefault((anomaly["feature_set"], anomaly["market"]), {})
        of.setdefault(anomaly["Ticker"], []).append(anomaly)
    for (label, market), by_ticker in groups.items():
        feature_set = get_feature_set(label)
        for tickers in _split(by_ticker, interval):
            chunk = {ticker: by_ticker[ticker] for ticker in tickers}
            yield _find_chunk(database, interval, market, feature_set, chunk)


def describe_input(column: str) -> str:
    """Return a model's column in words with its unit; an unknown column as it is written."""
    if column in _WORDS:
        return _WORDS[column]
    if column.endswith("_atr"):
        return f"{column.removesuffix('_atr')}, in average true ranges"
    return column


def _split(
    by_ticker: Mapping[str, Sequence[AnomalyDocument]], interval: str
) -> Iterator[list[str]]:
    chunk: list[str] = []
    bars = 0
    for ticker, found in by_ticker.items():
        first, last = _find_span(found)
        bars += (last - first) // INTERVALS[interval]
        if chunk and (len(chunk) == CHUNK or bars > CHUNK_BARS):
            yield chunk
            chunk, bars = [], (last - first) // INTERVALS[interval]
        chunk.append(ticker)
    if chunk:
        yield chunk


def _find_span(found: Sequence[AnomalyDocument]) -> tuple[int, int]:
    """Return the start of the first and of the last bar of some anomalies, in UTC seconds."""
    seconds = [int(anomaly["Datetime"].timestamp()) for anomaly in found]
    return min(seconds), max(seconds)


def _find_chunk(
    database: Db,
    interval: str,
    market: str,
    feature_set: FeatureSet,
    by_ticker: Mapping[str, Sequence[AnomalyDocument]],
) -> dict[str, list[InputFields]]:
    def reach(position: int, length: str) -> int:
        return feature_set.reach(max(0, position - TYPICAL_BARS), length)

    spans = {ticker: _find_span(found) for ticker, found in by_ticker.items()}
    panel = load_panel(database, interval, spans, reach=reach)
    days = read_days(database, market, interval) if feature_set.sees_market else None
    first = [_find_first(panel, s, spans[ticker][0]) for s, ticker in enumerate(panel.tickers)]
    features = compute_features(panel, np.array(first, np.int64), feature_set, days)
    told: dict[str, list[InputFields]] = {a["_id"]: [] for of in by_ticker.values() for a in of}
    windows: list[tuple[AnomalyDocument, slice]] = []
    begins, _ = find_segments(panel.times, panel.offsets)
    for s, ticker in enumerate(panel.tickers):
        rows = panel.series(s)
        for anomaly in by_ticker[ticker]:
            row = rows.start + int(np.searchsorted(panel.times[rows], _get_seconds(anomaly)))
            if row < rows.stop and panel.times[row] == _get_seconds(anomaly):
                begin = int(begins[np.searchsorted(begins, row, side="right") - 1])
                window = _find_window(features, row, begin)
                if window is not None:
                    windows.append((anomaly, window))
    told.update(_describe(features, feature_set, windows))
    return told


def _find_first(panel: BarPanel, s: int, first_bar: int) -> int:
    """Return the row 250 bars before the first bar, or the first row of the series."""
    rows = panel.series(s)
    position = int(panel.first_index[s]) + int(np.searchsorted(panel.times[rows], first_bar))
    begin: int = rows.start + max(0, position - TYPICAL_BARS) - int(panel.first_index[s])
    return begin


def _find_window(features: Features, row: int, start: int) -> slice | None:
    """Return the bars before a bar with which it is compared, none of them before row `start`, as
    rows of `features`; None where they are too few.
    """
    at = int(np.searchsorted(features.rows, row))
    if at == features.rows.size or features.rows[at] != row:
        return None
    begin = max(at - TYPICAL_BARS, int(np.searchsorted(features.rows, start)))
    return slice(begin, at) if at - begin >= LEAST_BARS else None


def _describe(
    features: Features, feature_set: FeatureSet, windows: Sequence[tuple[AnomalyDocument, slice]]
) -> Iterator[tuple[str, list[InputFields]]]:
    """Yield the inputs of each anomaly by its id; those with windows of one length are computed
    together.
    """
    columns = [(column, describe_input(column)) for column in feature_set.columns]
    is_distance = np.isin(feature_set.columns, DISTANCES)
    by_length: dict[int, list[tuple[AnomalyDocument, int]]] = {}
    for anomaly, window in windows:
        by_length.setdefault(window.stop - window.start, []).append((anomaly, window.start))
    for length, members in by_length.items():
        for first in range(0, len(members), DESCRIBED_AT_ONCE):
            part = members[first : first + DESCRIBED_AT_ONCE]
            rows = np.array([begin for _, begin in part])[:, None] + np.arange(length + 1)
            read: Float64 = features.inputs[rows].astype(np.float64)
            # A model reads the roots of distances; people read these in usual ranges.
            read[:, :, is_distance] **= 2
            usual = np.quantile(read[:, :-1], QUANTILES, axis=1).transpose(1, 0, 2)
            for (anomaly, _), range_, bar in zip(part, usual.tolist(), read[:, -1], strict=True):
                yield anomaly["_id"], _tell_inputs(anomaly, columns, range_, bar.tolist())


def _tell_inputs(
    anomaly: AnomalyDocument,
    columns: Sequence[tuple[str, str]],
    usual: Sequence[Sequence[float]],
    actual: Sequence[float],
) -> list[InputFields]:
    low, median, high = usual
    found: list[InputFields] = [
        {
            "name": column,
            "label": label,
            "actual": actual[k],
            "low": low[k],
            "median": median[k],
            "high": high[k],
            "share": anomaly["attribution"].get(column, 0.0),
        }
        for k, (column, label) in enumerate(columns)
    ]
    return sorted(found, key=lambda each: -each["share"])


def _get_seconds(anomaly: AnomalyDocument) -> int:
    bar: datetime = anomaly["Datetime"]
    return int(bar.timestamp())

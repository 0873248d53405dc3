"""Which bars of a series a run must score."""

from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import NamedTuple

from market.bars.history import ANCHOR_BARS
from market.bars.panel import BarPanel
from market.intervals import parse_period, period_start
from records.findings.documents import DetectedRange
from records.market.documents import PanelSeries


class Stretch(NamedTuple):
    """Bars to score, from `first` to `last` (UTC seconds, both included; None: no bound).

    With `last_changed` they end with the last bar whose score a change of that bar can move, with
    `last_moved` with the last one whose score a change of that day of the market can move.
    """

    first: int | None
    last_changed: int | None = None
    last: int | None = None
    last_moved: int | None = None


def plan_backfill(series: PanelSeries, period: str) -> tuple[Stretch, ...]:
    """Return the stretch that a backfill scores: the `period` before the last stored bar."""
    start = period_start(parse_period(period), series["last_bar"])
    return (Stretch(first=None if start is None else int(start.timestamp())),)


def plan_incremental(
    series: PanelSeries,
    watermark: DetectedRange | None,
    change: tuple[int, int | None] | None,
    moved: tuple[int, int] | None,
) -> tuple[Stretch, ...]:
    """Return the stretches that an incremental run scores: the bars after the watermark, and the
    earlier bars whose scores a corrected bar or a changed day of the market can move.

    Args:
        series: the series' document.
        watermark: the range that was detected; None where the series never was, so that all of it
            is scored.
        change: first and last bar that changed since the watermark was written (UTC seconds), None
            where none did.
        moved: first and last day of the market that changed since then, None where none did.
    """
    if watermark is None:
        return (Stretch(first=None),)
    stretches = []
    first, last = watermark["first_detected_timestamp"], watermark["last_detected_timestamp"]
    if change is not None:
        stretches.append(Stretch(max(change[0], _seconds(first)), change[1]))
    if moved is not None and moved[0] <= _seconds(last):
        stretches.append(Stretch(max(moved[0], _seconds(first)), last_moved=moved[1]))
    if series["last_bar"] > last:
        stretches.append(Stretch(_seconds(last) + 1))
    return tuple(stretches)


def cut(stretches: tuple[Stretch, ...], after: int, last: int | None) -> tuple[Stretch, ...]:
    """Return the parts of some stretches later than `after` and not later than `last` (UTC seconds,
    None: no bound).
    """
    return tuple(
        stretch._replace(
            first=max(after + 1, after if stretch.first is None else stretch.first),
            last=last,
        )
        for stretch in stretches
    )


def find_first(stretches: tuple[Stretch, ...]) -> int | None:
    """Return the earliest bar of some stretches (UTC seconds), None for the first stored bar."""
    firsts = [stretch.first for stretch in stretches]
    return None if None in firsts else min(first for first in firsts if first is not None)


def find_last(stretches: tuple[Stretch, ...], seen_bars: int) -> int | None:
    """Return the latest bar to load for some stretches (UTC seconds), None for the last stored bar.

    The model looks back on the inputs of `seen_bars` bars before a bar.
    """
    lasts = [
        stretch.last
        if seen_bars or stretch.last_moved is None
        else max(stretch.last_moved, stretch.first or 0)
        for stretch in stretches
    ]
    return None if None in lasts else max(last for last in lasts if last is not None)


def select_rows(
    panel: BarPanel,
    position: int,
    stretches: tuple[Stretch, ...],
    history_bars: int,
    seen_bars: int,
) -> list[tuple[int, int]]:
    """Return the panel rows [start, stop) of each stretch of the series at `position`, in order and
    disjoint.

    A changed bar can move the scores of the bars after it whose features look back on it: features
    look back `history_bars` bars before their anchor. A changed day of the market can move the
    score of its own bar, and of `seen_bars` bars after it, whose model looks back on its inputs.
    """
    rows, times = panel.series(position), panel.times.data
    spans: list[tuple[int, int]] = []
    for stretch in sorted(stretches, key=lambda s: -1 if s.first is None else s.first):
        start = (
            rows.start
            if stretch.first is None
            else bisect_left(times, stretch.first, rows.start, rows.stop)
        )
        stop = rows.stop
        if stretch.last_changed is not None:
            reach = history_bars + ANCHOR_BARS
            stop = min(
                stop, bisect_right(times, stretch.last_changed, rows.start, rows.stop) + reach
            )
        if stretch.last_moved is not None:
            end = bisect_right(times, stretch.last_moved, rows.start, rows.stop) + seen_bars
            stop = min(stop, end)
        if stretch.last is not None:
            stop = min(stop, bisect_right(times, stretch.last, rows.start, rows.stop))
        if spans:
            start = max(start, spans[-1][1])
        if start < stop:
            spans.append((start, stop))
    return spans


def _seconds(time: datetime) -> int:
    return int(time.timestamp())

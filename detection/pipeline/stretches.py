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
    """Bars to score, in UTC seconds: from `first` to `last`, and no further than a change of the
    bar `last_changed`, or of the market's day `last_moved`, reaches.
    """

    first: int | None
    last_changed: int | None = None
    last: int | None = None
    last_moved: int | None = None


def plan_backfill(series: PanelSeries, period: str) -> tuple[Stretch, ...]:
    """Return the stretch that a backfill of `period`,
    counted back from the last stored bar, scores.
    """
    start = period_start(parse_period(period), series["last_bar"])
    return (Stretch(first=None if start is None else int(start.timestamp())),)


def plan_incremental(
    series: PanelSeries,
    watermark: DetectedRange | None,
    change: tuple[int, int | None] | None,
    moved: tuple[int, int] | None,
) -> tuple[Stretch, ...]:
    """Return what an incremental run scores: the bars after the watermark,
    what a correction behind it reaches, and what days reach whose market's part has changed.

    Args:
        series: the series' document.
        watermark: how far it was detected; None where it never was, so that all of it is new.
        change: first and last bar changed since the watermark was written (UTC seconds), None for
            none.
        moved: first and last day of the market that changed since then, None for none.
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
    """Return what of some stretches lies later than `after` and not later than `last`."""
    return tuple(
        stretch._replace(
            first=max(after + 1, after if stretch.first is None else stretch.first),
            last=last,
        )
        for stretch in stretches
    )


def find_first(stretches: tuple[Stretch, ...]) -> int | None:
    """Return the earliest bar wanted in UTC seconds, None for the first one stored."""
    firsts = [stretch.first for stretch in stretches]
    return None if None in firsts else min(first for first in firsts if first is not None)


def find_last(stretches: tuple[Stretch, ...], seen_bars: int) -> int | None:
    """Return the latest bar wanted in UTC seconds, None for the last one stored, by a model that
    looks back on what it saw of so many bars.
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
    """Return the panel rows [start, stop) of each stretch of the series at `position`,
    in order and disjoint.

    A changed bar touches those whose features look back on so many bars before their anchor; a day
    that the market changed those whose model looks back on what it saw of so many bars.
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

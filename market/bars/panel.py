"""A panel holds the bars of many series in flat arrays: the one shape in which bars travel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import Float64, Int64


@dataclass(frozen=True, slots=True)
class BarPanel:
    """Bars of several series of one interval, laid end to end, each series ascending by time.

    Series s has the rows `offsets[s]:offsets[s + 1]` of every column (n rows in all, k series).

    Attributes:
        interval: such as `1d`.
        tickers: the k tickers.
        offsets: shape (k + 1,).
        first_index: shape (k,); the position in the stored series of each series' first row in the
            panel. It keeps results independent of how many bars were loaded.
        times: shape (n,), start of the bar, UTC seconds since 1970.
        sessions: shape (n,), number of the exchange session (local date, in days since 1970) the
            bar belongs to.
        clocks: shape (n,), time of day on the exchange at which the bar starts, in whole intervals
            since midnight; 0 for bars of a day and longer.
        open, high, low, close: shape (n,), in the series' currency, adjusted for known splits.
        volume: shape (n,), shares.
    """

    interval: str
    tickers: tuple[str, ...]
    offsets: Int64
    first_index: Int64
    times: Int64
    sessions: Int64
    clocks: Int64
    open: Float64
    high: Float64
    low: Float64
    close: Float64
    volume: Float64

    def series(self, position: int) -> slice:
        """Return the rows of the series at `position`."""
        return slice(int(self.offsets[position]), int(self.offsets[position + 1]))

    def find_series(self, rows: Int64) -> Int64:
        """Return the position of the series that each of these rows belongs to, shape (m,)."""
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def count_rows(self, rows: Int64) -> Int64:
        """Return how many of some ascending `rows` each series has, shape (k,)."""
        counts: Int64 = np.diff(np.searchsorted(rows, self.offsets))
        return counts


# The columns with a value a bar. `tickers` and `first_index` have a value a series.
BAR_COLUMNS = ("times", "sessions", "clocks", "open", "high", "low", "close", "volume")


def join_panels(panels: Sequence[BarPanel]) -> BarPanel:
    """Return one panel of the series of all `panels`, of which there is at least one."""
    if len(panels) == 1:
        return panels[0]
    return BarPanel(
        interval=panels[0].interval,
        tickers=tuple(ticker for panel in panels for ticker in panel.tickers),
        offsets=_lay_out(np.concatenate([np.diff(panel.offsets) for panel in panels])),
        first_index=np.concatenate([panel.first_index for panel in panels]),
        **{
            name: np.concatenate([getattr(panel, name) for panel in panels]) for name in BAR_COLUMNS
        },
    )


def keep_series(panel: BarPanel, kept: Sequence[int]) -> BarPanel:
    """Return the panel of only the series at the ascending positions `kept`."""
    if len(kept) == len(panel.tickers):
        return panel
    lengths = np.diff(panel.offsets)
    rows = np.flatnonzero(np.isin(np.repeat(np.arange(lengths.size), lengths), kept))
    return BarPanel(
        interval=panel.interval,
        tickers=tuple(panel.tickers[s] for s in kept),
        offsets=_lay_out(lengths[list(kept)]),
        first_index=panel.first_index[list(kept)],
        **{name: getattr(panel, name)[rows] for name in BAR_COLUMNS},
    )


def _lay_out(lengths: Int64) -> Int64:
    """Return the offsets of series of these lengths."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))

"""Taking a move apart: what of it was the market's, what its sector's, and what its own.

The market model (MacKinlay 1997, "Event Studies in Economics and Finance", Journal of Economic
Literature 35) with a sector factor: r = alpha + beta_m m + beta_s s + e. Betas are those of least
squares over the bars before, shrunk towards one as Blume's (1975) are. The sector's factor of a
ticker is the median of what the market leaves of the moves of the sector's *other* members, so that
no ticker explains itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.root_cause.kernel import (
    LEAST_BARS,
    MARKET_Z,
    count_medians,
    find_medians,
    scale_last,
    take_columns_apart,
)
from core.arrays import Float64, Int64
from core.words import MoveScope

ESTIMATION_BARS = 250
OWN_Z = SECTOR_Z = 3.0
# If a sector moves further than it ever did, this bar says more than a beta from quiet days.
UNHEARD_Z = 6.0
LEAST_SHARE = 0.25
LEAST_MEMBERS = 3
NO_SECTOR = -1

__all__ = [
    "ESTIMATION_BARS",
    "LEAST_BARS",
    "MARKET_Z",
    "NO_SECTOR",
    "Medians",
    "Parts",
    "judge",
    "take_apart",
]


@dataclass(frozen=True, slots=True)
class Parts:
    """One bar's moves taken apart, an entry for each of n tickers; NaN where it cannot be told.

    Attributes:
        move: log return of the bar.
        alpha, beta_market, beta_sector: the coefficients of the model.
        market: the market factor's log return; `beta_market` times it is the market's part.
        sector: the sector factor's log return, 0 if the ticker has no sector of three members.
        own: the residual.
        z_market, z_sector, z_own: market factor, sector factor and residual, each in its own
            standard deviations.
        z_alone: the residual with a sector beta of one, in its standard deviations.
        lead_market, lead_sector: by how many bars the factor began to move before the ticker;
            negative if the ticker began first.
    """

    move: Float64
    alpha: Float64
    beta_market: Float64
    beta_sector: Float64
    market: Float64
    sector: Float64
    own: Float64
    z_market: Float64
    z_sector: Float64
    z_own: Float64
    z_alone: Float64
    lead_market: Float64
    lead_sector: Float64

    @property
    def market_share(self) -> Float64:
        """Return how much of each move the market's part is, 0 to 1."""
        return _share(self.beta_market * self.market, self.move)

    @property
    def sector_share(self) -> Float64:
        """Return how much of each move the sector's part is, 0 to 1."""
        return _share(self.beta_sector * self.sector, self.move)


class Medians:
    """The possible market moves of each bar, computed when a day first looks back on the bar, and
    kept for the other days that do.
    """

    def __init__(self, returns: Float64, sectors: Int64) -> None:
        numbers, members = np.unique(sectors, return_counts=True)
        large = numbers[(numbers >= 0) & (members >= LEAST_MEMBERS)]
        # Members of one sector are adjacent; tickers without a sector come first.
        known = np.where(np.isin(sectors, large), sectors, NO_SECTOR)
        self.order = np.argsort(known, kind="stable")
        self.starts = np.searchsorted(known[self.order], [*large, known.max(initial=NO_SECTOR) + 1])
        self.returns = np.ascontiguousarray(returns, np.float64)
        groups = count_medians(len(sectors), self.starts)
        self._found = np.empty((len(returns), groups, 4))
        self._is_found = np.zeros(len(returns), np.bool_)

    def find(self, rows: slice) -> Float64:
        """Return the medians of some bars, in the kernel's layout."""
        bars = np.arange(len(self.returns))[rows]
        missing = bars[~self._is_found[rows]]
        if missing.size:
            find_medians(self.returns, missing, self.order, self.starts, self._found)
            self._is_found[missing] = True
        return self._found[rows]


def take_apart(
    medians: Medians, row: int, index: Float64 | None, wanted: Sequence[int] | None = None
) -> Parts:
    """Take the moves of one bar apart.

    Args:
        medians: built from the log returns of n tickers, shape (t, n), NaN where there is none, and
            from the number of each ticker's sector, shape (n,), negative for none.
        row: the bar that is explained. At most 250 bars before it are used, of which a ticker needs
            60.
        index: shape (t,), the market's log returns. If it is None, the market is the median of the
            other tickers; for a ticker of a large sector, the median of those outside the sector.
            The median is also used if the index moved and it did not: then a single sector or
            member moved the index.
        wanted: the tickers to decompose, as positions among the n; None for all. For the others
            only what these need is computed.
    """
    rows = slice(max(0, row - ESTIMATION_BARS), row + 1)
    moves = medians.returns[rows]
    market = np.zeros(0) if index is None else np.ascontiguousarray(index[rows])
    has_stood = market.size and not abs(scale_last(market)) >= MARKET_Z
    middles = np.zeros((0, 0, 4)) if has_stood else medians.find(rows)
    chosen = np.full(moves.shape[1], wanted is None)
    if wanted is not None:
        chosen[list(wanted)] = True
    columns = take_columns_apart(moves, market, middles, medians.order, medians.starts, chosen)
    return Parts(moves[-1], *columns)


def judge(parts: Parts) -> list[MoveScope | None]:
    """Return whose move each was; None where it cannot be told.

    - `market`: the market moved by 2.5 deviations, and its part is at least a quarter of the move.
    - `sector`: the same for the sector's factor with 3 deviations, if it was not the market.
    - `own`: what is left is 3 deviations.
    - `mixed`: two of these, or the ticker's own move went against such a market.
    - `quiet`: none. Then not the close made the bar strange, but its volume, range or gap.

    The beta of a sector that hardly ever moved is uncertain. So on a sector's bar what is left
    counts as own only if it also does with a beta of one; and from 6 deviations on, the sector's
    part is computed with a beta of one.
    """
    with np.errstate(invalid="ignore"):
        has_moved = np.abs(parts.z_market) >= MARKET_Z
        is_market = has_moved & (parts.market_share >= LEAST_SHARE)
        part = parts.beta_market * parts.market
        against = has_moved & (part * parts.own < 0.0)
        against &= np.abs(part) >= LEAST_SHARE * (np.abs(part) + np.abs(parts.own))
        z_sector = np.abs(parts.z_sector)
        is_unheard = (z_sector >= UNHEARD_Z) & (_share(parts.sector, parts.move) >= LEAST_SHARE)
        is_sector = (z_sector >= SECTOR_Z) & (parts.sector_share >= LEAST_SHARE) | is_unheard
        is_own = np.abs(parts.z_own) >= OWN_Z
        is_sector_alone = is_sector & ~(is_own & (np.abs(parts.z_alone) >= OWN_Z))
    is_told = np.isfinite(parts.z_own) & np.isfinite(parts.z_market)
    words = np.select(
        [
            ~is_told,
            (is_market | against) & is_own & ~is_sector_alone,
            is_market,
            is_sector_alone,
            is_sector,
            is_own,
        ],
        ["", "mixed", "market", "sector", "mixed", "own"],
        "quiet",
    )
    return [word or None for word in words.tolist()]


def _share(part: Float64, move: Float64) -> Float64:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(part / move, 0.0, 1.0)

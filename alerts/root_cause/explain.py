"""Explaining one bar: whose move it was for each ticker, in words and with the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from alerts.root_cause.factors import (
    ESTIMATION_BARS,
    LEAST_BARS,
    LEAST_MEMBERS,
    MARKET_Z,
    NO_SECTOR,
    Medians,
    Parts,
    judge,
    take_apart,
)
from alerts.root_cause.kernel import find_others_median, scale_last
from alerts.root_cause.members import find_carriers
from alerts.root_cause.ranking import Candidate, rank_causes, tell, write_return
from core.arrays import Bools, Float64, Int64
from core.words import MoveScope

if TYPE_CHECKING:
    from records.findings.documents import RootCauseFields

CLUSTER_CUT = 0.7
MOST_IMPACT = 20
MOST_CARRIERS = 5


@dataclass(frozen=True)
class Universe:
    """The moves of a market, as far as they are needed.

    Attributes:
        market: the market's code.
        tickers: the market's n tickers, without its indices.
        returns: shape (t, n), log returns from each ticker's previous bar; NaN where a ticker has
            none.
        sectors: shape (n,), the number of each ticker's sector in `sector_names`, or -1.
        sector_names: the names of the sectors.
        index_name, index: the index that stands for the market, and its returns, shape (t,);
            None for the median of the tickers.
        indices: the returns of each index that has an anomaly, shape (t,).
    """

    market: str
    tickers: Sequence[str]
    returns: Float64
    sectors: Int64
    sector_names: Sequence[str]
    index_name: str | None
    index: Float64 | None
    indices: Mapping[str, Float64]

    @cached_property
    def medians(self) -> Medians:
        """The medians, which days that look back on the same bars share."""
        return Medians(self.returns, self.sectors)


class Explained(NamedTuple):
    """Whose move it was, the same in sentences, and the numbers they rest on."""

    scope: MoveScope | None
    sentences: list[str]
    numbers: "RootCauseFields"


def explain_bar(
    universe: Universe, row: int, strange: Mapping[str, int], targets: Sequence[str]
) -> dict[str, Explained]:
    """Explain the bar at `row` for some tickers.

    Args:
        universe: the returns of the market's tickers.
        row: the row of `universe.returns` that is explained.
        strange: the tickers with an anomaly on this bar, with the direction of their move (1 or
            -1).
        targets: the tickers or indices to explain.
    """
    rows = slice(max(0, row - ESTIMATION_BARS), row + 1)
    index = universe.index
    if index is not None and not isfinite(index[row]):
        index = None
    position = {ticker: i for i, ticker in enumerate(universe.tickers)}
    wanted = [position[target] for target in targets if target in position]
    parts = take_apart(universe.medians, row, index, wanted)
    scopes = judge(parts)
    # The strange tickers, by direction and sector, are counted once for all targets.
    ways = {
        way: {ticker for ticker, other in strange.items() if other == way}
        for way in set(strange.values())
    }
    # A ticker without a bar there counts as no sibling on it.
    traded = np.isfinite(universe.returns[row])
    traded[[position[ticker] for ticker in strange if ticker in position]] = True
    bar = _Bar(parts, scopes, parts.market_share, parts.sector_share, ways, position, traded)
    found = {}
    for target in targets:
        if target in universe.indices:
            found[target] = _explain_index(universe, target, rows, strange)
        elif target in position:
            found[target] = _explain_ticker(universe, bar, target, strange)
    return found


def cluster_residuals(returns: Float64, index: Float64 | None) -> Int64:
    """Return the number of each ticker's cluster, or -1: tickers whose moves beyond the market's
    are correlated. Used where nobody grouped them.

    Average linkage of the distance sqrt(2 (1 - rho)) over the last 250 bars (Mantegna 1999), cut at
    0.7; a cluster has at least three.
    """
    moves = returns[-ESTIMATION_BARS:]
    n = moves.shape[1]
    market = find_others_median(np.ascontiguousarray(moves.T)).T if index is None else None
    rest = moves - (market if market is not None else index[-ESTIMATION_BARS:, None])  # type: ignore[index]  # one of the two is there
    usable = np.flatnonzero(np.isfinite(rest).sum(axis=0) >= LEAST_BARS)
    clusters = np.full(n, NO_SECTOR, np.int64)
    if usable.size < LEAST_MEMBERS:
        return clusters
    filled = np.nan_to_num(rest[:, usable])
    filled = filled - filled.mean(axis=0)
    spread = np.sqrt((filled**2).sum(axis=0))
    filled = filled / np.where(spread > 0.0, spread, 1.0)
    distance = np.sqrt(np.maximum(2.0 * (1.0 - filled.T @ filled), 0.0))
    condensed = distance[np.triu_indices(usable.size, 1)]
    numbers = fcluster(linkage(condensed, "average"), CLUSTER_CUT, "distance")
    for number in np.unique(numbers):
        members = usable[numbers == number]
        if members.size >= LEAST_MEMBERS:
            clusters[members] = number
    return clusters


@dataclass(frozen=True, slots=True)
class _Bar:
    """What all tickers of a bar have in common.

    Attributes:
        market_share, sector_share: shape (n,), from `parts`.
        ways: the strange tickers, by the direction of their move.
        position: the position of each ticker in `parts`.
        traded: shape (n,), whether each ticker has a bar.
    """

    parts: Parts
    scopes: Sequence[MoveScope | None]
    market_share: Float64
    sector_share: Float64
    ways: Mapping[int, set[str]]
    position: Mapping[str, int]
    traded: Bools


def _explain_ticker(
    universe: Universe, bar: _Bar, ticker: str, strange: Mapping[str, int]
) -> Explained:
    i, parts = bar.position[ticker], bar.parts
    sector = int(universe.sectors[i])
    alike = bar.ways.get(strange.get(ticker, 1), set()) - {ticker}
    # An index may be strange too, but is nobody's sibling.
    strange_others = [bar.position[name] for name in alike if name in bar.position]
    members = int(np.count_nonzero(universe.sectors == sector)) if sector >= 0 else 0
    candidates = []
    if members >= LEAST_MEMBERS:
        candidates.append(
            Candidate(
                universe.sector_names[sector],
                "sector",
                1,
                float(parts.sector[i]),
                float(bar.sector_share[i]),
                int(np.count_nonzero(universe.sectors[strange_others] == sector)),
                int(np.count_nonzero((universe.sectors == sector) & bar.traded)) - 1,
                float(parts.lead_sector[i]),
                float(parts.z_sector[i]),
            )
        )
    candidates.append(
        Candidate(
            universe.index_name or universe.market,
            "index" if universe.index_name else "market",
            2 if candidates else 1,
            float(parts.market[i]),
            float(bar.market_share[i]),
            len(strange_others),
            int(np.count_nonzero(bar.traded)) - 1,
            float(parts.lead_market[i]),
            float(parts.z_market[i]),
        )
    )
    causes = rank_causes([c for c in candidates if isfinite(c.explained) and isfinite(c.z)])
    scope = bar.scopes[i]
    move, own = float(parts.move[i]), float(parts.own[i])
    numbers: RootCauseFields = {
        "move": _number(move),
        "alpha": _number(parts.alpha[i]),
        "beta_market": _number(parts.beta_market[i]),
        "market": _number(parts.market[i]),
        "z_market": _number(parts.z_market[i]),
        "sector": universe.sector_names[sector] if sector >= 0 else None,
        "beta_sector": _number(parts.beta_sector[i]),
        "sector_move": _number(parts.sector[i]),
        "z_sector": _number(parts.z_sector[i]),
        "own": _number(own),
        "z_own": _number(parts.z_own[i]),
        "causes": causes,
        "carriers": [],
        "impact": sorted(alike)[:MOST_IMPACT],
    }
    return Explained(scope, tell(scope, move, own, causes), numbers)


def _explain_index(
    universe: Universe, name: str, rows: slice, strange: Mapping[str, int]
) -> Explained:
    moves = np.ascontiguousarray(universe.indices[name][rows])
    z = scale_last(moves)
    scope: MoveScope | None = None
    if isfinite(z):
        scope = "market" if abs(z) >= MARKET_Z else "quiet"
    found = find_carriers(universe.returns[rows], moves)
    carriers = [universe.tickers[i] for i in found.members] if scope == "market" else []
    direction = strange.get(name, 1)
    alike = sorted(t for t, way in strange.items() if way == direction and t != name)
    move = float(moves[-1])
    sentences = tell(scope, move, 0.0, []) if scope != "market" else []
    if scope == "market":
        sentences.append(f"The market itself: {write_return(move)}")
    if carriers:
        named = (" and " if found.together else " or ").join(carriers[:MOST_CARRIERS])
        more = len(carriers) - MOST_CARRIERS
        what = "it" if found.weighted else "the mean of its known members"
        sentences.append(f"Without {named}{f' and {more} more' * (more > 0)} {what} would be usual")
    numbers: RootCauseFields = {
        "move": _number(move),
        "alpha": None,
        "beta_market": None,
        "market": _number(move),
        "z_market": _number(z),
        "sector": None,
        "beta_sector": None,
        "sector_move": None,
        "z_sector": None,
        "own": None,
        "z_own": None,
        "causes": [],
        "carriers": carriers,
        "impact": alike[:MOST_IMPACT],
    }
    return Explained(scope, sentences, numbers)


def _number(value: float) -> float | None:
    """Return a plain number, None for NaN: documents and JSON have none."""
    return float(value) if isfinite(value) else None

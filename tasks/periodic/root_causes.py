"""Explaining the anomalies of a run: the inputs of the model and whose move it was are written into
each anomaly before alerts are raised.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

import numpy as np

from alerts.groups import load_graph
from alerts.root_cause.explain import Explained, Universe, cluster_residuals, explain_bar
from alerts.root_cause.factors import NO_SECTOR
from alerts.root_cause.graph import Graph
from alerts.root_cause.universe import align_returns
from core.arrays import Float64, Int64
from detection.features.market_move import LARGEST_RETURN
from detection.typical import find_typical
from market.bars.sound import load_sound_closes
from market.intervals import DAY_SECONDS, INTERVALS
from market.markets import Market, load_markets
from records.database import Db
from records.findings import anomalies
from records.findings.documents import AnomalyDocument, ExplainedFields
from records.market.series import count_reaching, find_tickers
from records.work.documents import RunDocument

# At most this many tickers of a market are loaded to explain one of its indices.
MOST_MEMBERS = 2_000
# This many tickers make the market's median, and are clustered where nobody grouped them.
MOST_TICKERS = 500
# This many are loaded beside those with anomalies and their siblings if neither of the two is
# needed.
SOME_TICKERS = 60
# This many tickers with anomalies are explained together: all bars of ten thousand tickers would be
# a gigabyte, and their anomalies half of one.
MOST_NAMED = 1_000
# At most this many bars of a market with thousands of tickers are explained together, the latest
# first.
WINDOW_BARS = 2_500
WRITTEN_AT_ONCE = 500
# A return over more bars than this, and over more than a week, is not the move of one bar.
LONGEST_PAUSE_BARS = 7
LONGEST_PAUSE_SECONDS = 7 * DAY_SECONDS
# The anomaly was looked at and cannot be explained.
UNKNOWN: ExplainedFields = {"root_cause": None}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What of a market is to be explained."""

    market: Market
    interval: str
    found: Sequence[AnomalyDocument]


def explain_run(database: Db, run: RunDocument, seconds: float) -> bool:
    """Explain, for about so many seconds, the anomalies that this run found first and that are not
    explained yet; return whether all are done. An anomaly that cannot be explained is marked as
    looked at.
    """
    until = monotonic() + seconds
    graph = load_graph(database)
    for tickers in _portion(graph, anomalies.find_unexplained_tickers(database, run["_id"])):
        if not _explain_portion(database, graph, run, tickers, until):
            return False
    return True


def _explain_portion(
    database: Db, graph: Graph, run: RunDocument, tickers: Sequence[str], until: float
) -> bool:
    unread = anomalies.find_unexplained(database, run["_id"], tickers, "inputs")
    unmoved = anomalies.find_unexplained(database, run["_id"], tickers, "root_cause")
    if max(len(unread), len(unmoved)) > WRITTEN_AT_ONCE:
        is_read = _explain_inputs(database, run, unread, until)
        return is_read and _explain_moves(database, graph, run, unmoved, until)
    told: dict[str, ExplainedFields] = {anomaly["_id"]: {**UNKNOWN} for anomaly in unmoved}
    for causes in _find_root_causes(database, graph, run["interval"], unmoved):
        told |= {each: _describe(cause) for each, cause in causes.items()}
    for inputs in find_typical(database, run["interval"], unread):
        for each, read in inputs.items():
            told.setdefault(each, {})["inputs"] = read
    anomalies.write_explained(database, told)
    return True


def _explain_inputs(
    database: Db, run: RunDocument, found: Sequence[AnomalyDocument], until: float
) -> bool:
    left = len(found)
    for inputs in find_typical(database, run["interval"], found):
        anomalies.write_explained(database, {each: {"inputs": i} for each, i in inputs.items()})
        left -= len(inputs)
        if left and monotonic() > until:
            return False
    return True


def _explain_moves(
    database: Db, graph: Graph, run: RunDocument, found: Sequence[AnomalyDocument], until: float
) -> bool:
    left = {anomaly["_id"] for anomaly in found}
    told: dict[str, ExplainedFields] = {}
    for explained in _find_root_causes(database, graph, run["interval"], found):
        told |= {each: _describe(cause) for each, cause in explained.items()}
        is_over = monotonic() > until
        if is_over or len(told) >= WRITTEN_AT_ONCE:
            anomalies.write_explained(database, told)
            left -= told.keys()
            told = {}
        if is_over and left:
            return False
    anomalies.write_explained(database, told | dict.fromkeys(left - told.keys(), UNKNOWN))
    return True


def explain_documents(
    database: Db, interval: str, found: Sequence[AnomalyDocument]
) -> dict[str, ExplainedFields]:
    """Explain anomalies that are not stored; return the explanation of each, by its id."""
    explained = {
        anomaly_id: _describe(cause)
        for causes in _find_root_causes(database, load_graph(database), interval, found)
        for anomaly_id, cause in causes.items()
    }
    for inputs in find_typical(database, interval, found):
        for anomaly_id, read in inputs.items():
            explained.setdefault(anomaly_id, {})["inputs"] = read
    return explained


def _describe(explained: Explained) -> ExplainedFields:
    return {
        "scope": explained.scope,
        "root_causes": list(explained.sentences),
        "root_cause": explained.numbers,
    }


def _find_root_causes(
    database: Db, graph: Graph, interval: str, found: Sequence[AnomalyDocument]
) -> Iterator[dict[str, Explained]]:
    markets = load_markets(database)
    by_market: dict[str, list[AnomalyDocument]] = {}
    for anomaly in found:
        by_market.setdefault(anomaly["market"], []).append(anomaly)
    for code, members in by_market.items():
        if code in markets:
            yield from _explain_market(database, graph, _Wanted(markets[code], interval, members))


def _explain_market(database: Db, graph: Graph, wanted: _Wanted) -> Iterator[dict[str, Explained]]:
    length = timedelta(seconds=WINDOW_BARS * INTERVALS[wanted.interval])
    for found in _split(graph, wanted.found):
        left = sorted(found, key=lambda anomaly: anomaly["Datetime"], reverse=True)
        while left:
            since = left[0]["Datetime"] - length
            window = [anomaly for anomaly in left if anomaly["Datetime"] > since]
            left = left[len(window) :]
            yield from _explain_window(database, graph, replace(wanted, found=window))


def _split(graph: Graph, found: Sequence[AnomalyDocument]) -> Iterator[list[AnomalyDocument]]:
    """Yield anomalies of `MOST_NAMED` tickers at a time."""
    by_ticker: dict[str, list[AnomalyDocument]] = {}
    for anomaly in found:
        by_ticker.setdefault(anomaly["Ticker"], []).append(anomaly)
    for portion in _portion(graph, by_ticker):
        yield [anomaly for ticker in portion for anomaly in by_ticker[ticker]]


def _portion(graph: Graph, tickers: Iterable[str]) -> Iterator[list[str]]:
    """Yield `MOST_NAMED` tickers at a time. Those of a sector come together, because their siblings
    are loaded with them.
    """
    ordered = sorted(tickers, key=lambda ticker: (graph.find_sector(ticker) or "", ticker))
    for start in range(0, len(ordered), MOST_NAMED):
        yield ordered[start : start + MOST_NAMED]


def _explain_window(database: Db, graph: Graph, wanted: _Wanted) -> Iterator[dict[str, Explained]]:
    times, universe = _load_universe(database, graph, wanted)
    if not times.size:
        return
    rows = {int(time): row for row, time in enumerate(times)}
    by_bar: dict[datetime, list[AnomalyDocument]] = {}
    for anomaly in wanted.found:
        by_bar.setdefault(anomaly["Datetime"], []).append(anomaly)
    bars = sorted(by_bar, reverse=True)
    strange = anomalies.find_ways(database, wanted.market.code, wanted.interval, bars)
    for anomaly in wanted.found:  # of those that are stored nowhere, too
        strange.setdefault(anomaly["Datetime"], {})[anomaly["Ticker"]] = _get_way(anomaly)
    reaching = count_reaching(database, wanted.market.code, wanted.interval, bars)
    known = {*universe.tickers, *universe.indices}
    for bar in bars:
        row = rows.get(int(bar.timestamp()))
        if row is None:
            continue
        ids = {anomaly["Ticker"]: anomaly["_id"] for anomaly in by_bar[bar]}
        ways = {ticker: way for ticker, way in strange[bar].items() if ticker in known}
        told = explain_bar(universe, row, ways, list(ids))
        flagged = len(strange[bar])
        breadth = {"flagged": flagged, "of": max(flagged, reaching[bar])}
        yield {ids[name]: _add_breadth(explained, breadth) for name, explained in told.items()}


def _add_breadth(explained: Explained, breadth: Mapping[str, int]) -> Explained:
    return explained._replace(numbers={**explained.numbers, **breadth})  # type: ignore[typeddict-item]  # two of its names


def _get_way(anomaly: AnomalyDocument) -> int:
    return -1 if anomaly["features"].get("return_1", 0.0) < 0 else 1


def _load_universe(database: Db, graph: Graph, wanted: _Wanted) -> tuple[Int64, Universe]:
    """Return bar times and moves of all that it takes to explain what is wanted of a market."""
    market, interval = wanted.market, wanted.interval
    named = sorted({anomaly["Ticker"] for anomaly in wanted.found})
    stored = find_tickers(database, interval, market=market.code)
    indices = [t for t in named if t in market.indices or t == market.index_ticker]
    index = market.index_ticker if market.index_ticker in stored else None
    beside = SOME_TICKERS if index else MOST_TICKERS
    tickers = _choose_tickers(graph, named, stored, market, MOST_MEMBERS if indices else beside)
    loaded = [*tickers, *indices, *([index] if index and index not in indices else [])]
    spans = [int(anomaly["Datetime"].timestamp()) for anomaly in wanted.found]
    closes = load_sound_closes(database, interval, dict.fromkeys(loaded, (min(spans), max(spans))))
    times, returns = align_returns(
        [times for times, _ in closes.values()],
        [close for _, close in closes.values()],
        longest_pause=max(LONGEST_PAUSE_BARS * INTERVALS[interval], LONGEST_PAUSE_SECONDS),
        largest_return=LARGEST_RETURN,
    )
    column = {ticker: k for k, ticker in enumerate(closes)}
    del closes
    tickers = [ticker for ticker in tickers if ticker in column]
    # Stored bar by bar, because bars are read one at a time; a copy, because a view would keep all
    # of `returns`.
    moves = np.take(returns, [column[ticker] for ticker in tickers], axis=1)
    market_moves = returns[:, column[index]].copy() if index in column else None
    sectors, names = _number_sectors(graph, tickers, moves, market_moves)
    universe = Universe(
        market.code,
        tickers,
        moves,
        sectors,
        names,
        index if market_moves is not None else None,
        market_moves,
        {name: returns[:, column[name]].copy() for name in indices if name in column},
    )
    return times, universe


def _choose_tickers(
    graph: Graph, named: Sequence[str], stored: Sequence[str], market: Market, beside: int
) -> list[str]:
    """Return the tickers to load: those with anomalies, their siblings, and `beside` of the others;
    where some ticker has no sector, as many as are clustered.
    """
    excluded = {*market.indices, market.index_ticker}
    chosen = [t for t in named if t not in excluded]
    sectors = [graph.find_sector(ticker) for ticker in chosen]
    siblings = graph.list_siblings({sector for sector in sectors if sector is not None})
    known = set(stored)
    chosen += [t for group in siblings.values() for t in group if t in known and t not in excluded]
    others = [t for t in stored if t not in excluded]
    if None in sectors:
        beside = max(beside, MOST_TICKERS)
    # Spread over all tickers: neighbours by name may be of one kind.
    chosen += others[:: -(-len(others) // beside) or 1]
    return list(dict.fromkeys(chosen))


def _number_sectors(
    graph: Graph, tickers: Sequence[str], moves: Float64, index: Float64 | None
) -> tuple[Int64, list[str]]:
    """Return the number of each ticker's sector and the sectors' names. Tickers without a group get
    the cluster of their moves beyond the market's.
    """
    names: list[str] = []
    numbers = np.full(len(tickers), NO_SECTOR, np.int64)
    for i, ticker in enumerate(tickers):
        sector = graph.find_sector(ticker)
        if sector is not None:
            if sector not in names:
                names.append(sector)
            numbers[i] = names.index(sector)
    alone = np.flatnonzero(numbers < 0)[:MOST_TICKERS]
    if alone.size:
        clusters = cluster_residuals(moves[:, alone], index)
        for number in np.unique(clusters[clusters >= 0]):
            members = alone[clusters == number]
            numbers[members] = len(names)
            names.append(f"residual cluster of {tickers[int(members[0])]}")
    return numbers, names

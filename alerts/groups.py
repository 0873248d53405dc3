"""Reading groups from files: of symbols with sector, industry and market, or of edges."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from typing import NamedTuple

from alerts.root_cause.graph import Edge, Graph, find_problems
from core.errors import BadInput
from core.words import GroupType
from market.markets import Markets
from records.alerts.documents import GroupDocument
from records.alerts.groups import build_group, find_groups
from records.database import Db

SYMBOL = ("symbol", "ticker", "code")
LEVELS: tuple[GroupType, ...] = ("industry", "sector", "market")
MOST_ROWS = 200_000
LONGEST_NAME = 100


class Imported(NamedTuple):
    """Edges as they are to be stored, and what is wrong with them, in words."""

    groups: list[GroupDocument]
    problems: list[str]


def read_groups(text: str, markets: Markets, source: str) -> Imported:
    """Return the groups of a CSV with a symbol and any of sector, industry and market.

    A missing market is that of the ticker's style. Lines without a symbol, and tickers whose market
    cannot be told, are left out and reported. Raises BadInput where there is no symbol column, or
    none of the others.
    """
    reader = csv.DictReader(StringIO(text.removeprefix("\ufeff")))
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    symbol = next((columns[name] for name in SYMBOL if name in columns), None)
    if symbol is None or not set(LEVELS) & set(columns):
        raise BadInput(
            f"the file's columns are {', '.join(columns) or '(none)'}; it needs symbol and at"
            " least one of sector, industry and market"
        )
    groups: dict[str, GroupDocument] = {}
    problems = []
    for number, row in enumerate(reader, 2):
        if number > MOST_ROWS:
            raise BadInput(f"the file has more than {MOST_ROWS:,} lines")
        try:
            edges = _read_row(row, symbol, columns, markets)
        except BadInput as error:
            problems.append(f"line {number}: {error.message}")
            continue
        for edge in edges:
            built = build_group(*edge, source)
            groups.setdefault(built["_id"], built)
    found = list(groups.values())
    return Imported(found, problems + check_groups(found))


def load_graph(database: Db) -> Graph:
    """Return the graph of the stored groups, or of the demo's groups where there are none."""
    return Graph.build(to_edges(find_groups(database)))


def check_groups(groups: Sequence[GroupDocument]) -> list[str]:
    """Return what is wrong with groups: circles, parents that lead nowhere, tickers in two sectors.
    They are stored and used all the same.
    """
    return find_problems(to_edges(groups))


def to_edges(groups: Iterable[GroupDocument]) -> list[Edge]:
    """Return groups as the graph takes them."""
    return [Edge(g["child"], g["child_type"], g["parent"], g["parent_type"]) for g in groups]


def _read_row(
    row: Mapping[str, str | None], symbol: str, columns: Mapping[str, str], markets: Markets
) -> list[Edge]:
    """Return the chain of one line: from its ticker up to its market."""
    written = (row.get(symbol) or "").strip()
    if not written:
        raise BadInput("it has no symbol")
    ticker = markets.spell(written)
    said = {
        level: (row.get(columns[level]) or "").strip()[:LONGEST_NAME]
        for level in LEVELS
        if level in columns
    }
    if said.get("market"):
        said["market"] = markets.choose(said["market"]).code
    else:
        said["market"] = markets.get_of(ticker).code
    chain: list[tuple[str, GroupType]] = [(ticker, "ticker")]
    chain += [(said[level], level) for level in LEVELS if said.get(level)]
    return [Edge(*child, *parent) for child, parent in pairwise(chain)]

"""The groups as a graph: ticker, industry, sector, market. It can be walked whatever is wrong with
it.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.words import GroupType

MOST_HOPS = 3


class Edge(NamedTuple):
    """One edge, from a child to what it belongs to."""

    child: str
    child_type: GroupType
    parent: str
    parent_type: GroupType


class Ancestor(NamedTuple):
    """What a ticker belongs to, so many levels up."""

    name: str
    type: GroupType
    level: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The parents of each child, in the order in which they were given."""

    parents: Mapping[str, Sequence[Edge]]

    @classmethod
    def build(cls, edges: Iterable[Edge]) -> "Graph":
        """Build the graph of some edges."""
        parents: dict[str, list[Edge]] = {}
        for edge in edges:
            parents.setdefault(edge.child, []).append(edge)
        return cls(parents)

    def find_ancestors(self, ticker: str) -> list[Ancestor]:
        """Return what a ticker belongs to, breadth first; each once, even in a circle."""
        found: list[Ancestor] = []
        seen = {ticker}
        waiting = deque([(ticker, 0)])
        while waiting:
            name, level = waiting.popleft()
            if level == MOST_HOPS:
                continue
            for edge in self.parents.get(name, ()):
                if edge.parent not in seen:
                    seen.add(edge.parent)
                    found.append(Ancestor(edge.parent, edge.parent_type, level + 1))
                    waiting.append((edge.parent, level + 1))
        return found

    def find_sector(self, ticker: str) -> str | None:
        """Return the sector of a ticker, or the industry where it has none above that."""
        ancestors = self.find_ancestors(ticker)
        for wanted in ("sector", "industry"):
            for ancestor in ancestors:
                if ancestor.type == wanted:
                    return ancestor.name
        return None

    def list_siblings(self, sectors: Iterable[str]) -> dict[str, list[str]]:
        """Return the tickers of each of these sectors."""
        found: dict[str, list[str]] = {sector: [] for sector in sectors}
        for child, edges in self.parents.items():
            if edges[0].child_type == "ticker" and (sector := self.find_sector(child)) in found:
                found[sector].append(child)
        return found


def find_problems(edges: Sequence[Edge]) -> list[str]:
    """Return what is wrong with a graph, in words: circles, parents that lead nowhere,
    tickers in two sectors.
    """
    graph = Graph.build(edges)
    problems = [
        f"the {edge.parent_type} {edge.parent!r} of {edge.child} belongs to nothing: its market is"
        " not known"
        for edge in edges
        if edge.parent_type != "market" and edge.parent not in graph.parents
    ]
    for child, own in graph.parents.items():
        sectors = list(dict.fromkeys(e.parent for e in own if e.child_type == "ticker"))
        if len(sectors) > 1:
            problems.append(f"{child} is in {' and '.join(sectors)}; {sectors[0]} counts")
    problems += [f"{' -> '.join(circle)} is a circle" for circle in _find_circles(graph)]
    return list(dict.fromkeys(problems))


def _find_circles(graph: Graph) -> list[tuple[str, ...]]:
    """Return each circle once, from its first name on."""
    circles: set[tuple[str, ...]] = set()
    done: set[str] = set()
    for start in graph.parents:
        path: list[str] = []
        name: str | None = start
        # Only first parents are followed, because only they count.
        while name is not None and name not in done:
            if name in path:
                circle = path[path.index(name) :]
                first = circle.index(min(circle))
                circles.add((*circle[first:], *circle[:first], circle[first]))
                break
            path.append(name)
            edges = graph.parents.get(name)
            name = edges[0].parent if edges else None
        done.update(path)
    return sorted(circles)

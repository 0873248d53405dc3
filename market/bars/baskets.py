"""Baskets: several tickers as one line, each with the same weight on each bar."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import exp, log

Close = tuple[int, float]
"""The time of a bar in UTC seconds, and its close."""
BASE = 100.0


def compute_basket(members: Iterable[Sequence[Close]]) -> list[Close]:
    """Return the line of a basket from the closes of its members, each ascending in time.

    It begins at 100 on the first bar of any member, and moves on each bar by the mean log return of
    the members that have this bar and one before it, as if all were held in equal parts, rebalanced
    on each bar. Closes that are not above zero are left out.
    """
    firsts: list[int] = []
    returns: defaultdict[int, list[float]] = defaultdict(list)
    for closes in members:
        sound = [(time, close) for time, close in closes if close > 0.0]
        firsts += [sound[0][0]] if sound else []
        for time, log_return in _list_returns(sound):
            returns[time].append(log_return)
    if not firsts:
        return []
    level = log(BASE)
    line = [(min(firsts), BASE)]
    for time in sorted(returns):
        level += sum(returns[time]) / len(returns[time])
        line.append((time, exp(level)))
    return line


def _list_returns(closes: Sequence[Close]) -> list[Close]:
    """Return the log return of each close to the one before it."""
    return [(time, log(close / before)) for (_, before), (time, close) in pairwise(closes)]

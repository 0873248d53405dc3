"""Spread and liquidity: what it costs to trade, from the order book where there is one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from analytics.subject import FAST, STATISTICS, Column, Depth, Subject
from core.arrays import Float64

WITHIN = 0.01
LEVELS = 10
SHARE_OF_NOTIONAL = 0.01


def compute_bid_ask_spread(s: Subject) -> Column:
    """Compute the best ask less the best bid."""
    return _of_depth(s, lambda d: float(d.ask_prices[0] - d.bid_prices[0]))


def compute_spread_percentage(s: Subject) -> Column:
    """Compute the spread in percent of the middle price; from bars by EDGE where no book is."""
    from_bars = 100.0 * estimate_edge(s)
    values: list[Any] = []
    for i in range(s.size):
        depth = s.depth[i] if s.depth is not None else None
        if depth is not None:
            spread = 100.0 * float(depth.ask_prices[0] - depth.bid_prices[0]) / _middle(depth)
            values.append({"value": spread, "method": "depth"})
        elif np.isfinite(from_bars[i]):
            values.append({"value": float(from_bars[i]), "method": "edge"})
        else:
            values.append(None)
    return Column(values)


def compute_market_depth_bid(s: Subject) -> Column:
    """Compute what is bid for within one percent of the middle price."""
    return _of_depth(
        s, lambda d: _sum_near(d.bid_prices, d.bid_amounts, _middle(d) * (1.0 - WITHIN), np.inf)
    )


def compute_market_depth_ask(s: Subject) -> Column:
    """Compute what is offered within one percent of the middle price."""
    return _of_depth(
        s, lambda d: _sum_near(d.ask_prices, d.ask_amounts, 0.0, _middle(d) * (1.0 + WITHIN))
    )


def compute_liquidity_ratio(s: Subject) -> Column:
    """Compute Amihud's illiquidity: the move that a million of the currency makes."""
    notional = s.panel.close * s.panel.volume
    moves = np.abs(s.window(s.returns, FAST))
    traded = s.window(notional, FAST)
    counts = traded > 0.0
    with np.errstate(divide="ignore"):
        each = np.where(counts | np.isnan(moves), moves / traded, 0.0)
    mean = each.sum(axis=1) / counts.sum(axis=1)
    return Column(1e6 * mean, reason="no_volume")


def compute_slippage_estimate(s: Subject) -> Column:
    """Compute how far the mean price of filling an order of usual size is from the middle."""
    usual = s.window(s.panel.close * s.panel.volume, FAST).mean(axis=1) * SHARE_OF_NOTIONAL
    return _of_depth(s, estimate_slippage, usual)


def compute_order_book_imbalance(s: Subject) -> Column:
    """Compute (B - A) / (B + A) of the amounts on the ten best levels."""

    def compute(depth: Depth) -> float:
        bid, ask = depth.bid_amounts[:LEVELS].sum(), depth.ask_amounts[:LEVELS].sum()
        return float((bid - ask) / (bid + ask))

    return _of_depth(s, compute)


def estimate_slippage(depth: Depth, size: float) -> dict[str, float] | None:
    """Return what buying and selling for `size` (price x amount) costs, in percent of the middle.

    `unfilled_buy` and `unfilled_sell` are the shares of the size, in percent, that the book
    is too short for. None where there is no size.
    """
    if not size > 0.0:
        return None
    middle = _middle(depth)
    sides = {"buy": (depth.ask_prices, depth.ask_amounts, 1.0)}
    sides["sell"] = (depth.bid_prices, depth.bid_amounts, -1.0)
    found = {"size": size}
    for side, (prices, amounts, sign) in sides.items():
        before = np.concatenate(([0.0], np.cumsum(prices * amounts)[:-1]))
        spent = np.clip(size - before, 0.0, prices * amounts)
        filled = spent.sum()
        found[side] = float(100.0 * sign * (filled / (spent / prices).sum() - middle) / middle)
        found[f"unfilled_{side}"] = float(100.0 * (1.0 - min(1.0, filled / size)))
    return found


def estimate_edge(s: Subject) -> Float64:
    """Return the estimated spread of 60 bars as a share of the price, shape (m,).

    The efficient estimator from open, high, low and close prices of Ardia, Guidotti and Kroencke
    (2024). NaN where prices hardly move.
    """
    panel = s.panel
    o, h, low, c = (
        np.log(s.window(price, STATISTICS))
        for price in (panel.open, panel.high, panel.low, panel.close)
    )
    middle = (h + low) / 2.0
    h1, l1, c1, m1 = h[:, :-1], low[:, :-1], c[:, :-1], middle[:, :-1]
    o, h, low, middle = o[:, 1:], h[:, 1:], low[:, 1:], middle[:, 1:]
    r1, r2, r3, r4, r5 = middle - o, o - m1, middle - c1, c1 - m1, o - c1
    moved = ((h != low) | (low != c1)).astype(np.float64)
    traded = moved.mean(axis=1)
    po = (moved * (o != h)).mean(axis=1) + (moved * (o != low)).mean(axis=1)
    pc = (moved * (c1 != h1)).mean(axis=1) + (moved * (c1 != l1)).mean(axis=1)
    usable = (moved.sum(axis=1) >= 2.0) & (po > 0.0) & (pc > 0.0)
    po, pc = po[:, None], pc[:, None]

    def centre(values: Float64) -> Float64:
        centred: Float64 = values - (values.mean(axis=1) / traded)[:, None] * moved
        return centred

    d1, d3, d5 = centre(r1), centre(r3), centre(r5)
    x1 = -4.0 / po * d1 * r2 + -4.0 / pc * d3 * r4
    x2 = -4.0 / po * d1 * r5 + -4.0 / pc * d5 * r4
    e1, e2 = x1.mean(axis=1), x2.mean(axis=1)
    v1, v2 = (x1**2).mean(axis=1) - e1**2, (x2**2).mean(axis=1) - e2**2
    total = v1 + v2
    square = np.where(total > 0.0, (v2 * e1 + v1 * e2) / total, (e1 + e2) / 2.0)
    return np.where(usable, np.sqrt(np.abs(square)), np.nan)


def _middle(depth: Depth) -> float:
    return float(depth.ask_prices[0] + depth.bid_prices[0]) / 2.0


def _sum_near(prices: Float64, amounts: Float64, low: float, high: float) -> dict[str, float]:
    near = (prices >= low) & (prices <= high)
    quantity, notional = amounts[near].sum(), (prices[near] * amounts[near]).sum()
    return {"quantity": float(quantity), "notional": float(notional)}


def _of_depth(s: Subject, compute: Callable[..., Any], *facts: Float64) -> Column:
    """Return the result of `compute` for each bar's order book and the bar's entry in each of
    `facts`.
    """
    books = s.depth if s.depth is not None else [None] * s.size
    values = [
        None if book is None else compute(book, *(float(fact[i]) for fact in facts))
        for i, book in enumerate(books)
    ]
    return Column(values, reason=["no_depth" if book is None else "no_volume" for book in books])

"""Trend: where the price is going."""

import numpy as np

from analytics.kernels import find_crossings, run_directional, run_ema, run_rsi
from analytics.subject import FAST, YEAR, Column, Subject, is_flat
from core.arrays import Float64

RATE_BARS = 10
SLOW = 50


def compute_sma(s: Subject) -> Column:
    """Compute the mean of 20 closes."""
    return Column(s.window(s.panel.close, FAST).mean(axis=1))


def compute_ema(s: Subject) -> Column:
    """Compute the exponential mean of closes, alpha 2/21."""
    return Column(run_ema(s.panel.close, s.starts, s.rows, FAST))


def compute_wma(s: Subject) -> Column:
    """Compute the mean of 20 closes, the latest weighing 20 and the first 1."""
    weights = np.arange(1.0, FAST + 1.0)
    return Column((s.window(s.panel.close, FAST) * weights).sum(axis=1) / weights.sum())


def compute_rate_of_change(s: Subject) -> Column:
    """Compute the change over ten bars in percent."""
    closes = s.window(s.panel.close, RATE_BARS + 1)
    return Column(100.0 * (closes[:, -1] / closes[:, 0] - 1.0))


def compute_rsi(s: Subject) -> Column:
    """Compute Wilder's relative strength index of 14 bars."""
    return Column(run_rsi(s.panel.close, s.starts, s.rows))


def compute_crossover_signal(s: Subject) -> Column:
    """Compute whether the mean of 20 closes is over that of 50, and since when."""
    close = s.panel.close
    signs, ages = find_crossings(close, s.firsts, s.rows, FAST, SLOW, YEAR)
    usable = (signs != 0) & ~is_flat(s.window(close, SLOW)) & (s.have > SLOW)
    listed = zip(usable.tolist(), signs.tolist(), ages.tolist(), strict=True)
    return Column(
        [
            (
                {
                    "state": "bullish" if sign > 0 else "bearish",
                    "crossed": age == 0,
                    "bars_since": age if age >= 0 else None,
                }
                if use
                else None
            )
            for use, sign, age in listed
        ]
    )


def compute_directional_strength(s: Subject) -> Column:
    """Compute the share of 20 bars that closed above their open, in percent."""
    opens, closes = s.window(s.panel.open, FAST), s.window(s.panel.close, FAST)
    share = 100.0 * (closes > opens).mean(axis=1)
    return Column(np.where(s.have < FAST, np.nan, share))


def compute_adx(s: Subject) -> Column:
    """Compute Wilder's average directional index of 14 bars."""
    return Column(s.once(_run_directional)[0])


def compute_plus_di(s: Subject) -> Column:
    """Compute Wilder's positive directional indicator of 14 bars."""
    return Column(s.once(_run_directional)[1])


def compute_minus_di(s: Subject) -> Column:
    """Compute Wilder's negative directional indicator of 14 bars."""
    return Column(s.once(_run_directional)[2])


def _run_directional(s: Subject) -> Float64:
    panel = s.panel
    found: Float64 = run_directional(panel.high, panel.low, panel.close, s.starts, s.rows)
    return found

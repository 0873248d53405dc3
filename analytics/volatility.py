"""Volatility: how far the price moves from bar to bar."""

import numpy as np

from analytics.subject import FAST, Column, Subject
from core.arrays import Float64


def compute_rolling_stddev(s: Subject) -> Column:
    """Compute the sample deviation of the last 20 log returns."""
    return Column(s.deviations[s.rows])


def compute_annualized_volatility(s: Subject) -> Column:
    """Compute the same for a year, by the bars that the market's calendar has in one."""
    return Column(s.deviations[s.rows] * np.sqrt(s.bars_per_year))


def compute_parkinson(s: Subject) -> Column:
    """Compute Parkinson's estimate from highs and lows."""
    ranges = _log_ratio(s, s.panel.high, s.panel.low, FAST)
    return Column(np.sqrt((ranges**2).sum(axis=1) / (4.0 * FAST * np.log(2.0))))


def compute_garman_klass(s: Subject) -> Column:
    """Compute Garman and Klass' estimate from all four prices."""
    ranges = _log_ratio(s, s.panel.high, s.panel.low, FAST)
    bodies = _log_ratio(s, s.panel.close, s.panel.open, FAST)
    variance = (0.5 * ranges**2 - (2.0 * np.log(2.0) - 1.0) * bodies**2).mean(axis=1)
    return Column(np.sqrt(np.where(variance < 0.0, np.nan, variance)), reason="negative_variance")


def compute_yang_zhang(s: Subject) -> Column:
    """Compute Yang and Zhang's estimate, which takes in the gaps between sessions."""
    panel = s.panel
    before = s.window(panel.close, FAST + 1)[:, :-1]
    opens = s.window(panel.open, FAST)
    overnight = np.log(opens / before)
    body = _log_ratio(s, panel.close, panel.open, FAST)
    up, down = np.log(s.window(panel.high, FAST) / opens), np.log(s.window(panel.low, FAST) / opens)
    within = (up * (up - body) + down * (down - body)).mean(axis=1)
    k = 0.34 / (1.34 + (FAST + 1) / (FAST - 1))
    variance = overnight.var(axis=1, ddof=1) + k * body.var(axis=1, ddof=1) + (1.0 - k) * within
    return Column(np.sqrt(variance))


def compute_volatility_of_volatility(s: Subject) -> Column:
    """Compute the sample deviation of the last 20 rolling deviations."""
    return Column(s.window(s.deviations, FAST).std(axis=1, ddof=1))


def _log_ratio(s: Subject, upper: Float64, lower: Float64, length: int) -> Float64:
    ratio: Float64 = np.log(s.window(upper, length) / s.window(lower, length))
    return ratio

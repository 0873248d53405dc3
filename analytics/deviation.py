"""Deviation: how far the price is from its mean, and how its returns are distributed."""

import numpy as np

from analytics.subject import FAST, STATISTICS, Column, Subject, is_flat
from core.arrays import Float64

BANDS = 2.0


def compute_standard_deviation(s: Subject) -> Column:
    """Compute the population deviation of 20 closes."""
    return Column(s.once(_measure)[1])


def compute_variance(s: Subject) -> Column:
    """Compute the population variance of 20 closes."""
    return Column(s.once(_measure)[1] ** 2)


def compute_z_score(s: Subject) -> Column:
    """Compute how many deviations the close is from the mean of 20."""
    mean, deviation = s.once(_measure)
    return Column((s.panel.close[s.rows] - mean) / np.where(deviation > 0.0, deviation, np.nan))


def compute_bollinger_upper(s: Subject) -> Column:
    """Compute the mean of 20 closes plus two deviations."""
    mean, deviation = s.once(_measure)
    return Column(mean + BANDS * deviation)


def compute_bollinger_lower(s: Subject) -> Column:
    """Compute the mean of 20 closes less two deviations."""
    mean, deviation = s.once(_measure)
    return Column(mean - BANDS * deviation)


def compute_price_range_index(s: Subject) -> Column:
    """Compute where the close lies between the least and the greatest of 20."""
    closes = s.window(s.panel.close, FAST)
    low, high = closes.min(axis=1), closes.max(axis=1)
    return Column((closes[:, -1] - low) / np.where(high > low, high - low, np.nan))


def compute_autocorrelation(s: Subject) -> Column:
    """Compute the correlation of 60 returns with themselves one bar later."""
    off = s.once(_centre_returns)
    return Column((off[:, 1:] * off[:, :-1]).sum(axis=1) / (off**2).sum(axis=1))


def compute_coefficient_of_variation(s: Subject) -> Column:
    """Compute the deviation of 20 closes over their mean."""
    mean, deviation = s.once(_measure)
    return Column(deviation / mean)


def compute_skewness(s: Subject) -> Column:
    """Compute the skewness of 60 returns, corrected for bias."""
    off, n = s.once(_centre_returns), STATISTICS
    skewness = (off**3).mean(axis=1) / (off**2).mean(axis=1) ** 1.5
    return Column(skewness * np.sqrt(n * (n - 1.0)) / (n - 2.0))


def compute_kurtosis(s: Subject) -> Column:
    """Compute the excess kurtosis of 60 returns, corrected for bias."""
    off, n = s.once(_centre_returns), STATISTICS
    ratio = (off**4).mean(axis=1) / (off**2).mean(axis=1) ** 2
    scale = (n - 1.0) / ((n - 2.0) * (n - 3.0))
    return Column(scale * ((n + 1.0) * ratio - 3.0 * (n - 1.0)))


def _measure(s: Subject) -> tuple[Float64, Float64]:
    """Return the mean and population deviation of 20 closes, the latter 0 where all are equal."""
    closes = s.window(s.panel.close, FAST)
    # Measured from the close, so that the mean of equal prices is that price, to the last bit.
    mean = closes[:, -1] + (closes - closes[:, -1:]).mean(axis=1)
    return mean, closes.std(axis=1, mean=mean[:, None])


def _centre_returns(s: Subject) -> Float64:
    """Return 60 returns less their mean, shape (m, 60); NaN where all are equal."""
    returns = s.window(s.returns, STATISTICS)
    off: Float64 = returns - returns.mean(axis=1, keepdims=True)
    off[is_flat(returns)] = np.nan
    return off

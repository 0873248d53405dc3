"""Finds the period of a series: the strongest significant peak of its autocorrelation.

Source: autocorrelation by the Wiener-Khinchin theorem. A peak is significant where it exceeds
Bartlett's bound for white noise, corrected for the number of lags (Bonferroni), rises by as much
above the deepest valley before it, and comes again at twice the lag. So slow wandering, which has
no peaks, is no season.
"""

from cmath import exp
from collections.abc import Sequence
from math import fsum, pi, sqrt
from operator import mul
from statistics import NormalDist

# Of longer series only the last points count: finding the period of 16,384 takes half a second.
MOST_POINTS = 16_384
LEAST_CYCLES = 3
FALSE_ALARM = 0.01
# A shorter period is preferred where its peak is nearly as high, as each multiple of a period has a
# peak, too.
NEARLY = 0.9
COMES_AGAIN = 0.5
HILL = 1.25


def find_period(values: Sequence[float]) -> int | None:
    """Return the period in points, at least 2 and at most a third of the series, or None."""
    recent = values[-MOST_POINTS:]
    n = len(recent)
    longest = n // LEAST_CYCLES
    correlations = compute_autocorrelations(_remove_line(recent))
    if longest < 2 or not correlations:
        return None
    bound = NormalDist().inv_cdf(1 - FALSE_ALARM / (2 * longest)) / sqrt(n)
    peaks, valley = {}, 1.0
    for lag in range(1, longest + 1):
        here = correlations[lag]
        is_peak = here >= correlations[lag - 1] and here >= correlations[lag + 1]
        comes_again = correlations[2 * lag] > COMES_AGAIN * here * (n - 2 * lag) / (n - lag)
        if lag > 1 and is_peak and comes_again and here > bound and here - valley > bound:
            peaks[lag] = here
        valley = min(valley, here)
    if not peaks:
        return None
    highest = max(peaks.values())
    first = min(lag for lag, height in peaks.items() if height >= NEARLY * highest)
    # Noise makes small peaks around that of a long period: the highest of them counts.
    return max(
        (lag for lag in peaks if lag <= HILL * first),
        key=lambda lag: peaks[lag] if lag >= first else 0.0,
    )


def compute_autocorrelations(values: Sequence[float]) -> list[float]:
    """Return the autocorrelations at lags 0 to n - 1 (sums divided by n);
    nothing where all values are equal.
    """
    n = len(values)
    mean = fsum(values) / n
    size = 1 << (2 * n - 1).bit_length()
    padded: list[complex] = [value - mean for value in values]
    padded += [0.0] * (size - n)
    powers: list[complex] = [abs(part) ** 2 for part in transform(padded)]
    sums = [part.real for part in transform(powers)[:n]]
    return [total / sums[0] for total in sums] if sums[0] > 0 else []


def transform(values: Sequence[complex]) -> list[complex]:
    """Return the discrete Fourier transform of 2^m values (Cooley and Tukey 1965)."""
    n = len(values)
    if n == 1:
        return list(values)
    even, odd = transform(values[::2]), transform(values[1::2])
    turned = list(map(mul, _build_roots(n), odd))
    return [a + b for a, b in zip(even, turned, strict=True)] + [
        a - b for a, b in zip(even, turned, strict=True)
    ]


def _build_roots(n: int) -> list[complex]:
    return [exp(-2j * pi * place / n) for place in range(n // 2)]


def _remove_line(values: Sequence[float]) -> list[float]:
    """Return the residuals of a straight line fitted by least squares."""
    n = len(values)
    middle, mean = (n - 1) / 2, fsum(values) / n
    slope = fsum((i - middle) * (value - mean) for i, value in enumerate(values)) / (
        n * (n * n - 1) / 12
    )
    return [value - mean - slope * (i - middle) for i, value in enumerate(values)]

"""Mean, deviation and median, exact to the last bits for any finite numbers."""

from collections.abc import Sequence
from math import frexp, fsum, isfinite, ldexp, sqrt


def scale_down(values: Sequence[float]) -> tuple[list[float], int]:
    """Return the values divided by a power of two, so that none exceeds 1 in size, and the
    exponent.

    Their squares and sums then neither overflow nor, where it matters, vanish.
    """
    exponent = frexp(max(abs(min(values)), abs(max(values))))[1]
    return [ldexp(value, -exponent) for value in values], exponent


def compute_moments(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and population standard deviation.

    It takes two passes with exact sums; the second one corrects the rounding of the mean (Chan,
    Golub and LeVeque 1983, equation 1.7).
    """
    scaled, exponent = scale_down(values)
    n = len(scaled)
    mean = fsum(scaled) / n
    distances = [value - mean for value in scaled]
    squares = fsum(distance * distance for distance in distances)
    variance = max(0.0, (squares - fsum(distances) ** 2 / n) / n)
    return ldexp(mean, exponent), ldexp(sqrt(variance), exponent)


def compute_median(values: Sequence[float]) -> float:
    """Return the median; of an even number of values, the mean of the two middle ones."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    below, above = ordered[half - 1], ordered[half]
    middle = (below + above) / 2
    return middle if isfinite(middle) else below / 2 + above / 2

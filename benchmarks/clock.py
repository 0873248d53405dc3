"""Times several sides that take turns."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median


class Clock:
    """Seconds by side, one figure a round."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def time(self, side: str, *, share: float = 1.0) -> Iterator[None]:
        """Time a block that does this share of a side's work; the time of the whole is kept."""
        start = time.perf_counter()
        yield
        self.seconds.setdefault(side, []).append((time.perf_counter() - start) / share)

    def median(self, side: str) -> float:
        """Return the median of a side's rounds, in seconds."""
        return median(self.seconds[side])

    def ratio(self, side: str, other: str) -> float:
        """Return how many times as long `side` takes as `other`.

        It is the median of the ratios of all rounds: a machine whose speed drifts slows both sides
        of a round.
        """
        return median(a / b for a, b in zip(self.seconds[side], self.seconds[other], strict=True))

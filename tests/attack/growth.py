"""Measures how the time of a function grows with its input: linear work takes eight times as long
for eight times as much.
"""

import time
from collections.abc import Callable
from contextlib import suppress

SMALL, FACTOR = 4_000, 8
# Quadratic work would take 64 times as long. The distance up to this limit is for overhead and the
# machine's other work.
MOST_GROWTH = 24.0
ROUNDS = 5
# Shorter times are too inexact.
LEAST_SECONDS = 0.0005

# Pieces that filters and parsers are slow at when repeated.
PIECES = (
    "a",
    " ",
    "\t",
    "://",
    "http://a",
    "://a:b@",
    "@",
    "a b ",
    "\\",
    '"',
    "'",
    "<",
    ",",
    ";",
    "=",
    "-",
    "0",
    "9,",
    "1.",
    "[",
    "{",
    "\n",
    "\r\n",
    "\x1b[0m",
    "é",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "Exception ",
    "authorization: a ",
)


def measure_growth(work: Callable[[str], object], piece: str, tail: str = "") -> float:
    """Return how many times as long a text with `FACTOR` times as many pieces takes; at least 1."""
    small, large = (
        _measure(work, piece * (count // len(piece)) + tail) for count in (SMALL, SMALL * FACTOR)
    )
    return max(large, LEAST_SECONDS) / max(small, LEAST_SECONDS)


def _measure(work: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        with suppress(Exception):
            work(text)
        best = min(best, time.process_time() - start)
        if best > 5:  # The work is too slow; do not repeat it in each round.
            break
    return best

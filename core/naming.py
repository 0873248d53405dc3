"""Names and counts in messages; of names there may be thousands."""

from collections.abc import Sequence


def name_some(names: Sequence[str], most: int, total: int | None = None) -> str:
    """Return at most so many names, and how many more there are; `total` if there are more than
    these.
    """
    more = (len(names) if total is None else total) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def count_of(count: int, noun: str, plural: str = "") -> str:
    """Return "1 row" or "2,000 rows"; `plural` if it is not the noun and an "s"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"

"""Names in messages, of which there may be thousands."""

from collections.abc import Sequence


def name_some(names: Sequence[str], most: int, total: int | None = None) -> str:
    """Return at most so many names, and how many more there are; `total` if there are more than
    these.
    """
    more = (len(names) if total is None else total) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")

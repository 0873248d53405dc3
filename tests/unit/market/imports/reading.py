"""Reads content as an import does, but in this process, for tests of the result."""

from typing import Any

from market.imports.options import build_options
from market.imports.readers.containers import open_table
from market.imports.readers.tables import build_table
from market.imports.settled import Settled
from market.imports.settling import settle_table


def settle(content: bytes | str, filename: str = "x.csv", **options: Any) -> Settled:
    """Return the table of a file."""
    asked = build_options(**options)
    content = content.encode() if isinstance(content, str) else content
    return settle_table(build_table(open_table(content, filename, asked), asked), asked)


def read_numbers(
    content: bytes | str, filename: str = "x.csv", **options: Any
) -> dict[str, list[float]]:
    """Return the numbers of a file by field."""
    return {
        name: values.tolist()
        for name, values in settle(content, filename, **options).numbers.items()
    }

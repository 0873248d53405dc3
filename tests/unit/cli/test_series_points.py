"""The points of a CSV file that `flask series` reads."""

from io import StringIO

import pytest

from cli.series import read_points
from core.errors import BadInput


def test_a_decimal_comma_is_refused_with_the_line_as_it_stands() -> None:
    """`1,234` may be either number. The line used to be shown with commas for its semicolons."""
    lines = StringIO("Datum;Wert\n2024-01-11;12,5\n")
    with pytest.raises(BadInput, match=r"line 2: '2024-01-11;12,5' .* with a decimal point"):
        list(read_points(lines, "load.csv"))

"""Which stored bars have impossible prices."""

import pytest

from market.bars.sound import find_unusable
from tests.unit.detection.features.twin import build_panel, draw_bars


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("low", 0.0),
        ("low", 5e-324),
        ("high", 1e300),
        ("close", float("nan")),
        ("volume", float("inf")),
        ("volume", -1.0),
    ],
)
def test_an_impossible_price_is_found_in_its_own_series(column: str, value: float) -> None:
    sound, other = draw_bars(1, 5), draw_bars(2, 5)
    assert find_unusable(build_panel(sound, other)) == {}
    other.loc[3, column] = value
    assert find_unusable(build_panel(sound, other)) == {1: 5 + 3}

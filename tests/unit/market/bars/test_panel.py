"""Panels of a part of the series, and panels joined from several."""

from dataclasses import fields

import numpy as np
import pytest

from market.bars.panel import BAR_COLUMNS, BarPanel, join_panels, keep_series

LENGTHS = {"A": 3, "B": 5, "C": 2, "D": 4}


def make_panel(tickers: str) -> BarPanel:
    """Return a panel in which every value identifies its series, column and bar."""
    lengths = [LENGTHS[ticker] for ticker in tickers]
    marks = [
        1000 * (1 + "ABCD".index(ticker)) + bar
        for ticker in tickers
        for bar in range(LENGTHS[ticker])
    ]
    columns = {name: np.array(marks) + 100 * place for place, name in enumerate(BAR_COLUMNS)}
    firsts = np.array(["ABCD".index(ticker) for ticker in tickers])
    return BarPanel("1d", tuple(tickers), np.cumsum([0, *lengths]), firsts, **columns)


def check_same(one: BarPanel, other: BarPanel) -> None:
    assert (one.interval, one.tickers) == (other.interval, other.tickers)
    for name in ("offsets", "first_index", *BAR_COLUMNS):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_every_column_of_a_panel_has_a_value_for_each_bar_or_each_series() -> None:
    of_series = {"interval", "tickers", "offsets", "first_index"}
    assert {field.name for field in fields(BarPanel)} == {*BAR_COLUMNS} | of_series


@pytest.mark.parametrize("kept", ["ABCD", "A", "D", "BD", "ACD"])
def test_selected_series_keep_every_column(kept: str) -> None:
    check_same(
        keep_series(make_panel("ABCD"), ["ABCD".index(ticker) for ticker in kept]), make_panel(kept)
    )


@pytest.mark.parametrize("parts", [["ABCD"], ["A", "BCD"], ["AB", "C", "D"]])
def test_joined_panels_keep_every_column(parts: list[str]) -> None:
    check_same(join_panels([make_panel(part) for part in parts]), make_panel("ABCD"))

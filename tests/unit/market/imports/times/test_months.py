# ruff: noqa: RUF001 - names of months in other languages
"""Months by their names."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.times.read import read_times
from tests.unit.market.imports.times.labelling import label


@pytest.mark.parametrize(
    ("written", "month"),
    [
        ("1. Mär 2024", 3),
        ("1. März 2024", 3),
        ("1-Mrz-2024", 3),
        ("1. Mai 2024", 5),
        ("1 Okt. 2024", 10),
        ("1. Dezember 2024", 12),
        ("1 févr. 2024", 2),
        ("1 juin 2024", 6),
        ("1 juil. 2024", 7),
        ("1 août 2024", 8),
        ("1 déc. 2024", 12),
        ("1 ene 2024", 1),
        ("1 set 2024", 9),
        ("mag 1, 2024", 5),
        ("1 mei 2024", 5),
        ("1 out 2024", 10),
        ("1 September 2024", 9),
    ],
)
def test_months_are_read_by_name_in_the_languages_of_markets(written: str, month: int) -> None:
    assert label([written]) == [datetime(2024, month, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("written", "month"),
    [
        ("2 янв 2024", 1),
        ("02 сентября 2024 г.", 9),
        ("2 stycznia 2024", 1),
        ("2 paź 2024", 10),
        ("2 gennaio 2024", 1),
        ("2 de janeiro de 2024", 1),
        ("2 de marzo de 2024", 3),
        ("2 Şub 2024", 2),
        ("2 maj 2024", 5),
        ("2024. július 2.", 7),
        ("2024-Jan-02", 1),
        ("2 січня 2024", 1),
        ("2 marraskuuta 2024", 11),
        ("2. desember 2024", 12),
        ("2. Jänner 2024", 1),
    ],
)
def test_months_are_read_in_the_languages_that_are_known(written: str, month: int) -> None:
    assert label([written], market="CRYPTO") == [datetime(2024, month, 2, tzinfo=UTC)]


def test_a_month_name_with_two_meanings_in_polish_and_croatian_is_decided_by_the_other_months() -> (
    None
):
    def read(*names: str) -> list[int]:
        return [each.month for each in label([f"2 {name} 2024" for name in names]) if each]

    polish = ["sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru"]
    croatian = ["sij", "velj", "ožu", "tra", "svi", "lip", "srp", "kol", "ruj", "lis", "stu", "pro"]
    assert read(*polish) == read(*croatian) == [*range(1, 13)]
    assert read("czerwca", "lipca") == [6, 7]
    assert read("listopada", "grudnia") == [11, 12]
    assert read("lipnja", "srpnja", "listopada") == [6, 7, 10]
    assert read("Meitheamh") == [6]


@pytest.mark.parametrize("names", [["lip"], ["maj", "lip"], ["listopada"], ["lipca", "lipnja"]])
def test_a_month_with_two_meanings_is_refused_with_what_to_do(names: list[str]) -> None:
    with pytest.raises(BadInput, match=r"in Polish and (June|October) in Croatian.*2024-01-02"):
        label([f"2 {name} 2024" for name in names])


def test_a_month_in_an_unknown_language_refuses_the_table() -> None:
    days = range(2, 8)
    with pytest.raises(BadInput, match="name a month, syys, in a language that is not known"):
        label([*(f"{day} Aug 2024" for day in days), *(f"{day} syys 2024" for day in days)])


def test_a_stray_line_with_a_month_name_is_rejected_alone() -> None:
    read = read_times(pd.Series(["2 Aug 2024", "3 Aug 2024", "5 Aug 2024", "Rows 12 foo 2024"]))
    assert read.bad.tolist() == [False, False, False, True]
    read = read_times(pd.Series(["2024-08-02", "2024-08-03", "2024-08-05", "Rows 12 foo 2024"]))
    assert read.bad.tolist() == [False, False, False, True]

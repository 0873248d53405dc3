"""Numbers in the forms in which people write them, decided for a column as a whole."""

import io
import math

import pyarrow as pa
import pyarrow.parquet
import pytest

from core.errors import BadInput
from tests.unit.market.imports.reading import read_numbers, settle

HEAD = "Date;Open;High;Low;Close;Volume\n"


def read_close(*rows: str, head: str = HEAD, **options: str) -> list[float]:
    """Return the closes of rows of four prices and a volume, separated by semicolons."""
    text = head + "".join(f"2024-01-{day:02};{row}\n" for day, row in enumerate(rows, start=2))
    return read_numbers(text, **options)["close"]


@pytest.mark.parametrize(
    ("row", "close", "volume"),
    [
        ("187,15;188,44;183,89;185,64;82488700", 185.64, 82488700),
        ("1.187,15;1.188,44;1.183,89;1.185,64;82.488", 1185.64, 82488),
        ("187.15;188.44;183.89;185.64;82 488 700", 185.64, 82488700),
        ("187.15;188.44;183.89;185.64;82\u00a0488\u00a0700", 185.64, 82488700),
        ("187.15;188.44;183.89;185.64;82'488'700", 185.64, 82488700),
        ("4,745.20;4,754.33;4,722.67;4,742.83;3,743,050", 4742.83, 3743050),
        ("$187.15;$188.44;$183.89;$185.64;65.08M", 185.64, 65080000),
        ("187,15 €;188,44 €;183,89 €;185,64 €;65,08M", 185.64, 65080000),
        ("USD 187.15;USD 188.44;USD 183.89;USD 185.64;40.5K", 185.64, 40500),
        ("187.15;188.44;183.89;185.64;87.27万", 185.64, 872700),
        ("187.15;188.44;183.89;185.64;1.25億", 185.64, 125000000),
        ("187,15;188,44;183,89;185,64;3,4 Mio.", 185.64, 3400000),
        ("187,15;188,44;183,89;185,64;1,2 Mrd", 185.64, 1200000000),
        ("187.15;188.44;183.89;185.64;2.5Mln", 185.64, 2500000),
        ("187.15;188.44;183.89;185.64;1.2bn", 185.64, 1200000000),
        ("187.15;188.44;183.89;185.64;3.4 mn", 185.64, 3400000),
        ("187.15;188.44;183.89;185.64;45.11L", 185.64, 4511000),
        ("187.15;188.44;183.89;185.64;45.11 Lakhs", 185.64, 4511000),
        ("187.15;188.44;183.89;185.64;5.13 Cr", 185.64, 51300000),
        ("2543;2643;2533;2,643;37,000,000", 2643, 37000000),
        ("100;101;99;100;1,234,567", 100, 1234567),
        ("187.15;188.44;183.89;185.64;500,000", 185.64, 500000),
        ("0.123;0.124;0.122;0.123;5", 0.123, 5),
        ("1.5e2;2E2;1e2;1.856e2;1e3", 185.6, 1000),
        ("187.15;188.44;183.89;185.64;-", 185.64, math.nan),
    ],
)
def test_numbers_are_read_as_they_are_meant(row: str, close: float, volume: float) -> None:
    read = read_numbers(HEAD + f"2024-01-02;{row}\n")
    assert read["close"] == [close]
    assert read["volume"] == [volume] or (math.isnan(volume) and math.isnan(read["volume"][0]))


@pytest.mark.parametrize("volume", ["27,3M $", "277.342.759 €", "R$ 1.250.000,00"])
def test_volumes_of_money_are_refused_unless_a_column_is_named(volume: str) -> None:
    """They used to be taken for numbers of shares."""
    text = HEAD + f"2024-01-02;187,15;188,44;183,89;185,64;{volume}\n"
    with pytest.raises(BadInput, match="are amounts of money, and bars need numbers of shares"):
        read_numbers(text)
    assert "volume" not in read_numbers(text, columns=["volume="])
    assert read_numbers(text, columns=["volume=6"])["volume"][0] > 1_000_000


def test_prices_in_units_of_lean_are_refused() -> None:
    """They used to be read ten thousand times too high."""
    text = "20240102 00:00,1871500,1884400,1838900,1856400,82488700\n" * 2
    named = ["time=1", "open=2", "high=3", "low=4", "close=5", "volume=6"]
    with pytest.raises(BadInput, match=r"as LEAN writes them in units of 0\.0001"):
        read_numbers(text, columns=named)
    assert read_numbers(HEAD.replace(";", ",") + text)["close"] == [1856400] * 2


def test_one_number_decides_for_the_whole_column() -> None:
    assert read_close("1.004;1.004;1.004;1.004;5", "1,5;1,5;1,5;1,5;5") == [1004, 1.5]
    assert read_close("1.004;1.004;1.004;1.004;5", "1.5;1.5;1.5;1.5;5") == [1.004, 1.5]


@pytest.mark.parametrize(
    ("written", "readings"), [("1.004", ("1004", "1.004")), ("1,004", ("1004", "1.004"))]
)
def test_numbers_that_can_be_read_in_two_ways_are_refused_with_both(
    written: str, readings: tuple[str, str]
) -> None:
    with pytest.raises(BadInput) as refused:
        read_close(f"{written};{written};{written};{written};7")
    assert f"open {written} in row 1" in refused.value.message
    assert all(reading in refused.value.message for reading in readings)
    assert "decimal comma" in refused.value.message
    assert "decimal point" in refused.value.message


@pytest.mark.parametrize(
    ("options", "close"),
    [
        ({"decimal": "comma"}, 1004),
        ({"decimal": ","}, 1004),
        ({"decimal": "point"}, 1.004),
        ({"thousands": "point"}, 1004),
        ({"thousands": "comma"}, 1.004),
    ],
)
def test_an_option_decides(options: dict[str, str], close: float) -> None:
    assert read_close("1.004;1.004;1.004;1.004;7", **options) == [close]


def test_a_volume_that_can_be_read_in_two_ways_is_refused_too() -> None:
    with pytest.raises(BadInput, match=r"volume 1\.004 in row 1"):
        read_close("100;101;99;100;1.004")


def test_volumes_with_commas_beside_decimal_commas_are_asked_about() -> None:
    rows = ("9,91;10,02;9,90;10,00;61,912", "9,91;10,02;9,90;10,00;912")
    with pytest.raises(BadInput, match=r"volume 61,912 in row 1 .* as 61912 .* as 61\.912"):
        read_close(*rows)
    assert read_close(*rows, decimal="comma") == [10, 10]
    # A number of any other length decides it.
    assert read_close(*rows, "9,91;10,02;9,90;10,00;61,9") == [10, 10, 10]


def test_points_are_decimals_where_commas_separate_the_fields() -> None:
    head = "Date,Open,High,Low,Close\n"
    assert read_numbers(head + "2024-01-02,151.234,151.300,151.100,151.200\n")["close"] == [151.2]
    with pytest.raises(BadInput, match="two ways"):
        read_numbers(head + '2024-01-02,"1.002","1.004","1.001","1.002"\n')


@pytest.mark.parametrize(
    ("rows", "close"),
    [
        # A high below its low.
        (["998;1.004;997;1.002;7"], [1002]),
        (["998;1,004;997;1,002;7"], [1002]),
        (["151;151.234;150.875;151.125;7"], [151.125]),
        (["151;151,234;150,875;151,125;7"], [151.125]),
        # A close a thousand times the one before.
        (["997;998;996;997;7", "1.001;1.004;1.000;1.002;7"], [997, 1002]),
        (["151;151;151;151;7", "151,234;151,250;150,875;151,125;7"], [151, 151.125]),
    ],
)
def test_a_form_is_chosen_if_only_with_it_prices_are_bars(
    rows: list[str], close: list[float]
) -> None:
    assert read_close(*rows) == close


def test_prices_of_two_tickers_decide_nothing_and_those_of_one_do() -> None:
    head = "Ticker;Date;Open;High;Low;Close\n"
    one, other = "A;2024-01-02;998;999;997;998\n", "B;2024-01-02;1.001;1.004;1.000;1.002\n"
    with pytest.raises(BadInput, match="two ways"):
        read_numbers(head + one + other)
    crossing = "A;2024-01-03;998;1.004;997;1.002\n"
    assert read_numbers(head + one + other + crossing)["close"] == [998, 1002, 1002]


def test_the_report_says_how_prices_were_read_if_bars_decided_it() -> None:
    settled = settle(HEAD + "2024-01-02;998;1.004;997;1.002;7\n")
    assert "prices such as 1.004 are read as 1004: as 1.004 they are no bars beside" in str(
        settled.notes
    )


@pytest.mark.parametrize("separator", ",;")
@pytest.mark.parametrize("wrong", ["9999;9999;9999;9999;7", "1.234;1.240;500;1.235;7"])
def test_a_wrong_row_does_not_decide_how_the_others_are_written(separator: str, wrong: str) -> None:
    """With prices a thousand times as large it fits a little better, and all rows used to be stored
    so.
    """
    rows = [*["1.234;1.240;1.230;1.235;7"] * 20, wrong]
    with pytest.raises(BadInput, match="two ways"):
        read_numbers((HEAD + "\n".join(rows)).replace(";", separator))


def test_prices_that_are_no_bars_in_either_form_decide_nothing() -> None:
    with pytest.raises(BadInput, match="two ways"):
        read_close("12;1.004;11;1.002;7", "1.004;12;1.004;1.002;7")


def test_both_forms_in_one_column_are_refused_unless_one_is_chosen() -> None:
    rows = ("187.15;188.44;183.89;185.64;1", "187,15;188,44;183,89;185,64;1")
    with pytest.raises(BadInput, match=r"open 187\.15 in row 1.*open 187,15 in row 2"):
        read_close(*rows)
    chosen = read_close(*rows, decimal="point")
    assert chosen[0] == 185.64
    assert math.isnan(chosen[1])


@pytest.mark.parametrize(
    "junk", ["abc", "1,2,3", "1.2.3", "12,34.5", "9" * 400, "1e999", "--5", "5%", "0x10", "1_000"]
)
def test_an_invalid_number_affects_only_its_row(junk: str) -> None:
    close = read_close("187.15;188.44;183.89;185.64;1", f"187.15;188.44;183.89;{junk};1")
    assert close[0] == 185.64
    assert not math.isfinite(close[1])


@pytest.mark.parametrize(
    ("name", "written", "factor"),
    [
        ("splitFactor", "10.0", 10.0),
        ("split_coefficient", "0.1", 0.1),
        ("Split Ratio", "10:1", 10.0),
        ("split", "1/10", 0.1),
        ("AdjustmentFactor", "0.5", 2.0),
    ],
)
def test_split_factors_of_vendors_are_read(name: str, written: str, factor: float) -> None:
    text = f"date,open,high,low,close,{name}\n2024-01-02,1,1,1,1,{written}\n"
    assert read_numbers(text)["split"] == [factor]


@pytest.mark.parametrize(
    "wrong", [{"decimal": "x"}, {"thousands": "5"}, {"decimal": ",", "thousands": ","}]
)
def test_an_impossible_option_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        read_close("1;1;1;1;1", **wrong)


@pytest.mark.parametrize(
    ("row", "close", "volume"),
    [
        ("1,21,600.00;1,22,700.00;1,20,500.00;1,21,611.50;54,17,211", 121611.5, 5417211),
        ("2,610.00;2,620.00;2,600.00;2,611.50;1,54,17,211", 2611.5, 15417211),
        ("Rs. 2,610.00;Rs. 2,620.00;Rs. 2,600.00;Rs. 2,611.50;5", 2611.5, 5),
        ("R$ 37,48;R$ 37,98;R$ 37,35;R$ 37,78;24.027.100", 37.78, 24027100),
        ("kr 101,50;kr 102,50;kr 100,50;kr 101,75;5", 101.75, 5),
        ("101,50 zł;102,50 zł;100,50 zł;101,75 zł;5", 101.75, 5),
        ("271.50 ₽;272.50 ₽;270.50 ₽;271.75 ₽;5", 271.75, 5),
    ],
)
def test_numbers_and_currencies_of_more_countries_are_read(
    row: str, close: float, volume: float
) -> None:
    read = read_numbers(HEAD + f"2024-01-02;{row}\n")
    assert (read["close"], read["volume"]) == ([close], [volume])


def test_prices_of_bonds_in_32nds_are_asked_about() -> None:
    row = "112'165;112'300;112'050;112'205;7"
    with pytest.raises(BadInput, match=r"112'165 can be read two ways: as 112165 .* 32nds"):
        read_close(row)
    assert read_close(row, thousands="apostrophe") == [112205]
    # As eighths of a 32nd these are impossible.
    assert read_close(row, "112'165;112'301;112'050;112'206;7") == [112205, 112206]


def test_32_bit_floats_are_read_as_the_shortest_equal_numbers() -> None:
    prices = pa.array([187.15, 64.0625], pa.float32())
    columns = dict.fromkeys(("open", "high", "low", "close"), prices)
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table({"date": ["2024-01-02", "2024-01-03"], **columns}), sink)
    assert read_numbers(sink.getvalue(), "x.parquet")["close"] == [187.15, 64.0625]

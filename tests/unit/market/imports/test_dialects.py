"""One table in many forms: with various separators, titles and encodings."""

import csv
import io
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from market.imports.options import build_options
from market.imports.readers import delimited
from market.imports.readers.limits import MOST_COLUMNS
from market.imports.readers.preview import build_preview
from market.imports.readers.resolving import resolve_header
from tests.unit.market.imports.reading import read_numbers, settle

FIELDS = ("ticker", "time", "open", "high", "low", "close", "volume")
# Dates of two months, so that some day shows which number is the month.
DAYS = [date(2024, 1, 2) + timedelta(7 * week) for week in range(8)]
VOLUMES = random.Random(1)
BARS = [
    (1_187.15 + day, 1_288.44 + day, 1_083.89 + day, 1_185.64 + day, VOLUMES.randrange(10**8))
    for day in range(len(DAYS))
]
NAMES = (
    "Symbol Date Open High Low Close Volume",
    "Sym Day O H L Last Shares",
    "Code Date Open High Low Settle Qty",
    "Ticker Day PX_OPEN PX_HIGH PX_LOW Px Vol",
    "Kürzel Datum Eröffnung Hoch Tief Schluss Stücke",
    "Symbol Data Otwarcie Najwyższy Najniższy Zamknięcie Wolumen",
    "Symbool Dag Open Hoog Laag Slot Volume",
    "Symbol Datum Öppen Högst Lägst Senaste Volym",
    "Sembol Tarih Açılış Yüksek Düşük Kapanış Hacim",  # noqa: RUF001 - Turkish
    "Тикер Дата Открытие Максимум Минимум Закрытие Объем",
    "コード 日付 始値 高値 安値 終値 出来高",
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1250", "cp1251", "cp1252", "cp1254", "cp932")
TITLES = (
    "",
    "Quotes of the desk",
    "Prices, daily, of the desk",
    "Prices; daily; of the desk",
    "Desk | quotes | daily",
    "Open, high, low, close: of the desk",
    "# exported, v1.2",
    "as of 2024-03-01 10:00:00",
)
FOOTERS = ("", "Source: the desk", "Total", "\n\n")


@settings(max_examples=60, derandomize=True)
@given(
    separator=st.sampled_from([",", ";", "\t", "|", ":", "~", "^", "; "]),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from(["", ".", ",", "'", " ", "\u00a0", "\u202f"]),
    written=st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d", "%d-%b-%Y"]),
    names=st.sampled_from(NAMES),
    encoding=st.sampled_from(ENCODINGS),
    title=st.sampled_from(TITLES),
    footer=st.sampled_from(FOOTERS),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    order=st.permutations(range(len(FIELDS))),
)
def test_a_table_is_read_to_the_last_digit_however_it_is_written(  # noqa: PLR0917 - by hypothesis
    separator: str,
    decimal: str,
    thousands: str,
    written: str,
    names: str,
    encoding: str,
    title: str,
    footer: str,
    quoting: int,
    ends: str,
    order: list[int],
) -> None:
    assume(decimal != thousands)
    marks = str.maketrans({",": thousands, ".": decimal})
    rows = [names.split()]
    for day, bar in zip(DAYS, BARS, strict=True):
        numbers = [f"{value:,.2f}" for value in bar[:4]] + [f"{bar[4]:,}"]
        rows.append(["KO", f"{day:{written}}", *(text.translate(marks) for text in numbers)])
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator[0], quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
    writer.writerows([row[place] for place in order] for row in rows)
    body = out.getvalue()
    if separator == "; " and quoting == csv.QUOTE_ALL:
        body = body.replace('";"', '"; "')
    text = (f"{title}\n" if title else "") + body + footer
    try:
        content = text.replace("\n", ends).encode(encoding)
    except UnicodeEncodeError:
        assume(False)  # noqa: FBT003 - hypothesis' own
    table = settle(content)
    good = ~table.times.bad
    assert table.times.seconds[good].tolist() == [
        int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in DAYS
    ]
    read = zip(*(table.numbers[name][good].tolist() for name in FIELDS[2:]), strict=True)
    assert list(read) == [(*(round(value, 2) for value in bar[:4]), float(bar[4])) for bar in BARS]
    assert set(table.written["ticker"].filter(good).to_pylist()) == {"KO"}


def test_titles_and_numbers_do_not_hide_the_separator() -> None:
    """It used to be split at its decimal commas, and had no usable column."""
    text = (
        "Quotes of the desk\nSymbol|Day|O|H|L|Last|Shares\n"
        "KO|03/04/2024|60,10|60,9|59,8|60,5|1.200.000\nKO|13/04/2023|61,10|62|61|61,5|900.000\n"
    )
    assert read_numbers(text) == {
        "open": [60.1, 61.1],
        "high": [60.9, 62],
        "low": [59.8, 61],
        "close": [60.5, 61.5],
        "volume": [1_200_000, 900_000],
    }


def test_a_title_that_contains_all_the_names_is_no_header() -> None:
    text = "Date, open, high, low, close\nDatum;Open;High;Low;Close\n"
    rows = "".join(f"2024-01-0{day};1,5;3,5;1,5;2,5\n" for day in (2, 3, 4))
    assert read_numbers(text + rows)["close"] == [2.5] * 3


@pytest.mark.parametrize("title", ["Quotes of the desk\n", "Prices, daily; of the desk\n", "#\n\n"])
def test_unknown_names_are_quoted_as_they_stand_in_the_file(title: str) -> None:
    text = f"{title}Tick~Moment~Open~High~Low~Ende\nKO~2024-01-02~1,5~3,5~1,5~2,5\n"
    with pytest.raises(BadInput, match="found: Tick, Moment, Open, High, Low, Ende"):
        settle(text)
    with pytest.raises(BadInput, match=r"parted by blanks \('Tick  Date  Open"):
        settle(text.replace("~", "  ").replace("Moment", "Date").replace("Ende", "Close"))


def test_a_row_of_tabs_above_the_header_loses_no_bar() -> None:
    """Spreadsheets write empty rows like this. The first bar used to be skipped because of it,
    without a message.
    """
    names = "Date\tOpen\tHigh\tLow\tClose\n"
    bars = "2024-01-02\t1\t3\t1\t2\n2024-01-03\t2\t4\t2\t3\n"
    for above in (
        "Quotes\n\t\t\t\t\n",
        "Quotes\t\t\t\t\n \t\t\n",
        "Quotes\n\u00a0\n",
        "Quotes\n \n",
    ):
        assert read_numbers(above + names + bars)["close"] == [2, 3], above


@pytest.mark.parametrize("sign", ["\u00a0", "\u2019", "€"])
def test_non_ascii_characters_do_not_hide_the_encoding(sign: str) -> None:
    """Names with umlauts used to be taken for Russian ones, and the volume was ignored."""
    written = f"1{sign}187,15" if sign != "€" else "1187,15 €"
    text = (
        "Datum;Erster;Hoch;Tief;Schlusskurs;Stücke\n"
        + f"2024-01-02;{written};{written};{written};{written};5\n" * 3
    )
    assert read_numbers(text.encode("cp1252"))["volume"] == [5] * 3
    plain = text.replace("Stücke", "Volumen")
    assert read_numbers(plain.encode("cp1252"))["close"] == [1187.15] * 3


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        ("종목코드,종가,시가,고가,저가,거래량", "cp949"),
        ("證券代號,開盤價,最高價,最低價,收盤價", "big5"),
    ],
)
def test_names_are_quoted_in_their_own_encoding_if_one_is_missing(
    names: str, encoding: str
) -> None:
    """They used to be quoted in the first encoding that decodes them, unreadable."""
    content = f"{names}\n000050,1,3,1,2\n".encode(encoding)
    with pytest.raises(BadInput, match=f"no usable column for time; found: {names[:4]}"):
        settle(content)


def test_columns_of_fixed_widths_are_refused_with_what_to_do() -> None:
    """As Brazil's exchange writes its years."""
    text = f"{'00COTAHIST.2024BOVESPA 20240320':<245}\n" + "012024010202PETR4\n" * 3
    with pytest.raises(BadInput, match="nothing parts its columns") as refused:
        settle(text)
    assert "put commas, semicolons or tabs between them" in refused.value.message


def test_decimal_commas_of_rows_without_names_do_not_hide_the_separator() -> None:
    rows = "FR0000120073;02/01/2024;169,70;170,81;168,39;168,52;1278865\n" * 3
    with pytest.raises(BadInput, match="ticker=1, time=2, open=3, high=4, low=5, close=6"):
        settle(rows)


def test_an_apostrophe_that_makes_a_cell_a_text_is_not_part_of_it() -> None:
    """As in Euronext's files."""
    settled = settle(
        "Date;Open;High;Low;Close;Number of Shares\n"
        "'17/01/2024;'187.15;'188.44;'183.89;'185.64;'82488\n"
    )
    assert settled.times.seconds.tolist() == [1705449600]
    assert settled.numbers["close"].tolist() == [185.64]
    assert settled.numbers["volume"].tolist() == [82488]


def test_the_last_price_takes_precedence_over_the_settlement_price() -> None:
    text = "Date,Open,High,Low,Last,Settle,Volume\n2024-01-02,1,3,1,2,2.5,9\n"
    assert read_numbers(text)["close"] == [2]
    assert read_numbers(text.replace("Last,", "").replace(",2,", ","))["close"] == [2.5]


@pytest.mark.parametrize("quoted", [(4,), (4, 6), (4, 5, 6)])
@pytest.mark.parametrize("column", range(4))
def test_an_unclosed_quote_loses_no_bar_silently(column: int, quoted: tuple[int, ...]) -> None:
    """All rows up to the next quote used to become one field, without a message."""
    rows = [["KO", "Coca Cola", f"2024-01-{d:02}", "2.5", "4", "1", f"{d}"] for d in range(2, 13)]
    for row in quoted:
        rows[row][column] = f'"{rows[row][column]}'
    text = "".join(f"{','.join(row)}\n" for row in rows)
    with pytest.raises(BadInput, match=r"row 5 has a field of \d+ lines|row 5 has \d+ fields"):
        settle(f"Symbol,Name,Date,Open,High,Low,Close\n{text}")


def test_an_unclosed_quote_in_a_long_file_is_reported() -> None:
    rows = [f"2024-01-02 {n // 60:02}:{n % 60:02},2.5,4,1,3\n" for n in range(1_400)]
    rows[20] = f'"{rows[20]}'
    with pytest.raises(BadInput, match="a quote is opened that nothing closes"):
        settle("Date,Open,High,Low,Close\n" + "".join(rows))


def test_notes_of_several_lines_are_no_rows() -> None:
    notes = ["beat, and raised;\nby 2 of 3, too", "x", '"so"\n\nthey, 1,000, said']
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["Date", "Open", "High", "Low", "Close", "Note"])
    writer.writerows([f"2024-01-0{d}", 1, 3, 1, 2, note] for d, note in enumerate(notes, start=2))
    assert read_numbers(out.getvalue())["close"] == [2] * 3


@pytest.mark.parametrize("place", range(4))
def test_a_space_before_a_quote_does_not_belong_to_the_field(place: int) -> None:
    """At the start of a row the quotes used to become part of the field, and the date could not be
    read.
    """
    rows = [["2024-01-02", "1", "3", "1", "2"], ["2024-01-03", "1", "3", "1", "2"]]
    rows[1][place] = f' "{rows[1][place]}"'
    text = "".join(f"{','.join(row)}\n" for row in rows)
    table = settle(f"Date,Open,High,Low,Close\n{text}")
    assert table.times.seconds.tolist() == [1704153600, 1704240000]
    assert table.numbers["close"].tolist() == [2, 2]


def test_a_table_with_all_fields_quoted_is_read_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parsing it field by field took four times as long."""
    monkeypatch.setattr(delimited, "_read_slowly", None)
    text = '"Date","Open, in USD","High","Low","Close"\n"2024-01-02","1","3","1","2"\n'
    assert read_numbers(text, columns=["open=2"])["close"] == [2]


@pytest.mark.parametrize("place", [1, 2])
def test_an_empty_row_after_the_first_bars_loses_none_of_them(place: int) -> None:
    """It used to be taken for a header, and the bars above it with it."""
    rows = [f"2024-01-0{day};1,5;3,5;1,5;2,5\n" for day in (2, 3, 4)]
    rows.insert(place, ";;;;\n")
    table = settle("Date;Open;High;Low;Close\n" + "".join(rows))
    assert len(table.times.seconds[~table.times.bad]) == 3


def test_a_title_that_names_the_ticker_is_used() -> None:
    bars = "Date,Open,High,Low,Close\n2024-01-02,1,3,1,2\n"
    for title, ticker in {
        "Symbol: KO": "KO",
        "Ticker:BRK.B\nas of: today": "BRK.B",
        "Security: Coca-Cola Inc.": None,
        "Time: 10:30": None,
    }.items():
        assert settle(f"{title}\n{bars}").ticker == ticker, title


BARE = "2024-01-02,101,5,102,0,100,9,101,2"


@pytest.mark.parametrize(
    ("names", "behind", "volume"),
    [
        ("Volume", ",1000", 1000),
        ("Volume", ",1000,5", 1000.5),
        ("Adj Close,Volume", ",99,5,1000", 1000),
    ],
)
def test_decimal_commas_in_comma_separated_rows_are_read_if_only_one_way_gives_bars(
    names: str, behind: str, volume: float
) -> None:
    settled = settle(f"Date,Open,High,Low,Close,{names}\n{BARE}{behind}\n")
    assert {name: values.tolist() for name, values in settled.numbers.items()} == {
        "open": [101.5],
        "high": [102],
        "low": [100.9],
        "close": [101.2],
        "volume": [volume],
    }
    assert any("closes such as 101,2 are read as 101.2" in note for note in settled.notes)


def test_the_decimal_option_applies_to_commas_separated_by_commas_too() -> None:
    thousandths = "2024-01-02,101,512,102,123,100,912,101,200,1000"
    for row, close in ((f"{BARE},1000", 101.2), (thousandths, 101.2)):
        text = f"Date,Open,High,Low,Close,Volume\n{row}\n"
        for said in ({"decimal": "comma"}, {"thousands": "point"}):
            assert read_numbers(text, **said)["close"] == [close]
        for said in ({"decimal": "point"}, {"thousands": "comma"}):
            with pytest.raises(BadInput, match="semicolons between the fields"):
                settle(text, **said)


def test_the_preview_of_decimal_commas_in_comma_separated_rows_has_each_number_in_its_column() -> (
    None
):
    text = f"Date,Open,High,Low,Close,Volume\n{BARE},1000\n"
    preview = build_preview(text.encode(), "KO.csv", build_options())
    assert preview["rows"] == [["2024-01-02", "101.5", "102.0", "100.9", "101.2", "1000"]]
    assert preview["problem"] is None


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        # Either number may have the decimals.
        ("Volume,Trades", [f"{BARE},1000,7,5"]),
        # A comma that separates thousands.
        ("Volume", [f"{BARE},1,000"]),
        ("Volume", [f"{BARE},1.000", f"{BARE},932"]),
        ("Volume", ["2024-01-02,1,234,1,250,1,220,1,240,1000"]),
        # Columns without names.
        ("Volume", ["2024-01-02,101,102,100,101,1000,1,2,3,4"]),
        # A row that leaves out its decimals.
        ("Volume", [f"{BARE},1000", "2024-01-03,101,102,0,100,9,101,2,1000"]),
        # No bar: the high is below the low.
        ("Volume", ["2024-01-02,101,5,102,0,103,9,101,2,1000"]),
    ],
)
def test_commas_that_can_be_read_in_several_ways_are_refused(names: str, rows: list[str]) -> None:
    with pytest.raises(BadInput, match=r"has \d+ fields where .* semicolons between the fields"):
        settle("\n".join([f"Date,Open,High,Low,Close,{names}", *rows]))


@pytest.mark.parametrize("length", [60, 250])
def test_a_header_below_long_notes_is_found(length: int) -> None:
    notes = "".join(
        f"{n}. It's the licensee's duty, \"as is\", to see page {n}; not ours\n\n"
        for n in range(length)
    )
    text = f"{notes}Date,Open,High,Low,Close\n2024-01-02,1,3,1,2\n2024-01-03,1,3,1,2\n"
    settled = settle(text)
    assert settled.numbers["close"].tolist() == [2, 2]
    assert f"{length} rows above the column names are no bars" in settled.notes


@pytest.mark.parametrize("above", ["2024-01-01,1,3,1,2\n", "20240101,1,3,1,2\n" * 40])
def test_bars_above_the_header_are_not_taken_for_notes(above: str) -> None:
    """As in a file that was sorted with its header. The bars used to be left out, with a note."""
    with pytest.raises(BadInput, match=r"names the columns, and row 1 above it is a bar: '2024"):
        settle(f"{above}Date,Open,High,Low,Close\n2024-01-02,1,3,1,2\n")


@pytest.mark.parametrize(
    "row",
    [
        "Jan 02 2024;1,5;3;1;2,5;7",
        "02 January 2024;1,5;3;1;2,5;7",
        "2024-01-02;1,5 €;3,0 €;1,0 €;2,5 €;7",
        "2024-01-02;zł1,5;zł3,0;zł1,0;zł2,5;7",
        "2024-01-02;1,5;3;1;2,5",
        "2024-01-02;1,5;3;1;2,5;7;",
    ],
)
def test_bars_above_the_header_are_recognised_in_every_form(row: str) -> None:
    with pytest.raises(BadInput, match="row 1 above it is a bar"):
        settle(f"{row}\nDate;Open;High;Low;Close;Volume\n2024-01-03;1,5;3;1;2,5;7\n")


@pytest.mark.parametrize("numbers", ["0,1,2,3,4", "1,2,3,4,5"])
def test_column_numbers_above_the_header_are_no_bar(numbers: str) -> None:
    text = f"{numbers}\nDate,Open,High,Low,Close\n2024-01-02,1,3,1,2\n"
    assert read_numbers(text)["close"] == [2]


def test_the_header_is_searched_in_a_bounded_number_of_cells() -> None:
    notes = ["x"] * MOST_COLUMNS
    names, row = ["Date", "Open", "High", "Low", "Close"], ["2024-01-02", "1", "3", "1", "2"]
    assert resolve_header([*[notes] * 20, names, row], build_options()).first == 21
    with pytest.raises(BadInput, match="no usable column"):
        resolve_header([*[notes] * 40, names, row], build_options())

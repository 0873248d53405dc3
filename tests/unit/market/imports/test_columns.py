"""Recognising the columns of tables, whatever their names."""

import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.columns import choose_columns
from market.imports.settling import settle_frame
from tests.unit.market.imports.reading import read_numbers, settle


@pytest.mark.parametrize(
    "names",
    [
        ["date", "open", "high", "low", "close", "volume"],
        ["Date", "Open", "High", "Low", "Close", "Volume"],
        ["timestamp", "O", "H", "L", "C", "V"],
        ["<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"],
        [" Datetime ", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME"],
        ["open_time", "open", "high", "low", "close", "volume"],
        ["window_start", "open", "high", "low", "close", "volume"],
        ["timestamp", "1. open", "2. high", "3. low", "4. close", "5. volume"],
        ["Date", "Open", "High", "Low", "Close/Last", "Volume"],
        ["Dates", "PX_OPEN", "PX_HIGH", "PX_LOW", "PX_LAST", "PX_VOLUME"],
        ["Date", "Open", "High", "Low", "Price", "Vol."],
        ["Datum", "Eröffn.", "Hoch", "Tief", "Zuletzt", "Vol."],
        ["Fecha", "Apertura", "Máximo", "Mínimo", "Último", "Vol."],
        ["Fecha", "Apertura", "Maximo", "Minimo", "Ultimo", "Vol."],
        ["日付け", "始値", "高値", "安値", "終値", "出来高"],
        ["Date", "O", "H", "L", "C", "Vo"],
    ],
)
def test_usual_names_are_known_in_any_case(names: list[str]) -> None:
    chosen = choose_columns(names)
    assert chosen.positions == {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
    assert chosen.aside == []


def test_columns_of_adjusted_data_are_ignored_by_name() -> None:
    names = [
        "Date",
        "Open",
        "High",
        "Low",
        "Close",
        "Adj Close",
        "Stock Splits",
        "Symbol",
        "Split Factor",
    ]
    chosen = choose_columns(names)
    assert set(chosen.positions) == {"ticker", "time", "open", "high", "low", "close", "split"}
    assert chosen.aside == ["Adj Close", "Stock Splits"]
    assert chosen.positions["split"] == 8


@pytest.mark.parametrize("pieces", ["Stücke", "Stuecke", "Stück"])
def test_pieces_are_the_volume_and_their_value_is_not(pieces: str) -> None:
    text = (
        f"Datum;Erster;Hoch;Tief;Schlusskurs;{pieces};Volumen\n"
        "17.09.2001;16,0;17,07;15,73;16,99;8.178.700;136.283.452,50\n"
    )
    assert read_numbers(text)["volume"] == [8178700]


def test_named_index_is_a_column() -> None:
    index = pd.DatetimeIndex(["2001-09-17"], name="Date")
    settled = settle_frame(pd.DataFrame({"o": [1], "h": [2], "l": [3], "c": [4]}, index=index))
    assert settled.times.seconds.tolist() == [1000684800]


def test_date_and_time_columns_are_joined_as_they_are_written() -> None:
    settled = settle("Date,Time,o,h,l,c\n20010917,093000,1,2,1,2\n20010917,100000,1,2,1,2\n")
    assert settled.times.seconds.tolist() == [1000719000, 1000720800]
    assert settled.quote(0)[0] == "20010917 093000"


def test_leading_zeros_that_a_time_lost_are_restored() -> None:
    settled = settle("Date,Time,o,h,l,c\n20010917,93000,1,2,1,2\n20010917,100000,1,2,1,2\n")
    assert settled.times.seconds.tolist() == [1000719000, 1000720800]


def test_missing_columns_are_named_with_those_that_were_found() -> None:
    with pytest.raises(BadInput) as refused:
        settle("date,price\n2001-09-17,1.0\n")
    assert "no usable column for open, high, low; found: date, price" in refused.value.message
    assert "such as the" in refused.value.message


def test_table_without_a_row_is_refused() -> None:
    with pytest.raises(BadInput, match="no row"):
        settle("date,open,high,low,close\n")


def test_columns_named_by_the_user_take_precedence_over_usual_names() -> None:
    text = "date,open,high,low,close,settle\n2001-09-17,1,3,1,2,2.5\n"
    assert read_numbers(text, columns=["close=settle"])["close"] == [2.5]
    assert read_numbers(text, columns=["close=6"])["close"] == [2.5]
    assert "close" in settle(text, columns=["close=settle"]).aside


@pytest.mark.parametrize("wanted", ["close=nope", "close=9", "close", "colour=close", "close="])
def test_an_impossible_column_is_refused(wanted: str) -> None:
    with pytest.raises(BadInput):
        settle("date,open,high,low,close\n2001-09-17,1,3,1,2\n", columns=[wanted])


def test_two_columns_with_one_name_are_refused_with_how_to_choose() -> None:
    with pytest.raises(BadInput, match="close=5"):
        settle("date,open,high,low,close,Close\n2001-09-17,1,3,1,2,2\n")


def test_a_row_of_data_is_not_taken_for_column_names() -> None:
    with pytest.raises(BadInput) as refused:
        settle("2001-09-17,1,3,1,2,500\n2001-09-18,1,3,1,2,500\n")
    assert "the first row looks like data, not like names" in refused.value.message
    assert "time=1" in refused.value.message
    named = ["time=1", "open=2", "high=3", "low=4", "close=5", "volume=6"]
    text = "2001-09-17,1,3,1,2,500\n2001-09-18,1,3,1,2,600\n"
    assert read_numbers(text, columns=named)["volume"] == [500.0, 600.0]


def test_rows_longer_than_the_header_refuse_the_file() -> None:
    with pytest.raises(BadInput, match="row 2 has 6 fields where 5 columns are named"):
        settle("date,open,high,low,close\n2001-09-17,1,3,1,2\n2001-09-18,1,3,1,2,9\n")


def test_empty_surplus_fields_are_ignored() -> None:
    assert read_numbers("date,open,high,low,close\n2001-09-17,1,3,1,2,\n2001-09-18,1,3,1,2\n")[
        "close"
    ] == [2.0, 2.0]


def test_missing_fields_of_short_rows_are_missing_values() -> None:
    settled = settle("date,open,high,low,close\n2001-09-17,1,3,1,2\nThe end\n")
    assert settled.times.bad.tolist() == [False, True]


def test_rows_above_the_header_are_reported() -> None:
    settled = settle(
        "Prices of AAPL\n\nfrom somewhere;else\ndate,open,high,low,close\n2001-09-17,1,3,1,2\n"
    )
    assert len(settled) == 1
    assert "2 rows above the column names are no bars" in settled.notes


@pytest.mark.parametrize(
    "header",
    [
        "Price,Close,Close,High,High,Low,Low,Open,Open\nTicker,A,B,A,B,A,B,A,B\nDate,,,,,,,,",
        "Ticker,A,B,A,B,A,B,A,B\nPrice,Close,Close,High,High,Low,Low,Open,Open\nDate,,,,,,,,",
        ",Close,Close,High,High,Low,Low,Open,Open\n,A,B,A,B,A,B,A,B\nDate,,,,,,,,",
        "Date,Close,Close,High,High,Low,Low,Open,Open\n,A,B,A,B,A,B,A,B",
        "Price,Close,Close.1,High,High.1,Low,Low.1,Open,Open.1\nTicker,A,B,A,B,A,B,A,B\nDate,,,,,,,,",
        "Price,Close,,High,,Low,,Open,\nTicker,A,B,A,B,A,B,A,B\nDate,,,,,,,,",
        "Date,Close_A,Close_B,High_A,High_B,Low_A,Low_B,Open_A,Open_B",
        "Date,A_Close,B_Close,A_High,B_High,A_Low,B_Low,A_Open,B_Open",
        "Date,Close A,Close B,High A,High B,Low A,Low B,Open A,Open B",
        "\"('Date', '')\","
        + ",".join(
            f"\"('{field}', '{ticker}')\""
            for field in ("Close", "High", "Low", "Open")
            for ticker in "AB"
        ),
        "Date_,"
        + ",".join(
            f"{field}_{ticker}" for field in ("Close", "High", "Low", "Open") for ticker in "AB"
        ),
    ],
)
def test_a_table_with_tickers_side_by_side_is_stacked(header: str) -> None:
    settled = settle(
        header + "\n2024-01-02,185.64,370.87,188.44,375.9,183.89,366.77,187.15,373.86\n"
    )
    assert settled.written["ticker"].to_pylist() == ["A", "B"]
    assert settled.numbers["close"].tolist() == [185.64, 370.87]
    assert settled.numbers["open"].tolist() == [187.15, 373.86]


@pytest.mark.parametrize(
    "header",
    [
        "Date,Time,Close_A,High_A,Low_A,Open_A,Close_B,High_B,Low_B,Open_B",
        "Time,Date,A Close,A High,A Low,A Open,B Close,B High,B Low,B Open",
        "Price,,Close,High,Low,Open,Close,High,Low,Open\nTicker,,A,A,A,A,B,B,B,B\nDate,Time,,,,,,,,",
        "Date,Time,Close,High,Low,Open,Close,High,Low,Open\n,,A,A,A,A,B,B,B,B",
        ",,A,,,,B,,,\nDate,Time,Close,High,Low,Open,Close,High,Low,Open",
    ],
)
def test_a_time_of_day_beside_the_date_is_read_with_tickers_side_by_side(header: str) -> None:
    """It used to be ignored, so that all bars of a day were at midnight."""
    days = ("2024-01-02,09:30", "2024-01-02,09:35")
    if header.startswith("Time"):
        days = ("09:30,2024-01-02", "09:35,2024-01-02")
    settled = settle(f"{header}\n" + "".join(f"{day},2,3,1,2,6,7,5,6\n" for day in days))
    assert settled.written["ticker"].to_pylist() == ["A", "A", "B", "B"]
    assert settled.times.seconds.tolist() == [1704187800, 1704188100] * 2
    assert settled.aside == ()


@pytest.mark.parametrize("ticker", ["T", "DAY"])
@pytest.mark.parametrize(
    "header",
    [
        ",Close,High,Low,Open\n,{0},{0},{0},{0}\nDate,,,,",
        ",{0},{0},{0},{0}\n,Close,High,Low,Open\nDate,,,,",
        "Date,,,,\n,{0},{0},{0},{0}\n,Close,High,Low,Open",
        "Date,Close,High,Low,Open\n,{0},{0},{0},{0}",
        ",{0},,,\nDate,Close,High,Low,Open",
        "Time,Close,High,Low,Open\n,{0},{0},{0},{0}",
    ],
)
def test_a_ticker_named_like_a_time_column_is_not_taken_for_times(header: str, ticker: str) -> None:
    """Its bars used to be stored under the ticker in the file's name."""
    settled = settle(f"{header.format(ticker)}\n2024-01-02,2,3,1,2\n")
    assert settled.written["ticker"].to_pylist() == [ticker]
    assert settled.numbers["high"].tolist() == [3]


@pytest.mark.parametrize(
    "head",
    [
        "Datum,Öppningskurs,Högsta kurs,Lägsta kurs,Senaste kurs,Volym",
        "Datum,Öppning,Högst,Lägst,Stängning,Volym",
        "Dato,Åpning,Høy,Lav,Siste,Volum",
        "Päivämäärä,Avaus,Ylin,Alin,Viimeisin,Vol.",
        "Tanggal,Pembukaan,Tertinggi,Terendah,Terakhir,Vol.",
        "Ημερομηνία,Άνοιγμα,Υψηλό,Χαμηλό,Τελευταία,Όγκος",
        "תאריך,פתיחה,גבוה,נמוך,שער,נפח",
        "التاريخ,افتتاح,الأعلى,الأدنى,الأخير,الحجم",
        "วันเดือนปี,เปิด,สูง,ต่ำ,ล่าสุด,ปริมาณ",
        "일자,시가,고가,저가,현재가,거래량",
        "データ日付,始値,高値,安値,終値,出来高",
        "Datum,Eröffnungskurs,Höchstkurs,Tiefstkurs,Letzter Kurs,Umsatz in Stück",
        "日期,开盘价(元),最高价(元),最低价(元),收盘价(元),成交量(股)",
        "Trddt,Opnprc,Hiprc,Loprc,Clsprc,Dnshrtrd",
        "DlyCalDt,DlyOpen,DlyHigh,DlyLow,DlyClose,DlyVol",
        "begin,open,high,low,close,volume",
        "start_at,open,high,low,close,volume",
        "Pricing Date,Open,High,Low,Close,Volume",
        "start,opening_price,high_price,low_price,trade_price,candle_acc_trade_volume",
    ],
)
def test_names_of_more_vendors_and_languages_are_known(head: str) -> None:
    chosen = choose_columns(head.split(","))
    assert chosen.positions == {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}


@pytest.mark.parametrize("name", ["Etc/UTC", "UTC"])
def test_times_named_by_their_zone_alone_are_read(name: str) -> None:
    """As Dukascopy names them."""
    settled = settle(f"{name},Open,High,Low,Close\n2024-01-02T09:30:00,1,3,1,2\n")
    assert settled.times.zoned.tolist() == [True]
    assert settled.times.seconds.tolist() == [1704187800]


@pytest.mark.parametrize("pieces", ["Quantidade", "Quantità"])
def test_a_quantity_is_the_volume_beside_a_volume_of_money(pieces: str) -> None:
    """The money used to be taken for the volume."""
    text = f"Date;Open;High;Low;Close;Volume;{pieces}\n2024-01-02;1,5;3;1;2;167423,10;84000\n"
    assert read_numbers(text)["volume"] == [84000]


def test_prices_in_two_currencies_are_asked_about() -> None:
    """As Alpha Vantage wrote those of coins; the first currency used to be taken for any pair."""
    names = ",".join(
        f"{place}{letter}. {field} ({currency})"
        for place, field in enumerate(("open", "high", "low", "close"), start=1)
        for letter, currency in (("a", "EUR"), ("b", "USD"))
    )
    text = f"date,{names}\n2024-01-02,2,3,4,5,1,2,3,4\n"
    with pytest.raises(BadInput, match="of several currencies: say which one is meant"):
        settle(text)
    columns = ["open=3", "high=5", "low=7", "close=9"]
    assert read_numbers(text, columns=columns)["close"] == [4]


@pytest.mark.parametrize(
    "names",
    [
        "Jour Heure", "Tag Uhrzeit", "Día Hora", "Dia Hora", "Giorno Ora", "Dag Tijd", "Datum Tid",
        "Handelstag Zeit", "Data Godzina", "Dátum Idő", "Tarih Saat", "日付 時間",
        "Price_Date Time",
    ],
)  # fmt: skip
def test_a_time_of_day_beside_a_date_of_any_name_is_read(names: str) -> None:
    """It used to be ignored, so that all bars of a day were at midnight."""
    header = names.replace(" ", ";")
    settled = settle(f"{header};Open;High;Low;Close\n2024-01-02;09:30;1;3;1;2\n")
    assert settled.times.seconds.tolist() == [1704187800]


def test_a_weekday_before_the_date_is_not_taken_for_it() -> None:
    settled = settle("Day,Date,Time,Open,High,Low,Close\nTue,2024-01-02,09:30,1,3,1,2\n")
    assert settled.times.seconds.tolist() == [1704187800]


def test_empty_header_fields_are_not_more_columns_of_the_last_ticker() -> None:
    """Below an empty row they used to be taken for volumes of other tickers."""
    text = ";;;;;\nDate;Open;High;Low;Close;Volume\n2024-01-02;1;3;1;2;5;;\n2024-01-03;1;3;1;2;6\n"
    assert read_numbers(text)["volume"] == [5, 6]


def test_sessions_of_other_tickers_are_no_rows_of_one() -> None:
    header = "Price,Close,Close,High,High,Low,Low,Open,Open\nTicker,A,B,A,B,A,B,A,B\nDate,,,,,,,,\n"
    settled = settle(header + "2024-01-02,1.5,,1.5,,1.5,,1.5,\n2024-01-03,,2,,2,,2,,2\n")
    assert settled.written["ticker"].to_pylist() == ["A", "B"]
    assert settled.written["time"].to_pylist() == ["2024-01-02", "2024-01-03"]


@pytest.mark.parametrize(
    "head",
    [
        "Дата,Откр.,Макс.,Мин.,Цена,Объём",
        "Data,Otwarcie,Max.,Min.,Ostatnio,Wol.",
        "Datum,Open,Hoog,Laag,Laatste,Vol.",
        "Datum,Öppen,Högst,Lägst,Senaste,Vol.",
        "Tarih,Açılış,Yüksek,Düşük,Şimdi,Hac.",  # noqa: RUF001 - Turkish
        "日期,開盤價,最高價,最低價,收盤價,成交股數",
        "TradDt,OpnPric,HghPric,LwPric,ClsPric,TtlTradgVol",
        "TIMESTAMP,OPEN,HIGH,LOW,CLOSE,TOTTRDQTY",
        "Date,Price Open,Price High,Price Low,Price Close,Volume",
        "Date,Open Price,High Price,Low Price,Close Price,No.of Shares",
        "Date,Open,High,Low,Close Close price adjusted for splits.,Volume",
    ],
)
def test_names_of_more_vendors(head: str) -> None:
    read = read_numbers(head + "\n2024-01-02,2,4,1,3,500\n")
    assert {name: values[0] for name, values in read.items()} == {
        "open": 2, "high": 4, "low": 1, "close": 3, "volume": 500,
    }  # fmt: skip


def test_a_row_of_units_is_not_taken_for_tickers() -> None:
    text = "Date,Open,High,Low,Close,Volume\n,USD,USD,USD,USD,shares\n2024-01-02,2,4,1,3,500\n"
    settled = settle(text)
    assert "ticker" not in settled.written
    assert settled.times.bad.tolist() == [True, False]
    assert settled.numbers["volume"][1] == 500
    named = settle(text.replace("\n,USD,USD,USD,USD,shares", "\nTicker,USD,USD,USD,USD,USD"))
    assert named.written["ticker"].to_pylist() == ["USD"]
    table = (
        "| Date | Open | High | Low | Close |\n|---|---|---|---|---|\n| 2024-01-02 | 2|4|1|3 |\n"
    )
    assert settle(table).numbers["close"][1] == 3


def test_a_second_header_with_another_order_refuses_the_file() -> None:
    first = "Date,Open,High,Low,Close\n2024-01-02,2,4,1,3\n"
    with pytest.raises(BadInput, match="row 2 names the columns anew, in another order"):
        settle(first + "Date,Close,High,Low,Open\n2024-01-03,2,4,1,3\n")
    assert settle(first + first).times.bad.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "name",
    [
        "Gmt time",
        "time_utc",
        "Date (UTC)",
        "utc_time",
        "time (utc)",
        "datetime[utc]",
        "date-UTC",
        "time.utc",
        "[UTC] time",
        "Time - GMT",
        '"Time, UTC"',
    ],
)
def test_a_name_may_say_that_times_are_of_utc(name: str) -> None:
    text = f"{name},open,high,low,close\n2024-01-02 14:30,2,4,1,3\n"
    settled = settle(text)
    assert settled.times.zoned.all()
    assert "times without a zone are those of UTC" in settled.notes
    assert settle(text, timezone="Europe/Athens").times.seconds[0] == (
        settled.times.seconds[0] - 7_200
    )


def test_times_of_day_beside_dates_of_metastock() -> None:
    head = "<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>\n"
    settled = settle(head + "AAPL,20240102,093000,2,4,1,3\n")
    assert settled.times.seconds.tolist() == [1704187800]  # 09:30 in the exchange's local time.


def test_the_error_suggests_positions_beside_a_column_of_the_time_of_day() -> None:
    with pytest.raises(BadInput, match="time=1, clock=2, open=3, high=4, low=5, close=6, volume=7"):
        settle("2024.01.02,00:00,1.10,1.20,1.00,1.15,500\n")


def test_a_missing_volume_column_is_reported() -> None:
    text = "Date,Open,High,Low,Close,Lots,Adj Close\n2024-01-02,2,4,1,3,500,3\n"
    assert "no column is taken for the volume, which is 0: say so if another column is" in (
        settle(text).notes
    )
    assert not any("volume" in note for note in settle(text.replace("Lots,", "Volume,")).notes)


@pytest.mark.parametrize("hours", [(0, 9, 23), ("00", "09", "23"), ("0.0", "9.0", "23.0")])
def test_hours_in_a_separate_column_are_not_read_as_minutes(hours: tuple[object, ...]) -> None:
    rows = "".join(f"2024-01-02,{hour},2,4,1,3\n" for hour in hours)
    settled = settle(f"date,hour,open,high,low,close\n{rows}")
    midnight = 1_704_153_600
    assert settled.times.seconds.tolist() == [midnight + hour * 3_600 for hour in (0, 9, 23)]
    with pytest.raises(BadInput, match="as 09:00 or as 00:09: write them as 09:00"):
        settle(f"date,time,open,high,low,close\n{rows}")
    with pytest.raises(BadInput, match="and Minute is left aside"):
        settle("date,hour,open,high,low,close,Minute\n" + rows.replace("3\n", "3,0\n"))


def test_dates_split_into_several_columns_are_reported() -> None:
    text = "Year,Month,Day,Open,High,Low,Close\n2024,1,2,2,4,1,3\n"
    with pytest.raises(BadInput, match=r"parted among columns; .* into one, as 2024-01-02"):
        settle(text)


def test_a_user_can_say_that_no_column_is_a_field() -> None:
    text = "date,time,symbol,open,high,low,close,volume\n2024-01-02,09:30,KO,2,4,1,3,9\n"
    settled = settle(text, columns=["volume=", "clock=", "ticker="])
    assert settled.aside == ("time", "symbol", "volume")
    assert settled.times.seconds.tolist() == [1704153600]
    assert "volume" not in settled.numbers
    assert settled.notes == ["columns left aside: time, symbol, volume"]
    with pytest.raises(BadInput, match="no usable column for close"):
        settle(text, columns=["close="])
    with pytest.raises(BadInput, match="volume is named twice: '' and 'volume'"):
        settle(text, columns=["volume=", "volume=volume"])
    index = ["", "open", "high", "low", "close"]
    assert choose_columns(index).positions["time"] == 0
    assert "time" not in choose_columns(index, {"time": ""}).positions
    pair = "time,symbol,open,high,low,close,Volume ETH,Volume BTC\n2024-01-02,ETHBTC,2,4,1,3,9,8\n"
    assert "volume" not in settle(pair, columns=["volume="]).numbers


@pytest.mark.parametrize(
    ("text", "aside"),
    [
        (
            "Price,Close,High,Low,Open,Volume\nTicker,A,A,A,A,A\nDate,,,,,\n2024-01-02,3,4,1,2,9\n",
            "Volume",
        ),
        ("Date,Close_A,High_A,Low_A,Open_A,Volume_A\n2024-01-02,3,4,1,2,9\n", "Volume_A"),
        ("1704153600000,2,4,1,3,9,1704239999999,18,5,4,8,0\n", "volume"),
    ],
)
def test_a_column_can_be_left_out_with_names_in_two_rows_one_row_or_none(
    text: str, aside: str
) -> None:
    settled = settle(text, columns=["volume=", "finished="])
    assert settled.numbers["close"].tolist() == [3.0]
    assert "volume" not in settled.numbers
    assert aside in settled.aside
    assert settle(text).numbers["volume"].tolist() == [9.0]
    with pytest.raises(BadInput, match="no usable column for high"):
        settle(text, columns=["high="])


@pytest.mark.parametrize(
    ("symbol", "first", "second", "volume"),
    [
        ("ETH/BTC", "Volume ETH", "Volume BTC", [250.0]),
        ("ETHBTC", "Volume ETH", "Volume BTC", [250.0]),
        ("ETHBTC", "Volume BTC", "Volume ETH", [7.5]),
        ("btc-usd", "Volume BTC", "Volume USD", [250.0]),
        ("BTCUSDT", "volume_usdt", "volume_btc", [7.5]),
        ("ETH/BTC", "Volume (ETH)", "Volume (BTC)", [250.0]),
        # A pair other than the named one, or none.
        ("LTC/BTC", "Volume ETH", "Volume LT", None),
        ("ETH", "Volume ETH", "Volume BTC", None),
        ("AAPL", "Volume AA", "Volume BTC", None),
    ],
)
def test_the_volume_of_a_pair_is_that_of_its_base(
    symbol: str, first: str, second: str, volume: list[float] | None
) -> None:
    names = f"unix,date,symbol,open,high,low,close,{first},{second}"
    row = f"1577836800000,2020-01-01 00:00:00,{symbol},2,4,1,3,250,7.5"
    settled = settle(f"https://www.CryptoDataDownload.com\n{names}\n{row}\n")
    found = settled.numbers.get("volume")
    assert (None if found is None else found.tolist()) == volume
    said = any("no column is taken for the volume" in note for note in settled.notes)
    assert said is (volume is None)
    chosen = settle(f"{names}\n{row}\n", columns=[f"volume={second}"])
    assert chosen.numbers["volume"].tolist() == [7.5], "what a person says goes before"


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
def test_an_unnamed_index_before_the_bars_is_their_time(name: str) -> None:
    settled = settle(f"{name},Open,High,Low,Close\n2024-01-02,2,4,1,3\n")
    assert settled.times.seconds.tolist() == [1704153600]
    counted = settle(f"{name},Date,Open,High,Low,Close\n0,2024-01-02,2,4,1,3\n")
    assert counted.times.seconds.tolist() == [1704153600]


@pytest.mark.parametrize("name", ["Umsatz (€)", "Volume ($)", "Volume (₹)"])
def test_traded_money_is_no_volume(name: str) -> None:
    text = f"Date,Open,High,Low,Close,{name}\n2024-01-02,2,4,1,3,500\n"
    settled = settle(text)
    assert "volume" not in settled.numbers
    assert any("no column is taken for the volume, which is 0" in note for note in settled.notes)
    pieces = settle(text.replace(",500", ",500,7").replace(f",{name}", f",{name},Umsatz (Stück)"))
    assert pieces.numbers["volume"].tolist() == [7]


def test_positions_are_suggested_from_the_first_row() -> None:
    with pytest.raises(BadInput, match="ticker=1, time=2, open=3, high=4, low=5, close=6, volume"):
        settle("BHP,20240102,50.385,50.9,50.17,50.385,5250000\n")


@pytest.mark.parametrize(
    "names",
    [
        ("Date (UTC)", "Time"),
        ("Date", "Time (UTC)"),
        ("Date", "UTC Time"),
        ("Date (America/New_York)", "Time"),
    ],
)
def test_a_zone_in_the_name_of_a_date_or_time_column_applies_to_it(names: tuple[str, str]) -> None:
    settled = settle(f"{names[0]},{names[1]},o,h,l,c\n2024-01-02,14:30,1,2,1,2\n")
    hours = 5 if "New_York" in names[0] else 0
    assert settled.times.seconds.tolist() == [1704205800 + hours * 3_600]
    assert settled.times.zoned.all()


def test_zone_by_letters_is_asked_about() -> None:
    text = "Date (CST),Time (CST),o,h,l,c\n2024-01-02,09:30,1,2,1,2\n"
    with pytest.raises(BadInput, match=r"named as of CST, .* such as America/New_York"):
        settle(text)
    assert settle(text, timezone="America/New_York").times.seconds.tolist() == [1704205800]


@pytest.mark.parametrize("name", ["Time (EST)", "Time (ET)", "Local Time (EST)"])
@pytest.mark.parametrize("clock", ["09:30", "09:30:00", "9:30 AM"])
def test_a_zone_abbreviation_that_can_only_mean_winter_is_read(name: str, clock: str) -> None:
    settled = settle(f"Date,{name},o,h,l,c\n2024-01-02,{clock},1,2,1,2\n")
    assert settled.times.seconds.tolist() == [1704205800]
    assert settled.times.zoned.all()


def test_a_zone_abbreviation_beside_offsets_is_asked_about() -> None:
    text = "Time (EST),o,h,l,c\n2024-01-02 09:30:00-05:00,1,2,1,2\n"
    with pytest.raises(BadInput, match="named as of EST"):
        settle(text)
    assert settle(text, timezone="America/New_York").times.seconds.tolist() == [1704205800]


def test_a_zone_abbreviation_of_the_other_season_is_asked_about() -> None:
    text = "Date,Time (EST),o,h,l,c\n2024-01-02,09:30,1,2,1,2\n2024-07-02,09:30,1,2,1,2\n"
    with pytest.raises(BadInput, match=r"2024-07-02 09:30 EST can be read two ways"):
        settle(text)
    summer = settle(text.replace("EST", "ET")).times.seconds.tolist()
    assert summer == [1704205800, 1719927000]
    assert settle(text, timezone="America/New_York").times.seconds.tolist() == summer


@pytest.mark.parametrize(
    ("date", "clock"),
    [
        ("Date", "Local Time"),
        ("Datum", "Datum/Zeit"),
        ("Trade Date", "Trade Time"),
        ("Date", "Timestamp"),
    ],
)
def test_a_time_of_day_beside_a_date_is_recognised_by_its_values(date: str, clock: str) -> None:
    text = f"{date},{clock},Open,High,Low,Close\n2024-01-02,09:30,1,2,1,2\n"
    settled = settle(text, timezone="America/New_York")
    assert settled.times.seconds.tolist() == [1704205800]
    # A full moment is not joined with the date beside it.
    whole = settle(text.replace(",09:30", ",2024-01-02 09:30"), timezone="America/New_York")
    assert "clock" not in whole.names


def test_of_two_times_of_day_none_is_guessed() -> None:
    head = "Date,Start Time,Bar Time,Open,High,Low,Close\n"
    settled = settle(f"{head}2024-01-02,09:30,09:35,1,2,1,2\n")
    assert settled.names["time"] == "Date"
    assert settled.aside == ("Start Time", "Bar Time")


@pytest.mark.parametrize("name", ["GMT+2 Time", "Time (UTC+02:00)", "time utc-5"])
def test_offset_in_the_name_of_a_time_is_asked_about(name: str) -> None:
    with pytest.raises(BadInput, match="which is no zone by its whole name"):
        settle(f"{name},o,h,l,c\n2024-01-02 09:30,1,2,1,2\n", columns=[f"time={name}"])


@pytest.mark.parametrize("name", ["Date (DD/MM/YYYY)", "Date (DMY)", "Time (MS)"])
def test_a_format_in_the_name_of_a_time_is_no_zone(name: str) -> None:
    text = f"{name},o,h,l,c\n2024-01-02 09:30,1,2,1,2\n"
    settled = settle(text, columns=[f"time={name}"])
    assert not settled.times.zoned.any()


def test_a_column_named_only_utc_is_in_utc() -> None:
    settled = settle("UTC,o,h,l,c\n2024-01-02 14:30,1,2,1,2\n", columns=["time=UTC"])
    assert settled.times.zoned.all()


def test_spanish_thousands_and_american_millions_are_asked_about() -> None:
    settled = settle("Date,Open,High,Low,Close,Volumen (mil)\n2024-01-02,1,2,1,2,123\n")
    assert "volume" not in settled.numbers


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("Volume (000)", 123_000),
        ("Vol. (000s)", 123_000),
        ("Volume ('000)", 123_000),
        ("Volume x1000", 123_000),
        ("Volume (in millions)", 123_000_000),
        ("Volume (Lacs)", 12_300_000),
        ("Volumen (Tsd.)", 123_000),
        ("出来高(千株)", 123_000),
        ("成交量(手)", 12_300),
        ("Volume (shares)", 123),
    ],
)
def test_a_unit_in_the_name_of_the_volume_is_applied(name: str, volume: float) -> None:
    text = f"date,open,high,low,close,{name}\n2024-01-02,1,2,1,2,123\n"
    assert read_numbers(text)["volume"] == [volume]
    assert read_numbers(text, columns=["volume=6"])["volume"] == [volume]


def test_a_unit_in_the_name_is_applied_once_if_cells_have_it_too() -> None:
    text = "date,open,high,low,close,Vol. (M)\n2024-01-02,1,2,1,2,65.08M\n"
    assert read_numbers(text)["volume"] == [65_080_000]


def test_a_price_with_a_currency_in_its_name_is_a_price_and_such_a_volume_is_none() -> None:
    names = ["Date", "Open (USD)", "High (USD)", "Low (USD)", "Close (USD)", "Volume (USD)"]
    chosen = choose_columns(names)
    assert chosen.positions == {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4}


def test_prices_of_two_currencies_are_asked_about() -> None:
    head = "Date,Open,High,Low,Close (EUR),Close (USD)\n2024-01-02,1,2,1,2,3\n"
    with pytest.raises(BadInput, match=r"columns 5 and 6 .* of several currencies"):
        settle(head)
    assert read_numbers(head, columns=["close=6"])["close"] == [3]
    assert read_numbers(head.replace(" (EUR)", ""))["close"] == [2]


@pytest.mark.parametrize("unit", ["$", "USD", "NZD", "ZAc", "p"])
def test_a_currency_in_the_names_of_prices_is_no_ticker(unit: str) -> None:
    names = ",".join(f"{name} ({unit})" for name in ("Open", "High", "Low", "Close"))
    settled = settle(f"Date,{names},Volume\n2024-01-02,1,2,1,2,7\n")
    assert settled.numbers["volume"].tolist() == [7]
    assert "ticker" not in settled.written


@pytest.mark.parametrize("kinds", [("x", "y"), ("raw", "adj"), ("old", "new"), ("raw",)])
def test_names_of_joined_tables_are_not_taken_for_tickers(kinds: tuple[str, ...]) -> None:
    names = [f"{field}_{kind}" for kind in kinds for field in ("Open", "High", "Low", "Close")]
    text = f"Date,{','.join(names)}\n2024-01-02{',2,4,1,3' * len(kinds)}\n"
    with pytest.raises(BadInput, match="Say which column is which"):
        settle(text)
    columns = [f"{name.split('_')[0].lower()}={name}" for name in names[:4]]
    assert settle(text, columns=columns).numbers["close"].tolist() == [3]


@pytest.mark.parametrize(
    "names",
    [
        "Daily {}", "Market {}", "{}_session", "{}_trade", "Spot {}",
        # A word that may be a ticker is none where Volume does not have it.
        "HA {},Volume", "ABC {},Volume",
    ],
)  # fmt: skip
def test_a_word_beside_prices_is_not_taken_for_a_ticker(names: str) -> None:
    """The bars used to be stored under a ticker such as DAILY, whatever the file's name was."""
    word, _, volume = names.partition(",")
    prices = ",".join(word.format(field) for field in ("Open", "High", "Low", "Close"))
    with pytest.raises(BadInput, match="Say which column is which"):
        settle(f"Date,{prices},{volume}\n2024-01-02,2,4,1,3,5\n")


def test_prices_of_trades_are_read_beside_quotes() -> None:
    """As Refinitiv names them; the bars used to be stored under the ticker TRADE."""
    settled = settle(
        "Timestamp,Trade Open,Trade High,Trade Low,Trade Close,Trade Volume,Bid,Ask\n"
        "2024-01-02,2,4,1,3,5,2.9,3.1\n"
    )
    assert "ticker" not in settled.written
    assert (settled.numbers["close"].tolist(), settled.numbers["volume"].tolist()) == ([3], [5])


def test_words_beside_other_tickers_are_tickers() -> None:
    names = [f"{field}_{t}" for t in ("NEW", "IBM") for field in ("Open", "High", "Low", "Close")]
    settled = settle(f"Date,{','.join(names)}\n2024-01-02,2,4,1,3,6,8,5,7\n")
    assert settled.written["ticker"].to_pylist() == ["NEW", "IBM"]
    alone = settle(f"Date,{','.join(names[:4])}\n2024-01-02,2,4,1,3\n")
    assert alone.written["ticker"].to_pylist() == ["NEW"]
    with pytest.raises(BadInput, match="Say which column is which"):
        settle(f"DATE,{','.join(names[:4]).upper()}\n2024-01-02,2,4,1,3\n")


@pytest.mark.parametrize(("index", "cell"), [("Index", ""), ('"",Index', "1,")])
def test_the_unnamed_index_of_r_is_the_time(index: str, cell: str) -> None:
    names = [f"AAPL.{field}" for field in ("Open", "High", "Low", "Close", "Volume", "Adjusted")]
    settled = settle(f"{index},{','.join(names)}\n{cell}2024-01-02,2,4,1,3,5,3\n")
    assert settled.times.seconds.tolist() == [1704153600]
    assert settled.written["ticker"].to_pylist() == ["AAPL"]


def test_dates_of_the_national_stock_exchange_of_india_are_read() -> None:
    settled = settle(
        "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE,"
        " CLOSE_PRICE, AVG_PRICE, TTL_TRD_QNTY, TURNOVER_LACS\n"
        "TCS, EQ, 02-Jan-2024, 3793.40, 3790.05, 3833.00, 3763.05, 3780.00, 3783.05, 3791.70,"
        " 1466219, 55594.60\n"
    )
    assert settled.times.seconds.tolist() == [1704153600]
    assert settled.numbers["close"].tolist() == [3783.05]
    assert settled.numbers["volume"].tolist() == [1466219]


def test_numeric_rows_with_an_unknown_time_column_name_that_column() -> None:
    text = "Index,Kurs am,Open,High,Low,Close\n0,2024-01-02,2,4,1,3\n1,2024-01-03,2,4,1,3\n"
    with pytest.raises(BadInput, match=r"no time can be read in the time column.*'Kurs am'"):
        settle(text)
    settled = settle(text, columns=["time=Kurs am"])
    assert settled.times.seconds.tolist() == [1704153600, 1704240000]


@pytest.mark.parametrize(
    ("names", "cells", "ticker"),
    [
        # In Alpaca's streams T is the kind of message.
        ("T,S,o,h,l,c,v,t", "d,AAPL,1,3,1,2,9,2024-01-02", "AAPL"),
        # In Binance's and Hyperliquid's candles T is the end.
        ("t,T,s,i,o,h,l,c,v", "1704178800000,1704182399999,BTCUSDT,1h,1,3,1,2,9", "BTCUSDT"),
        # Polygon's grouped bars.
        ("T,v,o,c,h,l,t", "AAPL,9,1,2,3,1,1704178800000", "AAPL"),
        ("T,v,o,c,h,l,t,s", "AAPL,9,1,2,3,1,1704178800000,ok", "AAPL"),
    ],
)
def test_single_letter_names_of_streams_identify_the_ticker(
    names: str, cells: str, ticker: str
) -> None:
    settled = settle(f"{names}\n{cells}\n")
    assert settled.written["ticker"].to_pylist() == [ticker]
    assert settled.times.seconds[0] in {1704178800, 1704153600}


@pytest.mark.parametrize(
    "names", ["timeOpen;timeClose;{};timestamp", "time_open;time_close;{};x", "startedAt;y;{};z"]
)
def test_the_start_of_a_bar_takes_precedence_over_its_end(names: str) -> None:
    names = names.format("open;high;low;close")
    settled = settle(f"{names}\n2024-01-02T00:00:00Z;2024-01-02T00:59:59Z;1;3;1;2;1704157199\n")
    assert settled.times.seconds.tolist() == [1704153600]


def test_the_start_of_a_period_takes_precedence_over_its_first_trade() -> None:
    """In CoinAPI's bars `time_open` is the time of the first trade."""
    names = "time_period_start,time_period_end,time_open,time_close,open,high,low,close"
    times = ["2024-01-06T01:00:00Z", "2024-01-06T02:00:00Z"]
    trades = ["2024-01-06T01:00:07Z", "2024-01-06T01:59:58Z"]
    settled = settle(f"{names}\n{','.join(times + trades)},2,3,1,2\n")
    assert settled.times.seconds.tolist() == [1704502800]


def test_lots_of_tushare_are_converted_only_for_china() -> None:
    head = "ts_code,trade_date,open,high,low,close,pre_close,vol,amount\n"
    rows = "600519.SH,20240102,1,3,1,2,1,17.58,9\n00700.HK,20240102,1,3,1,2,1,500,9\n"
    settled = settle(head + rows)
    assert settled.numbers["volume"].tolist() == [1758.0, 500.0]
    assert "volumes of China's are read as 100 each, as Tushare counts lots" in settled.notes
    minutes = settle(head.replace("trade_date", "trade_time") + rows)
    assert minutes.numbers["volume"].tolist() == [17.58, 500.0]


@pytest.mark.parametrize("title", ["MSFT", "Ticker: MSFT", "Symbol,MSFT,,,"])
def test_a_table_below_its_own_ticker_refuses_the_file(title: str) -> None:
    names = "Date,Open,High,Low,Close\n"
    with pytest.raises(BadInput, match=r"row 3 names the columns anew, below "):
        settle(f"{names}2024-01-02,1,3,1,2\n{title}\n{names}2024-01-03,9,9,9,9\n")


def test_several_tables_below_their_own_tickers_refuse_the_file() -> None:
    """Rows of the second used to be taken for those of the first."""
    names = "Date,Open,High,Low,Close\n"
    tables = f"AAPL\n{names}2024-01-02,1,3,1,2\n\nMSFT\n{names}2024-01-03,9,9,9,9\n"
    with pytest.raises(BadInput, match=r"names the columns anew, below 'MSFT': .* of its own"):
        settle(tables)
    months = settle(f"{names}2024-01-02,1,3,1,2\n{names}2024-02-02,1,3,1,2\n")
    assert months.times.bad.tolist() == [False, True, False]

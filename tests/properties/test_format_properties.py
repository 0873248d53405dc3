"""A table written in a vendor's format is read back equal, to the last bit."""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.imports.readers.process import open_reader
from market.imports.readers.unpacking import unpack
from tests.unit.market.imports.reading import settle

Rows = Sequence[tuple[datetime, float, float, float, float, int]]
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Format:
    """A vendor's format of daily bars; `options` are the options that a reader needs, `volume` says
    whether it has volumes.
    """

    write: Callable[[Rows], bytes | str]
    filename: str = "AAPL.csv"
    options: dict[str, Any] | None = None
    volume: bool = True


def delimit(
    names: str,
    separator: str,
    day: Callable[[datetime], str],
    number: Callable[[float], str] = repr,
) -> Any:
    """Return a function that writes a line a bar: day, open, high, low, close, volume."""

    def write(rows: Rows) -> str:
        lines = [separator.join([day(row[0]), *map(number, row[1:5]), str(row[5])]) for row in rows]
        return "\n".join([names, *lines]) + "\n"

    return write


def iso(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def german(value: float) -> str:
    return f"{value:,.4f}".replace(",", " ").replace(".", ",").replace(" ", ".")


def quote(value: float) -> str:
    return f'"{value:,.4f}"'


def write_levels(first: str, *, tickers_first: bool) -> Callable[[Rows], str]:
    def write(rows: Rows) -> str:
        fields = [first, "Close", "High", "Low", "Open", "Volume"]
        tickers = ["Ticker", *["AAPL"] * 5]
        head = [tickers, fields] if tickers_first else [fields, tickers]
        lines = [
            [iso(t), repr(c), repr(h), repr(low), repr(o), str(v)] for t, o, h, low, c, v in rows
        ]
        return "\n".join(",".join(line) for line in [*head, ["Date", *[""] * 5], *lines])

    return write


def write_stooq(rows: Rows) -> str:
    head = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
    return head + "".join(
        f"AAPL,D,{t:%Y%m%d},000000,{o!r},{h!r},{low!r},{c!r},{v},0\n" for t, o, h, low, c, v in rows
    )


def write_binance(rows: Rows, unit: int = 1000) -> str:
    def line(row: tuple[Any, ...]) -> str:
        start = int(row[0].timestamp())
        first, last = start * unit, (start + 86_400) * unit - 1
        return ",".join(
            map(str, [first, *map(repr, row[1:5]), row[5], last, "1.5", 3, "1.0", "1.0", 0])
        )

    return "\n".join(map(line, rows)) + "\n"


def write_tiingo(rows: Rows) -> str:
    head = (
        "date,close,high,low,open,volume,"
        "adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor\n"
    )
    return head + "".join(
        f"{t:%Y-%m-%d},{c!r},{h!r},{low!r},{o!r},{v},1,1,1,1,1,0.0,1.0\n"
        for t, o, h, low, c, v in rows
    )


def write_nasdaq(rows: Rows) -> str:
    head = "Date,Close/Last,Volume,Open,High,Low\n"
    return head + "".join(
        f"{t:%m/%d/%Y},${c!r},{v},${o!r},${h!r},${low!r}\n" for t, o, h, low, c, v in rows
    )


def write_investing(rows: Rows) -> str:
    head = '"Date","Price","Open","High","Low","Vol.","Change %"\n'
    lines = (
        f'"{t:%m/%d/%Y}",{quote(c)},{quote(o)},{quote(h)},{quote(low)},"{v / 1e6:.6f}M","0.1%"\n'
        for t, o, h, low, c, v in rows
    )
    return head + "".join(lines)


def write_metatrader(rows: Rows) -> str:
    head = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    return head + "".join(
        f"{t:%Y.%m.%d}\t00:00:00\t{o!r}\t{h!r}\t{low!r}\t{c!r}\t7\t{v}\t3\n"
        for t, o, h, low, c, v in rows
    )


def write_jquants(rows: Rows) -> str:
    head = (
        "Date,Code,Open,High,Low,Close,UpperLimit,LowerLimit,Volume,"
        "TurnoverValue,AdjustmentFactor\n"
    )
    return head + "".join(
        f"{t:%Y-%m-%d},7203,{o!r},{h!r},{low!r},{c!r},0,0,{v},1e9,1.0\n"
        for t, o, h, low, c, v in rows
    )


def write_json(
    rows: Rows,
    names: Sequence[str],
    wrap: Callable[[list[Any]], Any],
    time: Callable[[datetime], Any],
) -> str:
    return json.dumps(
        wrap([dict(zip(names, [time(row[0]), *row[1:]], strict=True)) for row in rows])
    )


def write_alpha_vantage(rows: Rows) -> str:
    series = {
        iso(t): {
            "1. open": repr(o),
            "2. high": repr(h),
            "3. low": repr(low),
            "4. close": repr(c),
            "5. volume": str(v),
        }
        for t, o, h, low, c, v in rows
    }
    return json.dumps({"Meta Data": {"2. Symbol": "AAPL"}, "Time Series (Daily)": series})


def to_milliseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1000


def build_frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["Date", "Open", "High", "Low", "Close", "Volume"]).set_index(
        "Date"
    )


def write_parquet(rows: Rows, change: Callable[[pd.DataFrame], pd.DataFrame]) -> bytes:
    sink = io.BytesIO()
    change(build_frame(rows)).to_parquet(sink)
    return sink.getvalue()


def put_side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(
        pd.MultiIndex.from_product([frame.columns, ["AAPL"]], names=["Price", "Ticker"]), axis=1
    )


def write_workbook(rows: Rows) -> bytes:
    book, sink = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["Date", "Open", "High", "Low", "Close", "Volume"])
    for time, *values in rows:
        book.active.append([time.replace(tzinfo=None), *values])
    book.save(sink)
    return sink.getvalue()


PLAIN = "Date,Open,High,Low,Close,Volume"
SHORT = ("t", "o", "h", "l", "c", "v")
FORMATS = {
    "plain": Format(delimit(PLAIN, ",", iso)),
    "utf-16": Format(
        lambda rows: delimit(PLAIN.replace(",", "\t"), "\t", iso)(rows).encode("utf-16")
    ),
    "shift-jis": Format(
        lambda rows: delimit("日付,始値,高値,安値,終値,出来高", ",", iso)(rows).encode("cp932")
    ),
    "excel's sep": Format(
        lambda rows: "sep=;\n" + delimit(PLAIN.replace(",", ";"), ";", iso)(rows)
    ),
    "german": Format(
        delimit(
            "Datum;Eröffnung;Hoch;Tief;Schluss;Volumen", ";", lambda t: f"{t:%d.%m.%Y}", german
        ),
        options={"day_first": True},
    ),
    "quoted": Format(delimit(PLAIN, ",", iso, quote)),
    "bloomberg": Format(
        delimit(
            "Dates,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME",
            ",",
            lambda t: f"{t.month}/{t.day}/{t.year}",
        ),
        options={"day_first": False},
    ),
    "interactive brokers": Format(
        delimit("date,open,high,low,close,volume", ",", lambda t: f"{t:%Y%m%d}")
    ),
    "yfinance": Format(write_levels("Price", tickers_first=False)),
    "yfinance, ticker first": Format(write_levels("Price", tickers_first=True)),
    "yfinance, older": Format(write_levels("", tickers_first=False)),
    "yfinance, flattened": Format(
        delimit("Date,Open_AAPL,High_AAPL,Low_AAPL,Close_AAPL,Volume_AAPL", ",", iso),
    ),
    "stooq": Format(write_stooq, "aapl.us.txt"),
    "binance": Format(write_binance, "BTCUSDT-1d-2024-01.csv"),
    "binance, microseconds": Format(lambda rows: write_binance(rows, 1_000_000), "BTCUSDT-1d.csv"),
    "tiingo": Format(write_tiingo),
    "nasdaq.com": Format(write_nasdaq),
    "investing.com": Format(write_investing, options={"day_first": False}),
    "metatrader": Format(write_metatrader),
    "j-quants": Format(write_jquants),
    "alpha vantage": Format(write_alpha_vantage, "x.json"),
    "alpaca": Format(
        lambda rows: write_json(rows, SHORT, lambda c: {"bars": {"AAPL": c}}, iso), "x.json"
    ),
    "polygon": Format(
        lambda rows: write_json(
            rows, SHORT, lambda c: {"ticker": "AAPL", "results": c}, to_milliseconds
        ),
        "x.json",
    ),
    "ccxt": Format(
        lambda rows: json.dumps([[to_milliseconds(row[0]), *row[1:]] for row in rows]), "x.json"
    ),
    "parquet": Format(lambda rows: write_parquet(rows, lambda frame: frame), "x.parquet"),
    "parquet, no name": Format(
        lambda rows: write_parquet(rows, lambda frame: frame.rename_axis(None)), "x.parquet"
    ),
    "parquet, yfinance": Format(lambda rows: write_parquet(rows, put_side_by_side), "x.parquet"),
    "excel": Format(write_workbook, "x.xlsx"),
}
CENTS = st.integers(10_001, 9_999_999)
BARS = st.lists(
    st.tuples(CENTS, CENTS, CENTS, CENTS, st.integers(0, 10**9)), min_size=1, max_size=8
)


def build_rows(bars: list[tuple[int, int, int, int, int]]) -> Rows:
    """Return consistent bars of adjacent days, with prices of four decimals, some of which show
    which character is the decimal point.
    """
    rows = []
    for number, (*cents, volume) in enumerate(bars):
        ordered = sorted(cents)
        prices = [
            round((10 * c + 1) / 10_000, 4)
            for c in (ordered[1], ordered[3], ordered[0], ordered[2])
        ]
        rows.append((datetime(2024, 1, 2, tzinfo=UTC) + timedelta(days=number), *prices, volume))
    return rows


@pytest.mark.parametrize("name", list(FORMATS))
@settings(max_examples=15, deadline=None)
@given(bars=BARS)
def test_a_table_is_read_back_equal(name: str, bars: list[tuple[int, int, int, int, int]]) -> None:
    rows, way = build_rows(bars), FORMATS[name]
    read = settle(way.write(rows), way.filename, **(way.options or {}))
    assert read.times.seconds.tolist() == [int(row[0].timestamp()) for row in rows]
    for position, field in enumerate(PRICES, start=1):
        assert read.numbers[field].tolist() == [row[position] for row in rows]
    assert read.numbers["volume"].tolist() == [float(row[5]) for row in rows]


@settings(max_examples=5, deadline=None)
@given(bars=BARS)
def test_an_archive_is_read_back_equal(bars: list[tuple[int, int, int, int, int]]) -> None:
    rows, packed = build_rows(bars), io.BytesIO()
    names = [
        name
        for name in FORMATS
        if name in {"plain", "german", "stooq", "excel", "polygon"} and name != "german"
    ]
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(f"{name}/{FORMATS[name].filename}", FORMATS[name].write(rows))
    with open_reader() as reader:
        parts = list(reader.read_content(packed.getvalue(), "all.zip"))
    assert len(parts) == len(names)
    for part in parts:
        assert unpack(part).numbers["close"].tolist() == [row[4] for row in rows], part.name

# ruff: noqa: RUF001 - names of months in other languages
"""Times as sources write them, and the labels of bars."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.options import build_options
from market.imports.settling import settle_frame
from market.imports.times import label_times, read_times
from market.markets import SHIPPED


def label(values: object, *, market: str = "US", interval: str = "1d") -> list[datetime | None]:
    labels = label_times(read_times(pd.Series(values)), SHIPPED[market], interval)
    return [
        None if bad else datetime.fromtimestamp(int(seconds), UTC)
        for seconds, bad in zip(labels.seconds, labels.bad, strict=True)
    ]


@pytest.mark.parametrize(
    "written",
    [
        "2001-09-17",
        "20010917",
        20010917,
        "2001-09-17T00:00:00Z",
        "2001-09-17 16:00:00",
        "2001-09-17 00:00:00-04:00",
        "2001-09-17T09:30:00-04:00",
        "9/17/2001",
        "17.9.2001",
        "2001/09/17",
        1000733400,
        1000733400000,
        "1000733400",
        pd.Timestamp("2001-09-17"),
        pd.Timestamp("2001-09-17", tz="America/New_York"),
    ],
)
def test_daily_bar_is_labelled_by_its_session(written: object) -> None:
    assert label([written]) == [datetime(2001, 9, 17, tzinfo=UTC)]


def test_midnight_in_tokyo_is_that_session_though_utc_is_a_day_behind() -> None:
    midnight = pd.Timestamp("2001-09-17", tz="Asia/Tokyo")
    assert midnight.tz_convert("UTC").day == 16
    assert label([midnight], market="JP") == [datetime(2001, 9, 17, tzinfo=UTC)]


def test_weekly_bar_is_labelled_by_its_monday() -> None:
    assert (
        label(["2001-09-17", "2001-09-21", "2001-09-23"], interval="1w")
        == [datetime(2001, 9, 17, tzinfo=UTC)] * 3
    )


@pytest.mark.parametrize(
    ("market", "written", "utc"),
    [
        ("US", "2001-09-17 09:30", datetime(2001, 9, 17, 13, 30, tzinfo=UTC)),
        ("US", "2001-12-17 09:30", datetime(2001, 12, 17, 14, 30, tzinfo=UTC)),
        ("JP", "2001-09-17 09:00", datetime(2001, 9, 17, 0, 0, tzinfo=UTC)),
        ("TH", "2001-09-17 10:00", datetime(2001, 9, 17, 3, 0, tzinfo=UTC)),
        ("US", "2001-09-17T13:30:00Z", datetime(2001, 9, 17, 13, 30, tzinfo=UTC)),
        ("US", "2001-09-17 15:30+0200", datetime(2001, 9, 17, 13, 30, tzinfo=UTC)),
    ],
)
def test_intraday_time_without_zone_is_the_exchanges(
    market: str, written: str, utc: datetime
) -> None:
    assert label([written], market=market, interval="1h") == [utc]


def test_local_time_that_a_change_of_clocks_skips_or_repeats_cannot_be_read() -> None:
    assert label(["2001-04-01 02:30", "2001-10-28 01:30"], interval="1h") == [None, None]


@pytest.mark.parametrize(
    "written",
    ["soon", "", "2001", "2001-02-30", "1850-01-02", "2999-01-02", None, float("nan"), 12.5],
)
def test_what_is_no_time_is_bad_and_leaves_its_neighbours_alone(written: object) -> None:
    column = pd.Series(["2001-09-17", written, "2001-09-18"], dtype=object)
    assert label(column) == [
        datetime(2001, 9, 17, tzinfo=UTC),
        None,
        datetime(2001, 9, 18, tzinfo=UTC),
    ]


def test_one_row_settles_whether_the_day_comes_first() -> None:
    assert label(["3/4/2001", "17/9/2001"])[0] == datetime(2001, 4, 3, tzinfo=UTC)
    assert label(["3/4/2001", "9/17/2001"])[0] == datetime(2001, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize("column", [["3/4/2001", "5/6/2001"], ["13/4/2001", "4/13/2001"]])
def test_dates_that_can_be_read_two_ways_are_refused(column: list[str]) -> None:
    with pytest.raises(BadInput, match="can be read two ways"):
        read_times(pd.Series(column))


def test_column_of_nothing_is_all_bad() -> None:
    assert np.all(read_times(pd.Series([None, None], dtype=object)).bad)


@pytest.mark.parametrize(
    "written",
    [
        1000733400000000,
        1000733400000000000,
        "1000733400000000",
        "1000733400000000000",
        "20010917 13:30:00 UTC",
        "20010917-13:30:00",
        "20010917 09:30:00 US/Eastern",
        "20010917  09:30:00",
        "20010917 093000",
        "200109170930",
        "20010917093000",
        "2001.09.17 09:30",
        "2001-9-17 9:30",
        "2001/09/17 09:30:00",
        "9/17/2001 9:30 AM",
        "9/17/2001, 09:30:00",
        "17 Sep 2001 09:30",
        "Sep 17, 2001 9:30 a.m.",
        "2001年9月17日 09:30",
        "2001-09-17 09:30:00 EDT",
        "2001-09-17 22:30:00 Asia/Tokyo",
        37151.395833333336,
        "37151.3958333333",
    ],
)
def test_the_opening_of_new_york_as_vendors_write_it(written: object) -> None:
    assert label([written], interval="1h") == [datetime(2001, 9, 17, 13, 30, tzinfo=UTC)]


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


@pytest.mark.parametrize("written", ["17-Sep-01", "17-Mär-01", "09/17/01"])
def test_years_of_two_digits_are_refused(written: str) -> None:
    with pytest.raises(BadInput, match="years of two digits"):
        label([written])


@pytest.mark.parametrize("written", ["Sep 17", "20011317", "2001-09-17 25:00", "1.5", "x" * 1000])
def test_what_leaves_the_day_open_is_never_read(written: str) -> None:
    assert label([written, "2001-09-18"]) == [None, datetime(2001, 9, 18, tzinfo=UTC)]


@pytest.mark.parametrize(("zone", "hour"), [("UTC", 9), ("Europe/Athens", 6), ("Asia/Tokyo", 0)])
def test_a_zone_is_given_to_times_without_one(zone: str, hour: int) -> None:
    options = build_options(timezone=zone)
    times = label_times(read_times(pd.Series(["2001-09-17 09:30"]), options), SHIPPED["US"], "1h")
    assert datetime.fromtimestamp(int(times.seconds[0]), UTC) == datetime(
        2001, 9, 17, hour, 30, tzinfo=UTC
    )
    zoned = read_times(pd.Series(["2001-09-17T09:30:00-04:00"]), options)
    assert zoned.seconds.tolist() == [1000733400]


def test_a_date_is_no_moment_of_another_zone() -> None:
    read = read_times(pd.Series(["2001-09-17"]), build_options(timezone="Asia/Tokyo"))
    assert label_times(read, SHIPPED["US"], "1d").seconds.tolist() == [1000684800]


@pytest.mark.parametrize(("day_first", "month"), [(True, 4), (False, 3)])
def test_an_option_settles_which_comes_first(day_first: bool, month: int) -> None:  # noqa: FBT001
    read = read_times(pd.Series(["03/04/2024"]), build_options(day_first=day_first))
    day = 3 if day_first else 4
    assert datetime.fromtimestamp(int(read.seconds[0]), UTC) == datetime(
        2024, month, day, tzinfo=UTC
    )


def test_both_readings_of_a_date_are_named() -> None:
    with pytest.raises(BadInput) as refused:
        read_times(pd.Series(["03/04/2024"]))
    assert "2024-04-03 (day first)" in refused.value.message
    assert "2024-03-04 (month first)" in refused.value.message


def test_excels_number_of_a_day_is_said() -> None:
    read = read_times(pd.Series([45293, 45294]))
    assert [datetime.fromtimestamp(int(s), UTC).date().isoformat() for s in read.seconds] == [
        "2024-01-02",
        "2024-01-03",
    ]
    assert "Excel's number of a day: 2024-01-02" in read.notes[0]


def test_zone_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadInput, match="no time zone that is known"):
        build_options(timezone="Mars/Olympus")


@pytest.mark.parametrize(
    "written",
    [
        "Mon Sep 17 2001",
        "Mon 17 Sep 2001",
        "17SEP2001",
        "20010917T000000Z",
        "Mon Sep 17 2001 09:30:00 GMT-0400 (Eastern Daylight Time)",
        "17.09.2001 16:00:00.000 GMT+0200",
        "2001-09-17 09:30:00 America/New_York",
    ],
)
def test_dates_of_more_programs(written: str) -> None:
    assert label([written]) == [datetime(2001, 9, 17, tzinfo=UTC)]


def test_years_of_taiwan_count_from_1911_and_are_said() -> None:
    times = read_times(pd.Series(["113/01/02", "113/01/03"]))
    assert times.notes == ["113/01/02 is read as 2024-01-02, by the years of another calendar"]
    assert label(["113/01/02"], market="TW") == [datetime(2024, 1, 2, tzinfo=UTC)]


@pytest.mark.parametrize("written", ["2024-01-02 24:00", "2024-01-02T24:00:00Z", "20240102 240000"])
def test_a_bar_labelled_24_00_says_that_labels_are_ends(written: str) -> None:
    with pytest.raises(BadInput, match=r"labels of a bar's end"):
        label(["2024-01-02 23:00", written], market="CRYPTO", interval="1h")


@pytest.mark.parametrize("late", ["{:02}/01/2024", "01/{:02}/2024"])
def test_dates_that_a_spreadsheet_swapped_are_refused(late: str) -> None:
    turned = [f"2024-{day:02}-01 00:00:00" for day in (2, 3, 4, 5)]
    with pytest.raises(BadInput, match="swapped day and month"):
        label(turned + [late.format(day) for day in (16, 17, 18)])
    assert None not in label([*turned, "2024-01-13", *(f"{day}/01/2024" for day in (16, 17, 18))])


def test_weeks_dated_by_sundays_are_refused() -> None:
    with pytest.raises(BadInput, match="weeks dated by Sundays, such as 2024-01-07, can be read"):
        label(["2024-01-07", "2024-01-14"], interval="1w")


def test_times_of_day_alone_are_no_moments_of_january_1970() -> None:
    assert label(["93000", "100000", "163000"], market="CRYPTO", interval="1m") == [None] * 3


def test_numbers_of_rows_are_neither_moments_nor_days_of_excel() -> None:
    assert read_times(pd.Series(range(50_000))).bad.all()
    assert read_times(pd.Series(range(10_000, 50_000)).astype(str)).bad.all()


def test_bars_of_january_1970_are_read_among_the_others_of_their_series() -> None:
    days = pd.date_range("1969-12-29 14:30", "1970-02-03", freq="B").drop("1970-01-01 14:30")
    times = read_times(pd.Series(days.as_unit("s").astype("int64")))
    assert not times.bad.any()
    assert times.seconds.tolist() == [int(day.timestamp()) for day in days]


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


@pytest.mark.parametrize("last", [12, 31])
@pytest.mark.parametrize("step", [1, -1])
def test_dates_that_have_the_day_before_the_month_are_refused(last: int, step: int) -> None:
    """Those up to the 12th are dates of other months as they are written."""
    days = [datetime(2024, month, day) for month in (1, 3) for day in range(1, last + 1, 3)][::step]  # noqa: DTZ001 - a date
    with pytest.raises(BadInput, match=r"seem to have the day before the month.* as 2024-0[13]-\d"):
        read_times(pd.Series([f"{day:%Y-%d-%m}" for day in days]))
    shuffled = [*days[3:], *days[:3]]
    assert not read_times(pd.Series([f"{day:%Y-%m-%d}" for day in shuffled])).bad.any()


@pytest.mark.parametrize("form", ["%d%m%Y", "%m%d%Y"])
@pytest.mark.parametrize("is_text", [True, False])
def test_digits_that_end_with_their_year_are_no_seconds_since_1970(
    form: str, *, is_text: bool
) -> None:
    texts = [f"{datetime(2024, 1, day):{form}}" for day in range(2, 9)]  # noqa: DTZ001 - a date
    with pytest.raises(BadInput, match="seem to end with their year"):
        read_times(pd.Series(texts if is_text else [int(text) for text in texts]))
    hours = pd.Series(range(7_200_000, 8_000_000, 3_600))
    assert not read_times(hours).bad.any()


def test_months_that_polish_and_croatian_name_alike_are_settled_by_the_others() -> None:
    def read(*names: str) -> list[int]:
        return [each.month for each in label([f"2 {name} 2024" for name in names]) if each]

    polish = ["sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru"]
    croatian = ["sij", "velj", "ožu", "tra", "svi", "lip", "srp", "kol", "ruj", "lis", "stu", "pro"]
    assert read(*polish) == read(*croatian) == [*range(1, 13)]
    assert read("czerwca", "lipca") == [6, 7]
    assert read("listopada", "grudnia") == [11, 12]
    assert read("lipnja", "srpnja", "listopada") == [6, 7, 10]
    assert read("Meitheamh") == [6]


@pytest.mark.parametrize("text", ["3. lipnja 2024.", "3.6.2024.", "3 июня 2024 г.", "3.6.2024"])
def test_a_year_may_end_with_a_dot(text: str) -> None:
    """As Croatian writes dates."""
    read = read_times(pd.Series([text, f"{text} 10:30"]), build_options(day_first=True))
    assert read.seconds.tolist() == [1717372800, 1717410600]


@pytest.mark.parametrize("names", [["lip"], ["maj", "lip"], ["listopada"], ["lipca", "lipnja"]])
def test_a_month_that_may_be_two_is_refused_with_what_to_do(names: list[str]) -> None:
    with pytest.raises(BadInput, match=r"in Polish and (June|October) in Croatian.*2024-01-02"):
        label([f"2 {name} 2024" for name in names])


def test_one_month_in_a_language_that_is_not_known_refuses_the_table() -> None:
    days = range(2, 8)
    with pytest.raises(BadInput, match="name a month, syys, in a language that is not known"):
        label([*(f"{day} Aug 2024" for day in days), *(f"{day} syys 2024" for day in days)])


def test_one_stray_line_with_a_word_for_a_month_costs_itself_alone() -> None:
    read = read_times(pd.Series(["2 Aug 2024", "3 Aug 2024", "5 Aug 2024", "Rows 12 foo 2024"]))
    assert read.bad.tolist() == [False, False, False, True]
    read = read_times(pd.Series(["2024-08-02", "2024-08-03", "2024-08-05", "Rows 12 foo 2024"]))
    assert read.bad.tolist() == [False, False, False, True]


@pytest.mark.parametrize("step", [1, -1])
def test_the_hour_that_a_clock_shows_twice_is_told_apart_by_its_order(step: int) -> None:
    first = datetime(2026, 10, 24, 23, tzinfo=UTC)
    hours = [first + timedelta(hours=number) for number in range(4)][::step]
    berlin = ZoneInfo("Europe/Berlin")
    written = pd.Series([f"{hour.astimezone(berlin):%Y-%m-%d %H:%M}" for hour in hours])
    assert written.nunique() == 3
    read = read_times(written, build_options(timezone="Europe/Berlin"))
    assert read.seconds.tolist() == [int(hour.timestamp()) for hour in hours]
    assert not read.bad.any()


def test_the_hour_that_a_clock_shows_twice_is_not_parted_among_several_tickers() -> None:
    written = [time for hour in (1, 2, 3) for time in [f"2026-10-25 0{hour}:00"] * 2]
    read = read_times(pd.Series(written), build_options(timezone="Europe/Berlin"))
    assert read.bad.tolist() == [False, False, True, True, False, False]


NIGHT = [datetime(2026, 10, 24, 23, 30, tzinfo=UTC) + timedelta(minutes=30) * n for n in range(6)]


def write_night(zone: str = "Europe/Berlin") -> list[str]:
    return [f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for time in NIGHT]


def test_the_hour_that_a_clock_shows_twice_is_told_apart_ticker_by_ticker() -> None:
    """Rising, falling, and with a bar that is written twice, one after the other and by time."""
    night, seconds = write_night(), [int(time.timestamp()) for time in NIGHT]
    tickers = ["AAA"] * 6 + ["BBB"] * 6 + ["CCC"] * 7
    written = [*night, *night[::-1], *night, night[0]]
    settled = settle_frame(
        pd.DataFrame(
            {"ticker": tickers, "time": written}
            | dict.fromkeys(("open", "high", "low"), 1.0)
            | {"close": 1.0}
        ),
        build_options(timezone="Europe/Berlin"),
    )
    assert settled.times.seconds[:12].tolist() == seconds + seconds[::-1]
    assert settled.times.bad[:12].tolist() == [False] * 12
    assert settled.times.bad[12:].tolist() == [False, True, True, True, True, False, False]
    mixed = [row for pair in zip(range(6), range(11, 5, -1), strict=True) for row in pair]
    series = np.array([tickers[row] == "BBB" for row in mixed], np.int64)
    read = read_times(
        pd.Series([written[row] for row in mixed]), build_options(timezone="Europe/Berlin"), series
    )
    assert read.seconds.tolist() == [second for second in seconds for _ in range(2)]


def test_it_is_told_apart_by_the_market_s_clock_and_by_one_that_each_time_names() -> None:
    seconds = [int(time.timestamp()) for time in NIGHT]
    berlin = replace(SHIPPED["CRYPTO"], timezone="Europe/Berlin")
    labels = label_times(read_times(pd.Series(write_night())), berlin, "30m")
    assert (labels.seconds.tolist(), labels.bad.any()) == (seconds, False)
    named = pd.Series([f"{time} Europe/Berlin" for time in write_night()])
    read = read_times(named)
    assert (read.seconds.tolist(), read.bad.any()) == (seconds, False)


def test_a_time_that_is_skipped_or_shown_twice_and_written_once_is_bad() -> None:
    written = ["2026-03-29 02:30", "2026-03-29 02:30", "2026-10-25 02:30", "2026-10-25 04:00"]
    read = read_times(pd.Series(written), build_options(timezone="Europe/Berlin"))
    assert read.bad.tolist() == [True, True, True, False]

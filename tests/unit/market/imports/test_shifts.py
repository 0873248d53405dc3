"""Times that differ from the sessions by a constant step."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.errors import BadInput
from market.imports.rows import TickerRows, read_rows
from market.markets import SHIPPED
from tests.unit.market.imports.reading import settle

# Sessions of New York: 1 and 15 January 2024 were holidays.
DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18)]


def read(
    times: Sequence[object], interval: str, *, ticker: str = "SPY", **options: str
) -> TickerRows:
    text = "Date,Open,High,Low,Close\n" + "".join(f"{time},2,3,1,2\n" for time in times)
    (rows,) = read_rows(
        settle(text, **options),
        interval=interval,
        ticker=ticker,
        market=None,
        markets=SHIPPED,
        now=datetime(2024, 6, 1, tzinfo=UTC),
    )
    return rows


def list_bars(minutes: int, first: int, count: int, days: int = 3) -> list[datetime]:
    opens = [datetime(day.year, day.month, day.day, 9, 30) for day in DAYS[:days]]  # noqa: DTZ001 - the exchange's clock
    return [
        start + timedelta(minutes=minutes * number)
        for start in opens
        for number in range(first, first + count)
    ]


@pytest.mark.parametrize(("interval", "minutes", "count"), [("1m", 1, 390), ("5m", 5, 78)])
def test_bars_labelled_by_their_end_are_refused(interval: str, minutes: int, count: int) -> None:
    with pytest.raises(BadInput, match=r"labelled by their end, .* say that labels are of the end"):
        read(list_bars(minutes, 1, count), interval)
    assert len(read(list_bars(minutes, 0, count), interval).columns["times"]) == 3 * count


@pytest.mark.parametrize(("interval", "minutes", "count"), [("5m", 5, 78), ("30m", 30, 13)])
def test_bars_declared_as_labelled_by_their_end_are_stored_by_their_start(
    interval: str, minutes: int, count: int
) -> None:
    rows = read(list_bars(minutes, 1, count), interval, labels="end")
    assert rows.rejected == []
    assert rows.columns["times"].tolist() == (
        read(list_bars(minutes, 0, count), interval).columns["times"].tolist()
    )


def test_the_last_bar_of_a_session_is_as_short_as_the_session_leaves_it() -> None:
    ends = [*list_bars(60, 1, 6), *(day.replace(hour=16, minute=0) for day in list_bars(60, 0, 1))]
    rows = read(sorted(ends), "1h", labels="end")
    assert rows.rejected == []
    assert rows.columns["times"].tolist() == (
        read(list_bars(60, 0, 7), "1h").columns["times"].tolist()
    )


@pytest.mark.parametrize(
    ("ticker", "ends", "starts"),
    [
        ("7203.T", "10:00 11:00 11:30 13:30 14:30 15:00", "09:00 10:00 11:00 12:30 13:30 14:30"),
        ("0700.HK", "10:30 11:30 12:00 14:00 15:00 16:00", "09:30 10:30 11:30 13:00 14:00 15:00"),
    ],
)
def test_the_last_bar_before_a_lunch_break_is_as_short_as_the_break_leaves_it(
    ticker: str, ends: str, starts: str
) -> None:
    days = DAYS[5:9]
    found = read(
        [f"{day} {end}" for day in days for end in ends.split()], "1h", ticker=ticker, labels="end"
    )
    assert (found.error, found.rejected) == (None, [])
    zone = SHIPPED.get_of(ticker).zone
    assert [
        f"{datetime.fromtimestamp(time, zone):%Y-%m-%d %H:%M}"
        for time in found.columns["times"].tolist()
    ] == [f"{day} {start}" for day in days for start in starts.split()]


@pytest.mark.parametrize("ticker", ["SPY", "BTC-USD"])
def test_a_day_labelled_by_its_end_is_that_day(ticker: str) -> None:
    found = read([f"{day} 24:00" for day in DAYS], "1d", ticker=ticker, labels="end")
    assert (found.error, found.rejected) == (None, [])
    shown = [datetime.fromtimestamp(time, UTC).date() for time in found.columns["times"].tolist()]
    assert shown == DAYS


def test_bars_declared_to_begin_at_the_close_are_read_so() -> None:
    rows = read(list_bars(5, 1, 78), "5m", labels="start")
    assert [rejection.reason for rejection in rows.rejected] == ["not_a_session"] * 3
    assert len(rows.columns["times"]) == 3 * 77


def test_the_label_24_00_is_read_where_labels_are_ends() -> None:
    text = "time,open,high,low,close\n2024-01-02 23:00,2,3,1,2\n2024-01-02 24:00,2,3,1,2\n"
    (rows,) = read_rows(
        settle(text, labels="end"),
        interval="1h",
        ticker="BTC-USD",
        market=None,
        markets=SHIPPED,
        now=datetime(2024, 6, 1, tzinfo=UTC),
    )
    last = datetime(2024, 1, 2, 23, tzinfo=UTC).timestamp()
    assert rows.columns["times"].tolist() == [last - 3_600, last]


def test_bars_of_an_auction_at_the_close_are_rejected_alone() -> None:
    rows = read(list_bars(5, 0, 79), "5m")
    assert [rejection.reason for rejection in rows.rejected] == ["not_a_session"] * 3


def test_bars_of_an_afternoon_with_the_close_are_not_taken_as_labelled_by_their_end() -> None:
    assert len(read(list_bars(5, 40, 39), "5m").rejected) == 3


@pytest.mark.parametrize(("days", "word"), [(-1, "later"), (1, "earlier")])
def test_dates_that_are_all_a_day_off_are_refused(days: int, word: str) -> None:
    with pytest.raises(BadInput, match=f"no sessions of market US, .* if they were a day {word}"):
        read([day + timedelta(days=days) for day in DAYS], "1d")
    assert len(read(DAYS, "1d").columns["times"]) == len(DAYS)


def test_days_without_a_session_among_others_are_rejected_alone() -> None:
    every_day = [date(2024, 1, 2) + timedelta(days=number) for number in range(16)]
    rows = read(every_day, "1d")
    assert len(rows.columns["times"]) == 11
    assert {rejection.reason for rejection in rows.rejected} == {"not_a_session"}


# Before and after the clock changes of New York, and of Europe.
SPRING = [date(2024, 3, day) for day in (6, 7, 8, 11, 12, 13, 27, 28)] + [date(2024, 4, 2)]


def list_times(days: Sequence[date]) -> list[datetime]:
    """Return the starts of New York's bars of 5 minutes on these days."""
    zone = ZoneInfo("America/New_York")
    return [
        datetime(day.year, day.month, day.day, 9, 30, tzinfo=zone) + timedelta(minutes=5 * number)
        for day in days
        for number in range(78)
    ]


@pytest.mark.parametrize(
    "zone", ["UTC", "America/Chicago", "America/Los_Angeles", "Europe/Berlin", "Etc/GMT+5"]
)
def test_times_of_another_zone_are_asked_about_and_read_if_the_zone_is_named(zone: str) -> None:
    bars = list_times(SPRING)
    clock = [f"{bar.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for bar in bars]
    with pytest.raises(BadInput, match=f"would lie inside as times of .*{re.escape(zone)}"):
        read(clock, "5m")
    rows = read(clock, "5m", timezone=zone)
    assert rows.rejected == []
    assert rows.columns["times"].tolist() == [int(bar.timestamp()) for bar in bars]


def test_exchange_times_declared_as_utc_are_asked_about() -> None:
    clock = [f"{bar:%Y-%m-%dT%H:%M:00Z}" for bar in list_times(SPRING)]
    with pytest.raises(BadInput, match=r"as times of America/New_York: .* they are UTC: are they"):
        read(clock, "5m")


def test_bars_before_the_open_and_after_the_close_are_rejected_alone() -> None:
    bars = list_times(SPRING)
    early = [bar - timedelta(hours=1) for bar in bars if (bar.hour, bar.minute) < (10, 30)]
    late = [bar + timedelta(hours=1) for bar in bars if bar.hour == 15]
    clock = [f"{bar:%Y-%m-%d %H:%M}" for bar in sorted([*early, *bars, *late])]
    rows = read(clock, "5m")
    assert len(rows.columns["times"]) == len(bars)
    assert len(rows.rejected) == len(early) + len(late)


def test_sunday_bars_before_currencies_are_traded_cost_themselves_alone() -> None:
    sunday = datetime(2024, 1, 7, 17, tzinfo=UTC)
    clock = [f"{sunday + timedelta(minutes=5 * number):%Y-%m-%dT%H:%MZ}" for number in range(300)]
    rows = read(clock, "5m", ticker="EURUSD=X")
    assert len(rows.columns["times"]) + len(rows.rejected) == 300
    assert len(rows.rejected) == 60  # until 17:00 in New York, 22:00 in UTC


def list_week_hours(
    weeks: int, shut: Sequence[int] = (), begins: int = 17, pause: int | None = None
) -> list[datetime]:
    """Return hours of currencies, or of futures, which begin later and pause, from the week on in
    which New York's clock changes first; `shut` are hours after Friday's end that have bars too.
    """
    zone = ZoneInfo("America/New_York")
    sundays = [date(2024, 2, 25) + timedelta(weeks=week) for week in range(weeks)]
    return [
        bar
        for day in sundays
        for hour in (*range(17, 137), *(137 + each for each in shut))
        if (bar := datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(hours=hour)).hour
        != pause
        and hour >= begins
    ]


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Etc/GMT+5", "Europe/Athens", "Asia/Tokyo", "Etc/GMT-3"]
)
def test_weeks_of_currencies_by_another_clock_are_asked_about(zone: str) -> None:
    bars = list_week_hours(8)
    clock = [f"{bar.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for bar in bars]
    with pytest.raises(BadInput, match=rf"of market FX is traded, .* are, {re.escape(zone)} or"):
        read(clock, "1h", ticker="EURUSD=X")
    rows = read(clock, "1h", ticker="EURUSD=X", timezone=zone)
    assert rows.columns["times"].tolist() == [int(bar.timestamp()) for bar in bars]
    assert len(read(clock, "1h", ticker="EURUSD=X", timezone="UTC").columns["times"])


@pytest.mark.parametrize("zone", ["America/Chicago", "UTC"])
def test_weeks_of_futures_by_another_clock_are_asked_about(zone: str) -> None:
    bars = list_week_hours(8, begins=18, pause=17)
    clock = [f"{bar.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for bar in bars]
    with pytest.raises(BadInput, match=rf"of market FUT is traded, .* are, {zone} or the market's"):
        read(clock, "1h", ticker="ES=F")
    moments = {int(bar.timestamp()) for bar in bars}
    for rows in (
        read(clock, "1h", ticker="ES=F", timezone=zone),
        read([f"{bar:%Y-%m-%d %H:%M}" for bar in bars], "1h", ticker="ES=F"),
    ):
        assert set(rows.columns["times"].tolist()) <= moments
        assert len(rows.columns["times"]) > 0.95 * len(bars)  # without days of short sessions


@pytest.mark.parametrize(("ticker", "begins", "pause"), [("EURUSD=X", 17, None), ("ES=F", 18, 17)])
@pytest.mark.parametrize("zone", ["", "Z"])
def test_weeks_that_are_labelled_by_their_ends_are_asked_about(
    ticker: str, begins: int, pause: int | None, zone: str
) -> None:
    """Each hour was stored as the next, and the last one of the week kept aside."""
    bars = list_week_hours(8, begins=begins, pause=pause)
    own = ZoneInfo("UTC" if zone or ticker == "EURUSD=X" else "America/New_York")
    ends = [f"{bar.astimezone(own) + timedelta(hours=1):%Y-%m-%d %H:%M}{zone}" for bar in bars]
    with pytest.raises(BadInput, match=r"labels of the ends of bars 0% have: say whether labels"):
        read(ends, "1h", ticker=ticker)
    rows = read(ends, "1h", ticker=ticker, labels="end")
    assert set(rows.columns["times"].tolist()) <= {int(bar.timestamp()) for bar in bars}
    assert len(rows.columns["times"]) > 0.95 * len(bars)
    assert len(read(ends, "1h", ticker=ticker, labels="start").columns["times"])


def test_ends_of_four_hours_of_currencies_are_their_starts_four_hours_later() -> None:
    starts = [bar for bar in list_week_hours(4) if bar.astimezone(UTC).hour % 4 == 0]
    ends = [f"{bar.astimezone(UTC) + timedelta(hours=4):%Y-%m-%dT%H:%MZ}" for bar in starts]
    rows = read(ends, "4h", ticker="EURUSD=X", labels="end")
    assert rows.columns["times"].tolist() == [int(bar.timestamp()) for bar in starts]


def test_servers_by_which_new_york_s_week_ends_at_midnight_are_asked_about() -> None:
    bars = list_week_hours(8)
    clock = [f"{bar.replace(tzinfo=None) + timedelta(hours=7):%Y.%m.%d %H:%M}" for bar in bars]
    with pytest.raises(
        BadInput, match=r"such as that of 2024-03-01 22:00 as .*: say of which zone"
    ):
        read(clock, "1h", ticker="EURUSD=X")


def list_four_hours(ticker: str, weeks: int = 8) -> list[datetime]:
    """Return bars of four hours that are counted from the week's beginning in New York."""
    begins = 17 if ticker == "EURUSD=X" else 18
    return [bar for bar in list_week_hours(weeks, begins=begins) if (bar.hour - begins) % 4 == 0]


@pytest.mark.parametrize(
    ("ticker", "zone"), [("EURUSD=X", "Europe/Athens"), ("ES=F", "America/Chicago")]
)
def test_four_hours_by_a_clock_that_leaves_no_bar_between_two_weeks_are_asked_about(
    ticker: str, zone: str
) -> None:
    bars = list_four_hours(ticker, 3)  # Europe's clocks change later
    clock = [f"{bar.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for bar in bars]
    with pytest.raises(
        BadInput, match=f"begin or end with another bar .* zone they are, {zone} or the"
    ):
        read(clock, "4h", ticker=ticker)
    rows = read(clock, "4h", ticker=ticker, timezone=zone)
    assert rows.columns["times"].tolist() == [int(bar.timestamp()) for bar in bars]
    assert len(read(clock, "4h", ticker=ticker, timezone="Asia/Tokyo").columns["times"])


def test_four_hours_from_midnight_in_chicago_are_asked_about_by_how_weeks_end() -> None:
    """Weeks begin as on a grid from midnight in New York, but on Fridays the last bar of that grid
    is lacking.
    """
    chicago = ZoneInfo("America/Chicago")
    local = [bar.astimezone(chicago) for bar in list_week_hours(5, begins=18, pause=17)]
    bars = sorted({bar.replace(hour=bar.hour // 4 * 4) for bar in local})
    clock = [f"{bar:%Y-%m-%d %H:%M}" for bar in bars]
    with pytest.raises(
        BadInput, match=r"or end with .* with that of 2024-03-01 12:00, and the nex"
    ):
        read(clock, "4h", ticker="ES=F")
    rows = read(clock, "4h", ticker="ES=F", timezone="America/Chicago")
    assert set(rows.columns["times"].tolist()) <= {int(bar.timestamp()) for bar in bars}


def test_four_hours_by_another_clock_are_asked_about_over_a_change_of_the_clocks() -> None:
    """Of six weeks, three lie between the changes of New York's and of Athens' clock. In these,
    bars from midnight in Athens begin weeks as bars of UTC do. All were read as those of UTC.
    """
    athens = ZoneInfo("Europe/Athens")
    local = [bar.astimezone(athens) for bar in list_week_hours(6)]
    bars = sorted({bar.replace(hour=bar.hour // 4 * 4) for bar in local})
    clock = [f"{bar:%Y-%m-%d %H:%M}" for bar in bars]
    with pytest.raises(
        BadInput, match=r"begin or end with another bar .* zone they are, Europe/Athens or"
    ):
        read(clock, "4h", ticker="EURUSD=X")
    rows = read(clock, "4h", ticker="EURUSD=X", timezone="Europe/Athens")
    assert rows.columns["times"].tolist() == [int(bar.timestamp()) for bar in bars]


def test_two_bars_a_session_of_which_one_lies_outside_are_asked_about() -> None:
    """Half of the rows were kept aside."""
    clock = [f"{day} {hour}:30" for day in DAYS for hour in (14, 18)]  # UTC
    with pytest.raises(BadInput, match="12 of 24 times lie outside the sessions of market US"):
        read(clock, "4h")
    assert len(read(clock, "4h", timezone="UTC").columns["times"]) == 24


def test_few_weeks_of_another_season_are_asked_about() -> None:
    """Those of London in UTC: an hour of each session of two weeks was kept aside."""
    london = ZoneInfo("Europe/London")
    days = [date(2023, 10, 16) + timedelta(days=each) for each in range(63)]
    bars = [
        datetime(day.year, day.month, day.day, 8, tzinfo=london) + timedelta(minutes=15 * number)
        for day in days
        if day.weekday() < 5
        for number in range(34)
    ]
    clock = [f"{bar.astimezone(UTC):%Y-%m-%d %H:%M}" for bar in bars]
    with pytest.raises(BadInput, match="would lie inside as times of UTC"):
        read(clock, "15m", ticker="VOD.L")
    assert read(clock, "15m", ticker="VOD.L", timezone="UTC").rejected == []


def test_four_hours_from_midnight_in_new_york_are_read_as_times_of_utc() -> None:
    """Weeks begin with the bar of 16:00 there, and were taken for those of Berlin's clock."""
    hours = [bar - timedelta(weeks=8) for bar in list_week_hours(4)]  # in winter
    local = [bar.replace(hour=bar.hour // 4 * 4) for bar in hours]
    clock = sorted({f"{bar.astimezone(UTC):%Y-%m-%d %H:%M}" for bar in local})
    assert len(read(clock, "4h", ticker="EURUSD=X").columns["times"]) == len(clock)


@pytest.mark.parametrize("ticker", ["EURUSD=X", "ES=F"])
@pytest.mark.parametrize("grid", ["", "UTC", "America/New_York"])
def test_four_hours_by_the_market_s_clock_are_read_on_each_grid(ticker: str, grid: str) -> None:
    own = ZoneInfo("UTC" if ticker == "EURUSD=X" else "America/New_York")
    pause = None if ticker == "EURUSD=X" else 17
    bars = list_four_hours(ticker)
    if grid:
        hours = list_week_hours(8, begins=17 if pause is None else 18, pause=pause)
        local = [bar.astimezone(ZoneInfo(grid)) for bar in hours]
        bars = sorted({bar.replace(hour=bar.hour // 4 * 4) for bar in local})
    clock = [f"{bar.astimezone(own):%Y-%m-%d %H:%M}" for bar in bars]
    rows = read(clock, "4h", ticker=ticker)
    assert len(rows.columns["times"]) > 0.95 * len(bars)  # without days of short sessions


def test_hours_of_currencies_without_sundays_are_read() -> None:
    """Their weeks begin late, and end as they should."""
    bars = [bar for bar in (b.astimezone(UTC) for b in list_week_hours(8)) if bar.weekday() < 5]
    rows = read([f"{bar:%Y-%m-%d %H:%M}" for bar in bars], "1h", ticker="EURUSD=X")
    assert rows.columns["times"].tolist() == [int(bar.timestamp()) for bar in bars]


@pytest.mark.parametrize("shut", [(), (0,), range(48)])
def test_weeks_of_currencies_by_the_market_s_clock_are_read(shut: Sequence[int]) -> None:
    """Those with a last trade after the end, and those that are quoted at the weekend, too."""
    bars = list_week_hours(8, shut)
    rows = read([f"{bar.astimezone(UTC):%Y-%m-%d %H:%M}" for bar in bars], "1h", ticker="EURUSD=X")
    assert len(rows.columns["times"]) + len(rows.rejected) == len(bars)
    assert rows.notes[0] == "times without a zone are taken for those of UTC"


@pytest.mark.parametrize("zone", ["", "Z"])
def test_a_last_trade_of_a_friday_alone_tells_of_no_other_clock(zone: str) -> None:
    """As in what is pushed every evening: all of the day was refused."""
    noon = datetime(2024, 3, 8, 12, tzinfo=UTC)
    clock = [f"{noon + timedelta(minutes=5 * bar):%Y-%m-%d %H:%M}{zone}" for bar in range(121)]
    rows = read(clock, "5m", ticker="EURUSD=X")
    assert (len(rows.columns["times"]), len(rows.rejected)) == (120, 1)


@pytest.mark.parametrize("labels", [None, "end"])
def test_times_at_a_last_second_are_the_ends_of_bars(labels: str | None) -> None:
    """As in Binance's and CoinMarketCap's closes. In a market without a close nothing else shows
    it.
    """
    ends = [datetime(2024, 1, 6, hour, 59, 59) for hour in range(12)]  # noqa: DTZ001 - as written
    rows = read([f"{end}.999" for end in ends], "1h", ticker="BTC-USD", labels=labels)
    assert [datetime.fromtimestamp(time, UTC).hour for time in rows.columns["times"]] == [
        *range(12)
    ]
    assert (rows.columns["times"] % 3600 == 0).all()


@pytest.mark.parametrize("count", [1, 2])
def test_times_at_a_last_second_are_ends_even_in_few_bars(count: int) -> None:
    """For example the bar or two since the last file."""
    ends = [f"2024-01-06 0{hour}:59:59.999" for hour in range(count)]
    rows = read(ends, "1h", ticker="BTC-USD")
    assert rows.rejected == []
    assert [datetime.fromtimestamp(time, UTC).hour for time in rows.columns["times"]] == [
        *range(count)
    ]
    assert rows.notes == [
        "times without a zone are taken for those of UTC",
        "times of the last second of a minute are taken for the ends of bars",
    ]


def test_a_series_labelled_by_starts_is_not_shifted_by_the_others_of_its_table() -> None:
    """Its bars used to be stored an hour early, because most times of the table were ends."""
    first = datetime(2024, 1, 6, tzinfo=UTC)
    hours = [first + timedelta(hours=hour) for hour in range(60)]
    lines = [f"BTC-USD,{hour:%Y-%m-%d %H}:59:59,2,3,1,2\n" for hour in hours]
    lines += [f"ETH-USD,{hour:%Y-%m-%d %H}:00:00,2,3,1,2\n" for hour in hours[1:3]]
    found = read_rows(
        settle("ticker,date,open,high,low,close\n" + "".join(lines)),
        interval="1h",
        ticker=None,
        market=None,
        markets=SHIPPED,
        now=datetime(2024, 6, 1, tzinfo=UTC),
    )
    by_ticker = {rows.ticker: rows.columns["times"].tolist() for rows in found}
    assert by_ticker["ETH-USD"] == [int(hour.timestamp()) for hour in hours[1:3]]


def test_the_last_second_of_a_day_means_that_day() -> None:
    rows = read([f"2024-01-0{day} 23:59:59" for day in (2, 3, 4)], "1d")
    days = [datetime.fromtimestamp(time, UTC).day for time in rows.columns["times"]]
    assert days == [2, 3, 4]

"""Time zones, and the hours that clock changes skip or repeat."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.options import build_options
from market.imports.settling import settle_frame
from market.imports.times.labels import label_times
from market.imports.times.read import read_times
from market.markets import SHIPPED
from tests.unit.market.imports.times.labelling import label


@pytest.mark.parametrize(("zone", "hour"), [("UTC", 9), ("Europe/Athens", 6), ("Asia/Tokyo", 0)])
def test_a_named_zone_applies_to_times_without_one(zone: str, hour: int) -> None:
    options = build_options(timezone=zone)
    times = label_times(read_times(pd.Series(["2001-09-17 09:30"]), options), SHIPPED["US"], "1h")
    assert datetime.fromtimestamp(int(times.seconds[0]), UTC) == datetime(
        2001, 9, 17, hour, 30, tzinfo=UTC
    )
    zoned = read_times(pd.Series(["2001-09-17T09:30:00-04:00"]), options)
    assert zoned.seconds.tolist() == [1000733400]


def test_a_date_is_not_shifted_by_a_zone() -> None:
    read = read_times(pd.Series(["2001-09-17"]), build_options(timezone="Asia/Tokyo"))
    assert label_times(read, SHIPPED["US"], "1d").seconds.tolist() == [1000684800]


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(BadInput, match="no time zone that is known"):
        build_options(timezone="Mars/Olympus")


def test_a_local_time_that_a_clock_change_skips_or_repeats_is_invalid() -> None:
    assert label(["2001-04-01 02:30", "2001-10-28 01:30"], interval="1h") == [None, None]


@pytest.mark.parametrize("step", [1, -1])
def test_a_repeated_hour_is_distinguished_by_the_order_of_its_times(step: int) -> None:
    first = datetime(2026, 10, 24, 23, tzinfo=UTC)
    hours = [first + timedelta(hours=number) for number in range(4)][::step]
    berlin = ZoneInfo("Europe/Berlin")
    written = pd.Series([f"{hour.astimezone(berlin):%Y-%m-%d %H:%M}" for hour in hours])
    assert written.nunique() == 3
    read = read_times(written, build_options(timezone="Europe/Berlin"))
    assert read.seconds.tolist() == [int(hour.timestamp()) for hour in hours]
    assert not read.bad.any()


def test_a_repeated_hour_is_not_distinguished_across_tickers() -> None:
    written = [time for hour in (1, 2, 3) for time in [f"2026-10-25 0{hour}:00"] * 2]
    read = read_times(pd.Series(written), build_options(timezone="Europe/Berlin"))
    assert read.bad.tolist() == [False, False, True, True, False, False]


NIGHT = [datetime(2026, 10, 24, 23, 30, tzinfo=UTC) + timedelta(minutes=30) * n for n in range(6)]


def write_night(zone: str = "Europe/Berlin") -> list[str]:
    return [f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for time in NIGHT]


def test_a_repeated_hour_is_distinguished_ticker_by_ticker() -> None:
    """In ascending and descending order, and with a bar that is written twice; the tickers one
    after the other, or mixed by time.
    """
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


def test_a_repeated_hour_is_distinguished_in_the_markets_zone_and_in_a_named_one() -> None:
    seconds = [int(time.timestamp()) for time in NIGHT]
    berlin = replace(SHIPPED["CRYPTO"], timezone="Europe/Berlin")
    labels = label_times(read_times(pd.Series(write_night())), berlin, "30m")
    assert (labels.seconds.tolist(), labels.bad.any()) == (seconds, False)
    named = pd.Series([f"{time} Europe/Berlin" for time in write_night()])
    read = read_times(named)
    assert (read.seconds.tolist(), read.bad.any()) == (seconds, False)


def test_a_skipped_time_and_a_repeated_time_written_once_are_invalid() -> None:
    written = ["2026-03-29 02:30", "2026-03-29 02:30", "2026-10-25 02:30", "2026-10-25 04:00"]
    read = read_times(pd.Series(written), build_options(timezone="Europe/Berlin"))
    assert read.bad.tolist() == [True, True, True, False]

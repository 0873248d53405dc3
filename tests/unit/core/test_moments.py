"""Moments: parsing them at the ends of the possible range, and writing them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.errors import BadInput
from core.moments import parse_moment, write_moment
from detection.models.plan import TrainingPlan
from market.markets import SHIPPED


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2010-12-31", datetime(2010, 12, 31, tzinfo=UTC)),
        ("2010-12-31T09:30:00+09:00", datetime(2010, 12, 31, 0, 30, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        # As a float, the microseconds after the last millisecond are in the year 10000.
        ("9999-12-31T23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)),
    ],
)
def test_a_moment_is_in_utc_to_the_millisecond(text: str, moment: datetime) -> None:
    assert parse_moment(text, "start") == moment
    assert datetime.fromtimestamp(moment.timestamp(), UTC).year == moment.year


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_outside_the_years_1_to_9999_in_utc_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadInput, match=r"^window_end '.+': in UTC this is before the year 1 or"):
        TrainingPlan.from_options("US", markets=SHIPPED, options={"window_end": text})


def test_a_moment_is_written_in_utc() -> None:
    tokyo = datetime(2026, 1, 5, 9, 30, 0, 250_000, timezone(timedelta(hours=9)))
    assert write_moment(tokyo) == "2026-01-05T00:30:00.250000Z"

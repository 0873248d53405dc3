"""Types that every noun uses."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from alerts.messages import parse_clock, parse_zone
from core.errors import BadInput
from core.moments import as_utc, check_order
from market.intervals import AUTO, INTERVALS, parse_import_interval, parse_interval, parse_period
from market.sessions.schedules import AFTER_CLOSE, parse_schedule
from market.tickers import normalize_ticker

MAX_PAGE = 500
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
# How many digits seconds since 1970 (1973 to 2286) and milliseconds (from 2001 on) have. A number
# of 12 digits may also be a date and time, such as 2005-02-28 15:30.
EPOCH_DIGITS = (9, 10, 13)

# The meaning of a day without a time matters where bars are shorter than a day.
TIMES = "ISO 8601, in UTC where no zone is named; a day alone is its midnight"
SEVERITIES = "low, medium from grade 50 on, high from 75 on, critical from 100 on"
KINDS = "`event`: something happened; `fault`: the bar is wrong, as data"
SCOPES = (
    "whose move it was: the whole market's, the sector's, the ticker's own, several of these"
    " (`mixed`), or none of the close (`quiet`)"
)

Item = TypeVar("Item", bound=BaseModel)


class Body(BaseModel):
    """A JSON body: a field nobody knows, or a value of another type,
    is an error rather than ignored.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A query string; an argument nobody knows is an error rather than ignored, and so are times
    between which nothing lies: a list would be empty for them.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nul(cls, values: dict[str, object]) -> dict[str, object]:
        """Refuse what no name has, and no pattern that MongoDB takes."""
        for name, value in values.items():
            if isinstance(value, str) and "\0" in value:
                raise ValueError(f"{name} has a NUL character (%00): leave it out")
        return values

    @model_validator(mode="after")
    def _end_after_start(self) -> Self:
        try:
            check_order(getattr(self, "start", None), getattr(self, "end", None))
        except BadInput as error:
            raise ValueError(error.message) from error
        return self


class Record(BaseModel):
    """A stored document as it is shown; fields not named here stay inside."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Page(BaseModel, Generic[Item]):
    """A part of a list, and how to get the next."""

    items: list[Item]
    next_cursor: str | None = Field(
        description="pass it as `cursor` to get the next page; null on the last",
        examples=["WyIyMDAxIl0"],
    )


class PageQuery(Query):
    """How much of a list is wanted."""

    limit: int = Field(
        50, ge=1, le=MAX_PAGE, description="how many at the most; fewer where they are large"
    )
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before")


def checked(check: Callable[[str], str]) -> AfterValidator:
    """Return a validator that lets one of our own checks speak; `check` raises BadInput."""

    def validate(text: str) -> str:
        try:
            return check(text)
        except BadInput as error:
            raise PydanticCustomError(
                "bad_input", "{message}", {"message": error.message}
            ) from error

    return AfterValidator(validate)


def _read_number(value: object) -> object:
    """Read 20050228 as ISO 8601 does, and as no seconds since 1970, which 9 or 10 digits are, and
    13 milliseconds; other numbers, such as a year or a spreadsheet's day, would be a time in 1970.
    """
    if isinstance(value, bool) or NUMBER.fullmatch(text := str(value).strip()) is None:
        return value
    digits = len(text.partition(".")[0])
    if digits == len("YYYYMMDD"):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if digits in EPOCH_DIGITS:
        return value
    raise ValueError(
        f"{text[:40]} is no time: write 2010-12-31 or 2010-12-31T15:30:00Z, or seconds or"
        " milliseconds since 1970, of 9, 10 or 13 digits"
    )


def _as_utc(time: datetime) -> datetime:
    """A time without a zone is UTC."""
    try:
        return as_utc(time)
    except BadInput as error:
        raise ValueError(error.message) from error


Ticker = Annotated[
    str,
    Field(min_length=1, max_length=20, examples=["AAPL"]),
    checked(normalize_ticker),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[A-Za-z0-9.^=_-]{1,20}$",
            "description": "a ticker as it is stored, in any case, with its market's suffix where"
            " that has one (`7203.T`, `BTC-USD`)",
            "examples": ["AAPL"],
        }
    ),
]
Interval = Annotated[
    str,
    checked(parse_interval),
    WithJsonSchema(
        {
            "type": "string",
            "enum": list(INTERVALS),
            "description": "how long a bar is: minutes, hours, a day or a week",
            "examples": ["1d"],
        }
    ),
]
ImportInterval = Annotated[
    str,
    checked(parse_import_interval),
    WithJsonSchema({"type": "string", "enum": [*INTERVALS, AUTO], "examples": ["1d"]}),
]
Period = Annotated[
    str,
    checked(lambda text: parse_period(text).text),
    WithJsonSchema(
        {"type": "string", "pattern": "^([1-9][0-9]{0,3}(d|w|mo|y)|max)$", "examples": ["5y"]}
    ),
]
# The known markets are in the database: views call `check_market`.
Market = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9]{1,7}$",
        description="the code of a market, as `/markets` lists them",
        examples=["US"],
    ),
    AfterValidator(str.upper),
]
WatchlistName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$",
        description="the name of a watchlist, as `/watchlists` lists them",
        examples=["tech"],
    ),
]
Schedule = Annotated[
    str,
    Field(max_length=100, examples=[AFTER_CLOSE]),
    checked(parse_schedule),
]
Clock = Annotated[str, Field(max_length=8, examples=["22:00"]), checked(parse_clock)]
Zone = Annotated[str, Field(max_length=60, examples=["Asia/Tokyo"]), checked(parse_zone)]
Time = Annotated[datetime, BeforeValidator(_read_number), AfterValidator(_as_utc)]
Day = Annotated[date, BeforeValidator(_read_number)]


class IntervalQuery(Query):
    """Of which of a ticker's series."""

    interval: Interval = "1d"


class TimesQuery(Query):
    """From which bar to which."""

    start: Time | None = Field(None, description=f"first bar time, inclusive; {TIMES}")
    end: Time | None = Field(None, description=f"last bar time, inclusive; {TIMES}")

"""Turns labels of the ends of bars into labels of their starts; and refuses times that lie outside
the exchange's sessions and would fit if all were shifted equally: by hours, as in another time
zone, by a day, or by an interval, as with labels of the ends of bars.
"""

from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import Bools, Int64
from core.errors import BadInput
from market.imports.times.read import ReadTimes
from market.imports.times.zones import localize
from market.intervals import DAY_SECONDS, INTERVALS, is_intraday
from market.markets import Market
from market.sessions.calendar import (
    CURRENCIES,
    FUTURES,
    REST_SECONDS,
    WEEK_TURNS,
    WEEK_ZONE,
    Sessions,
    find_closes,
    local_seconds,
)

HOUR_SECONDS = 3_600
STEP_SECONDS = HOUR_SECONDS // 2
MOST_HOURS = 15
# Fewer rows prove nothing; of more than MOST_ROWS a sample is checked.
LEAST_ROWS = 2
MOST_ROWS = 20_000
# A source is refused where no more than MOST_HELD of its rows lie in sessions, of a few rows less,
# and a shift would bring at least LEAST_FITTING of them into sessions.
MOST_HELD = 0.5
LEAST_FITTING = 0.95
FEW_ROWS = 10
# Dates that are a day early have no Mondays. A few wrong days, or sessions, may be an accident.
MOST_OUTSIDE_DAYS = 0.1
LEAST_DAYS = 10
# A source is refused, too, where more than a few rows lie outside the sessions, and nearly all
# would lie inside as times of one of these zones. That is no constant shift where clocks change on
# other days, and most rows that are an hour off still lie in sessions. The last zone is New York's
# winter time, which some vendors use all year.
ZONES = (
    "UTC", "America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/London",
    "Europe/Berlin", "Europe/Athens", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo",
    "Australia/Sydney", "Etc/GMT+5",
)  # fmt: skip
MOST_HELD_OF_ZONE, LEAST_OF_ZONE = 0.99, 0.995
LEAST_ZONED_ROWS = 50
# With longer sessions, times of any zone fit.
LONGEST_SESSION = 12 * HOUR_SECONDS
# Currencies and futures are traded from a Sunday evening in New York to Friday, 17:00, whatever
# their sessions are: the hour of that evening, by calendar. Times of which most weeks have some
# outside are those of another clock, by which a fourth as many do at the most. The last two are of
# brokers' servers, by which New York's week ends at midnight.
REST_HOURS = REST_SECONDS // HOUR_SECONDS
SUNDAY_HOURS = {CURRENCIES: WEEK_TURNS.hour}
SUNDAY_HOURS |= dict.fromkeys(FUTURES, WEEK_TURNS.hour + REST_HOURS)
WEEK_SECONDS = 7 * DAY_SECONDS
FRIDAY_ENDS = 4 * DAY_SECONDS + WEEK_TURNS.hour * HOUR_SECONDS
WEEK_ZONES = (*ZONES, "Etc/GMT-2", "Etc/GMT-3")
LEAST_SHUT_WEEKS, MOST_LEFT_WEEKS = 0.5, 0.25
# Bars of four hours by such a server's clock reach over the end of the week. That they are of
# another clock is told by how weeks begin and end: LEAST_OF_ANOTHER would fit by that clock, and
# LEAST_LEAD more than do. In the weeks in which only one of both clocks has changed, many fit by
# either.
LEAST_OF_ANOTHER, LEAST_LEAD = 0.75, 0.25
# A Friday alone may have a last trade after its end, which only the beginnings of weeks tell from
# another clock.
LEAST_WEEK_SPAN = 4 * DAY_SECONDS
LEAST_ENDS, MOST_FIRSTS = 0.8, 0.05
LEAST_ENDED_BARS = 8


def check_shift(
    labels: ReadTimes,
    held: Bools,
    market: Market,
    interval: str,
    known: Sessions,
    *,
    is_zoned: bool,
) -> None:
    """Raise BadInput where bars lie outside the sessions, and a constant shift or another zone
    would bring them in.
    """
    good = np.flatnonzero(~labels.bad)
    if not is_intraday(interval):
        if interval == "1d":
            _check_days(labels.seconds[good], held[good], market, known)
        return
    if labels.labels is None:
        _check_ends(labels.seconds[good], interval, known)
    _check_constant(labels.seconds[good], held[good], market, interval, known, is_zoned=is_zoned)
    _check_zone(labels.seconds[good], held[good], market, interval, known, is_zoned=is_zoned)
    if market.calendar in SUNDAY_HOURS:
        zones = () if is_zoned else WEEK_ZONES
        _check_week(labels.seconds[good], market, interval, zones, can_end=labels.labels is None)
        _check_turns(labels.seconds[good], market, interval, zones)


def is_any_clock_in(known: Sessions) -> bool:
    """Whether the sessions are so long that times of any zone's clock lie in them."""
    return bool(np.median(known.closes - known.opens) > LONGEST_SESSION)


def _check_constant(
    seconds: Int64,
    held: Bools,
    market: Market,
    interval: str,
    known: Sessions,
    *,
    is_zoned: bool,
) -> None:
    if len(seconds) < LEAST_ROWS or held.mean() > MOST_HELD:
        return
    if len(seconds) < FEW_ROWS and held.mean() == MOST_HELD:
        return
    sample = _take_some(seconds)
    shifts = [step * STEP_SECONDS for step in range(-MOST_HOURS * 2, MOST_HOURS * 2 + 1) if step]
    shares = {
        shift: find_closes(sample + shift, market, interval, known)[0].mean() for shift in shifts
    }
    most = max(shares.values())
    if most < LEAST_FITTING:
        return
    fitting = [shift for shift, share in shares.items() if share == most]
    fitting = [shift for shift in fitting if shift % HOUR_SECONDS == 0] or fitting
    shift = min(fitting, key=abs)
    hours = f"{abs(shift) / HOUR_SECONDS:g} hour{'s' * (abs(shift) != HOUR_SECONDS)}"
    if len(fitting) > 1:
        least, largest = (
            abs(s) / HOUR_SECONDS for s in (min(fitting, key=abs), max(fitting, key=abs))
        )
        hours = f"{least:g} to {largest:g} hours" if least != largest else hours
    direction = "earlier" if shift < 0 else "later"
    advice = (
        "they name their zone themselves: is it the right one?"
        if is_zoned
        else (
            "are they UTC, or a broker's? Say which zone they are of, such as UTC or Europe/Athens"
        )
    )
    raise BadInput(f"{_describe_outside(held, market)} if they were {hours} {direction}: {advice}")


def _check_zone(
    seconds: Int64,
    held: Bools,
    market: Market,
    interval: str,
    known: Sessions,
    *,
    is_zoned: bool,
) -> None:
    """Raise BadInput where a part of the intraday bars lies outside the sessions, and nearly all
    would lie inside as times of another zone; or as times of the exchange, where they are marked as
    UTC.
    """
    if len(seconds) < LEAST_ZONED_ROWS or held.mean() >= MOST_HELD_OF_ZONE:
        return
    if is_any_clock_in(known):
        return
    some, own = _take_some(seconds), market.timezone
    wall, zones = (some, (own,)) if is_zoned else (local_seconds(some, market.zone), ZONES)
    fitting = []
    for zone in zones:
        moved, skipped = localize(wall, ZoneInfo(zone))
        fits = find_closes(moved[~skipped], market, interval, known)[0].mean()
        if fits >= LEAST_OF_ZONE and (is_zoned or zone != own):
            fitting.append(zone)
    if fitting:
        advice = (
            "they say that they are UTC: are they?"
            if is_zoned
            else f"say of which zone they are, {fitting[0]} or the exchange's {own}"
        )
        raise BadInput(
            f"{_describe_outside(held, market)} as times of {' or '.join(fitting)}: {advice}"
        )


def _check_week(
    seconds: Int64, market: Market, interval: str, zones: Sequence[str], *, can_end: bool
) -> None:
    """Raise BadInput where bars lie between Friday and Sunday, when nobody trades, in most weeks,
    and would not by the clock of one of the zones, or (`can_end`) as labelled by their end.
    """
    if len(seconds) < LEAST_ZONED_ROWS or np.ptp(seconds) < LEAST_WEEK_SPAN:
        return
    hour = SUNDAY_HOURS[market.calendar]
    wall = local_seconds(seconds, market.zone)
    shut = _find_shut(seconds, interval, hour)
    share = _share_weeks(seconds, shut)
    if share < LEAST_SHUT_WEEKS:
        return
    most, shares = MOST_LEFT_WEEKS * share, {}
    for zone in zones:
        moved, skipped = localize(wall, ZoneInfo(zone))
        moved = moved[~skipped]
        shares[zone] = _share_weeks(moved, _find_shut(moved, interval, hour))
    fitting = min(shares, key=lambda zone: shares[zone], default=None)
    starts = seconds - INTERVALS[interval]
    ended = _share_weeks(starts, _find_shut(starts, interval, hour))
    found, advice = [], []
    if fitting is not None and shares[fitting] <= most:
        found.append(f"as times of {fitting} {shares[fitting]:.0%} have")
        advice.append(f"say of which zone they are, {fitting} or the market's {market.timezone}")
    if can_end and ended <= most:
        found.append(f"as labels of the ends of bars {ended:.0%} have")
        advice.append("say whether labels are of the end or the start")
    if not found:
        return
    first = np.datetime64(int(wall[shut][0]), "s").astype("datetime64[m]").item()
    raise BadInput(
        f"{share:.0%} of the weeks have bars between Friday, 17:00, and Sunday, {hour}:00, in New"
        f" York, when nothing of market {market.code} is traded, such as that of"
        f" {first:%Y-%m-%d %H:%M} as a time of {market.timezone}; {', '.join(found)}:"
        f" {', or '.join(advice)}"
    )


def _check_turns(seconds: Int64, market: Market, interval: str, zones: Sequence[str]) -> None:
    """Raise BadInput where many weeks do not begin and end with a bar as the market's week does,
    and nearly all would by the clock of one of the zones.
    """
    # Of shorter bars some lie wholly between two weeks by a clock that is an hour off.
    if len(seconds) < LEAST_ZONED_ROWS or not zones or INTERVALS[interval] <= HOUR_SECONDS:
        return
    seconds, hour = np.unique(seconds), SUNDAY_HOURS[market.calendar]
    wall = local_seconds(seconds, market.zone)
    own = _share_turns(seconds, wall, interval, hour)
    if own > 1 - LEAST_LEAD:
        return
    shares = {}
    for zone in zones:
        moved, skipped = localize(wall, ZoneInfo(zone))
        moved, clock = moved[~skipped], wall[~skipped]
        shut = _share_weeks(moved, _find_shut(moved, interval, hour))
        shares[zone] = min(1 - shut, _share_turns(moved, clock, interval, hour))
    fitting = max(shares, key=lambda zone: shares[zone])
    if shares[fitting] < max(LEAST_OF_ANOTHER, own + LEAST_LEAD):
        return
    second = int(_find_firsts(seconds, interval, hour)[1][1])
    last, first = (
        np.datetime64(int(time), "s").astype("datetime64[m]").item()
        for time in wall[second - 1 : second + 1]
    )
    raise BadInput(
        f"{1 - own:.0%} of the weeks begin or end with another bar than those of market"
        f" {market.code}, which last from Sunday, {hour}:00, to Friday, {WEEK_TURNS.hour}:00, in"
        f" New York, such as one that ends with that of {last:%Y-%m-%d %H:%M}, and the next, which"
        f" begins with that of {first:%Y-%m-%d %H:%M}, as times of {market.timezone}; as times of"
        f" {fitting} {1 - shares[fitting]:.0%} do: say of which zone they are, {fitting} or the"
        f" market's {market.timezone}"
    )


def _share_turns(seconds: Int64, wall: Int64, interval: str, hour: int) -> float:
    """Return in what share of the weeks the first bar fits, or in what share the last bar lasts
    until the week's end, if that is less.

    A first bar fits that begins with the week, or is under way then as one of a grid from midnight
    in UTC, in New York or on the clock of `wall`. The first week may lack its beginning, the last
    one its end.
    """
    length = INTERVALS[interval]
    since, firsts = _find_firsts(seconds, interval, hour)
    if len(firsts) < 2:
        return 1.0
    clocks = np.array([wall, seconds, local_seconds(seconds, WEEK_ZONE)])
    is_on_grid = (clocks % length == 0).any(axis=0)
    begun = (since == 0) | ((since < 0) & is_on_grid)
    ended = since + length >= FRIDAY_ENDS + DAY_SECONDS - hour * HOUR_SECONDS
    return float(min(begun[firsts[1:]].mean(), ended[firsts[1:] - 1].mean()))


def _find_firsts(seconds: Int64, interval: str, hour: int) -> tuple[Int64, Int64]:
    """Return how long after the beginning of its week, on Sundays at an hour in New York, each bar
    begins, and the positions of the weeks' first bars; one that is under way then begins before 0.
    """
    last = INTERVALS[interval] - 1
    since = local_seconds(seconds, WEEK_ZONE) + 4 * DAY_SECONDS - hour * HOUR_SECONDS
    firsts = np.unique((since + last) // WEEK_SECONDS, return_index=True)[1]
    return (since + last) % WEEK_SECONDS - last, firsts


def _find_shut(seconds: Int64, interval: str, sunday_hour: int) -> Bools:
    """Return which bars lie wholly between two weeks, of which the second begins at that hour."""
    clock = _find_week_seconds(seconds)[1]
    begins = 6 * DAY_SECONDS + sunday_hour * HOUR_SECONDS
    shut: Bools = (clock >= FRIDAY_ENDS) & (clock + INTERVALS[interval] <= begins)
    return shut


def _share_weeks(seconds: Int64, chosen: Bools) -> float:
    """Return in what share of the weeks some bars are of the chosen ones."""
    weeks = _find_week_seconds(seconds)[0]
    return len(np.unique(weeks[chosen])) / max(1, len(np.unique(weeks)))


def _find_week_seconds(seconds: Int64) -> tuple[Int64, Int64]:
    """Return each time's week and its seconds since that week's Monday, by New York's clock."""
    monday = local_seconds(seconds, WEEK_ZONE) + 3 * DAY_SECONDS
    return monday // WEEK_SECONDS, monday % WEEK_SECONDS


def _describe_outside(held: Bools, market: Market) -> str:
    return (
        f"{int((~held).sum()):,} of {len(held):,} times lie outside the sessions of market"
        f" {market.code}, and all but a few would lie inside"
    )


def _take_some(seconds: Int64) -> Int64:
    return seconds[:: max(1, len(seconds) // MOST_ROWS)]


def move_ends(labels: ReadTimes, interval: str, known: Sessions) -> ReadTimes:
    """Return the starts of intraday bars that are labelled by their ends; other labels unchanged.

    The last bar of a session, or before its lunch break, may be shorter, as the interval may not
    divide the session.
    """
    if labels.labels != "end" or not is_intraday(interval):
        return labels
    length, seconds = INTERVALS[interval], labels.seconds
    starts = seconds - length
    if len(known.closes) and len(seconds):
        row = np.minimum(np.searchsorted(known.closes, seconds, side="left"), len(known.closes) - 1)
        late = seconds > known.pauses[row]
        begins = np.where(late, known.resumes[row], known.opens[row])
        ends = np.where(late, known.closes[row], known.pauses[row])
        # A bar at an end at which the next session opens is no shorter than others.
        last = (seconds == ends) & ~np.isin(ends, known.opens)
        by_begin = (seconds - begins) % length == 0
        others = ~last & (seconds > begins)
        if others.any() and by_begin[others].mean() > MOST_HELD:
            starts = np.where(last & ~by_begin, ends - (ends - begins) % length, starts)
    return replace(labels, seconds=starts)


def _check_days(seconds: Int64, held: Bools, market: Market, known: Sessions) -> None:
    """Raise BadInput where daily bars lie on days without a session, and nearly all would lie on a
    session a day later or earlier.
    """
    if len(seconds) < LEAST_DAYS or held.mean() >= 1 - MOST_OUTSIDE_DAYS:
        return
    for days, word in ((1, "later"), (-1, "earlier")):
        moved = find_closes(seconds + days * DAY_SECONDS, market, "1d", known)[0]
        if moved.mean() >= LEAST_FITTING and moved[~held].all():
            first = np.datetime64(int(seconds[~held][0]), "s").astype("datetime64[D]")
            raise BadInput(
                f"{int((~held).sum()):,} of {len(held):,} dates are no sessions of market"
                f" {market.code}, the first is {first}, and all but a few would be if they were a"
                f" day {word}: are they of another time zone? Write the dates of the sessions"
            )


def _check_ends(seconds: Int64, interval: str, known: Sessions) -> None:
    """Raise BadInput where intraday bars look labelled by their ends: sessions have a bar at their
    close and one an interval after their open, but none at their open.
    """
    times, length = np.unique(seconds), INTERVALS[interval]
    if len(times) < LEAST_ENDED_BARS or not len(known.closes):
        return
    row = np.minimum(np.searchsorted(known.closes, times, side="left"), len(known.closes) - 1)
    opens, closes = known.opens[row], known.closes[row]
    near = (times >= opens - length) & (times <= closes)
    sessions = len(np.unique(row[near]))
    ends = near & (times == closes) & ~np.isin(times, known.opens)
    firsts = near & (times > opens - length) & (times <= opens)
    nexts = near & (times > opens) & (times <= opens + length)
    if firsts.sum() > MOST_FIRSTS * sessions or not sessions:
        return
    if min(ends.sum(), nexts.sum()) < LEAST_ENDS * sessions:
        return
    at = np.datetime64(int(times[ends][0]), "s")
    raise BadInput(
        f"in {int(ends.sum()):,} of {sessions:,} sessions a bar is labelled with the close, the"
        f" first at {at} UTC, and none with the open: they seem to be labelled by their end, and"
        f" bars are labelled by their start: say that labels are of the end, or of the start where"
        f" these bars begin at the close"
    )

"""The rules for names, histories and points; an error names every broken rule, with the first place
where it is broken.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any, NamedTuple, cast

from pydantic_core import from_json

from core.errors import BadInput, NothingNamed

MOST_POINTS = 1_000_000
MOST_LISTED = 10_000
LAST_TIMESTAMP = 2**63 - 1
LONGEST_ID = 128
NEVER_REACHED = 10**18

_ID = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"[vV]?([0-9]*)")
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken rule: `pointer` leads to the first place, `reason` is the rule's stable word."""

    pointer: str
    reason: str
    detail: str


def parse_series_id(text: str) -> str:
    """Return the id of a series, trimmed. Raises NothingNamed, which says what an id may be."""
    series_id = text.strip()
    if not series_id:
        raise NothingNamed(
            "the series id is empty; name the series, such as sensor_01", reason="series_id_empty"
        )
    if len(series_id) > LONGEST_ID:
        raise NothingNamed(
            f"the series id has {len(series_id)} characters; it may have {LONGEST_ID}",
            reason="series_id_too_long",
        )
    if "/" in series_id:
        raise NothingNamed(
            f"the series id {series_id!r} holds a slash; an id is one word, such as sensor_01",
            reason="series_id_slash",
        )
    if not _ID.fullmatch(series_id):
        raise NothingNamed(
            f"the series id {series_id!r} holds something else than letters of English, digits and"
            " . _ -",
            reason="series_id_characters",
        )
    if ".." in series_id:
        raise NothingNamed(
            f"the series id {series_id!r} holds two dots in a row; one is allowed",
            reason="series_id_dots",
        )
    return series_id


def parse_version(text: str | None) -> int | None:
    """Return the number of a version, or None for the latest: digits with or without v;
    nothing or 0 is the latest.

    Raises NothingNamed.
    """
    text = (text or "").strip()
    found = _VERSION.fullmatch(text)
    if found is None or text in {"v", "V"}:
        raise NothingNamed(
            f"version {text[:40]!r} is no version; one is digits, such as 3 or v3, and nothing or 0"
            " means the latest",
            reason="bad_version",
        )
    digits = found[1].lstrip("0")
    # Only some digits are read, as reading millions of them would take minutes.
    return min(int(digits[:19]), NEVER_REACHED) if digits else None


def check_training(timestamps: Sequence[Any], values: Sequence[Any], *, least_points: int) -> None:
    """Check a history as JSON has it; the lists hold anything.

    Raises BadInput whose `errors` name every rule that is broken, each once with the first place
    where.
    """
    broken = list(_check_counts(timestamps, values, least_points))
    if len(timestamps) <= MOST_POINTS and len(values) <= MOST_POINTS:
        broken += _check_timestamps(timestamps)
        broken += _check_values(values)
    _refuse(broken)


def _check_counts(
    timestamps: Sequence[Any], values: Sequence[Any], least_points: int
) -> Iterator[Broken]:
    if len(timestamps) != len(values):
        yield Broken(
            "/values",
            "counts_differ",
            f"there are {len(timestamps):,} timestamps and {len(values):,} values; each value needs"
            " its timestamp",
        )
    for name, column in (("timestamps", timestamps), ("values", values)):
        if len(column) < least_points:
            yield Broken(
                f"/{name}",
                "too_few_points",
                f"there are {len(column)} {name}; a model needs {least_points} points at least",
            )
        if len(column) > MOST_POINTS:
            yield Broken(
                f"/{name}",
                "too_many_points",
                f"there are {len(column):,} {name}; a model takes {MOST_POINTS:,} points at most",
            )


def _check_timestamps(timestamps: Sequence[Any]) -> Iterator[Broken]:
    tests: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        (
            "timestamp_boolean",
            lambda t: t is True or t is False,
            "is a boolean, not a whole number",
        ),
        ("timestamp_not_whole", lambda t: type(t) not in {int, bool}, "is not a whole number"),
        ("timestamp_negative", lambda t: type(t) is int and t < 0, "is before 0"),
        (
            "timestamp_too_large",
            lambda t: type(t) is int and t > LAST_TIMESTAMP,
            f"is beyond {LAST_TIMESTAMP}",
        ),
    )
    yield from _find_first("timestamps", timestamps, tests)
    for i, (before, after) in enumerate(pairwise(timestamps), 1):
        if type(before) is int and type(after) is int and after <= before:
            yield Broken(
                f"/timestamps/{i}",
                "timestamps_not_rising",
                f"timestamp {i} ({_show(after)}) is not later than the one before it"
                f" ({_show(before)}); they must rise strictly",
            )
            return


def _check_values(values: Sequence[Any]) -> Iterator[Broken]:
    tests: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        ("value_boolean", lambda v: v is True or v is False, "is a boolean, not a number"),
        ("value_not_a_number", lambda v: type(v) not in {int, float, bool}, "is not a number"),
        (
            "value_not_finite",
            lambda v: type(v) in {int, float} and not _is_finite(v),
            "is not finite",
        ),
    )
    broken = list(_find_first("values", values, tests))
    yield from broken
    if not broken and len(values) > 1 and _are_equal(values):
        yield Broken(
            "/values",
            "values_equal",
            f"all {len(values):,} values are {_show(values[0])}: nothing could be normal but that"
            " value; send a history in which something changes",
        )


def _find_first(
    name: str, column: Sequence[Any], tests: Sequence[tuple[str, Callable[[Any], bool], str]]
) -> Iterator[Broken]:
    for reason, is_broken, text in tests:
        place = next((i for i, item in enumerate(column) if is_broken(item)), None)
        if place is not None:
            found = f"{name.removesuffix('s')} {place} ({_show(column[place])}) {text}"
            yield Broken(f"/{name}/{place}", reason, found)


class Point(NamedTuple):
    """A point that is to be judged."""

    timestamp: int
    value: float


def read_plain_points(text: bytes) -> list[Point] | None:
    """Return the points of a list in plain JSON text; None for any other text, which must then go
    through `check_points` and a reader that notices repeated names. This takes half of their time.

    Plain is a list of at most 10,000 points that break no rule, without escapes. A repeated name
    would show in the number of quotes: each point has six, two of them around its timestamp.
    """
    try:
        points = from_json(text)
        if b"\\" in text or text.count(b'"') != 6 * len(points) or len(points) > MOST_LISTED:
            return None
        timestamps = [point["timestamp"] for point in points]
        values = [point["value"] for point in points]
        digits, lengths = "".join(timestamps), set(map(len, timestamps))
        is_plain = (
            set(map(len, points)) == {2}
            and set(map(type, values)) <= {int, float}
            and 0 < min(lengths) <= max(lengths) < 19
            and digits.isascii()
            and digits.isdigit()
            and all(map(isfinite, values))
        )
    except (ValueError, TypeError, KeyError, OverflowError):  # `check_points` reports what is wrong
        return None
    return list(map(Point, map(int, timestamps), map(float, values))) if is_plain else None


def check_points(points: Sequence[Any]) -> list[Point]:
    """Return the points of a list as JSON has it.

    Raises BadInput whose `errors` name every rule that is broken, each once with the first place
    where.
    """
    if not points:
        _refuse([Broken("", "no_points", "the list of points is empty; send one at least")])
    if len(points) > MOST_LISTED:
        detail = (
            f"there are {len(points):,} points; a request takes {MOST_LISTED:,}, a stream any"
            " number"
        )
        _refuse([Broken("", "too_many_points", detail)])
    try:
        return [read_point(point) for point in points]
    except BadInput:
        pass
    broken: dict[str, Broken] = {}
    for i, point in enumerate(points):
        for found in _check_point(point):
            told = Broken(f"/{i}{found.pointer}", found.reason, f"point {i}: {found.detail}")
            broken.setdefault(found.reason, told)
    _refuse(list(broken.values()))
    raise AssertionError("a point was refused that breaks no rule")


def read_point(point: Any) -> Point:
    """Return one point as JSON has it.

    Raises BadInput whose `errors` name every rule that is broken.
    """
    if type(point) is dict and len(point) == 2:
        timestamp, value = cast("Any", point.get("timestamp")), cast("Any", point.get("value"))
        kind = type(value)
        is_typed = type(timestamp) is str and (kind is float or kind is int)
        if (
            is_typed
            and len(timestamp) < 19
            and timestamp.isascii()
            and timestamp.isdigit()
            and _is_finite(value)
        ):
            return Point(int(timestamp), float(value))
    broken = list(_check_point(point))
    _refuse(broken)
    return Point(int(point["timestamp"]), float(point["value"]))


def _check_point(point: Any) -> Iterator[Broken]:
    if type(point) is not dict:
        yield Broken(
            "",
            "point_not_an_object",
            'a point is an object, such as {"timestamp": "1705000010", "value": 13.0}, not'
            f" {_show(point)}",
        )
        return
    for name in point:
        if name not in {"timestamp", "value"}:
            yield Broken(
                f"/{name}",
                "point_unknown_field",
                f"a point has no {name[:40]!r}, only timestamp and value",
            )
    if "timestamp" not in point:
        yield Broken("/timestamp", "timestamp_missing", "the timestamp is missing")
    else:
        yield from _check_digits(point["timestamp"])
    if "value" not in point:
        yield Broken("/value", "value_missing", "the value is missing")
        return
    value = point["value"]
    if value is True or value is False:
        yield Broken(
            "/value", "value_boolean", f"the value ({_show(value)}) is a boolean, not a number"
        )
    elif type(value) not in {int, float}:
        yield Broken("/value", "value_not_a_number", f"the value ({_show(value)}) is not a number")
    elif not _is_finite(value):
        yield Broken("/value", "value_not_finite", f"the value ({_show(value)}) is not finite")


def _check_digits(timestamp: Any) -> Iterator[Broken]:
    if type(timestamp) is not str:
        detail = (
            f'the timestamp ({_show(timestamp)}) is not a string of digits, such as "1705000010"'
        )
        yield Broken("/timestamp", "timestamp_not_a_string", detail)
    elif not _DIGITS.fullmatch(timestamp):
        detail = (
            f"the timestamp ({_show(timestamp)}) holds something else than digits; one is"
            ' "1705000010"'
        )
        yield Broken("/timestamp", "timestamp_not_digits", detail)
    elif len(timestamp.lstrip("0")) > 19 or int(timestamp.lstrip("0") or "0") > LAST_TIMESTAMP:
        detail = f"the timestamp ({_show(timestamp)}) is beyond {LAST_TIMESTAMP}"
        yield Broken("/timestamp", "timestamp_too_large", detail)


def _refuse(broken: Sequence[Broken]) -> None:
    if broken:
        raise BadInput(
            "; ".join(rule.detail for rule in broken),
            errors=[
                {
                    "location": "json",
                    "pointer": rule.pointer,
                    "detail": rule.detail,
                    "reason": rule.reason,
                }
                for rule in broken
            ],
        )


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # An integer that is too large for a float.
        return False


def _are_equal(values: Sequence[float]) -> bool:
    first = float(values[0])
    return all(float(value) == first for value in values)


def _show(value: Any) -> str:
    """Return a value as JSON writes it, cut short."""
    if type(value) is int and value.bit_length() > 200:
        return f"a whole number of {value.bit_length()} bits"
    words = {True: "true", False: "false", None: "null"}
    text = words[value] if value is None or type(value) is bool else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Names, versions, stored columns, seasons and drawings: what is accepted, and what is returned."""

import json
import math
from collections.abc import Callable
from random import Random
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.repeated import refuse_repeated_names
from core.errors import BadInput, ModelIntegrity, NothingNamed
from detection.series.columns import FLOAT64, INT64, hash_bytes, pack, unpack
from detection.series.drawing import DrawnPoint, draw_series, thin_out
from detection.series.period import compute_autocorrelations, find_period, transform
from detection.series.rules import (
    Point,
    check_points,
    check_training,
    parse_series_id,
    parse_version,
    read_plain_points,
    read_point,
)

ID_CHARACTERS = "ABCXYZabcxyz0189._-"


@given(st.text(ID_CHARACTERS, min_size=1, max_size=128).filter(lambda text: ".." not in text))
def test_a_valid_id_is_returned_without_spaces_around_it(text: str) -> None:
    assert parse_series_id(f"  {text} \n") == text


@given(st.text(max_size=40))
def test_any_other_id_is_refused_with_a_reason(text: str) -> None:
    is_fit = text.strip() and set(text.strip()) <= set(
        ID_CHARACTERS + "DEFGHIJKLMNOPQRSTUVWdefghijklmnopqrstuvw234567"
    )
    if is_fit and ".." not in text:
        return
    with pytest.raises(NothingNamed):
        parse_series_id(text)


@given(st.integers(1, 10**17), st.sampled_from(["", "v", "V"]), st.sampled_from(["", "0", "000"]))
def test_a_version_is_its_number(number: int, letter: str, zeros: str) -> None:
    assert parse_version(f"{letter}{zeros}{number}") == number


def test_absence_and_zero_mean_the_latest_and_a_million_digits_are_read_at_once() -> None:
    assert [parse_version(text) for text in (None, "", " ", "0", "v0", "V000")] == [None] * 6
    assert (parse_version("9" * 1_000_000) or 0) >= 10**18


@given(
    st.lists(st.integers(0, 2**63 - 1), min_size=3, max_size=30, unique=True).map(sorted),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=30),
)
def test_a_sound_history_passes(timestamps: list[int], values: list[float]) -> None:
    count = min(len(timestamps), len(values))
    if min(values[:count]) == max(values[:count]):
        return
    check_training(timestamps[:count], values[:count], least_points=3)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20
    )
)
def test_any_json_is_accepted_or_refused_and_raises_no_other_error(value: object) -> None:
    column = value if isinstance(value, list) else [value, value, value]
    for timestamps, values in ((column, [1, 2, 3]), ([1, 2, 3], column)):
        json.dumps(find_broken(lambda: check_training(timestamps, values, least_points=3)))  # noqa: B023 - called here
    for point in (value, {"timestamp": value, "value": 1}, {"timestamp": "1", "value": value}):
        json.dumps(find_broken(lambda: math.floor(read_point(point).value)))  # noqa: B023 - called here


def find_broken(check: Callable[[], object]) -> object:
    """Return the first broken rule that a check reports, None if it reports none; fail if a refusal
    names no rule.
    """
    try:
        check()
    except BadInput as error:
        return error.details["errors"][0]  # type: ignore[index]
    return None


@given(st.integers(0, 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_a_point_is_read_unchanged(timestamp: int, value: float) -> None:
    assert check_points([{"timestamp": str(timestamp), "value": value}]) == [(timestamp, value)]


@given(st.lists(st.integers(0, 2**63 - 1)), st.lists(st.floats(allow_nan=False)))
def test_packed_columns_are_restored_and_equal_numpys(
    times: list[int], values: list[float]
) -> None:
    assert unpack(INT64, pack(INT64, times)) == times
    assert unpack(FLOAT64, pack(FLOAT64, values)) == values
    assert pack(INT64, times) == np.array(times, "<i8").tobytes()
    assert pack(FLOAT64, values) == np.array(values, "<f8").tobytes()


def test_a_truncated_column_is_refused_and_a_changed_byte_changes_the_hash() -> None:
    with pytest.raises(ModelIntegrity):
        unpack(INT64, bytes(9))
    hashes = {
        hash_bytes(pack(INT64, [1, 2]), pack(FLOAT64, [3.0, 4.0])),
        hash_bytes(pack(INT64, [1, 2]), pack(FLOAT64, [4.0, 3.0])),
        hash_bytes(pack(INT64, [2, 1]), pack(FLOAT64, [3.0, 4.0])),
    }
    assert len(hashes) == 3


@given(st.lists(st.complex_numbers(max_magnitude=1e6), min_size=1, max_size=64))
def test_the_fourier_transform_equals_numpys(values: list[complex]) -> None:
    padded = values + [0j] * ((1 << (len(values) - 1).bit_length()) - len(values))
    assert np.allclose(transform(padded), np.fft.fft(padded), rtol=1e-9, atol=1e-6)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=50).filter(lambda v: max(v) - min(v) > 1e-3)
)
def test_autocorrelations_follow_their_definition(values: list[float]) -> None:
    centered = np.array(values) - np.mean(values)
    expected = [
        float(centered[: len(centered) - lag] @ centered[lag:]) for lag in range(len(values))
    ]
    assert compute_autocorrelations(values) == pytest.approx(
        [e / expected[0] for e in expected], abs=1e-6
    )


@pytest.mark.parametrize("period", [6, 12, 24, 60])
def test_a_planted_season_is_found(period: int) -> None:
    found = []
    for seed in range(10):
        number = Random(seed)
        shape = [math.sin(2 * math.pi * i / period) + 0.5 * (i < period / 4) for i in range(period)]
        found.append(
            find_period(
                [shape[i % period] + number.gauss(0, 0.4) + 0.01 * i for i in range(period * 12)]
            )
        )
    assert found.count(period) >= 5
    assert all(one is not None and abs(one - period) <= max(1, period // 20) for one in found)


def read_strictly(text: bytes) -> list[Point] | None:
    """Return the points as the strict reader parses a text; None if it refuses the text."""
    try:
        return check_points(json.loads(text, object_pairs_hook=refuse_repeated_names))
    except (ValueError, BadInput):
        return None


TIMESTAMPS = ['"17"', '"018"', "17", '""', '"1\\u0037"', '"\u0661"', '"12345678901234567890"']
VALUES = ["1", "-2.5e3", "1e400", "NaN", "true", '"1"', "null"]
OTHERS = ['"v\\u0061lue": 3', '"more": 1', '"a": "b"', '""']
MEMBERS = st.sampled_from(
    [
        *(f'"timestamp": {timestamp}' for timestamp in TIMESTAMPS),
        *(f'"value": {value}' for value in VALUES),
        *OTHERS,
    ]
)


@given(points=st.lists(st.lists(MEMBERS, max_size=4), max_size=4), sound=st.booleans())
def test_the_fast_reader_of_plain_points_is_as_strict_as_the_other(
    points: list[list[str]], *, sound: bool
) -> None:
    listed = ["{" + ", ".join(members) + "}" for members in points]
    if sound:
        listed += ['{"timestamp": "1705000010", "value": 13.0}'] * 2
    text = f"[{', '.join(listed)}]".encode()
    plain = read_plain_points(text)
    assert plain is None or plain == read_strictly(text)


def test_a_plain_list_is_read_by_the_fast_reader() -> None:
    points = [{"timestamp": str(i), "value": i / 7} for i in range(10_000)]
    text = json.dumps(points).encode()
    assert read_plain_points(text) == read_strictly(text) != []
    assert read_plain_points(json.dumps([*points, points[0]]).encode()) is None
    for other in (b"", b"[", b"[]", b"[1]", b'["timestamp"]', b"[[1, 2]]", b"\xff", b"[" * 10_000):
        assert read_plain_points(other) is None


@pytest.mark.slow
def test_noise_has_no_season_and_a_random_walk_hardly_ever() -> None:
    noise, walks = 0, 0
    for seed in range(60):
        number = Random(seed)
        steps = [number.gauss(0, 1) for _ in range(400)]
        noise += find_period(steps) is not None
        walks += find_period(list(np.cumsum(steps))) is not None
    assert noise <= 2
    assert walks <= 4


def test_a_drawing_is_valid_xml_with_its_text_escaped() -> None:
    training = [
        DrawnPoint(i, float(i % 7), anomaly=i == 3, expected=3.0, upper=5.0) for i in range(50)
    ]
    text = draw_series("<&'\"", training, [DrawnPoint(60, 9.0, True, 3.0, None, 5.0)])  # noqa: FBT003 - a row of data
    root = ET.fromstring(text)  # noqa: S314 - our own
    circles = [e for e in root.iter() if e.tag.endswith("circle")]
    assert len(circles) == 2
    assert next(e.text for e in root.iter() if e.tag.endswith("title")) == "<&'\""


def test_a_drawing_of_many_points_contains_the_extremes() -> None:
    number = Random(4)
    values = [number.gauss(0, 1) for _ in range(50_000)]
    places = thin_out(values)
    assert len(places) <= 2_002
    assert {values.index(min(values)), values.index(max(values)), 0, 49_999} <= set(places)
    assert places == sorted(places)

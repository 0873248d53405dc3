import numpy as np
import pytest

from core.arrays import Float32
from detection.models.sampling import RowSample


def draw(capacity: int, rows: Float32, portions: list[int], seed: int = 7) -> Float32:
    sample = RowSample(capacity, rows.shape[1], seed)
    for portion in np.split(rows, portions):
        sample.add(portion)
    assert sample.seen == len(rows)
    return sample.get_rows()


def number_rows(count: int) -> Float32:
    return np.stack((np.arange(count), -np.arange(count)), axis=1).astype(np.float32)


def test_fewer_rows_than_the_capacity_are_all_kept_in_their_order() -> None:
    rows = number_rows(500)
    np.testing.assert_array_equal(draw(500, rows, [1, 1, 200]), rows)


@pytest.mark.parametrize("portions", [[], [1], [10, 5_000, 19_999], list(range(0, 20_000, 37))])
def test_the_sample_does_not_depend_on_how_rows_are_portioned(portions: list[int]) -> None:
    rows = number_rows(20_000)
    np.testing.assert_array_equal(draw(300, rows, portions), draw(300, rows, [9_000]))


def test_the_sample_has_exactly_its_capacity_of_distinct_rows_in_their_order() -> None:
    numbers = draw(1_000, number_rows(50_000), [20_000, 30_000])[:, 0]
    assert len(numbers) == 1_000
    assert (np.diff(numbers) > 0).all()


def test_another_seed_draws_another_sample() -> None:
    rows = number_rows(5_000)
    assert not np.array_equal(draw(100, rows, [], seed=1), draw(100, rows, [], seed=2))


def test_early_and_late_rows_are_equally_likely_to_be_kept() -> None:
    rows = number_rows(10_000)
    counts = np.zeros(10)
    for seed in range(40):
        counts += np.histogram(
            draw(500, rows, [700, 4_000], seed=seed)[:, 0], bins=10, range=(0, 10_000)
        )[0]
    # 20,000 draws over 10 equal bins: 2,000 expected in each, standard deviation 43 (less without
    # replacement).
    assert np.abs(counts - 2_000).max() < 5 * 43


def test_memory_stays_bounded_while_rows_stream_through() -> None:
    sample = RowSample(1_000, 2, 7)
    for _ in range(200):
        sample.add(number_rows(500))
        assert sum(len(part) for part in sample._rows) <= 1_500
    assert sample.seen == 100_000

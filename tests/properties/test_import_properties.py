"""In whatever parts and order bars arrive, the same series is stored."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.imports.importing import import_frame
from market.imports.sources.synthetic import make_bars
from market.markets import SHIPPED
from records.database import Db, Document

NOW = datetime(2026, 1, 5, tzinfo=UTC)
# 120 sessions around a New Year: two buckets.
BARS = make_bars(["A", "B"], SHIPPED["US"], bars=120, end=datetime(2024, 3, 15, tzinfo=UTC), seed=3)


def import_all(database: Db, *parts: pd.DataFrame) -> None:
    for part in parts:
        if len(part):
            import_frame(database, part, interval="1d", source="hand", now=NOW)


def take_content(database: Db) -> dict[str, list[Document]]:
    """Return what is stored, and delete it. Revision numbers are left out, because they depend on
    the order of arrival.
    """
    content = {}
    for name, hidden in (
        ("bars", ("updated_at",)),
        ("series", ("updated_at", "revision")),
        ("rejected_bars", ("row",)),
    ):
        found = database[name].find(projection=dict.fromkeys(hidden, 0)).sort("_id")
        content[name] = list(found)
        database[name].delete_many({})
    database.bar_revisions.delete_many({})
    return content


real_database = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@real_database
@given(
    labels=st.lists(st.integers(0, 3), min_size=len(BARS), max_size=len(BARS)),
    order=st.permutations(range(4)),
)
def test_any_parts_in_any_order_store_what_one_import_stores(
    database: Db, labels: list[int], order: list[int]
) -> None:
    import_all(database, BARS)
    expected = take_content(database)
    assert {series["ticker"] for series in expected["series"]} == {"A", "B"}
    import_all(database, *(BARS[np.array(labels) == part] for part in order))
    assert take_content(database) == expected


@real_database
@given(cut=st.integers(0, len(BARS)), overlap=st.integers(0, 60), repeats=st.integers(1, 3))
def test_overlaps_and_repeats_add_nothing(
    database: Db, cut: int, overlap: int, repeats: int
) -> None:
    import_all(database, BARS)
    expected = take_content(database)
    import_all(database, *[BARS[:cut], BARS[max(0, cut - overlap) :]] * repeats)
    assert take_content(database) == expected


@real_database
@given(
    rows=st.lists(st.integers(0, len(BARS) - 1), max_size=6, unique=True),
    factor=st.sampled_from([0.0, -1.0, np.nan]),
)
def test_wrong_rows_do_not_affect_others(database: Db, rows: list[int], factor: float) -> None:
    good = BARS.drop(BARS.index[rows])
    import_all(database, good)
    expected = take_content(database)
    spoiled = BARS.copy()
    spoiled.iloc[rows, spoiled.columns.get_loc("low")] *= factor
    import_all(database, spoiled)
    content = take_content(database)
    assert len(content["rejected_bars"]) == len(rows)
    assert content["series"] == expected["series"]
    assert content["bars"] == expected["bars"]

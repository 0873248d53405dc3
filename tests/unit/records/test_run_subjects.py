"""A line that says what a run was requested for."""

from typing import Any, cast

import pytest

from records.work.documents import RunDocument
from records.work.runs import describe_subject

ALL = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
NOTHING: dict[str, Any] = {
    "market": None,
    "markets": [],
    "tickers": [],
    "watchlist": None,
    "retry_of": None,
    "options": {},
}


@pytest.mark.parametrize(
    ("task", "asked", "said"),
    [
        ("backfill", {"market": "US", "tickers": ALL}, "market US"),
        ("incremental", {"market": "US", "tickers": ["AAPL"]}, "market US"),
        ("incremental", {"watchlist": "tech", "tickers": ALL}, "tech"),
        ("backfill", {"tickers": ALL}, "AAPL, FB, GOOG and 2 more"),
        ("backfill", {"tickers": ALL[:3]}, "AAPL, FB, GOOG"),
        # A retry of the tickers of a market that were left undone is not named after the market.
        ("backfill", {"market": "US", "tickers": ["FB"], "retry_of": "1"}, "FB"),
        # These runs have the market of their tickers.
        ("train", {"market": "US", "tickers": ["FB"]}, "FB"),
        ("train", {"market": "US"}, "market US"),
        ("verify", {"market": "US", "tickers": ["FB"]}, "FB"),
        ("verify", {}, ""),
        ("analytics", {"markets": ["US"], "tickers": ALL}, "5 tickers of market US"),
        ("analytics", {"markets": ["DE", "US"], "tickers": ALL}, "AAPL, FB, GOOG and 2 more"),
        ("analytics", {"market": "US", "tickers": ["FB"]}, "FB"),
        ("correlation", {"markets": ["US"], "tickers": ALL}, "5 tickers of market US"),
        ("export", {"tickers": ALL, "options": {"table": "bars"}}, "bars"),
        ("import", {"market": "DE", "options": {"filename": "dax.csv"}}, "dax.csv"),
        ("import", {"tickers": ["FB"], "options": {"filename": "FB.csv"}}, "FB"),
        ("evaluate", {"market": "US", "options": {"versions": ["A-1", "B-2"]}}, "A-1 and B-2"),
    ],
)
def test_a_run_is_named_by_its_request(task: str, asked: dict[str, Any], said: str) -> None:
    assert describe_subject(cast("RunDocument", NOTHING | asked | {"task": task})) == said


def test_a_run_of_listed_tickers_names_all_of_them() -> None:
    of_list = cast("RunDocument", NOTHING | {"task": "verify", "tickers": ALL[:4]})
    assert describe_subject(of_list, 10_000) == "AAPL, FB, GOOG and 9,997 more"

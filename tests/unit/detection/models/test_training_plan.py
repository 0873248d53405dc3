from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import BadInput
from detection.models.plan import ThresholdPolicy, TrainingPlan
from market.markets import SHIPPED


def test_an_empty_request_trains_the_whole_market_with_the_documented_defaults() -> None:
    plan = TrainingPlan.from_options("us", markets=SHIPPED, options={})
    assert (plan.market, plan.interval, plan.tickers) == ("US", "1d", ())
    assert (plan.seed, plan.promote) == (7, None)
    assert (plan.detector, plan.parameters) == ("isolation_forest", {"trees": 100, "sample": 512})
    assert plan.threshold == ThresholdPolicy("contamination", 0.01)


def test_options_are_parsed_and_tickers_completed_and_sorted() -> None:
    plan = TrainingPlan.from_options(
        "JP",
        markets=SHIPPED,
        interval="1h",
        tickers=["9984", "7203.t", "7203.T"],
        options={
            "grade": 75,
            "window_start": "2010-01-01",
            "window_end": "2012-12-31T09:00:00+09:00",
            "promote": False,
        },
    )
    assert plan.tickers == ("7203.T", "9984.T")
    assert plan.threshold == ThresholdPolicy("grade", 75.0)
    assert plan.window_start == datetime(2010, 1, 1, tzinfo=UTC)
    assert plan.window_end == datetime(2012, 12, 31, tzinfo=UTC)
    assert plan.promote is False


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"contamination": 0.0}, "contamination 0.0"),
        ({"contamination": 0.51}, "contamination 0.51"),
        ({"contamination": float("nan")}, "nan"),
        ({"contamination": "1 %"}, "1 %"),
        ({"contamination": True}, "True"),
        ({"contamination": 0.01, "grade": 50}, "one of contamination, grade, score"),
        ({"grade": 101}, "101"),
        ({"score": 0.1}, "0.1"),
        ({"seed": -1}, "seed -1"),
        ({"trees": 2.5}, "2.5"),
        ({"sample": 1}, "sample 1 .* 2 to 16384"),
        ({"sample": 16_385}, "sample 16385"),
        ({"trees": 0}, "trees 0 .* 1 to 1000"),
        ({"detector": "oracle"}, "'oracle'; choose one of isolation_forest"),
        ({"feature_set": "nonsense"}, "market14/1"),
        ({"feature_set": "market14/x"}, "market14/x"),
        ({"window_start": "yesterday"}, "yesterday"),
        ({"window_start": "2012-01-02", "window_end": "2012-01-01"}, "ends .2012-01-01. before"),
        ({"promote": "yes"}, "yes"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_unusable_option_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        TrainingPlan.from_options("US", markets=SHIPPED, options=options)


@pytest.mark.parametrize(
    ("market", "tickers", "interval", "named"),
    [
        ("XX", [], "1d", "US, JP, TH"),
        ("US", ["7203.T"], "1d", "7203.T"),
        ("US", [], "2d", "1m, 5m"),
    ],
)
def test_a_market_ticker_or_interval_that_does_not_fit_is_named(
    market: str, tickers: list[str], interval: str, named: str
) -> None:
    with pytest.raises(BadInput, match=named):
        TrainingPlan.from_options(
            market, interval=interval, tickers=tickers, markets=SHIPPED, options={}
        )

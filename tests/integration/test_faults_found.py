"""Two kinds of anomaly through the one pipeline: events by the model, faults by rules."""

from datetime import UTC

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient

from detection.scoring.faults import THRESHOLD
from records.database import Db
from records.findings.anomaly_queries import find_new
from tests.integration.conftest import Once
from tests.integration.detecting import make_bars, read_anomalies, run, store, train
from tests.integration.test_market_days import check

BARS = 500
PRICES = ["open", "high", "low", "close"]


def make_wrong(bars: int = BARS):
    """Return bars with a stretch whose prices are 100 times too high, a split, and a stretch that
    repeats one bar.
    """
    frame = make_bars(bars, 1, shocks=(450,))
    frame.loc[200:202, PRICES] *= 100
    frame.loc[300:, PRICES] /= 4
    frame.loc[300:, "volume"] *= 4
    frame.loc[400:404, [*PRICES, "volume"]] = frame.loc[399, [*PRICES, "volume"]].to_numpy()
    return frame


def time_of(position: int):
    return make_bars(BARS, 1)["date"][position].to_pydatetime().replace(tzinfo=UTC)


@pytest.fixture
def market(database: Db, once: Once) -> Db:
    def make() -> None:
        store(database, "AAA", make_wrong())
        store(database, "BBB", make_bars(BARS, 2))
        train(database)

    once(make)
    return database


def read_faults(database: Db, ticker: str) -> dict[object, str]:
    found = database.anomalies.find({"Ticker": ticker, "kind": "fault"}).sort("Datetime", 1)
    return {anomaly["Datetime"]: anomaly["fault"] for anomaly in found}


def test_a_flat_bar_from_before_trading_began_is_found(market: Db) -> None:
    frame = make_bars(BARS, 3)
    frame.loc[0, PRICES] = frame.loc[1, "open"]
    frame.loc[0, "volume"] = 0.0
    store(market, "CCC", frame)
    run(market, "backfill", "CCC")
    assert read_faults(market, "CCC")[time_of(0)] == "stale"


def test_faults_are_found_beside_events(market: Db) -> None:
    (result,) = run(market, "backfill", "AAA")
    found = read_faults(market, "AAA")
    named = [found.get(time_of(position)) for position in (200, 201, 202, 300, 400)]
    assert named == ["level", "level", "level", "split", "stale"]
    fault = market.anomalies.find_one({"Datetime": time_of(200)})
    assert fault is not None
    assert fault["anomaly_score"] < fault["threshold"] == THRESHOLD
    assert fault["attribution"] == {}
    assert len(fault["features"]) == 14
    assert market.anomalies.find_one({"Datetime": time_of(203)}) is None, "the level returns"
    event = market.anomalies.find_one({"Datetime": time_of(450)})
    assert event is not None
    assert (event["kind"], event["fault"]) == ("event", None)
    times = [anomaly_id.split("::")[2] for anomaly_id in result["anomaly_ids"]]
    assert times == sorted(times)


def test_a_feed_that_is_often_wrong_does_not_hide_events(database: Db) -> None:
    """One bar in a hundred is flagged among those that no rule calls wrong."""
    tickers = ("AAA", "BBB", "CCC", "DDD")
    for seed, ticker in enumerate(tickers, 1):
        frame = make_bars(BARS, seed)
        for position in range(100, BARS, 40):
            frame.loc[position, PRICES] *= 100
        store(database, ticker, frame)
    train(database)
    run(database, "backfill", *tickers)
    assert database.anomalies.count_documents({"fault": "level"}) == 10 * len(tickers)
    share = database.anomalies.count_documents({"kind": "event"}) / (len(tickers) * (BARS - 61))
    assert 0.005 <= share <= 0.02


def test_faults_of_a_series_too_short_for_the_model_are_found(market: Db) -> None:
    frame = make_bars(20, 3)
    frame.loc[10, ["high", "close"]] = frame.loc[10, "open"] * 100
    store(market, "SHORT", frame)
    (result,) = run(market, "backfill", "SHORT")
    assert (result["rows_processed"], result["reason"]) == (0, "not_enough_bars")
    (anomaly,) = market.anomalies.find({"Ticker": "SHORT"})
    assert (anomaly["kind"], anomaly["fault"], anomaly["features"]) == ("fault", "level", {})


def test_faults_of_a_backfill_equal_those_of_increments(market: Db) -> None:
    run(market, "backfill", "AAA")
    random = np.random.default_rng(1)
    cuts = sorted({*random.integers(10, BARS, 5).tolist(), 201, 402, BARS})
    for cut in cuts:
        store(market, "PARTS", make_wrong()[:cut])
        run(market, "incremental", "PARTS")
    # Raw prices: the bars around the split came in two files.
    assert read_faults(market, "PARTS") == read_faults(market, "AAA")


def test_a_corrected_fault_is_superseded_and_verified_with_its_own_data(market: Db) -> None:
    run(market, "backfill", "AAA")
    fault = market.anomalies.find_one({"Datetime": time_of(201)})
    assert fault is not None
    document = check(market, [fault])[fault["_id"]]
    assert (document["verdict"], document["verified"], document["cause"]) == (
        "identical",
        True,
        None,
    )
    mended = make_wrong()
    mended.loc[201, PRICES] /= 100
    store(market, "AAA", mended)
    document = check(market, [fault])[fault["_id"]]
    assert (document["verdict"], document["cause"]) == ("vanished", "data")
    run(market, "incremental", "AAA")
    after = market.anomalies.find_one({"_id": fault["_id"]})
    assert after is not None
    assert after["status"] == "superseded"


def test_events_and_faults_are_listed_and_counted_apart(market: Db, client: FlaskClient) -> None:
    run(market, "backfill", "AAA", run_id="run-1")
    faults = client.get("/py/anomalies?kind=fault&limit=100").json["items"]
    events = client.get("/py/anomalies?kind=event&limit=100").json["items"]
    assert {anomaly["kind"] for anomaly in faults} == {"fault"}
    assert {anomaly["kind"] for anomaly in events} == {"event"}
    counts = client.get("/py/anomalies/summary").json["by_kind"]
    assert counts == {"fault": len(faults), "event": len(events)}
    assert client.get("/py/anomalies?kind=other").status_code == 422
    told = find_new(market, "run-1", kind="fault", min_grade=0, tickers=None)
    assert {anomaly["_id"] for anomaly in told} == {fault["_id"] for fault in faults}
    both = find_new(market, "run-1", min_grade=0, tickers=None)
    assert len(both) == len(faults) + len(events)
    grades = [anomaly["grade"] for anomaly in both]
    assert grades == sorted(grades, reverse=True)


def test_a_series_with_a_pause_of_a_year_gives_the_same_in_parts(market: Db) -> None:
    """Another company took the ticker: its bars are measured only against its own, however they
    came.
    """
    frame = make_bars(1_100, 3, shocks=(300, 950))
    paused = pd.concat([frame[:400], frame[700:]], ignore_index=True)
    paused.loc[400:, PRICES] *= 40
    store(market, "WHOLE", paused)
    run(market, "backfill", "WHOLE")
    for cut in (390, 401, 430, 480, 660, len(paused)):
        store(market, "PARTS", paused[:cut])
        run(market, "incremental", "PARTS")
    found = read_anomalies(market, "WHOLE")
    assert [
        {name: value for name, value in one.items() if name != "bars_revision"}
        for one in read_anomalies(market, "PARTS")
    ] == [{name: value for name, value in one.items() if name != "bars_revision"} for one in found]
    times = [anomaly["Datetime"] for anomaly in found]
    resumed = paused["date"][400].to_pydatetime().replace(tzinfo=UTC)
    ready = paused["date"][461].to_pydatetime().replace(tzinfo=UTC)
    assert not any(resumed <= time < ready for time in times)
    shocks = [paused["date"][at].to_pydatetime().replace(tzinfo=UTC) for at in (300, 650)]
    assert set(shocks) <= set(times)

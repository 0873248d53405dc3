"""Metrics over HTTP: ten routes, their answers, and 304 if nothing has changed."""

import pandas as pd
import pytest
from celery import Celery
from flask.testing import FlaskClient

from api.http.state import get_state
from core.settings import Settings
from market.imports.sources.demo import read_demo
from records.database import Db
from records.work import watchlists
from tasks.engine.sweeper import sweep
from tasks.process.worker import Worker
from tests.integration.conftest import Once
from tests.integration.detecting import make_bars
from tests.integration.test_analytics import NOW, TICKERS, ask, later, store, tick, work

CATEGORIES = ("volatility", "volume", "spread", "trend", "deviation", "seasonality", "regime")


@pytest.fixture
def worker(app, settings: Settings, database: Db) -> Worker:
    celery: Celery = get_state(app).celery
    return Worker(settings, database, celery, "test:1")


@pytest.fixture
def computed(worker: Worker, database: Db, once: Once) -> Worker:
    """Twelve series, one of which is young and one of which ends a bar early, with all metrics
    computed.
    """

    def make() -> None:
        frames = {ticker: make_bars(420, seed) for seed, ticker in enumerate(TICKERS)}
        frames["T11"] = frames["T11"].iloc[-33:]
        frames["T10"] = frames["T10"].iloc[:-1]
        store(database, frames)
        tick(worker)

    once(make)
    return worker


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_answers_values_units_and_lineage(
    client: FlaskClient, computed, category
) -> None:
    answer = client.get(f"/py/analysis/{category}?ticker=T01")
    assert answer.status_code == 200, answer.json
    found = answer.json
    assert found["metric"] == category
    assert found["values"].keys() == found["units"].keys()
    assert {name for name, value in found["values"].items() if value is None} == found[
        "missing"
    ].keys()
    assert found["metadata"]["fingerprint"].startswith("sha256:")
    assert found["metadata"]["bars_used"] == 420
    assert found["as_of"] == "2016-08-31T00:00:00Z"


def test_a_young_series_says_how_many_bars_it_needs_and_has(client: FlaskClient, computed) -> None:
    found = client.get("/py/analysis/volatility?ticker=T11").json
    assert found["values"]["rolling_stddev"] > 0
    assert found["values"]["volatility_of_volatility"] is None
    assert found["missing"]["volatility_of_volatility"] == {"needed": 40, "have": 33}
    assert found["window"] == 20
    assert found["metadata"]["bars_used"] == 33


def test_parameter_names_of_other_services_are_accepted(client: FlaskClient, computed) -> None:
    plain = client.get("/py/analysis/trend?ticker=T01&interval=1d").json
    assert client.get("/py/analysis/trend?symbol=T01&timeframe=1d").json == plain
    assert client.get("/py/analysis/trend?pair=T01&period=1d").json == plain
    both = client.get("/py/analysis/trend?pair=T01&ticker=T02")
    assert both.status_code == 422


def test_a_window_is_used_or_refused_with_the_choices(client: FlaskClient, computed) -> None:
    found = client.get("/py/analysis/deviation?ticker=T01&window=60").json
    assert set(found["values"]) == {"autocorrelation", "skewness", "kurtosis"}
    assert found["window"] == 60
    refused = client.get("/py/analysis/deviation?ticker=T01&window=30")
    assert refused.status_code == 422
    assert "20 or 60" in refused.json["detail"]
    assert client.get("/py/analysis/deviation?ticker=T01&size=3").status_code == 422


def test_history_comes_in_pages_the_newest_first(client: FlaskClient, computed) -> None:
    ask(computed, *TICKERS, bars=25)
    page = client.get("/py/analysis/regime?ticker=T01&limit=10").json
    times = [item["as_of"] for item in page["items"]]
    while page["next_cursor"]:
        page = client.get(
            f"/py/analysis/regime?ticker=T01&limit=10&cursor={page['next_cursor']}"
        ).json
        times += [item["as_of"] for item in page["items"]]
    assert len(times) == 25
    assert times == sorted(set(times), reverse=True)
    since = client.get(f"/py/analysis/regime?ticker=T01&limit=100&since={times[4]}").json
    assert [item["as_of"] for item in since["items"]] == times[:5]
    one = client.get(f"/py/analysis/regime?ticker=T01&as_of={times[7]}").json
    assert one["as_of"] == times[7]


def test_absent_series_are_404_with_what_to_do(client: FlaskClient, computed) -> None:
    nowhere = client.get("/py/analysis/trend?ticker=NONE")
    assert nowhere.status_code == 404
    early = client.get("/py/analysis/trend?ticker=T01&as_of=1990-01-01")
    assert early.status_code == 404
    assert "its first bar is of" in early.json["detail"]
    before = client.get("/py/analysis/trend?ticker=T01&as_of=2016-01-05")
    assert before.json["reason"] == "not_computed"
    assert "--bars" in before.json["detail"]


def test_an_unchanged_answer_is_not_sent_again(client: FlaskClient, computed, database: Db) -> None:
    paths = (
        "volatility?ticker=T03",
        "market-overview?market=US",
        "market-overview?tickers=T01,T03",
    )
    for n, path in enumerate(paths, 1):
        first = client.get(f"/py/analysis/{path}")
        etag = {"If-None-Match": first.headers["ETag"]}
        again = client.get(f"/py/analysis/{path}", headers=etag)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        store(database, {"T03": make_bars(420 + n, 3)})
        tick(computed, later(n))
        changed = client.get(f"/py/analysis/{path}", headers=etag)
        assert changed.status_code == 200, path
        assert changed.headers["ETag"] != first.headers["ETag"]


def test_overview_shows_the_market_and_its_tickers(client: FlaskClient, computed) -> None:
    found = client.get("/py/analysis/market-overview?market=US").json
    assert [item["ticker"] for item in found["items"]] == list(TICKERS)
    assert {item["ticker"] for item in found["items"] if item["stale"]} == {"T10"}
    market = found["market"]
    assert market["as_of"] == "2016-08-31T00:00:00Z"
    assert market["bars"][0]["tickers"] == 11
    assert -1 <= market["bars"][0]["breadth"]["advance_decline"] <= 1
    assert sum(market["bars"][0]["regimes"].values()) == 10
    item = found["items"][1]
    own = client.get("/py/analysis/volatility?ticker=T01").json
    assert item["annualized_volatility"] == own["values"]["annualized_volatility"]
    assert item["computed_at"] == own["metadata"]["computed_at"] <= market["bars"][0]["computed_at"]
    regime = client.get("/py/analysis/regime?ticker=T01").json["values"]["regime"]
    assert (item["regime"], item["confidence"]) == (regime["regime"], regime["confidence"])


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort_by", ["ticker", "volatility", "volume", "trend", "regime", "grade"])
def test_overview_is_sorted_and_paged_by_anything(
    client: FlaskClient, computed, sort_by, order
) -> None:
    url = f"/py/analysis/market-overview?market=US&sort_by={sort_by}&sort_order={order}&limit=5"
    page = client.get(url).json
    items = page["items"]
    while page["next_cursor"]:
        page = client.get(f"{url}&cursor={page['next_cursor']}").json
        items += page["items"]
    assert sorted(item["ticker"] for item in items) == list(TICKERS)
    field = {"volatility": "annualized_volatility", "volume": "volume_spike_ratio"}.get(
        sort_by, sort_by
    )
    field = {"trend": "rate_of_change", "grade": "anomaly_grade"}.get(sort_by, field)
    values = [item[field] for item in items]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    assert known == sorted(known, reverse=order == "desc")


def test_overview_is_filtered(client: FlaskClient, computed, database: Db) -> None:
    whole = client.get("/py/analysis/market-overview?market=US").json["items"]
    regime = whole[0]["regime"]
    found = client.get(f"/py/analysis/market-overview?market=US&regime={regime}").json["items"]
    assert found == [item for item in whole if item["regime"] == regime]
    begin = client.get("/py/analysis/market-overview?market=US&prefix=t1").json["items"]
    assert [item["ticker"] for item in begin] == ["T10", "T11"]
    fields = {
        "markets": ["US"],
        "tickers": ["T02", "T05"],
        "interval": "1d",
        "schedule": "after_close",
    }
    watchlists.add_watchlist(database, "two", fields | {"delay_minutes": 5, "enabled": True}, NOW)
    mine = client.get("/py/analysis/market-overview?watchlist=two").json
    assert [item["ticker"] for item in mine["items"]] == ["T02", "T05"]
    assert mine["market"]["code"] == "US"
    assert client.get("/py/analysis/market-overview").status_code == 422
    assert client.get("/py/analysis/market-overview?market=US&watchlist=two").status_code == 422


def test_metrics_are_computed_when_asked_for(
    client: FlaskClient, worker: Worker, database: Db
) -> None:
    store(database, {ticker: make_bars(420, seed) for seed, ticker in enumerate(("T01", "T02"))})
    run = client.post("/py/analysis/compute", json={"market": "US", "bars": 3}).json["run_id"]
    work(worker)
    sweep(worker)
    assert client.get(f"/py/detection-runs/{run}").json["status"] == "complete"
    for ticker in ("T01", "T02"):
        past = client.get(f"/py/analysis/regime?ticker={ticker}&limit=10").json["items"]
        assert len(past) == 3
    both = {"market": "US", "ticker": "T01"}
    assert client.post("/py/analysis/compute", json=both).status_code == 422


def test_correlations_are_computed_when_asked_for(
    client: FlaskClient, computed, database: Db
) -> None:
    first = client.get("/py/analysis/correlation?tickers=T02,T01,T03").json
    assert first["matrix"] is None
    assert first["missing"] == {"correlation_matrix": {"reason": "not_computed"}}
    assert [s["ticker"] for s in first["series"]] == ["T02", "T01", "T03"]
    again = client.get("/py/analysis/correlation?tickers=T03,T01,T02").json
    assert again["run_id"] == first["run_id"]
    work(computed)
    sweep(computed)
    found = client.get("/py/analysis/correlation?tickers=T01,T02,T03").json
    assert found["run_id"] == first["run_id"]
    assert found["tickers"] == ["T01", "T02", "T03"]
    returns = pd.DataFrame(
        {t: make_bars(420, int(t[1:]))["close"].transform("log").diff() for t in found["tickers"]}
    )
    expected = returns.iloc[-60:].corr().to_numpy()
    assert found["matrix"][0] == pytest.approx(expected[0].tolist(), rel=1e-9)
    assert [pair["tickers"] for pair in found["pairs"]] == [
        ["T01", "T02"],
        ["T01", "T03"],
        ["T02", "T03"],
    ]
    assert all(0 <= pair["p_value"] <= 1 for pair in found["pairs"])
    store(database, {"T02": make_bars(421, 2)})
    assert client.get("/py/analysis/correlation?tickers=T01,T02,T03").json["matrix"] is None


@pytest.mark.parametrize(("site", "runs"), [("cross-site", 0), ("same-origin", 1)])
def test_an_image_on_another_sites_page_starts_no_computation(
    client: FlaskClient, computed, site: str, runs: int
) -> None:
    asked = client.get("/py/analysis/correlation?tickers=T01,T02", headers={"Sec-Fetch-Site": site})
    assert asked.status_code == 200
    stored = computed.database.detection_runs
    assert stored.count_documents({"task": "correlation"}) == runs


def test_correlations_of_a_market_are_those_of_its_most_traded_tickers(
    client: FlaskClient, computed
) -> None:
    client.get("/py/analysis/correlation?market=US&limit=4")
    work(computed)
    sweep(computed)
    found = client.get("/py/analysis/correlation?market=US&limit=4").json
    notional = {d["ticker"]: d["notional"] for d in computed.database.analytics_overview.find()}
    most = sorted(notional, key=lambda ticker: -notional[ticker])[:4]
    assert sorted(found["tickers"]) == sorted(most)
    assert len(found["matrix"]) == 4
    assert client.get("/py/analysis/correlation?tickers=NONE").status_code == 404


def test_real_bars_have_an_answer_in_every_category(
    client: FlaskClient, worker: Worker, database: Db
) -> None:
    bars = read_demo()
    store(database, {"AAPL": bars[bars["Ticker"] == "AAPL"].drop(columns="Ticker")})
    tick(worker)
    for category in CATEGORIES:
        found = client.get(f"/py/analysis/{category}?ticker=AAPL").json
        reasons = {why.get("reason") for why in found["missing"].values()}
        assert reasons <= {"no_depth", "daily_bars", "not_significant"}, found["missing"]

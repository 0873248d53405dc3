"""The Python client against the API in gunicorn, with a real worker."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pandas as pd
import pytest
from tapewatch_client import (
    ApiRefused,
    ApiUnreachable,
    Client,
    Pages,
    RunFailed,
    RunUnfinished,
    Started,
)

from records.keys import add_key
from runner.servers import free_port
from tasks.process.broker import build_celery
from tasks.requests.analytics import request_analytics
from tasks.requests.selection import Selection
from tests.integration.conftest import Live
from tests.integration.detecting import make_bars, store
from tests.integration.serving import serve_api
from tests.processes import BEHIND_PROXY

SHOCKS = (400, 520, 640)
TICKERS = ("AAA", "BBB", "CCC")


@pytest.fixture(scope="module")
def asked(live: Live) -> Iterator[Client]:
    """A client of a service with bars of three tickers, all of them detected."""
    for seed, ticker in enumerate(TICKERS):
        store(live.database, ticker, make_bars(800, seed=seed, shocks=SHOCKS))
    key = add_key(live.database, "client", ["admin"], datetime.now(UTC))
    with serve_api(live.settings) as url, Client(url, key) as client:
        client.train_model(market="US").wait(progress=False)
        client.start_backfill(tickers=TICKERS, max_period="max").wait(progress=False)
        yield client


class BadLine(ThreadingHTTPServer):
    """A proxy between a client and the API that passes requests on and can lose the next
    answers.
    """

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), PassOn)
        self.api = url
        self.to_lose = 0
        self.is_silent = False
        self.over = threading.Event()
        self.instead: tuple[int, dict[str, str], bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class PassOn(BaseHTTPRequestHandler):
    server: BadLine

    def do_GET(self) -> None:
        self.pass_on()

    def do_POST(self) -> None:
        self.pass_on()

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        answer = httpx.request(
            self.command, self.server.api + self.path, headers=headers, content=body
        )
        self.close_connection = True
        if self.server.to_lose:
            self.server.to_lose -= 1
            return
        status, said, content = self.server.instead or (
            answer.status_code,
            {"Content-Type": answer.headers["Content-Type"]},
            answer.content,
        )
        self.send_response(status)
        for name, value in said.items():
            self.send_header(name, value)
        self.end_headers()
        if self.server.is_silent:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.server.over.wait(10)
            return
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def put_between(asked: Client) -> Iterator[tuple[BadLine, Client]]:
    key = str(asked._http.headers["Authorization"]).removeprefix("Bearer ")
    with BadLine(asked.url) as line, Client(line.url, key) as client:
        thread = threading.Thread(target=line.serve_forever)
        thread.start()
        try:
            yield line, client
        finally:
            line.shutdown()
            thread.join()


def test_wait_shows_a_progress_bar_until_the_run_has_ended(
    asked: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    started = asked.start_backfill(ticker="AAA", max_period="max")
    run = started.wait()
    assert run["_id"] == started.run_id
    assert run["status"] == "complete"
    assert run["progress"]["percent"] == 100
    assert "100%" in capfd.readouterr().err


def test_pages_are_joined_in_order(asked: Client) -> None:
    whole = asked.anomalies(market="US").to_list()
    assert len(whole) > 3 * len(SHOCKS)
    assert replace(asked.anomalies(market="US"), _most=2).to_list() == whole
    assert [each["_id"] for each in asked.anomalies(limit=3, fields=["grade"])] == [
        each["_id"] for each in whole[:3]
    ]
    times = [each["Datetime"] for each in whole]
    assert times == sorted(times, reverse=True)
    assert list(asked.anomalies(limit=0)) == []


def test_bars_come_in_order_of_time_however_many_pages_they_take(asked: Client) -> None:
    bars = asked.bars(ticker="AAA").to_frame()  # 800 bars: two pages, the later one first.
    assert len(bars) == 800
    assert bars["time"].is_monotonic_increasing
    assert bars["time"].is_unique
    assert str(bars["time"].dtype).endswith("UTC]")
    last = replace(asked.bars(ticker="AAA", limit=30), _most=7).to_frame()
    pd.testing.assert_frame_equal(last, bars.tail(30).reset_index(drop=True))


def test_frames_have_columns_for_nested_fields(asked: Client) -> None:
    frame = asked.anomalies(sort="anomaly_score", limit=10).to_frame()
    assert frame["anomaly_score"].is_monotonic_increasing
    assert frame["features.return_1"].abs().max() > 0.05
    assert frame["Datetime"].dt.tz is not None
    assert asked.anomalies(ticker="AAA", min_grade=100, status="superseded").to_frame().empty


def test_an_empty_frame_has_the_columns_of_a_full_one(asked: Client) -> None:
    nothing = asked.anomalies(model_version="none").to_frame()
    assert (len(nothing), nothing[nothing["grade"] > 50].empty) == (0, True)
    assert str(nothing["Datetime"].dt.tz) == "UTC"
    narrow = asked.anomalies(model_version="none", fields=["Ticker", "features.return_1"])
    assert [*narrow.to_frame().columns] == ["Ticker", "features.return_1"]


def test_columns_of_numbers_are_numeric_even_if_all_values_are_missing(asked: Client) -> None:
    """They used to have the dtype object, which cannot be compared with a number."""
    faults = asked.anomalies(kind="fault").to_frame()
    assert len(faults)
    assert faults["confidence"].isna().all()
    assert not (faults["confidence"] > 0.5).any()
    whole, nothing = asked.anomalies().to_frame(), asked.anomalies(ticker="NONE").to_frame()
    for frame in (faults, whole, nothing):
        kinds = {name: str(frame[name].dtype) for name in ("grade", "confidence", "Close")}
        assert set(kinds.values()) == {"float64"}, kinds
        assert frame["in_training_window"].dtype == bool
    assert str(nothing["Datetime"].dt.tz) == "UTC"
    assert str(asked.tickers(market="JP").to_frame()["bars"].dtype) == "int64"


def test_a_step_without_fields_is_called_with_the_id_alone(asked: Client) -> None:
    """Such a step used to need an empty body as an argument, or could not be called."""
    with pytest.raises(ApiRefused, match="there is no alert 'nope'"):
        asked.acknowledge_alert("nope")


def test_a_list_of_values_is_sent_completely(asked: Client) -> None:
    with pytest.raises(ApiRefused, match="ZZZ"):
        asked.correlation(tickers=["AAA", "ZZZ"])
    assert asked.correlation(tickers=["AAA", "BBB"])["tickers"] == ["AAA", "BBB"]
    assert {"RSI", "zscore_20"} <= asked.chart(ticker="AAA", indicators="RSI,zscore_20")[
        "indicators"
    ].keys()
    (one,) = asked.anomalies(limit=1, fields=["grade", "reasons"])
    assert {"grade", "reasons"} <= one.keys()


def test_datetimes_are_accepted_as_times(asked: Client) -> None:
    frame = asked.bars(ticker="AAA").to_frame()
    start = frame["time"].iloc[700].to_pydatetime()
    assert len(asked.bars(ticker="AAA", start=start).to_list()) == 100
    assert len(asked.bars(ticker="AAA", start=start.date()).to_list()) == 100


def test_metrics_are_read_bar_by_bar(asked: Client, live: Live) -> None:
    with build_celery(live.settings) as celery:
        (run,) = request_analytics(
            live.database,
            celery,
            Selection(("AAA",)),
            interval="1d",
            bars=30,
            now=datetime.now(UTC),
        )
    asked.wait_for(run["_id"], progress=False)
    assert asked.trend(ticker="AAA")["ticker"] == "AAA"
    history = replace(asked.trend_history(ticker="AAA", limit=5), _most=2).to_frame()
    assert len(history) == 5
    assert history["as_of"].is_monotonic_decreasing


def test_runs_models_and_watchlists_are_read(asked: Client) -> None:
    assert asked.runs(task="backfill").to_frame()["status"].eq("complete").all()
    (champion,) = asked.models(market="US", state="champion")
    assert champion["state"] == "champion"
    asked.add_watchlist(name="mine", tickers=["AAA", "BBB"])
    assert asked.watchlist("mine")["tickers"] == ["AAA", "BBB"]
    asked.remove_watchlist("mine")
    assert [each["name"] for each in asked.watchlists()] == []
    assert asked.liveness() == {"status": "ok"}
    assert "tapewatch_batches" in asked.metrics()


def test_none_clears_a_field_and_absent_fields_are_kept(asked: Client) -> None:
    asked.set_rule("ops", channel="json://example.com/alerts", digest="daily", min_grade=80)
    assert asked.change_rule("ops", min_grade=90)["digest"] == "daily"
    changed = asked.change_rule("ops", digest=None)
    assert (changed["digest"], changed["min_grade"]) == (None, 90)
    asked.remove_rule("ops")
    asked.set_ticker_threshold("AAA", threshold={"kind": "grade", "value": 90.0})
    assert asked.set_ticker_threshold("AAA", threshold=None)["threshold"] is None


def test_a_refusal_has_the_text_of_the_problem_document(asked: Client) -> None:
    with pytest.raises(ApiRefused) as refused:
        asked.bars(ticker="AAAA").to_list()
    problem = refused.value
    assert (problem.status, problem.reason) == (404, problem.document["reason"])
    assert str(problem) == problem.document["detail"]
    assert "AAA" in problem.detail
    with pytest.raises(ApiRefused) as wrong:
        asked.anomalies(min_grade=101).to_list()
    assert wrong.value.errors[0]["pointer"] == "/min_grade"
    with pytest.raises(ApiRefused) as nobody, Client(asked.url, "wrong") as other:
        other.models().to_list()
    assert nobody.value.status == 401


def test_no_answer_and_a_refusal_raise_different_errors(asked: Client) -> None:
    with (
        pytest.raises(ApiUnreachable, match="does not answer"),
        Client(f"http://127.0.0.1:{free_port()}") as nowhere,
    ):
        nowhere.health()
    with pytest.raises(ApiRefused), Client(asked.url, prefix="/elsewhere") as elsewhere:
        elsewhere.models().to_list()


def test_no_proxy_is_used_for_addresses_on_this_machine(
    asked: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in BEHIND_PROXY.items():
        monkeypatch.setenv(name, value)
    with Client(asked.url) as direct:
        assert direct.health()["status"] in {"ok", "degraded"}


def test_a_request_whose_answer_was_lost_is_repeated_and_starts_one_run(asked: Client) -> None:
    before = len(asked.runs(task="train").to_list())
    with put_between(asked) as (line, client):
        line.to_lose = 2
        assert client.liveness() == {"status": "ok"}
        line.to_lose = 2
        client.train_model(market="US", promote=False).wait(progress=False)
        line.to_lose = 1
        with pytest.raises(ApiUnreachable):  # A repetition would create another watchlist.
            client.add_watchlist(name="once", tickers=["AAA"])
    assert len(asked.runs(task="train").to_list()) == before + 1
    asked.remove_watchlist("once")


def test_an_export_that_stops_half_way_is_given_up(
    asked: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapewatch_client.LONGEST_SILENCE_SECONDS", 0.5)
    with put_between(asked) as (line, client):
        client._timeout_seconds = 0.5
        assert len([*client.export_table("bars", tickers=["AAA"])]) > 800
        line.is_silent = True
        try:
            with pytest.raises(ApiUnreachable, match="timed out"):
                list(client.export_table("bars", tickers=["AAA"]))
        finally:
            line.over.set()


def test_waiting_for_a_run_survives_a_restart_of_the_api(
    asked: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = asked.start_backfill(ticker="AAA", max_period="max").run_id
    with put_between(asked) as (line, client):
        line.to_lose = 7
        assert client.wait_for(run_id, progress=False)["status"] == "complete"
        line.instead = (502, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")
        with pytest.raises(RunUnfinished, match=r"not told of yet.*it goes on"):
            client.wait_for(run_id, progress=False, timeout_seconds=0.2)
        monkeypatch.setattr("tapewatch_client.LONGEST_SILENCE_SECONDS", 0.2)
        with pytest.raises(ApiRefused, match="502"):
            client.wait_for(run_id, progress=False)


@pytest.mark.parametrize(
    ("status", "headers", "content"),
    [
        (200, {"Content-Type": "text/html"}, b"<html>Log in</html>"),
        (200, {"Content-Type": "application/json"}, b'{"items": ['),
        (502, {"Content-Type": "application/json"}, b'{"detail": '),
        (301, {"Location": "https://tapewatch.example.com/py/models"}, b""),
    ],
)
def test_an_answer_that_is_not_tapewatchs_is_reported_as_such(
    asked: Client, status: int, headers: dict[str, str], content: bytes
) -> None:
    with put_between(asked) as (line, client):
        line.instead = (status, headers, content)
        with pytest.raises(ApiRefused, match=f"answered {status}.*is it Tapewatch"):
            client.models().to_list()
        with pytest.raises(ApiRefused, match=f"answered {status}.*is it Tapewatch"):
            client.start_backfill(ticker="AAA")


def test_a_key_is_sent_unchanged_or_refused_without_showing_it(asked: Client) -> None:
    key = str(asked._http.headers["Authorization"]).removeprefix("Bearer ")
    # With a line break at its end, as read from a file.
    with Client(asked.url, f"{key}\n") as client:
        assert client.models().to_list()
    for wrong in ("schlüssel", "two\nlines", "Bearer key"):
        with pytest.raises(ValueError, match="copied whole") as refused:
            Client(asked.url, wrong)
        assert wrong not in str(refused.value)


def test_a_run_that_fails_raises(asked: Client) -> None:
    candle = {"time": "2024-01-04", "open": 10, "high": 11, "low": 9, "close": 10, "volume": 5}
    asked.push_candles(ticker="EEE.BK", candles=[candle]).wait(progress=False)
    with pytest.raises(RunFailed, match="ended failed") as failed:
        asked.train_model(market="TH").wait(progress=False)
    assert failed.value.run["status"] == "failed"


def test_files_and_bars_are_imported(asked: Client, tmp_path: Path) -> None:
    file = tmp_path / "DDD.csv"
    file.write_text("Date,Open,High,Low,Close,Volume\n2024-01-03,10,11,9,10.5,1000\n")
    assert asked.preview_file(file=file)["columns"]
    run = asked.import_file(file=file, day_first=False).wait(progress=False)
    assert run["status"] == "complete"
    candle = {"time": "2024-01-04", "open": 10, "high": 11, "low": 9, "close": 10, "volume": 5}
    asked.push_candles(ticker="DDD", candles=[candle]).wait(progress=False)
    assert [bar["close"] for bar in asked.bars(ticker="DDD")] == [10.5, 10.0]


def test_series_are_fitted_and_predicted_line_by_line(asked: Client) -> None:
    fitted = asked.fit_series_model(
        "sensor", timestamps=[1, 2, 3, 4], values=[10.0, 11.0, 9.0, 10.0]
    )
    assert not isinstance(fitted, Started)
    points = [json.dumps({"timestamp": str(n), "value": value}) for n, value in [(5, 10), (6, 99)]]
    judged = [json.loads(line) for line in asked.predict_stream("sensor", points)]
    assert [each["anomaly"] for each in judged] == [False, True]
    assert asked.plot_series(series_id="sensor", format="svg").startswith("<svg")


def test_a_frame_without_pandas_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    empty: Pages[object] = Pages(lambda _page: {"items": [], "next_cursor": None}, None, 500)
    with pytest.raises(ImportError, match=r"tapewatch-client\[frames\]"):
        empty.to_frame()

"""Any value that is sent is used, or refused with its place. It never becomes a query to the
database, and never a 500.
"""

from collections.abc import Iterator
from io import BytesIO

import pytest
from flask.testing import FlaskClient

from api import create_app
from api.http.paging import encode_cursor
from api.http.repeated import FREE_TEXT, LISTS
from api.http.state import get_state
from core.settings import Settings
from records.database import Db
from runner.servers import Servers
from tests.integration.detecting import make_bars, store
from tests.integration.document import DOCUMENT
from tests.integration.stored import add_series

QUERY = {"$ne": ""}
# The members of a list are checked once all lists have their fields.
HISTORY = {"timestamps": [1, 2, 3], "values": [1.0, 2.0, 4.0]}
CANDLE = {"ticker": "AAPL", "time": "2024-01-02", "open": 1, "high": 1, "low": 1, "close": 1}
# Candles come in several forms that are told apart while they are read, and columns are named by an
# object: their errors are described in text, without a pointer.
WITHOUT_PLACE = {"candles", "columns"}


@pytest.fixture(scope="module")
def client(servers: Servers, mongo_database: str) -> Iterator[FlaskClient]:
    """One API for all requests that are refused here: creating one takes as long as thirty
    answers.
    """
    app = create_app(
        Settings(
            _env_file=None,
            mongo_url=servers.mongo_url,
            redis_url=servers.redis_url.removesuffix("0") + "1004",
            mongo_database=mongo_database,
        )
    )
    yield app.test_client()
    get_state(app).close()


def find_body_fields() -> Iterator[tuple[str, str, str]]:
    """Yield method, path and field of every field that is accepted in a JSON body."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            schema = (
                operation.get("requestBody", {})
                .get("content", {})
                .get("application/json", {})
                .get("schema")
            )
            if schema is None:
                continue
            for choice in schema.get("anyOf", [schema]):
                name = choice["$ref"].rpartition("/")[2] if "$ref" in choice else None
                if name is None:  # The alternative that is a list of the same objects.
                    continue
                for field in DOCUMENT["components"]["schemas"][name]["properties"]:
                    yield method, path, field


def find_query_fields() -> Iterator[tuple[str, str]]:
    for path, operations in DOCUMENT["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query":
                yield path, parameter["name"]


def fill(path: str) -> str:
    for name in ("ticker", "version", "run_id", "anomaly_id", "name", "series_id"):
        path = path.replace(f"{{{name}}}", "AAPL")
    return path


@pytest.mark.parametrize(("method", "path", "field"), list(find_body_fields()))
def test_an_object_where_a_value_belongs_is_422_at_its_place(
    client: FlaskClient, database: Db, method: str, path: str, field: str
) -> None:
    for sent in (QUERY, [QUERY]):
        whole = HISTORY if "/fit/" in path else {"candles": [CANDLE]} if field == "columns" else {}
        response = client.open(fill(path), method=method.upper(), json={**whole, field: sent})
        assert response.status_code == 422, response.text
        named = any(wrong["pointer"].startswith(f"/{field}") for wrong in response.json["errors"])
        assert named or field in WITHOUT_PLACE, response.text
    assert database.detection_runs.count_documents({}) == 0


@pytest.mark.parametrize(("path", "name"), list(find_query_fields()))
def test_a_query_that_gives_a_value_twice_is_422(client: FlaskClient, path: str, name: str) -> None:
    response = client.get(f"{fill(path)}?{name}=AAPL&{name}=MSFT")
    assert (response.status_code, response.json["reason"]) == (422, "given_twice")
    assert [(wrong["location"], wrong["pointer"]) for wrong in response.json["errors"]] == [
        ("query", f"/{name}")
    ]


def takes_many(path: str, name: str) -> bool:
    """Whether the document says that a query parameter takes several values."""
    (parameter,) = [
        each for each in DOCUMENT["paths"][path]["get"]["parameters"] if each["name"] == name
    ]
    return "commas between" in parameter["schema"].get("description", "")


@pytest.mark.parametrize(("path", "name"), list(find_query_fields()))
def test_a_list_where_one_value_belongs_is_422_and_not_cut_to_its_first(
    client: FlaskClient, path: str, name: str
) -> None:
    assert takes_many(path, name) is (name in LISTS)
    if name in LISTS | FREE_TEXT:
        return
    response = client.get(fill(path), query_string={name: "AAPL,MSFT"})
    assert (response.status_code, response.json["reason"]) == (422, "given_twice")
    assert [wrong["pointer"] for wrong in response.json["errors"]] == [f"/{name}"]


@pytest.mark.parametrize(
    "query",
    ["ticker=AAPL&symbol=MSFT", "ticker=AAPL&pair=MSFT", "ticker=AAPL&interval=1d&timeframe=1w"],
)
def test_two_names_of_one_parameter_are_refused_together(client: FlaskClient, query: str) -> None:
    response = client.get(f"/py/analysis/trend?{query}")
    assert response.status_code == 422, response.text
    assert response.json["reason"] != "not_found"


FIRST = {"fields": "grade", "indicators": "sma", "tickers": "AAPL", "columns": "close"}


def test_every_list_is_checked_to_its_last_value(client: FlaskClient) -> None:
    """An error in its last value is found."""
    lists = [(path, name) for path, name in find_query_fields() if name in LISTS]
    assert {name for _path, name in lists} == LISTS
    for path, name in lists:
        first = FIRST[name]
        given = {"ticker": "AAPL"} if path.endswith("/chart") else {}
        response = client.get(
            path.replace("{table}", "bars"), query_string={**given, name: f"{first},$wrong"}
        )
        assert response.status_code == 422, response.text
        assert "$wrong" in response.json["detail"].lower()


def test_a_form_or_an_object_that_gives_a_value_twice_is_refused(
    client: FlaskClient, database: Db
) -> None:
    add_series(database, "AAPL", "MSFT")
    form = {"file": (BytesIO(b"Date,Close"), "a.csv"), "ticker": ["AAPL", "MSFT"]}
    response = client.post("/py/data/import", data=form)
    assert (response.status_code, response.json["errors"][0]["location"]) == (422, "form")
    files = {"file": [(BytesIO(b"Date,Close"), "a.csv"), (BytesIO(b"Date,Close"), "b.csv")]}
    response = client.post("/py/data/import", data=files)
    assert (response.status_code, response.json["errors"][0]["location"]) == (422, "files")
    response = client.post(
        "/py/anomalies/backfill",
        data='{"ticker": "AAPL", "ticker": "MSFT"}',
        content_type="application/json",
    )
    assert response.status_code == 400
    assert "'ticker'" in response.json["detail"]
    assert database.detection_runs.count_documents({}) == 0


@pytest.mark.parametrize(("path", "name"), list(find_query_fields()))
def test_an_operator_in_a_query_string_is_422(client: FlaskClient, path: str, name: str) -> None:
    assert client.get(f"{fill(path)}?{name}[$ne]=").status_code == 422


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/py/anomalies?start=0001-01-01T00:00:00%2B14:00", 422),
        ("/py/anomalies?end=9999-12-31T23:59:59-14:00", 422),
        ("/py/anomalies?start=0001-01-01&end=9999-12-31", 200),
        ("/py/anomalies?start=2020-01-02&end=2020-01-01", 422),
        ("/py/anomalies?min_grade=nan", 422),
        ("/py/anomalies?min_grade=inf", 422),
        ("/py/anomalies?limit=501", 422),
        ("/py/anomalies?limit=99999999999999999999", 422),
        ("/py/anomalies?run_id=%00", 422),
        ("/py/anomalies/%00", 404),
        ("/py/anomalies/%F0%9F%92%A9", 404),
        ("/py/chart?ticker=AAPL&period=9999y", 404),
        ("/py/chart?ticker=AAPL&period=0d", 422),
        ("/py/data/candles?ticker=NOBODY&limit=10001", 422),
        ("/py/tickers/A%00B/status", 422),
        ("/py/data/candles?ticker=STORED&end=9999-12-31T23:59:59.999999", 200),
        ("/py/chart/comparison?ticker=STORED&start=9999-12-31T23:59:59.999999Z", 200),
    ],
)
def test_extreme_values_are_answered_or_refused(
    client: FlaskClient, database: Db, path: str, status: int
) -> None:
    store(database, "STORED", make_bars(2))
    assert client.get(path).status_code == status


@pytest.mark.parametrize(
    ("path", "position", "status"),
    [
        ("/py/tickers", ("\0",), 200),
        # Half of a surrogate pair, a number of more than 64 bits, and a time before the year 1 in
        # UTC.
        ("/py/tickers", ("\ud800",), 422),
        ("/py/data/rejected", ("2020-01-01T00:00:00+00:00", 10**30, "x"), 422),
        ("/py/data/candles?ticker=STORED", ("0001-01-01T00:00:00+14:00",), 422),
        ("/py/data/candles?ticker=STORED", ("9999-12-31T23:59:59.999999",), 200),
    ],
)
def test_extreme_cursors_are_answered_or_refused(
    client: FlaskClient, database: Db, path: str, position: tuple[object, ...], status: int
) -> None:
    store(database, "STORED", make_bars(2))
    with client.application.test_request_context(path):
        cursor = encode_cursor(*position)
    joint = "&" if "?" in path else "?"
    assert client.get(f"{path}{joint}cursor={cursor}").status_code == status


@pytest.mark.parametrize(
    "start", ["20150105", "2015-01-05", "1420416000", "1420416000000", "1420416000.5"]
)
def test_a_day_written_in_digits_is_that_day(client: FlaskClient, database: Db, start: str) -> None:
    store(database, "STORED", make_bars(3))  # The bars of 2015-01-02, 05 and 06.
    found = client.get(f"/py/data/candles?ticker=STORED&start={start}").json["items"]
    bars = 1 if start.endswith(".5") else 2
    assert [bar["time"][:10] for bar in found] == ["2015-01-05", "2015-01-06"][-bars:]


@pytest.mark.parametrize("start", ["946684800", "1420156800"])
def test_seconds_since_1970_may_lie_before_september_2001(
    client: FlaskClient, database: Db, start: str
) -> None:
    """Times before 2001-09-09 have a digit less than later ones."""
    store(database, "STORED", make_bars(3))
    found = client.get(f"/py/data/candles?ticker=STORED&start={start}").json["items"]
    assert len(found) == 3


@pytest.mark.parametrize(
    "number", ["2015", "42009", "0", "-1", "201501", "201501051530", "20150105153000"]
)
def test_a_number_that_is_not_a_time_is_refused(client: FlaskClient, number: str) -> None:
    asked = [
        client.get(f"/py/data/candles?ticker=AAPL&start={number}"),
        client.post("/py/models/evaluate", json={"versions": ["M"], "start": int(number)}),
        client.post("/py/tickers/AAPL/splits", json={"session": number, "factor": 2}),
    ]
    for answer in asked:
        assert answer.status_code == 422
        assert "is no time: write 2010-12-31" in answer.json["detail"]


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"])
def test_a_day_outside_the_possible_range_is_refused(
    client: FlaskClient, database: Db, day: str
) -> None:
    refused = client.get(f"/py/markets/US/days/{day}")
    assert (refused.status_code, refused.json["reason"]) == (422, "bad_input")
    assert f"{day} is none of the days" in refused.json["detail"]
    assert client.get("/py/markets/US/days/1900-01-01").status_code == 200
    assert client.get("/py/markets/US/days/2199-12-31").status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"ticker": "AAPL", "max_period": "9999y"}, 202),
        ({"ticker": "AAPL", "max_period": "99999y"}, 422),
        ({"ticker": "AAPL", "max_period": "max"}, 202),
        ({"ticker": "A" * 21}, 422),
        ({"ticker": "\x00"}, 422),
        ({"ticker": "\ud800"}, 422),
        ({"watchlist": "x" * 65}, 422),
    ],
)
def test_extreme_backfills_are_accepted_or_refused(
    client: FlaskClient, database: Db, body: dict[str, str], status: int
) -> None:
    add_series(database, "AAPL")
    assert client.post("/py/anomalies/backfill", json=body).status_code == status


@pytest.mark.parametrize("field", ["seed", "trees", "sample", "contamination", "grade", "score"])
@pytest.mark.parametrize("value", [-1, 2**31, 2**64, 1e300])
def test_a_training_option_beyond_its_bound_is_422(
    client: FlaskClient, database: Db, field: str, value: float
) -> None:
    add_series(database, "AAPL")
    status = client.post("/py/models/train", json={"market": "US", field: value}).status_code
    allowed = {("seed", 2**31), ("score", -1)}
    assert status == (202 if (field, value) in allowed else 422)


def test_nan_and_infinity_are_rejected_not_stored(client: FlaskClient, database: Db) -> None:
    candle = '{"time": "2013-03-01", "open": 1e999, "high": NaN, "low": -1e999, "close": 1}'
    body = f'{{"ticker": "AAPL", "candles": [{candle}]}}'
    response = client.post("/py/data/candles", data=body, content_type="application/json")
    assert response.status_code in {202, 400, 422}

"""Coverage, corrected bars and rejected rows over HTTP."""

from datetime import UTC, date, datetime, time

import pandas as pd
from flask.testing import FlaskClient

from market.bars.ledger import refresh_ledger
from market.bars.session_exceptions import set_exception
from market.imports.importing import import_frame
from market.markets import SHIPPED
from records.database import Db
from records.market.session_overrides import set_override
from tests.integration.stored import add_series

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def import_closes(
    database: Db, closes: dict[str, float], *, ticker: str = "NEWCO", now: datetime = NOW
) -> None:
    """Import a bar for each date. A close of zero is rejected."""
    rows = [(day, close, close, close, close, 1_000) for day, close in closes.items()]
    frame = pd.DataFrame(rows, columns=["date", "open", "high", "low", "close", "volume"])
    import_frame(database, frame, interval="1d", source="hand", ticker=ticker, now=now)


def test_sessions_without_a_bar_are_listed(client: FlaskClient, database: Db) -> None:
    import_closes(database, {"2025-01-02": 10, "2025-01-03": 10, "2025-01-07": 10})
    import_closes(database, {"2025-01-08": 10, "2025-01-14": 10})
    # The 9th, a day of mourning, is closed in the calendar; the 6th, 10th and 13th were sessions.
    answer = client.get("/py/tickers/newco/coverage").json
    assert (answer["sessions"], answer["missing"], answer["gap_count"]) == (8, 3, 2)
    assert [(gap["first"][:10], gap["last"][:10], gap["sessions"]) for gap in answer["gaps"]] == [
        ("2025-01-06", "2025-01-06", 1),
        ("2025-01-10", "2025-01-13", 2),
    ]
    (series,) = client.get("/py/tickers").json["items"]
    assert series["coverage"] == {
        "sessions": 8,
        "missing": 3,
        "gap_count": 2,
        # All closes but the first equal the one before.
        "no_trade": 4,
        "bars_expected": 8,
        "bars_held": 5,
    }
    import_closes(database, {"2025-01-10": 10})
    latest = client.get("/py/tickers/NEWCO/coverage").json["gaps"][-1]
    assert (latest["state"], latest["bars_held"], latest["bars_expected"]) == ("partial", 1, 2)


def test_a_day_that_turns_out_to_have_been_closed_is_a_gap_no_longer(
    client: FlaskClient, database: Db
) -> None:
    import_closes(database, {"2025-03-04": 10, "2025-03-06": 10})
    assert client.get("/py/tickers/NEWCO/coverage").json["missing"] == 1
    set_override(database, "US", "2025-03-05", opens=None, closes=None, note="", now=NOW)
    assert refresh_ledger(database, SHIPPED["US"], date(2025, 3, 5)) == 1
    assert client.get("/py/tickers/NEWCO/coverage").json["missing"] == 0


def test_coverage_of_an_unknown_series_is_404(client: FlaskClient) -> None:
    assert client.get("/py/tickers/NEWCO/coverage").json["reason"] == "no_bars"


def read_pages(client: FlaskClient, path: str) -> list[dict[str, object]]:
    """Return the items of all pages, of two items each."""
    items, cursor = [], ""
    while cursor is not None:
        page = client.get(
            path, query_string={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json
        items += page["items"]
        cursor = page["next_cursor"]
    return items


def test_corrected_bars_come_page_by_page_the_newest_first(
    client: FlaskClient, database: Db
) -> None:
    days = [f"2025-02-{day:02}" for day in (3, 4, 5, 6, 7)]
    import_closes(database, dict.fromkeys(days, 10.0))
    import_closes(database, dict.fromkeys(days[:3], 11.0), now=datetime(2026, 1, 6, tzinfo=UTC))
    import_closes(database, {days[4]: 12.0}, now=datetime(2026, 1, 7, tzinfo=UTC))
    found = read_pages(client, "/py/data/revisions")
    assert [(item["first"][:10], item["new"]["close"]) for item in found] == [
        (days[4], 12.0),
        (days[2], 11.0),
        (days[1], 11.0),
        (days[0], 11.0),
    ]
    assert {item["old"]["close"] for item in found} == {10.0}
    assert client.get("/py/data/revisions?ticker=OTHER").json["items"] == []


def test_rejected_rows_come_page_by_page_in_the_order_of_their_source(
    client: FlaskClient, database: Db
) -> None:
    import_closes(database, {"2025-02-03": 10, "2025-02-04": 0, "2025-02-05": 0, "2025-02-08": 10})
    import_closes(database, {"2025-02-06": 0}, ticker="OTHER", now=datetime(2026, 1, 6, tzinfo=UTC))
    found = read_pages(client, "/py/data/rejected")
    assert [(item["ticker"], item["time"][:10], item["reason"]) for item in found] == [
        ("OTHER", "2025-02-06", "non_positive_price"),
        ("NEWCO", "2025-02-04", "non_positive_price"),
        ("NEWCO", "2025-02-05", "non_positive_price"),
        ("NEWCO", "2025-02-08", "not_a_session"),
    ]
    saturday = client.get("/py/data/rejected?reason=not_a_session&ticker=newco").json["items"]
    assert [item["row"] for item in saturday] == [found[-1]["row"]]


def test_a_day_on_which_most_of_a_market_traded_is_proposed_as_a_session(
    client: FlaskClient, database: Db
) -> None:
    """The 9th is a day of mourning, the 11th a Saturday."""
    week = {f"2025-01-{day:02}": 10.0 + day for day in (6, 7, 8)}
    for ticker in ("AAA", "BBB", "CCC"):
        import_closes(database, week | {"2025-01-09": 11.0, "2025-01-13": 12.0}, ticker=ticker)
    import_closes(database, week | {"2025-01-11": 11.0}, ticker="DDD")
    import_closes(database, {"2025-01-09": 10.0, "2025-02-03": 10.0}, ticker="LATER")
    answer = client.get("/py/markets/US/sessions").json
    assert answer["sessions"] == []
    (proposed,) = answer["proposed"]
    # LATER has no bars around the day except the one that was rejected.
    assert proposed == {
        "day": "2025-01-09",
        "tickers": 3,
        "of": 4,
        "opens": "09:30",
        "closes": "16:00",
    }
    hours = (time(9, 30), time(16))
    set_exception(database, SHIPPED.choose("US"), date(2025, 1, 9), hours, note="", now=NOW)
    assert client.get("/py/markets/US/sessions").json["proposed"] == []


def test_a_cursor_of_another_list_is_refused(client: FlaskClient, database: Db) -> None:
    import_closes(database, {"2025-02-03": 10, "2025-02-04": 0, "2025-02-05": 0})
    path = "/py/data/rejected"
    first = client.get(f"{path}?ticker=NEWCO&limit=1").json
    cursor, (shown,) = first["next_cursor"], first["items"]
    rest = client.get(path, query_string={"cursor": cursor, "ticker": "NEWCO", "limit": 9}).json
    assert [item["_id"] != shown["_id"] for item in rest["items"]] == [True]
    # The orders of these lists have equally many keys of the same types, so a position in one could
    # be used in another.
    for other, asked in (
        (path, {"ticker": "OTHER"}),
        (path, {}),
        ("/py/data/revisions", {"ticker": "NEWCO"}),
        ("/py/audit", {}),
    ):
        answer = client.get(other, query_string={"cursor": cursor, **asked})
        assert answer.status_code == 422, other
        assert "another list" in answer.json["detail"], other


def test_a_cursor_of_another_order_is_refused(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAA", "BBB")
    names = ("/py/tickers?limit=1", "/py/tickers?limit=1&interval=1d", "/py/watchlists?limit=1")
    cursor = client.get(names[0]).json["next_cursor"]
    statuses = [client.get(f"{name}&cursor={cursor}").status_code for name in names]
    assert statuses == [200, 422, 422]

"""The figures of stored bars, and the quality score computed from them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import exchange_calendars as xc
import pandas as pd
import pytest
from flask.testing import FlaskClient

from market.bars.arriving import write_split
from market.bars.quality import RULES
from market.imports.importing import import_frame
from records.database import Db
from records.market.gaps import accept_gaps
from records.migrations import upgrade
from tests.commands import Command

NOW = datetime.now(UTC)
SESSIONS = xc.get_calendar("XNYS", start="2023-01-03", end=NOW.date() - timedelta(days=3)).sessions


def build(count: int = 200) -> pd.DataFrame:
    """Return the last `count` sessions, each with a close a little above the one before."""
    close = [10 + row / 100 for row in range(count)]
    return pd.DataFrame(
        {
            "date": SESSIONS[-count:],
            "open": close,
            "high": [price + 0.05 for price in close],
            "low": [price - 0.05 for price in close],
            "close": close,
            "volume": 100.0,
        }
    )


def bring(database: Db, ticker: str, frame: pd.DataFrame, now: datetime = NOW) -> None:
    import_frame(database, frame, interval="1d", source="test", ticker=ticker, now=now)


def ask(client: FlaskClient, ticker: str) -> dict[str, Any]:
    (found,) = client.get(f"/py/data/quality?ticker={ticker}").json["items"]
    return dict(found)


def test_the_rules_together_can_take_off_all_points() -> None:
    assert sum(rule.most for rule in RULES) == 100


def test_good_bars_have_a_full_score(client: FlaskClient, database: Db) -> None:
    bring(database, "GOOD", build())
    found = ask(client, "GOOD")
    behind = found["figures"]["sessions_behind"]
    assert found["completeness"] == 1
    assert (found["score"], found["deductions"].keys() - {"sessions_behind"}) == (
        100 - 2 * behind,
        set(),
    )


def test_each_fault_takes_its_points_off(client: FlaskClient, database: Db) -> None:
    frame = build()
    frame.loc[10, "high"] = 1.0  # A rejected row is a gap too.
    frame.loc[20:24, "volume"] = 0.0
    for name in ("open", "high", "low", "close"):
        frame.loc[40:46, name] = 12.0
        frame.loc[100:, name] /= 3
    bring(database, "BAD", frame.drop([30, 31]))
    corrected = frame.loc[[60]].assign(volume=200.0)
    bring(database, "BAD", corrected, NOW - timedelta(days=40))
    bring(database, "BAD", corrected.assign(volume=300.0), NOW - timedelta(days=20))
    found = ask(client, "BAD")
    figures = found["figures"]
    assert found["jumps"] == [f"{frame.loc[100, 'date']:%Y-%m-%d}T00:00:00Z"]
    assert figures | {"sessions_behind": 0} == {
        "lacking_share": pytest.approx(3 / 200),
        "sessions_behind": 0,
        "rejected_share": pytest.approx(1 / 198),
        "revisions": 1,
        "open_gaps": 2,
        "stale_runs": 1,
        "no_volume_share": pytest.approx(5 / 197),
        "suspected_splits": 1,
    }
    assert found["deductions"]["suspected_splits"] == 2.5
    expected = 100 * (3 / 200 + 1 / 198 + 5 / 197) + 1 + 2 + 1 + 2.5
    expected += 2 * figures["sessions_behind"]
    assert found["score"] == pytest.approx(100 - expected, abs=0.05)
    # Gaps and oddities that are explained, or known by now, take nothing off.
    accept_gaps(database, [f"BAD::1d::{frame.loc[30, 'date']:%Y-%m-%d}"], "halt")
    write_split(database, "BAD", "1d", frame.loc[100, "date"].date(), 3.0, NOW)
    after = ask(client, "BAD")["figures"]
    assert (after["suspected_splits"], after["open_gaps"]) == (0, 1)
    assert after["lacking_share"] == pytest.approx(1 / 198)


def test_the_worst_series_are_listed_first_page_by_page(
    client: FlaskClient, database: Db, flask: Command
) -> None:
    bring(database, "GOOD", build())
    bring(database, "POOR", build().drop(range(50, 90)))
    bring(database, "FAIR", build().drop([50, 52]))
    bring(database, "7203.T", build()[["date", "open", "high", "low", "close"]])
    first = client.get("/py/data/quality?market=US&limit=2").json
    assert [one["ticker"] for one in first["items"]] == ["POOR", "FAIR"]
    assert [rule["figure"] for rule in first["formula"]] == [rule.figure for rule in RULES]
    second = client.get(
        "/py/data/quality", query_string={"market": "US", "cursor": first["next_cursor"]}
    ).json
    assert [one["ticker"] for one in second["items"]] == ["GOOD"]
    assert second["next_cursor"] is None
    assert ask(client, "7203.T")["figures"]["no_volume_share"] is None
    shown = json.loads(flask("bars", "quality", "--market", "us", "--json").stdout)
    assert [one["ticker"] for one in shown] == ["POOR", "FAIR", "GOOD"]
    table = flask("bars", "quality", "--limit", "1").output
    assert "POOR 1d" in table
    assert "lacking_share x 100, at most 40" in table


def test_series_stored_by_an_earlier_version_are_measured_by_an_upgrade(
    client: FlaskClient, database: Db, flask: Command
) -> None:
    bring(database, "POOR", build().drop(range(50, 90)))
    before = ask(client, "POOR")
    database.gaps.delete_many({})
    old = {"coverage": {"sessions": 200, "missing": 40, "gap_count": 1, "gaps": [{}]}}
    database.series.update_one({}, {"$set": old, "$unset": {"oddities": ""}})
    database.settings.delete_many({})
    answer = flask("db", "upgrade")
    assert "what looks odd in the bars of 1 series was summed up" in answer.output
    assert "what 1 series lack was counted" in answer.output
    assert ask(client, "POOR") == before
    assert upgrade(database, NOW) == []


def test_sums_written_by_an_earlier_version_are_shown_only_once_they_are_right(
    client: FlaskClient, database: Db, flask: Command
) -> None:
    """An earlier version that runs beside an upgrade, or after it was undone, keeps the sums that
    it finds.
    """
    silent = build()
    silent.loc[:9, "volume"] = 0
    bring(database, "BACK", build().head(100))
    kept = database.series.find_one({}, {"oddities": 1})["oddities"]
    bring(database, "BACK", silent)
    right = ask(client, "BACK")
    assert right["figures"]["no_volume_share"] == 0.05
    database.series.update_one({}, {"$set": {"oddities": kept}})
    assert ask(client, "BACK")["figures"]["no_volume_share"] is None
    told = flask("db", "check")
    assert told.exit_code == 1
    assert "quality of BACK 1d: what looks odd in its bars was not summed up" in told.output
    assert "of 1 series was summed up" in flask("db", "upgrade").output
    assert ask(client, "BACK") == right
    assert flask("db", "check").exit_code == 0
    database.series.update_one({}, {"$set": {"oddities.no_volume": 0}})
    assert flask("db", "check").exit_code == 1
    assert flask("gaps", "measure").exit_code == 0
    assert ask(client, "BACK") == right

"""Reading collections that are kept for ever, or have hundreds of thousands of documents, does not
read all of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from flask.testing import FlaskClient

from core.settings import Settings
from records.database import Db, Document
from records.findings.verifications import find_latest
from records.models.models import find_models
from runner.next_step import describe_next_step
from tests.integration.alerting import SESSIONS, build_anomaly
from tests.integration.detecting import make_bars, store
from tests.integration.modelling import add_model

MANY = 300


@contextmanager
def reading(database: Db, collection: str) -> Iterator[list[int]]:
    """Yield a list that at the end has the number of documents that each query of a collection
    read.
    """
    read: list[int] = []
    database.command("profile", 2)
    try:
        yield read
    finally:
        database.command("profile", 0)
        looks = database["system.profile"].find({"docsExamined": {"$exists": True}})
        of_it = [each for each in looks if collection in str(each["command"])]
        read += [each["docsExamined"] for each in of_it]
        database.drop_collection("system.profile")


def fill_history(database: Db, created: Sequence[datetime]) -> None:
    """Store resolved alerts of a year ago that were raised at these times."""
    hour = timedelta(hours=1)
    database.alert_history.insert_many(
        {
            "_id": f"old {number}",
            "watchlist": None if number % 3 else "tech",
            "entity_type": "ticker" if number % 3 else "market",
            "severity": "high",
            "cause": "earnings" if number % 2 else None,
            "state": "resolved",
            "resolved_by": "system" if number % 5 == 0 else "ann",
            "created_at": at,
            "resolved_at": at + hour,
        }
        for number, at in enumerate(created)
    )


def test_statistics_of_alerts_do_not_read_the_history(client: FlaskClient, database: Db) -> None:
    now = datetime.now(UTC)
    fill_history(database, [now - timedelta(days=400)] * MANY)
    with reading(database, "alert_history") as read:
        counts = client.get("/py/alerts/statistics").json
        of_one = client.get("/py/alerts/statistics?watchlist=tech").json
    assert (counts["total_alerts"], of_one["total_alerts"]) == (MANY, MANY // 3)
    assert (counts["most_common_entity_type"], of_one["most_common_entity_type"]) == (
        "ticker",
        "market",
    )
    assert counts["most_common_root_cause"] == "earnings"
    assert counts["avg_resolution_time_minutes"] == 60.0
    assert counts["unresolved_count"] == 0
    assert read
    assert set(read) == {0}


def test_trends_read_only_the_alerts_of_their_days(client: FlaskClient, database: Db) -> None:
    now = datetime.now(UTC)
    fill_history(database, [*[now - timedelta(days=400)] * MANY, now - timedelta(days=1)])
    with reading(database, "alert_history") as read:
        (day,) = client.get("/py/alerts/trends").json["days"]
    assert (day["total"], day["resolved"], day["by_severity"]) == (1, 1, {"high": 1})
    assert 0 < sum(read) < 10


def test_the_summary_counts_by_severity_and_by_ticker(client: FlaskClient, database: Db) -> None:
    bars = SESSIONS[:3]
    found = [build_anomaly("run", "AAPL", bar, grade=80) for bar in bars]
    found += [build_anomaly("run", "GE", bars[0], grade=100)]
    found += [build_anomaly("run", "GE", bars[1], kind="fault", grade=80)]
    database.anomalies.insert_many(found)
    summary = client.get("/py/anomalies/summary").json
    assert (summary["total"], summary["by_kind"]) == (5, {"event": 4, "fault": 1})
    assert summary["by_severity"] == {"high": 4, "critical": 1}
    assert summary["by_market"] == {"US": {"high": 4, "critical": 1}}
    latest = [(each["ticker"], each["count"], each["latest"][:10]) for each in summary["by_ticker"]]
    assert latest == [("AAPL", 3, "2026-01-07"), ("GE", 2, "2026-01-06")]


def test_a_page_of_models_reads_no_other_models_and_no_fields_that_it_does_not_show(
    client: FlaskClient, database: Db
) -> None:
    version = add_model(database)
    record = database.models.find_one({"_id": version})
    assert record is not None
    later = record["created_at"] + timedelta(days=1)
    database.models.insert_many(
        {**record, "_id": f"US_model-1.0.{number}", "created_at": later} for number in range(MANY)
    )
    with reading(database, "models") as read:
        page = client.get("/py/models?limit=3").json
        (in_use,) = client.get("/py/models?state=champion").json["items"]
    # The model that their champion is.
    assert [each["version"] for each in page["items"]] == [version] * 3
    assert in_use["champion_of"] == ["champion::US::1d"]
    assert 0 < sum(read) < 20
    assert "score_quantiles" not in find_models(database, limit=1)[0]
    assert client.get(f"/py/models/{version}").json["score_quantiles"]


def test_the_verifications_of_an_anomaly_are_read_by_an_index(database: Db) -> None:
    database.verifications.insert_many(
        {"_id": f"{number}", "anomaly_id": f"{number}", "verified_at": SESSIONS[0]}
        for number in range(MANY)
    )
    with reading(database, "verifications") as read:
        found: list[Document] = [*find_latest(database, ["7"])]
    assert [each["_id"] for each in found] == ["7"]
    assert read == [1]


def test_describing_the_next_step_reads_no_series(database: Db, settings: Settings) -> None:
    store(database, "AAA", make_bars(30))
    with reading(database, "series") as read:
        assert "flask models train --market US" in describe_next_step(settings)
    assert read == [0]

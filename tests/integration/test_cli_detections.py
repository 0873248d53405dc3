"""`flask backfill`, `scan`, `verify`, `runs` and `keys` as a user types them, with a real
worker.
"""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.commands import Command, read_json, run_flask
from tests.integration.conftest import Live
from tests.integration.detecting import make_bars, store, train
from tests.integration.stored import add_list

BARS = 400


@pytest.fixture(scope="module")
def flask(live: Live) -> Command:
    """A function that runs `flask ...` against the file's database, which holds bars and a
    model.
    """
    for seed, ticker in enumerate(("AAA", "BBB"), 1):
        store(live.database, ticker, make_bars(BARS, seed, shocks=(300,)))
    train(live.database)
    names = ("mongo_url", "redis_url", "mongo_database")
    environment = {**os.environ, "COLUMNS": "200"} | {
        n.upper(): str(getattr(live.settings, n)) for n in names
    }

    return lambda *words, **changes: run_flask(environment | changes, *words)


def test_a_backfill_is_run_watched_listed_and_verified(flask: Command) -> None:
    run = read_json(flask("backfill", "run", "aaa", "BBB", "--period", "max", "--json"))
    assert run["status"] == "complete"
    assert run["anomalies_found"] > 0
    assert read_json(flask("backfill", "status", "AAA", "--json"))["run_id"] == run["_id"]
    assert run["_id"] in flask("runs", "list", "--ticker", "aaa").stdout
    shown = flask("runs", "show", run["_id"])
    assert "2 of 2 tickers" in shown.stdout
    assert "warning: market US has 1d returns of 2 tickers on a day at the most" in shown.stdout
    verified = read_json(flask("verify", "run", run["_id"], "--json"))
    assert verified["verdicts"] == {"identical": run["anomalies_found"]}
    asked = ("--kind", "event", "--min-confidence", "0.5", "--json")
    listed = read_json(flask("anomalies", "list", *asked))
    assert listed
    assert {each["kind"] for each in listed} == {"event"}
    assert min(each["confidence"] for each in listed) >= 0.5
    assert read_json(flask("anomalies", "list", "--market", "us", *asked)) == listed
    assert read_json(flask("anomalies", "list", "--market", "FX", *asked)) == []


def test_every_verification_is_printed_or_the_rest_counted(live: Live, flask: Command) -> None:
    store(live.database, "MANY", make_bars(BARS, 7))
    assert flask("models", "threshold", "--ticker", "MANY", "--contamination", "0.5").exit_code == 0
    run = read_json(flask("backfill", "run", "MANY", "--period", "max", "--json"))
    found = run["anomalies_found"]
    assert found > 110
    verified = read_json(flask("verify", "run", run["_id"], "--json"))
    assert len(verified["verifications"]) == found == sum(verified["verdicts"].values())
    assert f"and {found - 100} more" in flask("verify", "ticker", "MANY").stdout


def test_a_scan_of_a_market_reports_what_it_did(flask: Command) -> None:
    answer = flask("scan", "run", "--market", "us")
    assert answer.exit_code == 0, answer.stderr
    assert "incremental complete" in answer.stdout


def test_a_scan_prints_how_many_anomalies_of_old_bars_raised_no_alert(
    live: Live, flask: Command
) -> None:
    store(live.database, "NEW", make_bars(BARS, 9, shocks=(300,)))
    answer = flask("scan", "run", "NEW")
    assert re.search(r"warning: \d+ new anomal(y|ies) raised no alert", answer.stdout)


def test_a_watchlist_is_scanned_and_backfilled_by_its_name(live: Live, flask: Command) -> None:
    add_list(live.database, "mine", "AAA", "BBB")
    for words in (("scan", "run"), ("backfill", "run", "--period", "30d")):
        run = read_json(flask(*words, "--watchlist", "mine", "--json"))
        assert (run["status"], run["watchlist"]) == ("complete", "mine")
        assert sorted(run["tickers"]) == ["AAA", "BBB"]


def test_a_run_that_no_worker_takes_says_why(live: Live, flask: Command) -> None:
    # A broker where no worker listens.
    elsewhere = f"{live.settings.redis_url.rpartition('/')[0]}/1000"
    run = read_json(flask("scan", "run", "BBB", "--no-wait", "--json", REDIS_URL=elsewhere))["_id"]
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    live.database.detection_runs.update_one({"_id": run}, {"$set": {"requested_at": long_ago}})
    shown = flask("runs", "show", run, REDIS_URL=elsewhere)
    assert "waits: no worker that answers takes messages from the queue" in shown.stdout
    live.client.post(f"/py/detection-runs/{run}/cancel")


def test_a_run_that_is_not_waited_for_can_be_watched_later(flask: Command) -> None:
    run = read_json(flask("scan", "run", "AAA", "--no-wait", "--json"))
    watched = flask("runs", "watch", run["_id"])
    assert watched.exit_code == 0, watched.stderr
    assert f"run {run['_id']}: incremental complete" in watched.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backfill", "run"), "nothing is named"),
        (("backfill", "run", "APPL"), "no 1d bars are stored of APPL"),
        (("backfill", "run", "AAA", "--period", "5x"), "'5x'"),
        (("backfill", "run", "AAA", "--interval", "2d"), "1m, 5m"),
        (("scan", "run", "--market", "MARS"), "US, JP, TH"),
        (("scan", "run", "--watchlist", "nobody"), "there is no watchlist 'nobody'"),
        (("scan", "run", "AAA", "--watchlist", "mine"), "not both"),
        (("verify", "anomaly", "AAA::1d::1999-01-01T00:00:00Z"), "no anomaly"),
        (("verify", "model", "US_model-9.9.9"), "there is no model 'US_model-9.9.9'"),
        (("anomalies", "list", "--min-confidence", "nan"), "nan is no number"),
        (("feed", "publish", "x.csv", "--speed", "1e400"), "inf is no number"),
        (("runs", "show", "nowhere"), "no run 'nowhere'"),
        (("runs", "list", "--status", "done"), "in_progress"),
    ],
)
def test_bad_input_is_reported_on_stderr_with_exit_code_2(
    flask: Command, words: tuple[str, ...], said: str
) -> None:
    answer = flask(*words)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert said in answer.stderr


def test_an_unreachable_server_is_named_without_credentials(flask: Command) -> None:
    answer = flask("runs", "list", MONGO_URL="mongodb://me:secret@127.0.0.1:1/")
    assert answer.exit_code == 1
    assert "127.0.0.1:1" in answer.stderr
    assert "secret" not in answer.stderr


def test_keys_are_created_shown_once_listed_and_revoked(flask: Command) -> None:
    made = flask("keys", "create", "a client", "--scope", "read", "--scope", "enqueue")
    assert made.stdout.startswith("tw_")
    assert flask("keys", "create", "a client", "--scope", "read").exit_code == 1
    (listed,) = read_json(flask("keys", "list", "--json"))
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == (
        "a client",
        ["enqueue", "read"],
        None,
    )
    assert "sha256" not in listed
    assert flask("keys", "revoke", "a client").exit_code == 0
    assert flask("keys", "revoke", "a client").exit_code == 2
    assert read_json(flask("keys", "list", "--json"))[0]["revoked_at"] is not None


def test_a_verification_counts_and_names_the_anomalies_that_it_could_not_check(
    live: Live, flask: Command
) -> None:
    """Of two tickers, one has anomalies of a version whose columns no longer exist."""
    for seed, ticker in enumerate(("LOST1", "LOST2"), 30):
        store(live.database, ticker, make_bars(BARS, seed, shocks=(200, 300, 390)))
    train = ("models", "train", "--market", "US", "--tickers", "LOST1,LOST2", "--trees", "20")
    (lost, _) = [
        read_json(flask(*train, "--contamination", share, "--promote", "--json"))["version"]
        for share in ("0.02", "0.05")
    ]
    asked = ("backfill", "run", "LOST1", "LOST2", "--period", "max", "--json")
    detected = read_json(flask(*asked))["_id"]
    found = list(live.database.anomalies.find({"detection_run_id": detected}))
    own = [anomaly["_id"] for anomaly in found if anomaly["Ticker"] == "LOST1"][:3]
    live.database.anomalies.update_many({"_id": {"$in": own}}, {"$set": {"model_version": lost}})
    live.database.models.update_one({"_id": lost}, {"$set": {"feature_set": "family/2"}})
    answer = flask("verify", "run", detected, "--json")
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["status"], told["not_derived"]) == (1, "partial", {lost: 3})
    assert sum(told["verdicts"].values()) == len(found) - 3
    run = read_json(flask("runs", "show", told["run_id"], "--json"))
    assert run["result"]["not_derived"] == {lost: 3}
    (failure,) = run["failures"]
    assert (failure["ticker"], failure["reason"]) == ("LOST1", "unknown_feature_set")
    assert failure["error"].startswith(f"3 of its anomalies not derived again: model {lost}")


def test_every_selection_verifies_as_each_anomaly_alone(live: Live, flask: Command) -> None:
    """Two versions walked forward over the tickers, and a third is their champion."""
    tickers = ("WALK1", "WALK2")
    for seed, ticker in enumerate(tickers, 20):
        store(live.database, ticker, make_bars(BARS, seed, shocks=(200, 300, 390)))
    versions = [
        read_json(
            flask(
                *("models", "train", "--market", "US", "--tickers", ",".join(tickers)),
                *("--trees", "20", "--contamination", "0.05", "--window-end", end),
                *("--no-promote", "--json"),
            )
        )["version"]
        for end in ("2015-09-30", "2016-03-31")
    ]
    asked = ("backfill", "run", *tickers, "--period", "max")
    walked = read_json(flask(*asked, "--walk-forward", "--json"))["_id"]
    # The anomalies that this backfill finds first belong to it; those found before belong to the
    # run before.
    again = read_json(flask(*asked, "--force", "--json"))["_id"]
    stored = {
        each["_id"]: each
        for each in live.database.anomalies.find(
            {"Ticker": {"$in": tickers}, "status": {"$ne": "superseded"}}
        )
    }

    def verify(*words: str) -> dict[str, Any]:
        told = json.loads(flask("verify", *words, "--json").stdout)["verifications"]
        own = {"_id", "verification_run_id", "verified_at"}
        return {
            each["anomaly_id"]: {name: each[name] for name in each.keys() - own} for each in told
        }

    alone: dict[str, Any] = {}
    for anomaly_id in stored:
        alone |= verify("anomaly", anomaly_id)
    assert alone.keys() == stored.keys()
    assert {each["verified"] for each in alone.values()} == {True}
    assert {each["cause"] for each in alone.values()} <= {None, "model"}
    for field, kind, names in (
        ("detection_run_id", "run", (walked, again)),
        ("Ticker", "ticker", tickers),
        ("model_version", "model", versions),
    ):
        for name in names:
            own = {each for each, anomaly in stored.items() if anomaly[field] == name}
            found = verify(kind, name) if own else {}
            assert {each: found[each] for each in own} == {each: alone[each] for each in own}
            # Other verdicts of this verification are about new anomalies, which nobody has stored.
            news = found.keys() - own
            assert {found[each]["verdict"] for each in news} <= {"new"}
            assert not news & stored.keys()
    assert {stored[each]["model_version"] for each in stored} >= set(versions)

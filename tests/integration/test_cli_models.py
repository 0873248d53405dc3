"""`flask models`, as a user types it, with a real worker behind it."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result

from cli import models
from cli.evaluating import read_labels
from detection.features.feature_sets import DEFAULT_FEATURE_SET
from records.database import Db
from records.models.artefacts import delete_artefact
from tests.commands import Command, read_json, read_table, run_flask
from tests.integration.conftest import Live
from tests.integration.detecting import make_bars, store
from tests.integration.modelling import add_model
from tests.integration.stored import add_series

ROOT = Path(__file__).parents[2]


@pytest.fixture
def flask(flask: Command) -> Command:
    """A function that runs `flask models ...` against the test's database."""
    return partial(flask, "models", COLUMNS="200")


def test_promote_rollback_and_retire_from_the_command_line(database: Db, flask: Command) -> None:
    first, second = add_model(database), add_model(database)
    assert f"champion for 1d bars is {second}" in flask("promote", second).stdout
    listed = read_json(flask("list", "--json"))
    assert {m["version"]: m["state"] for m in listed} == {first: "candidate", second: "champion"}
    refusal = flask("retire", second)
    assert (refusal.exit_code, refusal.stdout) == (1, "")
    assert f"{second} is in use (champion::US::1d)" in refusal.stderr
    assert read_json(flask("rollback", "--market", "us", "--json"))["version"] == first
    assert read_json(flask("retire", second, "--json"))["state"] == "retired"
    table = flask("list", "--state", "retired").stdout
    assert second in table
    assert first not in table


def test_a_version_whose_artefact_is_lost_is_not_promoted(database: Db, flask: Command) -> None:
    first, second = add_model(database), add_model(database)
    assert flask("promote", second).exit_code == 0
    delete_artefact(database, first)
    for words in (("promote", first), ("rollback", "--market", "US")):
        refusal = flask(*words)
        assert (refusal.exit_code, refusal.stdout) == (1, "")
        assert f"{first} was not put in use, and nothing was changed" in refusal.stderr
    assert read_json(flask("show", second, "--json"))["state"] == "champion"


def test_a_ticker_gets_a_model_of_its_own(database: Db, flask: Command) -> None:
    add_model(database)
    own = add_model(database)
    add_series(database, "AAPL")
    assert (
        read_json(flask("promote", own, "--ticker", "aapl", "--json"))["_id"]
        == "champion::ticker::AAPL::1d"
    )
    assert "back to the champion of its market" in flask("rollback", "--ticker", "AAPL").stdout


def test_a_threshold_is_set_shown_and_reset(database: Db, flask: Command) -> None:
    assert database.thresholds.count_documents({}) == 0
    assert "grade 60" in flask("threshold", "--market", "us", "--grade", "60").stdout
    assert read_json(flask("threshold", "--market", "US", "--json"))["value"] == 60.0
    refusal = flask("threshold", "--market", "US", "--grade", "160")
    assert (refusal.exit_code, "give a number from 1 to 100" in refusal.stderr) == (2, True)
    assert "none of its own" in flask("threshold", "--market", "US", "--reset").stdout


def test_show_prints_the_whole_record(database: Db, flask: Command) -> None:
    version = add_model(database)
    shown = flask("show", version).stdout
    for part in (
        version,
        "champion (champion::US::1d)",
        "sha256:",
        DEFAULT_FEATURE_SET.label,
        "AAPL",
        "scikit-learn 1.",
    ):
        assert part in shown
    assert read_json(flask("show", version, "--json"))["window_start"] == "2000-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "US_model-9.9.9"), "there is no model 'US_model-9.9.9'"),
        (("promote", "champion"), "'champion' is no model version"),
        (("rollback",), "exactly one of a market, a ticker or a watchlist"),
        (("train", "--market", "XX"), "'XX' is no market that is known: choose one of US, JP, TH"),
        (("train", "--market", "US"), "market US has no 1d bars to learn from"),
        (("train", "--market", "US", "--contamination", "2"), "contamination 2.0"),
        (("train", "--market", "US", "--feature-set", "nonsense"), "no feature set 'nonsense'"),
        (("train", "--market", "US", "--interval", "2d"), "'2d' is no interval that is known"),
    ],
)
def test_bad_input_exits_with_2_and_writes_nothing(
    database: Db, flask: Command, words: tuple[str, ...], said: str
) -> None:
    answer = flask(*words)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert (
        database.detection_runs.count_documents({}) == database.champions.count_documents({}) == 0
    )


def test_every_command_has_a_help_text(flask: Command) -> None:
    assert set(models.group.commands) == {
        "list",
        "show",
        "detectors",
        "evaluate",
        "compare",
        "challengers",
        "drift",
        "scores",
        "train",
        "promote",
        "rollback",
        "retire",
        "threshold",
    } | {
        "sign",
        "rotate-key",
        "migrate",
    }
    for name in models.group.commands:
        answer = flask(name, "--help")
        assert answer.exit_code == 0
        assert "--json" in answer.stdout


def test_training_runs_in_a_worker_and_retrains_are_candidates(live: Live, tmp_path: Path) -> None:
    for seed, ticker in enumerate(("AAA", "BBB"), 1):
        store(live.database, ticker, make_bars(600, seed))
    addresses = {
        n.upper(): str(getattr(live.settings, n))
        for n in ("mongo_url", "redis_url", "mongo_database")
    }

    def train(*words: str) -> Result:
        return run_flask(addresses, "models", "train", "--market", "US", *words)

    first = json.loads(train("--json").stdout)
    assert (first["version"], first["state"], first["rows"]) == (
        "US_model-0.1.0",
        "champion",
        2 * (600 - DEFAULT_FEATURE_SET.warm_up_bars),
    )
    run = live.database.detection_runs.find_one({"_id": first["training_run_id"]})
    assert run is not None
    assert (run["status"], run["model_version"], run["model_hash"]) == (
        "complete",
        first["version"],
        first["sha256"],
    )
    second = train("--tickers", "aaa", "--grade", "75")
    assert second.exit_code == 0, second.stderr
    assert "US_model-0.2.0" in second.stdout
    assert "candidate" in second.stdout
    assert second.stdout.endswith("`flask models promote US_model-0.2.0` puts it in use\n")
    third = json.loads(train("--window-end", "2016-12-30", "--promote", "--json").stdout)
    assert (third["version"], third["state"]) == ("US_model-0.3.0", "champion")
    assert third["window_end"] == "2016-12-30T00:00:00Z"
    _check_judging(addresses, tmp_path)
    voting = train("--detector", "ensemble", "--no-promote")
    said = "lstm has no vote in this ensemble (too_slow): the weights of the others count."
    assert (voting.exit_code, said in voting.stderr) == (0, True), voting.stderr
    told = live.database.detection_runs.find_one(sort=[("requested_at", -1)])
    assert told is not None
    assert told["warnings"] == [f"{said} Write the weights out to have it vote."]
    too_short = train("--window-start", "2040-01-01")
    assert too_short.exit_code == 1
    assert "0 1d bars past their warm-up" in too_short.stdout


def _check_judging(addresses: dict[str, str], folder: Path) -> None:
    """Evaluate and compare the trained versions, as a user types it."""

    def judge(*words: str) -> Result:
        return run_flask(addresses | {"COLUMNS": "200"}, "models", *words)

    labels = folder / "labels.csv"
    labels.write_text("ticker,date,label\nAAA,2016-01-04,anomaly\nAAA,2016-06-01,usual\n")
    judged = judge("evaluate", "--labels", str(labels), "--market", "us")
    assert judged.exit_code == 0, judged.stderr
    assert "alarms a thousand bars" in judged.stdout
    assert "recall" in judged.stdout
    # By default the period is from the first label to the last.
    assert "2016-01-04 to 2016-06-01" in judged.stdout
    compared = judge("compare", "US_model-0.1.0", "US_model-0.2.0", "--json")
    found = json.loads(compared.stdout)
    assert [j["version"] for j in found["judgements"]] == ["US_model-0.1.0", "US_model-0.2.0"]
    assert 0.0 < found["agreement"]["strangest_in_common"] <= 1.0
    missing = judge("compare", "US_model-0.1.0", "US_model-9.9.9")
    assert missing.exit_code == 2
    assert "there is no model 'US_model-9.9.9'" in missing.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has the columns (none): name ticker, time and label"),
        ("ticker,label\nAAA,1\n", "has the columns ticker, label"),
        ("ticker,date,label\n", "has no labels"),
        ("ticker,date,label\nAAA,yesterday,1\n", "line 2 'yesterday' is no date"),
        ("ticker,date,label\nAAA,9999-12-31T23:00:00-14:00,1\n", "line 2 '9999-12-31T23:00:00-1"),
        ("ticker,date,label\nAAA,2016-01-04,odd\n", "line 2: label 'odd' cannot be used"),
        ("ticker,date,label\n\n,2016-01-04,1\n", "line 3: '' is no ticker"),
        ("ticker,date,label\nAAA,2016-01-04,1\n", "all 1 labels say of their bars"),
        (
            "ticker,date,label,interval\nAAA,2016-01-04,1,2d\n",
            "line 2: '2d' is no interval that is known",
        ),
        (
            "ticker,interval,time,label\nAAA,15m,2016-01-04T15:00Z,1\nAAA,15m,2016-01-05,0\n",
            "2 labels of 2 are of other than 1d bars (the first of 15m)",
        ),
    ],
)
def test_unusable_labels_are_refused_with_their_line(
    database: Db, flask: Command, tmp_path: Path, text: str, said: str
) -> None:
    version = add_model(database)
    path = tmp_path / "labels.csv"
    path.write_text(text)
    answer = flask("evaluate", version, "--labels", str(path))
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert database.evaluations.count_documents({}) == 0


@pytest.mark.parametrize(
    "text",
    [
        "ticker;time;label\nAAA;2016-01-04;anomaly\nBBB;2016-06-01T00:00;usual\n",
        "Ticker\tDate\tLabel\naaa\t2016-01-04\t1\n\nbbb\t2016-06-01\t0\n",
        '"ticker","date","label"\r\n"AAA","2016-01-04",Event\r\nBBB,2016-06-01,no,x\r\n,,\r\n',
        "ticker,time,label,who; why\nAAA,2016-01-04,anomaly,me; seen\nBBB,2016-06-01,usual,\n",
    ],
)
def test_labels_are_read_in_the_forms_that_spreadsheets_write(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, "utf-8-sig", newline="")
    assert read_labels(path) == [
        {"ticker": "AAA", "time": datetime(2016, 1, 4, tzinfo=UTC), "is_anomaly": True},
        {"ticker": "BBB", "time": datetime(2016, 6, 1, tzinfo=UTC), "is_anomaly": False},
    ]


def test_a_version_is_evaluated_only_on_its_own_market_and_interval(
    database: Db, flask: Command
) -> None:
    version = add_model(database)
    for words in (("--market", "JP"), ("--interval", "5m")):
        answer = flask("evaluate", version, *words)
        assert answer.exit_code == 2
        assert "has a market and an interval already" in answer.stderr


def test_the_champion_of_all_markets_can_be_evaluated(database: Db, flask: Command) -> None:
    answer = flask("evaluate", "--market", "all")
    assert answer.exit_code == 1
    assert "market ALL has no champion model for 1d bars" in answer.stderr


def test_detectors_are_listed(flask: Command) -> None:
    table = flask("detectors").stdout
    assert "isolation_forest (default)" in table
    assert "half_space_trees" in table
    told = {row[0].split()[0]: row[3] for row in read_table(table) if row[0]}
    documented = read_table(
        (ROOT / "docs" / "detectors.md").read_text().partition("\n- **Start")[0]
    )
    assert told == {row[0].strip("`"): row[3] for row in documented if "`" in row[0]}
    listed = read_json(flask("detectors", "--json"))
    assert next(d["warm_up_bars"] for d in listed if d["name"] == "zscore") == 60

"""`flask doctor`: its output on a healthy machine, and for each problem."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libfaketime
import pytest

from api.operations.health import ask_redis
from cli import doctor
from cli.doctor import Finding
from core.settings import Settings
from records.database import Db
from records.keys import add_key
from records.migrations import SCHEMA, prepare_database
from runner.servers import free_port
from tests.commands import run_flask
from tests.conftest import ROOT
from tests.integration.detecting import make_bars, store, train

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def ask_doctor(environment: dict[str, str], *options: str) -> tuple[int, str]:
    ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    done = run_flask(ports | environment, "doctor", *options)
    return done.exit_code, done.output


def check_clock_at(environment: dict[str, str], clock: str) -> Finding:
    """Return what a process finds whose clock is wrong."""
    check = (
        "from core.settings import Settings; from records.database import open_database;"
        "from cli.doctor import check_clock; from dataclasses import asdict; import json;"
        "print(json.dumps(asdict(check_clock(open_database(Settings(_env_file=None))))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=ROOT,
        env={**environment, **libfaketime.get_reload_information()[1], "FAKETIME": clock},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return Finding(**json.loads(done.stdout))


def read(answer: tuple[int, str]) -> dict[str, dict[str, Any]]:
    return {finding["check"]: finding for finding in json.loads(answer[1])}


def only(findings: Any) -> Finding:
    (finding,) = findings
    return finding


def test_a_healthy_machine_is_reported_as_such(environment: dict[str, str], database: Db) -> None:
    prepare_database(database, NOW)
    code, said = answer = ask_doctor(environment, "--json")
    assert code == 0, said
    findings = read(answer)
    assert {name for name, finding in findings.items() if finding["state"] == "failed"} == set()
    assert {"Python", "packages", "processor", "PORT", "FLOWER_PORT"} <= findings.keys()
    assert {
        "Redis",
        "MongoDB",
        "clock",
        "database",
        "calendar US",
        "calendar JP",
        "calendar TH",
    } <= findings.keys()
    assert findings["clock"]["found"] == "agrees with MongoDB's"


def test_what_fails_is_named_with_what_to_do_and_the_exit_code(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        nowhere = {
            "MONGO_URL": f"mongodb://127.0.0.1:{free_port()}/?replicaSet=none",
            "SERVER_TIMEOUT_SECONDS": "1",
        }
        code, said = ask_doctor({**environment, **nowhere, "PORT": port}, "--json")
        told = ask_doctor({**environment, **nowhere, "PORT": port})[1]
    assert code == 1
    findings = read((code, said))
    assert findings["PORT"]["state"] == findings["MongoDB"]["state"] == "failed"
    assert port in findings["PORT"]["found"]
    assert "MONGO_URL" in findings["MongoDB"]["todo"]
    assert "set PORT to a free one" in told


@pytest.mark.slow
@pytest.mark.parametrize(("clock", "said"), [("+2h", "ahead of"), ("-2h", "behind")])
def test_a_wrong_clock_is_reported(
    environment: dict[str, str], database: Db, clock: str, said: str
) -> None:
    prepare_database(database, NOW)
    finding = check_clock_at(environment, clock)
    assert finding.state == "failed"
    assert finding.found.startswith("7,")
    assert said in finding.found


@pytest.mark.slow
def test_holiday_calendars_that_have_ended_are_reported(settings: Settings) -> None:
    later = datetime(2045, 3, 1, 12, tzinfo=UTC)
    found = {finding.check: finding for finding in doctor.check_calendars(settings, later)}
    assert found["calendar US"].state == "ok"
    assert found["calendar TH"].state == found["calendar JP"].state == "warning"
    # Its library ends the calendar where no holidays are announced yet.
    assert found["calendar CN"].state == "warning"
    assert "exchange_calendars" in found["calendar TH"].todo


def test_packages_that_differ_from_the_lock_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = (
        "nowhere-to-be-found==1.0 \\\n    --hash=sha256:00\n"
        "numpy==0.1 ; python_full_version >= '3.2' \\\n    --hash=sha256:00\n"
        "scipy==0.1 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    )
    (tmp_path / "requirements.txt").write_text(lock)
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    finding = only(doctor.check_packages(Settings(_env_file=None), NOW))
    assert finding.state == "failed"
    assert "nowhere-to-be-found missing, locked 1.0" in finding.found
    assert "locked 0.1" in finding.found
    assert "scipy" not in finding.found


def test_a_missing_key_and_a_missing_upgrade_are_named(settings: Settings, database: Db) -> None:
    prepare_database(database, NOW)
    exposed = Settings(
        _env_file=None,
        **settings.model_dump(include={"mongo_url", "redis_url", "mongo_database"}),
        host="0.0.0.0",  # noqa: S104 - nothing is bound
    )
    findings = {finding.check: finding for finding in doctor.check_mongodb(exposed, NOW)}
    assert findings["database"].state == "failed"
    assert "flask keys create" in findings["database"].found
    add_key(database, "first", ["admin"], NOW)
    findings = {finding.check: finding for finding in doctor.check_mongodb(exposed, NOW)}
    assert findings["database"].state == "ok"
    database.settings.update_one({"_id": SCHEMA}, {"$set": {"version": 1}})
    findings = {finding.check: finding for finding in doctor.check_mongodb(exposed, NOW)}
    assert "flask db upgrade" in findings["database"].found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feature_set": "family/2"}, "flask models train --market US"),
        ({"parameters.detector": "crystal_ball"}, "flask models train --market US"),
        ({"sha256": "sha256:0"}, "promote another version"),
    ],
)
def test_a_champion_that_cannot_be_opened_is_named(
    settings: Settings, database: Db, changes: dict[str, str], said: str
) -> None:
    prepare_database(database, NOW)
    store(database, "AAPL", make_bars(600))
    train(database)
    findings = {finding.check: finding for finding in doctor.check_mongodb(settings, NOW)}
    assert findings["models"].found == "1 in use, each can be opened"
    database.models.update_one({}, {"$set": changes})
    findings = {finding.check: finding for finding in doctor.check_mongodb(settings, NOW)}
    assert "models" not in findings
    told = findings["champion::US::1d"]
    assert (told.state, "US_model-0.1.0" in told.found, said in told.found) == (
        "failed",
        True,
        True,
    )


def test_a_folder_that_is_not_writable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/kernels")
    findings = {
        finding.check: finding for finding in doctor.check_disk(Settings(_env_file=None), NOW)
    }
    assert findings["disk"].state in {"ok", "warning"}
    assert findings["kernels"].state == "failed"
    assert "/proc" in findings["kernels"].found


def test_a_folder_that_no_embedded_server_uses_need_not_be_writable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container, whose own file system is read-only."""
    # No service runs in this folder; one may run in the folder of the code.
    monkeypatch.chdir(tmp_path)
    given = Settings(_env_file=None, redis_url="redis://redis/0", mongo_url="mongodb://mongo/")
    assert "disk" not in {finding.check for finding in doctor.check_disk(given, NOW)}


def test_embedded_servers_are_looked_for_if_no_url_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unnamed = Settings(_env_file=None)
    assert only(doctor.check_redis(unnamed, NOW)).state == "ok"
    assert only(doctor.check_mongodb(unnamed, NOW)).state == "ok"
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("core.binaries.find_spec", lambda _package: None)
    assert "REDIS_URL" in only(doctor.check_redis(unnamed, NOW)).found


@pytest.mark.parametrize("option", ["maximal=1", "socket_timeout=soon"])
def test_an_option_of_redis_that_there_is_not_is_named(option: str) -> None:
    wrong = Settings(_env_file=None, redis_url=f"redis://127.0.0.1:1/0?{option}")
    finding = only(doctor.check_redis(wrong, NOW))
    assert (finding.state, option.partition("=")[0] in finding.found) == ("failed", True)
    told = ask_redis(wrong)
    assert (told.ok, option.partition("=")[0] in str(told.detail)) == (False, True)

"""docker-compose.yml starts the same processes as the runner."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings
from runner.programs import flower_command, worker_command
from runner.servers import EVICTION, mongod_command
from tasks.names import BACKFILL_QUEUE, CONTROL_QUEUE, INTERACTIVE_QUEUE
from tasks.process.stopping import FINISH_SECONDS

ROOT = Path(__file__).parent.parent.parent
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
USED = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
MONITORING = {"prometheus", "grafana"}
OTHERS = {"redis", "mongo"} | MONITORING
# Tells Flower of more batches than it keeps, each with the longest result, and prints how much
# memory that takes.
FILL_FLOWER = """
import pickle, re, sys, uuid
from flower.events import EventsState
most = int(sys.argv[1])
state = EventsState(max_tasks_in_memory=most)
for number in range(most + 100):
    head = {"uuid": f"{uuid.uuid4()}:{number:05}", "hostname": "worker@host", "pid": 1}
    head |= {"clock": number, "utcoffset": 0, "timestamp": number, "local_received": number}
    asked = {"name": "tapewatch.run_batch", "args": str(uuid.uuid4()), "kwargs": "{}"}
    state.event({**head, "type": "task-received", **asked})
    state.event({**head, "type": "task-succeeded", "result": str(number) * 40, "runtime": 1.0})
pickle.dumps(state)
# What resource tells counts the memory of whoever started this process, too.
(most_kib,) = re.findall("VmHWM:\\s*(\\d+)", open("/proc/self/status").read())
print(len(state.tasks), int(most_kib) // 1024)
"""
OURS = {name: service for name, service in SERVICES.items() if name not in OTHERS}


@pytest.mark.parametrize(
    ("service", "name", "queues", "processes"),
    [
        ("worker", "worker", f"{INTERACTIVE_QUEUE},{BACKFILL_QUEUE}", 2),
        ("worker-control", "control", CONTROL_QUEUE, 1),
    ],
)
def test_workers_are_started_as_the_runner_starts_them(
    service: str, name: str, queues: str, processes: int
) -> None:
    _python, _m, *command = worker_command(name, queues, processes)
    assert shlex.split(SERVICES[service]["command"]) == command


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_checked_restarted_and_given_time_to_stop(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"] == "45s"


@pytest.mark.parametrize("name", SERVICES)
def test_the_memory_of_every_service_is_limited(name: str) -> None:
    assert re.fullmatch(r"[1-9]\d*[gm]", SERVICES[name]["mem_limit"])


@pytest.mark.parametrize("name", SERVICES)
def test_services_have_no_rights_and_write_only_to_volumes_and_memory(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    # So the engine's own seccomp profile applies.
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - a container has its /tmp to itself
    assert service["pids_limit"] > 0
    assert not {"privileged", "devices", "pid", "ipc", "network_mode"} & set(service)


def test_only_the_servers_entry_points_get_rights_back() -> None:
    """They start as root, give the volume to their own user, and become that user, who has no
    rights.
    """
    added = {name: service["cap_add"] for name, service in SERVICES.items() if "cap_add" in service}
    rights = ["CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"]
    assert added == {"redis": rights, "mongo": rights}


@pytest.mark.parametrize("name", SERVICES)
def test_the_folders_that_a_service_writes_are_on_a_volume(name: str) -> None:
    service = SERVICES[name]
    mounted = [volume.partition(":")[2] for volume in service.get("volumes", [])]
    written = re.findall(r"/var/lib/tapewatch/\w+", str(service.get("command", "")))
    assert all(any(path.startswith(folder) for folder in mounted) for path in written)


@pytest.mark.parametrize("name", SERVICES)
def test_checks_and_commands_use_no_variable_that_only_some_engines_set(name: str) -> None:
    service = SERVICES[name]
    given = set(service.get("environment", {}))
    command = service.get("command", "")
    for text in (
        service["healthcheck"]["test"],
        *([command] if isinstance(command, str) else command),
    ):
        assert set(re.findall(r"\$\$\{?(\w+)", text)) <= given


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_its_servers_and_has_only_settings_that_exist(name: str) -> None:
    service = OURS[name]
    assert {server: wait["condition"] for server, wait in service["depends_on"].items()} == {
        "mongo": "service_healthy",
        "redis": "service_healthy",
    }
    known = {field.upper() for field in Settings.model_fields} | {"FLOWER_BASIC_AUTH"}
    assert set(service["environment"]) <= known


def test_workers_finish_what_runs_when_stopped() -> None:
    for name in ("worker", "worker-control"):
        seconds = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert seconds > FINISH_SECONDS


def test_every_variable_is_explained() -> None:
    explained = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert explained == USED


def test_every_other_setting_can_be_set_and_is_explained_with_its_default() -> None:
    explained = dict(
        re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    assert explained == {
        name.upper(): str(field.default)
        for name, field in Settings.model_fields.items()
        # Compose itself sets where the servers are and where the API listens.
        if name.upper() not in {*USED, "MONGO_URL", "REDIS_URL", "HOST"}
    }
    for service in OURS.values():
        assert {name for name, value in service["environment"].items() if value is None} == set(
            explained
        )


def test_only_api_flower_and_grafana_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"api", "flower", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_monitoring_starts_only_with_its_profile_a_key_and_a_password() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" in service} == MONITORING
    for name in MONITORING:
        assert SERVICES[name]["profiles"] == ["monitoring"]
        (script,) = SERVICES[name]["command"]
        # Compose itself would require them with or without the profile, so the start command does.
        done = subprocess.run(
            ["sh", "-c", script.replace("$$", "$")],
            env={},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "see .env.example" in done.stdout


def test_image_is_not_run_by_root() -> None:
    users = re.findall(r"^USER (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["tapewatch"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_log_fills_the_disk(name: str) -> None:
    assert set(SERVICES[name]["logging"]["options"]) == {"max-size", "max-file"}


def test_mongodb_has_the_same_options_as_the_embedded_one() -> None:
    *_, embedded = mongod_command(Path("mongod"), Path("data"), 27017)
    assert embedded.startswith("transactionLifetimeLimitSeconds=")
    assert f"--setParameter {embedded}" in SERVICES["mongo"]["command"]
    assert f"--wiredTigerEngineConfigString {EVICTION}" in SERVICES["mongo"]["command"]


def test_flower_is_started_as_the_runner_starts_it(tmp_path: Path) -> None:
    """Its address and folder differ between the two."""
    ours = {"--address", "--port", "--db"}

    def read_options(command: list[str]) -> set[str]:
        return {word for word in command if word.startswith("--")}

    runs = read_options(flower_command(Settings(_env_file=None), tmp_path))
    composed = read_options(shlex.split(SERVICES["flower"]["command"]))
    assert {option.partition("=")[0] for option in runs ^ composed} <= ours


@pytest.mark.slow
def test_flower_keeps_no_more_tasks_than_fit_into_its_memory() -> None:
    """Otherwise it would be killed when it saves its state, and again when it reads it."""
    (option,) = re.findall(r"--max_tasks=(\d+)", SERVICES["flower"]["command"])
    done = subprocess.run(
        [sys.executable, "-c", FILL_FLOWER, option], capture_output=True, text=True, check=True
    )
    kept, mebibytes = map(int, done.stdout.split())
    assert kept == int(option)
    assert mebibytes < int(SERVICES["flower"]["mem_limit"].removesuffix("m")) / 2


def test_flower_is_exposed_read_only_and_with_a_password() -> None:
    flower = SERVICES["flower"]
    assert {"--read_only=True", "--enable_events=False"} <= set(shlex.split(flower["command"]))
    assert flower["environment"]["FLOWER_BASIC_AUTH"].startswith("${FLOWER_USER:?")
    assert "FLOWER_UNAUTHENTICATED_API" not in (ROOT / "docker-compose.yml").read_text()


def test_none_of_our_processes_runs_while_a_backup_is_restored() -> None:
    """Anything written meanwhile is lost, or lies beside the restored data."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (stopped,) = re.findall(r"^docker compose stop (.+)$", text, re.MULTILINE)
    assert set(stopped.split()) == OURS.keys()

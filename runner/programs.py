"""The programs of the service, and their supervisor configuration."""

import shlex
import sys
from configparser import RawConfigParser
from dataclasses import dataclass, field
from pathlib import Path

from core.binaries import find_mongod, find_redis_server
from core.settings import Settings
from runner.passwords import Passwords, write_private
from runner.servers import LOOPBACK, die_with_parent, mongod_command, redis_command
from tasks.names import CONTROL_QUEUE, WORK_QUEUES

ROOT = Path(__file__).parent.parent
SERVERS = "servers"
SERVICE = "service"
SOCKET = "supervisor.sock"
PID_FILE = "supervisor.pid"
LOG_BYTES = "10MB"
# A worker may take 20 s to finish its work, and as long again to hand the rest back.
WORKER_SECONDS = 45
# Beside a busy API and busy servers, a worker gets a tenth of their share of a core.
NICENESS = 10
# supervisor waits a second longer before each try; after so many tries the runner starts again.
TRIES = 10


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process: what runs it, and how long it may take to stop."""

    name: str
    group: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop_seconds: int = 10


def server_programs(
    state_dir: Path, passwords: Passwords, *, redis_port: int | None, mongo_port: int | None
) -> list[Program]:
    """Return the embedded servers that have a port, and make their folders."""
    programs = []
    if redis_port is not None:
        folder, config = _make_folder(state_dir / "redis"), state_dir / "secrets" / "redis.conf"
        write_private(config, f"requirepass {passwords.redis}\n")
        command = redis_command(find_redis_server(), folder, redis_port, config=config)
        programs.append(Program("redis", SERVERS, command))
    if mongo_port is not None:
        folder = _make_folder(state_dir / "mongod")
        command = mongod_command(
            find_mongod(), folder, mongo_port, key_file=passwords.mongo_key_file
        )
        programs.append(Program("mongod", SERVERS, command))
    return programs


def service_programs(settings: Settings, state_dir: Path) -> list[Program]:
    """Return the API, the workers, the feed, beat and Flower."""
    work_queues = ",".join(WORK_QUEUES)
    return [
        Program("api", SERVICE, api_command(settings)),
        # Requests of a person who waits have a worker of their own.
        Program(
            "worker",
            SERVICE,
            ["nice", "-n", str(NICENESS), *worker_command("worker", work_queues, 2)],
            stop_seconds=WORKER_SECONDS,
        ),
        Program(
            "control",
            SERVICE,
            worker_command("control", CONTROL_QUEUE, 1),
            stop_seconds=WORKER_SECONDS,
        ),
        # Where it says that it lives: /tmp is everybody's.
        Program(
            "feed",
            SERVICE,
            feed_command(),
            {"TMPDIR": str(_make_folder(state_dir / "feed"))},
            WORKER_SECONDS,
        ),
        Program("beat", SERVICE, beat_command(_make_folder(state_dir / "beat"))),
        Program("flower", SERVICE, flower_command(settings, _make_folder(state_dir / "flower"))),
    ]


def api_command(settings: Settings) -> list[str]:
    """Return the command of the web server."""
    return [
        *(
            sys.executable,
            "-m",
            "gunicorn",
            "wsgi:app",
            "--bind",
            f"{settings.host}:{settings.port}",
        ),
        *("--config", str(ROOT / "gunicorn.conf.py")),
    ]


def worker_command(name: str, queues: str, processes: int) -> list[str]:
    """Return the command of a worker of `queues` with that many pool processes."""
    # Mingle and gossip would make a worker wait for others at its start, and nothing here needs
    # them.
    return [
        *(
            *_celery("worker"),
            "--queues",
            queues,
            "--hostname",
            f"{name}@%h",
            "--concurrency",
            str(processes),
        ),
        *("--without-mingle", "--without-gossip"),
    ]


def feed_command() -> list[str]:
    """Return the command of the process that stores the feed."""
    return [sys.executable, "-m", "feed"]


def beat_command(folder: Path) -> list[str]:
    """Return the command of the scheduler, which stores the times of its last messages in
    `folder`.
    """
    return [*_celery("beat"), "--schedule", str(folder / "schedule"), "--pidfile="]


def flower_command(settings: Settings, folder: Path) -> list[str]:
    """Return the command of Flower, which stores its state in `folder`; runner/flower.py controls
    the access.
    """
    python, module, *command = _celery("flower")
    return [
        *(
            python,
            module,
            "runner.flower",
            *command,
            f"--address={LOOPBACK}",
            f"--port={settings.flower_port}",
        ),
        *(
            "--persistent=True",
            f"--db={folder / 'flower'}",
            "--state_save_interval=60000",
            # by itself it keeps 100,000, of which a busy day fills 800 MB
            "--max_tasks=10000",
            "--read_only=True",
        ),
        # workers send events by their own settings, and take no commands
        "--enable_events=False",
    ]


def _celery(command: str) -> list[str]:
    # quiet: no banner between the lines of the log
    return [sys.executable, "-m", "celery", "-A", "tasks.app", "--quiet", command]


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_supervisor_config(
    state_dir: Path, programs: list[Program], *, with_programs: bool
) -> Path:
    """Write the configuration of `programs` under `state_dir` and return its path.

    Servers stop last. All start with supervisor, or else when told to.
    """
    _make_folder(state_dir / "logs")
    # supervisor makes the socket's path absolute, which may have 108 bytes at the most; written
    # like this it is as short in every folder.
    here = Path("/proc/self/cwd")
    config = RawConfigParser()
    # It runs in the state's folder, and expands some paths twice: these hold nothing of its name.
    config["supervisord"] = {
        "nodaemon": "true",
        "logfile": "logs/supervisor.log",
        "pidfile": PID_FILE,
        "childlogdir": "logs",
    }
    config["unix_http_server"] = {
        "file": str(here / SOCKET if here.exists() else SOCKET),
        "chmod": "0700",
    }
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for priority, group in enumerate((SERVERS, SERVICE), 1):
        names = [program.name for program in programs if program.group == group]
        if names:
            config[f"group:{group}"] = {"programs": ",".join(names), "priority": str(priority)}
    for program in programs:
        section = _program_section(program, state_dir)
        section["autostart"] = str(with_programs).lower()
        config[f"program:{program.name}"] = section
    path = state_dir / "supervisor.conf"
    with path.open("w") as file:
        config.write(file)
    return path


def _program_section(program: Program, state_dir: Path) -> dict[str, str]:
    section = {
        "command": shlex.join(
            die_with_parent(program.command, f"$(cat {state_dir.name}/{PID_FILE} 2>/dev/null)")
        ),
        "environment": ",".join(f'{name}="{value}"' for name, value in program.environment.items()),
        "directory": str(state_dir.parent),
        "autorestart": "true",
        "startretries": str(TRIES),
        "stopwaitsecs": str(program.stop_seconds),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": f"logs/{program.name}.log",
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": "1",
    }
    # supervisor expands %(...)s in every value
    return {name: value.replace("%", "%%") for name, value in section.items() if value}

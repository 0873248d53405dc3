"""`make bench-scale`: the same backfill by 1, 2 and 4 workers,
and what each part of the service costs.

Each worker has one process and, where the kernel lets us, a network of its own with nothing in it:
what it shares with the others goes through MongoDB and Redis, over their Unix sockets, as if it
were on a host of its own.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine
from benchmarks.clock import Clock
from core.binaries import find_mongod, find_redis_server
from core.logs import configure_logs
from core.settings import STATE_DIR, Settings
from runner import servers
from runner.programs import worker_command
from runner.service import build_environment
from tasks.names import BACKFILL_QUEUE, INTERACTIVE_QUEUE

RESULTS = Path(__file__).parent / "scale.json"
WORKERS = (1, 2, 4)
ROUNDS = 3
TICKERS = tuple(f"T{number:05d}" for number in range(1_000))
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def main() -> None:
    console = Console()
    configure_logs("warning")
    machine = describe_machine()
    console.print(machine)
    STATE_DIR.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(prefix="scale-", dir="/tmp") as folder,
        run_servers(Path(folder)) as (settings, pids),
    ):
        os.environ.update(build_environment(settings, STATE_DIR.absolute()))
        figures, table = measure(Path(folder), settings, pids, console)
    console.print(table)
    RESULTS.write_text(json.dumps({**figures, "machine": machine}, indent=2) + "\n")
    console.print(f"Written to {RESULTS}.")


def measure(
    folder: Path, settings: Settings, pids: dict[str, int], console: Console
) -> tuple[dict[str, float], Table]:
    """Time the backfills, and return the figures by name and as a table."""
    market, sides = import_module("benchmarks.market"), import_module("benchmarks.sides")
    database = import_module("tasks.process.worker").get_worker().database
    celery = import_module("tasks.process.broker").build_celery(settings)
    console.print(
        f"Making up {market.BARS:,} bars of each of {len(TICKERS):,} tickers, and training a model."
    )
    market.fill(database, TICKERS, TICKERS[:100])
    clock = Clock()
    spent = {task: dict.fromkeys((*pids, "workers"), 0.0) for task in ("backfill", "incremental")}
    rows = 0
    for number in range(ROUNDS):
        for workers in WORKERS:
            console.print(f"Round {number + 1} of {ROUNDS}, {workers} workers.")
            with run_workers(folder, workers) as worker_pids:
                market.forget_results(database)
                sides.run_by_workers(
                    database, celery, sides.ask("backfill", TICKERS[: 40 * workers])
                )
                market.forget_results(database)
                for task, cost in spent.items():
                    before = read_cpu_seconds(pids, worker_pids)
                    with clock.time(f"{task} {workers}"):
                        run = sides.run_by_workers(database, celery, sides.ask(task, TICKERS))
                    after = read_cpu_seconds(pids, worker_pids)
                    for name in cost:
                        cost[name] += after[name] - before[name]
                    rows += run["progress"]["rows_processed"]
                    market.forget_last_bar(database, TICKERS[0])
    figures = describe(clock, spent, rows)
    table = Table("figure", "measured", title=f"{len(TICKERS):,} tickers x {market.BARS:,} bars")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}")
    return figures, table


def describe(clock: Clock, spent: dict[str, dict[str, float]], rows: int) -> dict[str, float]:
    """Return the figures: speed by workers, and processor seconds by part of the service."""
    runs = ROUNDS * len(WORKERS)
    figures = {
        f"bars_per_second_{n}_workers": rows / runs / clock.median(f"backfill {n}") for n in WORKERS
    }
    figures |= {
        f"times_one_worker_{n}": clock.ratio("backfill 1", f"backfill {n}") for n in WORKERS[1:]
    }
    figures |= {f"scan_seconds_{n}_workers": clock.median(f"incremental {n}") for n in WORKERS}
    for name, seconds in spent["backfill"].items():
        figures[f"{name}_cpu_seconds_per_million_bars"] = seconds / rows * 1e6
    for name, seconds in spent["incremental"].items():
        figures[f"{name}_cpu_milliseconds_per_ticker_scanned"] = (
            seconds / (runs * len(TICKERS)) * 1e3
        )
    return figures


@contextmanager
def run_servers(folder: Path) -> Iterator[tuple[Settings, dict[str, int]]]:
    """Start Redis and MongoDB, listening on Unix sockets in `folder` too;
    yield settings and process ids by name.
    """
    redis_port, mongo_port = servers.free_port(), servers.free_port()
    redis_folder, mongo_folder = folder / "redis", folder / "mongod"
    redis = servers.redis_command(find_redis_server(), redis_folder, redis_port)
    mongod = servers.mongod_command(find_mongod(), mongo_folder, mongo_port, cache_gigabytes=1.0)
    mongod.remove("--nounixsocket")
    commands = {
        "redis": [*redis, "--unixsocket", str(folder / "redis.sock")],
        "mongod": [*mongod, "--unixSocketPrefix", str(folder)],
    }
    with ExitStack() as stack:
        processes = {}
        for name, command in commands.items():
            (folder / name).mkdir()
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            processes[name] = subprocess.Popen(
                servers.die_with_parent(command), stdout=log, stderr=log
            )
            stack.callback(processes[name].wait)
            stack.callback(processes[name].kill)
        servers.wait_for_redis(redis_port)
        servers.wait_for_primary(mongo_port)
        (folder / "mongod.sock").symlink_to(folder / f"mongodb-{mongo_port}.sock")
        urls = {
            "mongo_url": servers.mongo_url(mongo_port),
            "redis_url": servers.redis_url(redis_port),
        }
        yield (
            Settings(_env_file=None, **urls),
            {name: process.pid for name, process in processes.items()},
        )


@contextmanager
def run_workers(folder: Path, count: int) -> Iterator[list[int]]:
    """Start so many workers of one process, each without a network where that is permitted;
    yield their process ids.
    """
    mongo_socket = quote(str((folder / "mongod.sock").resolve()), safe="")
    sockets = {
        "MONGO_URL": f"mongodb://{mongo_socket}/?directConnection=true",
        "REDIS_URL": f"redis+socket://{folder / 'redis.sock'}",
    }
    apart = ["unshare", "--net", "--"] if _may_unshare() else []
    queues = ",".join((INTERACTIVE_QUEUE, BACKFILL_QUEUE))
    with ExitStack() as stack:
        processes = []
        for number in range(count):
            log = stack.enter_context((folder / f"worker{number}.log").open("wb"))
            command = [*apart, *worker_command(f"worker{number}", queues, 1)]
            process = subprocess.Popen(
                servers.die_with_parent(command), stdout=log, stderr=log, env=os.environ | sockets
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            processes.append(process)
        yield [process.pid for process in processes]


def read_cpu_seconds(pids: dict[str, int], worker_pids: list[int]) -> dict[str, float]:
    """Return the processor seconds used so far by each server,
    and by all workers with their pool processes.
    """
    spent = {name: _read_cpu_seconds(pid) for name, pid in pids.items()}
    return spent | {
        "workers": sum(
            _read_cpu_seconds(each) for pid in worker_pids for each in (pid, *_children(pid))
        )
    }


def _read_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _may_unshare() -> bool:
    try:
        return (
            subprocess.run(
                ["unshare", "--net", "true"], capture_output=True, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False


if __name__ == "__main__":
    main()

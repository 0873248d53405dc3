"""`make bench-scale`: the same backfill by 1, 2 and 4 workers, a scan of 100,000 series by as many,
and the cost of each part of the service, including MongoDB's disk.

Each worker has one process and, where the kernel permits it, an empty network namespace: it shares
data with the others only through MongoDB and Redis, over their Unix sockets, as if it were on a
host of its own.
"""

import argparse
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine, keep_figures
from benchmarks.clock import Clock
from benchmarks.service import find_peak_mib
from core.binaries import find_mongod, find_redis_server
from core.logs import configure_logs
from core.settings import STATE_DIR, Settings
from detection.models.signing import make_key
from runner import servers
from runner.programs import worker_command
from runner.service import build_environment
from tasks.names import WORK_QUEUES

RESULTS = Path(__file__).parent / "scale.json"
WORKERS = (1, 2, 4)
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: rounds, tickers of a backfill, and series of a market."""

    rounds: int
    tickers: int
    series: int


FULL = Size(rounds=3, tickers=1_000, series=100_000)
QUICK = Size(rounds=1, tickers=200, series=2_000)
# With this many series the oplog, of 512 MB, still holds all writes.
OPLOG_SERIES = 500


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description="Measure what work costs, and what breaks."
    )
    parser.add_argument("--quick", action="store_true", help="little: a look, not the figures")
    quick = parser.parse_args().quick
    size = QUICK if quick else FULL
    console = Console()
    configure_logs("warning")
    machine = describe_machine()
    console.print(machine)
    STATE_DIR.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(prefix="scale-", dir="/tmp") as folder,
        run_servers(Path(folder)) as (settings, pids),
    ):
        os.environ.update(build_environment(settings))
        os.environ["ARTEFACT_KEYS"] = make_key()
        figures = measure(Path(folder), settings, pids, size, console)
        worker = import_module("tasks.process.worker").get_worker()
        worker.database.client.drop_database(worker.database)
        figures |= measure_market(Path(folder), settings, pids, size, console)
    table = Table("figure", "measured")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}")
    console.print(table)
    keep_figures(console, RESULTS, {**figures, "machine": machine}, quick=quick)


def measure(
    folder: Path, settings: Settings, pids: dict[str, int], size: Size, console: Console
) -> dict[str, float]:
    """Time backfills and scans of some tickers, and return the figures by name."""
    market, sides = import_module("benchmarks.market"), import_module("benchmarks.sides")
    database = import_module("tasks.process.worker").get_worker().database
    celery = import_module("tasks.process.broker").build_celery(settings)
    tickers = name_tickers(size.tickers)
    console.print(
        f"Generating {market.BARS:,} bars of each of {len(tickers):,} tickers, training a model."
    )
    market.fill(database, tickers, tickers[:100])
    clock = Clock()
    spent = {task: dict.fromkeys((*pids, "workers"), 0.0) for task in ("backfill", "incremental")}
    rows = 0
    for number in range(size.rounds):
        for workers in WORKERS:
            console.print(f"Round {number + 1} of {size.rounds}, {workers} workers.")
            with run_workers(folder, workers) as worker_pids:
                market.forget_results(database)
                sides.run_by_workers(
                    database, celery, sides.ask("backfill", tickers[: 40 * workers])
                )
                market.forget_results(database)
                sides.leave_alerts(database)
                for task, cost in spent.items():
                    before = read_cpu_seconds(pids, worker_pids)
                    with clock.time(f"{task} {workers}"):
                        run = sides.run_by_workers(database, celery, sides.ask(task, tickers))
                    after = read_cpu_seconds(pids, worker_pids)
                    for name in cost:
                        cost[name] += after[name] - before[name]
                    rows += run["progress"]["rows_processed"]
                    sides.leave_alerts(database)
                    market.forget_last_bar(database, tickers[0])
    return describe(clock, spent, rows, size)


def measure_market(
    folder: Path, settings: Settings, pids: dict[str, int], size: Size, console: Console
) -> dict[str, float]:
    """Time scans of one new bar of each series of a large market, measure the size of its data in
    MongoDB, and return the figures by name.
    """
    whole, sides = import_module("benchmarks.scale_market"), import_module("benchmarks.sides")
    worker = import_module("tasks.process.worker").get_worker()
    database, tickers = worker.database, name_tickers(size.series)
    celery = import_module("tasks.process.broker").build_celery(settings)
    clock, bars = Clock(), len(tickers) * whole.BARS
    console.print(f"Generating {whole.BARS} bars of each of {len(tickers):,} series.")
    few = tickers[:OPLOG_SERIES]
    oplog = whole.measure_oplog(worker, few)
    with clock.time("import"):
        whole.store_bars(database, tickers[len(few) :])
    rows: dict[str, list[float]] = {}
    for number in range(size.rounds):
        for workers in WORKERS:
            with run_workers(folder, workers) as worker_pids:
                if not rows:
                    with clock.time("backfill"):
                        sides.run_by_workers(database, celery, sides.ask("backfill", tickers))
                    sizes = whole.measure_sizes(database, bars)
                whole.warm_up(database, celery, tickers)
                before = read_cpu_seconds(pids, worker_pids)
                told = whole.scan(database, celery, tickers)
                after = read_cpu_seconds(pids, worker_pids)
                told |= {f"{name}_cpu": after[name] - before[name] for name in after}
                told["worker_peak_mib"] = max(map(find_peak_mib, worker_pids))
            for name, value in told.items():
                rows.setdefault(f"{name}_{workers}_workers", []).append(value)
            shown = ", ".join(f"{name} {value:.1f}" for name, value in told.items())
            console.print(f"Round {number + 1} of {size.rounds}, {workers} workers: {shown}")
    figures = {f"market_{name}": median(values) for name, values in rows.items()}
    figures["market_import_bars_per_second"] = bars / clock.median("import")
    figures["market_backfill_bars_per_second"] = bars / clock.median("backfill")
    for name, (documents, indexes) in sizes.items():
        figures[f"{name}_mib_per_million_bars"] = documents
        figures[f"{name}_indexes_mib_per_million_bars"] = indexes
    for step, count in oplog.items():
        figures[f"oplog_mib_per_million_bars_{step}"] = count * 1e6 / 2**20
    return figures


def name_tickers(count: int) -> tuple[str, ...]:
    """Return synthetic names."""
    return tuple(f"T{number:05d}" for number in range(count))


def describe(
    clock: Clock, spent: dict[str, dict[str, float]], rows: int, size: Size
) -> dict[str, float]:
    """Return the figures: speed by number of workers, and processor seconds by part of the
    service.
    """
    runs = size.rounds * len(WORKERS)
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
            seconds / (runs * size.tickers) * 1e3
        )
    return figures


@contextmanager
def run_servers(folder: Path) -> Iterator[tuple[Settings, dict[str, int]]]:
    """Start Redis and MongoDB, which also listen on Unix sockets in `folder`; yield settings and
    process ids by name.
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
    """Start this many workers of one process, each without a network where that is permitted; yield
    their process ids.
    """
    mongo_socket = quote(str((folder / "mongod.sock").resolve()), safe="")
    sockets = {
        "MONGO_URL": f"mongodb://{mongo_socket}/?directConnection=true",
        "REDIS_URL": f"redis+socket://{folder / 'redis.sock'}",
    }
    apart = ["unshare", "--net", "--"] if _may_unshare() else []
    queues = ",".join(WORK_QUEUES)
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
    """Return the processor seconds used so far by each server, and by all workers with their pool
    processes.
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

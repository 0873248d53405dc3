"""The service that is timed: API and worker as `make up` starts them."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from core.settings import STATE_DIR, Settings, get_settings
from detection.models.signing import make_key
from runner.programs import service_programs
from runner.servers import die_with_parent, free_port, run_servers
from runner.service import build_environment, wait_for_api


@contextmanager
def run_bench_servers() -> Iterator[tuple[Settings, Path]]:
    """Start a Redis and a MongoDB in a folder that is removed at the end; yield their settings, and
    the folder.

    They are also set in this process' environment, with what numba and BLAS read when they are
    imported: import modules that load these afterwards.
    """
    STATE_DIR.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(prefix="bench-", dir=STATE_DIR.absolute()) as folder,
        run_servers(Path(folder), cache_gigabytes=1.0) as servers,
    ):
        settings = Settings(
            _env_file=None,
            mongo_url=servers.mongo_url,
            redis_url=servers.redis_url,
            port=free_port(),
        )
        os.environ.update(build_environment(settings))
        os.environ["ARTEFACT_KEYS"] = make_key()
        get_settings.cache_clear()
        yield settings, Path(folder)


@contextmanager
def run_service(
    settings: Settings, folder: Path, programs: Sequence[str] = ("api", "worker")
) -> Iterator[int]:
    """Start API, worker and the other named programs with this process' environment, stop them at
    the end, and yield the worker's process id.
    """
    processes = {}
    try:
        for program in service_programs(settings, folder):
            if program.name in programs:
                with (folder / f"{program.name}.log").open("wb") as log:
                    command, environment = (
                        die_with_parent(program.command),
                        os.environ | program.environment,
                    )
                    processes[program.name] = subprocess.Popen(
                        command, stdout=log, stderr=log, env=environment
                    )
        wait_for_api(settings)
        yield processes["worker"].pid
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


def find_peak_mib(pid: int) -> float:
    """Return the peak memory so far of a process, or of one that it started, in MiB (Linux
    only).
    """
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return max(_read_peak_kib(each) for each in (str(pid), *children)) / 1024


def _read_peak_kib(pid: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

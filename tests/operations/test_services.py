"""Each service of docker-compose.yml as a plain process, with the image's files, its command and
its health check.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from records.database import Db
from records.keys import add_key
from runner.servers import die_with_parent, free_port
from tests.image import files_sent
from tests.processes import PATIENCE_SECONDS, ROOT, wait_until

COMPOSE = (ROOT / "docker-compose.yml").read_text()
FILLED_IN = {"REDIS_PASSWORD": "letters", "FLOWER_USER": "ops", "FLOWER_PASSWORD": "letters"}
OURS = ("api", "worker", "worker-control", "feed", "beat", "flower")
START_SECONDS = 240


def test_debians_docker_compose_accepts_the_file() -> None:
    program = shutil.which("docker-compose")
    assert program, "docker-compose is missing: apt-get install docker-compose"
    command = [program, "--file", str(ROOT / "docker-compose.yml"), "config"]
    answer = subprocess.run(
        command, env=os.environ | FILLED_IN, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    # It names the services of all profiles.
    held = {"redis", "mongo", "prometheus", "grafana", *OURS}
    assert set(yaml.safe_load(answer.stdout)["services"]) == held


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the image, and no others."""
    folder = tmp_path_factory.mktemp("image")
    for name in files_sent():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def variables(environment: dict[str, str], database: Db) -> dict[str, str]:
    """The addresses of the test's servers, instead of those in compose's network, and an API
    key.
    """
    add_key(database, "ops", ["admin"], database.client.admin.command("hello")["localTime"])
    return {name: environment[name] for name in ("MONGO_URL", "REDIS_URL", "MONGO_DATABASE")}


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_a_service_starts_from_the_image_s_files_and_turns_healthy(
    name: str, image: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    described = yaml.safe_load(fill_in(COMPOSE))["services"][name]
    given = {
        variable: value for variable, value in described["environment"].items() if value is not None
    }
    environment = os.environ | given | variables
    # Not every engine sets HOSTNAME.
    environment.pop("HOSTNAME", None)
    # A container has its own /tmp.
    environment |= {
        "TMPDIR": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(image),
    }
    # Nothing is detected here, so compiling the kernels for this folder would only take time.
    environment |= {"NUMBA_DISABLE_JIT": "1"}
    port = str(free_port())
    for volume in ("beat", "flower"):
        (tmp_path / volume).mkdir()

    def move(text: str) -> str:
        # Celery waits for answers until its timeout, however many have come.
        moved = (
            text.replace("/var/lib/tapewatch", str(tmp_path))
            .replace("find /tmp ", f"find {tmp_path} ")
            .replace("$$", "$")
            .replace("--timeout 10", "--timeout 2")
        )
        return re.sub(r"\b(5000|5555)\b", port, moved)

    command, check = (
        shlex.split(move(described["command"])),
        [
            "sh",
            "-c",
            move(described["healthcheck"]["test"]),
        ],
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            die_with_parent(command), cwd=image, env=environment, stdout=log, stderr=log
        )

    def is_healthy() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        return (
            subprocess.run(
                check, cwd=image, env=environment, capture_output=True, check=False
            ).returncode
            == 0
        )

    try:
        wait_until(is_healthy, f"{name} to be healthy", seconds=START_SECONDS)
        process.terminate()
        assert process.wait(timeout=PATIENCE_SECONDS) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()


def fill_in(text: str) -> str:
    """Replace compose's variables by their values or their defaults."""

    def find(match: re.Match[str]) -> str:
        return FILLED_IN.get(match["name"]) or match["default"] or ""

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", find, text)

"""The container engine of this machine, whichever it is: starts the service in containers, and
stops, kills and disconnects them.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
# All services except those that need a named profile.
SERVICES: dict[str, dict[str, Any]] = {
    name: service
    for name, service in yaml.safe_load(COMPOSE_FILE.read_text())["services"].items()
    if "profiles" not in service
}
OURS = tuple(name for name, service in SERVICES.items() if "build" in service)
# Variables that a user must set.
DEMANDED = frozenset(re.findall(r"\$\{(\w+):\?", COMPOSE_FILE.read_text()))
HEALTH_SECONDS = 600.0
POLL_SECONDS = 0.25
# Asking compose for all containers is slow.
HEALTH_POLL_SECONDS = 3.0


class ContainersFailed(Exception):
    """A check of the containers failed; the message says what was found."""


class Engine:
    """The project of docker-compose.yml with a name and settings of its own, on the engine that
    answers.

    Args:
        project: the first part of the names of its containers, volumes and network.
        folder: where its settings are kept meanwhile.
        image: the name of our own image.
    """

    def __init__(self, project: str, folder: Path, image: str) -> None:
        self._folder = folder
        self._cli = _find_cli()
        self.image = image
        own_images = {"services": {name: {"image": image} for name in OURS}}
        (folder / "images.yml").write_text(yaml.safe_dump(own_images))
        self.configure({})
        files = ("--file", str(COMPOSE_FILE), "--file", str(folder / "images.yml"))
        self._compose = [
            *_find_compose(self._cli),
            *files,
            *(
                "--project-name",
                project,
                "--project-directory",
                str(ROOT),
                "--env-file",
                str(folder / "settings.env"),
            ),
        ]

    def configure(self, settings: dict[str, str]) -> None:
        """Set the settings that the services have from their next `up` on."""
        (self._folder / "settings.env").write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items())
        )

    def describe(self) -> str:
        """Return which programs control which engine."""
        version = run(
            [*self._cli, "version", "--format", "{{.Client.Version}}, server {{.Server.Version}}"]
        ).strip()
        return (
            f"{self._cli[0]} {version}; {run([*self._compose, 'version', '--short']).strip()} of"
            f" {self._compose[0]}"
        )

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """Run a command of compose and return its output. Raises ContainersFailed."""
        return run([*self._compose, *arguments], seconds=seconds)

    def build(self) -> None:
        """Build our image, as a user does."""
        self.compose("build", "api", seconds=1_800)

    def describe_images(self) -> list[str]:
        """Return name, id and size of every image that the services use."""
        names = {service.get("image") for name, service in SERVICES.items() if name not in OURS}
        found = []
        for name in (*sorted(filter(None, names)), self.image):
            (image,) = json.loads(run([*self._cli, "image", "inspect", name]))
            digest = (image.get("RepoDigests") or [image["Id"]])[0]
            found.append(f"{name}: {digest.split('@')[-1]}, {image['Size'] / 2**20:,.0f} MiB")
        return found

    def find_containers(self, *services: str) -> list[dict[str, Any]]:
        """Return the engine's descriptions of the containers of services (all, if none is named),
        stopped ones included.
        """
        ids = self.compose("ps", "--all", "--quiet", *services).split()
        return json.loads(run([*self._cli, "container", "inspect", *ids])) if ids else []

    def wait_until_healthy(self, *, but: Sequence[str] = ()) -> None:
        """Return once all containers are healthy, except those of the services in `but`."""
        wait_until(
            lambda: not self._find_unhealthy(but),
            lambda: f"not healthy: {', '.join(self._find_unhealthy(but))}",
            HEALTH_SECONDS,
            HEALTH_POLL_SECONDS,
        )

    def _find_unhealthy(self, but: Sequence[str]) -> list[str]:
        containers = self.find_containers()
        states = {
            container["Name"].lstrip("/"): (
                (container["State"].get("Health") or {}).get("Status", "without a check")
                if container["State"]["Running"]
                else container["State"]["Status"]
            )
            for container in containers
            if service_of(container) not in but
        }
        missing = set(SERVICES) - {service_of(container) for container in containers}
        return [f"{name} {state}" for name, state in states.items() if state != "healthy"] + sorted(
            missing
        )

    def kill(self, container: dict[str, Any]) -> None:
        """Kill all processes of a container at once."""
        run([*self._cli, "kill", "--signal", "KILL", container["Id"]])

    def start(self, container: dict[str, Any]) -> None:
        """Start a container again."""
        run([*self._cli, "start", container["Id"]])

    def cut_off(self, container: dict[str, Any]) -> None:
        """Disconnect a container from its network; its processes go on."""
        for network in container["NetworkSettings"]["Networks"]:
            run([*self._cli, "network", "disconnect", network, container["Id"]])

    def reconnect(self, container: dict[str, Any]) -> None:
        """Reconnect a container to the networks that it had when it was found."""
        for network in container["NetworkSettings"]["Networks"]:
            run([*self._cli, "network", "connect", network, container["Id"]])

    def logs(self, *services: str, lines: int = 15) -> str:
        """Return the last log lines of services."""
        return self.compose("logs", "--no-color", "--tail", str(lines), *services)

    def remove(self) -> None:
        """Remove all that `up` created, with its data."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "20", seconds=900)


def service_of(container: dict[str, Any]) -> str:
    """Return the service of docker-compose.yml to which a container belongs."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def run(command: Sequence[str], *, seconds: float = 120) -> str:
    """Run a command and return its output. Raises ContainersFailed with its output if it fails."""
    # The first docker-compose gives a busy engine a minute for each request.
    environment = {"COMPOSE_HTTP_TIMEOUT": "600", **os.environ}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ContainersFailed(f"`{' '.join(command)}` did not end within {seconds:g} s") from error
    if done.returncode:
        raise ContainersFailed(
            f"`{' '.join(command)}` ended with {done.returncode}:"
            f" {(done.stderr or done.stdout)[-3000:]}"
        )
    return done.stdout


def wait_until(
    is_so: Callable[[], bool],
    describe: Callable[[], str],
    seconds: float,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Return once a condition holds. Raises ContainersFailed with what was found instead."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise ContainersFailed(f"after {seconds:g} s {describe()}")
        time.sleep(poll_seconds)


def _find_cli() -> list[str]:
    tried = []
    for name in ("docker", "podman"):
        if not shutil.which(name):
            tried.append(f"no {name} on PATH")
            continue
        try:
            run([name, "info"])
        except ContainersFailed as error:
            tried.append(str(error))
        else:
            if name == "podman":
                # Compose talks to podman by this socket.
                socket = run([name, "info", "--format", "{{.Host.RemoteSocket.Path}}"]).strip()
                os.environ.setdefault("DOCKER_HOST", f"unix://{socket.removeprefix('unix://')}")
            return [name]
    raise ContainersFailed(
        f"no container engine answers: {'; '.join(tried)}. Start docker or podman, or set"
        " DOCKER_HOST to one."
    )


def _find_compose(cli: list[str]) -> list[str]:
    tried = []
    for command in ([*cli, "compose"], ["docker-compose"]):
        try:
            run([*command, "version"])
        except (ContainersFailed, FileNotFoundError) as error:
            tried.append(f"{' '.join(command)}: {error}")
        else:
            return command
    raise ContainersFailed(
        f"nothing reads docker-compose.yml: {'; '.join(tried)}. Install docker-compose."
    )

"""The installed packages are those in the lock files, which are complete for every Python and never
resolved again.
"""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
RUN, TRACES = "requirements.txt", "requirements-traces.txt"
MCP, DEV = "requirements-mcp.txt", "requirements-dev.txt"
AUTOENCODER = "requirements-autoencoder.txt"
FLAGS = {"--no-deps", "--require-hashes", "--only-binary :all:"}
# Each of these lock files is installed on top of the ones before it.
LAYERS = [(RUN,), (RUN, TRACES), (RUN, MCP), (RUN, AUTOENCODER), (RUN, DEV)]
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.{patch}",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": machine,
        "extra": "",
    }
    for python in ("3.11", "3.12", "3.13", "3.14")
    for patch in (0, 9)
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
]


@cache
def lines_of(lock: str) -> list[str]:
    """Return the logical lines of a lock file, without comments."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


@cache
def pins_of(lock: str) -> list[Requirement]:
    """Return the pins of a lock file."""
    return [Requirement(line.split("--hash")[0].strip()) for line in lines_of(lock)]


def pins_in(locks: tuple[str, ...], environment: dict[str, str]) -> dict[str, str]:
    """Return the version of each package that the lock files install in an environment."""
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for lock in locks
        for pin in pins_of(lock)
        if pin.marker is None or pin.marker.evaluate(environment)
    }


def asked_of(path: Path) -> list[Requirement]:
    """Return the requirements in a requirements file."""
    lines = [
        line for line in path.read_text().splitlines() if line and not line.startswith(("-", "#"))
    ]
    return [Requirement(line) for line in lines]


@cache
def needs_of(name: str) -> tuple[str | None, tuple[Requirement, ...]]:
    """Return the version and the requirements of a package that is installed here."""
    try:
        return version(name), tuple(Requirement(text) for text in requires(name) or [])
    except PackageNotFoundError:
        return None, ()


def closure_faults(locks: tuple[str, ...], environment: dict[str, str]) -> list[str]:
    """Return the packages that are required, directly or by a package at its locked version, and
    are not pinned accordingly in the lock files.
    """
    pins = pins_in(locks, environment)
    waiting = [
        ("us", asked, environment)
        for lock in locks
        for asked in asked_of(ROOT / lock.replace(".txt", ".in"))
    ]
    seen: set[tuple[str, str]] = set()
    faults = []
    while waiting:
        by, asked, within = waiting.pop()
        name = canonicalize_name(asked.name)
        pinned = pins.get(name)
        if asked.marker and not asked.marker.evaluate(within):
            continue
        if pinned is None or pinned not in asked.specifier:
            faults.append(f"{by} asks for {asked}, the lock has {pinned}")
            continue
        here, needs = needs_of(name)
        for extra in {"", *asked.extras}:
            if here != pinned or (name, extra) in seen:
                continue
            seen.add((name, extra))
            there = {**environment, "extra": extra}
            waiting += [(f"{name} {pinned}", needed, there) for needed in needs]
    return faults


@pytest.mark.parametrize("locks", LAYERS, ids="+".join)
def test_locks_contain_all_requirements_on_every_python_and_system(locks: tuple[str, ...]) -> None:
    assert len(asked_of(ROOT / "requirements.in")) > 20
    assert [
        fault for environment in ENVIRONMENTS for fault in closure_faults(locks, environment)
    ] == []


@pytest.mark.parametrize("lock", [RUN, TRACES, MCP, AUTOENCODER, DEV])
def test_a_lock_pins_one_version_of_each_package_by_hash_and_names_no_place(lock: str) -> None:
    for line in lines_of(lock):
        assert re.match(r"[a-z0-9._-]+==\S+( ;.*?)?\s+--hash=sha256:[0-9a-f]{64}", line), line
    for environment in ENVIRONMENTS:
        names = [
            canonicalize_name(pin.name)
            for pin in pins_of(lock)
            if pin.marker is None or pin.marker.evaluate(environment)
        ]
        assert len(names) == len(set(names))
    # It names neither a registry nor a folder of the machine that wrote it.
    assert not re.search(
        r"://|index-url|find-links|^\s*#.*\s/", (ROOT / lock).read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("upper", [TRACES, MCP, AUTOENCODER, DEV])
def test_a_lock_on_top_of_another_changes_none_of_its_versions(upper: str) -> None:
    for environment in ENVIRONMENTS:
        below, above = pins_in((RUN,), environment), pins_in((upper,), environment)
        shared = below.keys() & above.keys()
        assert {name: above[name] for name in shared} == {name: below[name] for name in shared}


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_every_install_uses_only_the_lock_and_checks_hashes(file: str) -> None:
    text = (ROOT / file).read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install (?:(?!&&)[^\n])*", text)
    uses_uv = [line for line in installs if "--dry-run" in line]
    assert len(installs) - len(uses_uv) == 1
    for line in set(installs) - set(uses_uv):
        assert all(flag in line for flag in FLAGS), line
    assert "pip check" in text


def test_installed_packages_are_those_in_the_locks() -> None:
    """The other tests in this file read the requirements of the installed packages."""
    pins = pins_in((RUN, DEV), {})
    assert {name: version(name) for name in pins} == pins

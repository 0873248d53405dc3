"""What is installed is what the locks name: whole for every Python,
and resolved by nobody afterwards.
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
# A lock is installed on top of those before it.
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
    """Return the logical lines of a lock, without comments."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


@cache
def pins_of(lock: str) -> list[Requirement]:
    """Return what a lock pins."""
    return [Requirement(line.split("--hash")[0].strip()) for line in lines_of(lock)]


def pins_in(locks: tuple[str, ...], environment: dict[str, str]) -> dict[str, str]:
    """Return the version of each package that the locks install in an environment."""
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for lock in locks
        for pin in pins_of(lock)
        if pin.marker is None or pin.marker.evaluate(environment)
    }


def asked_of(path: Path) -> list[Requirement]:
    """Return what a file of requirements asks for."""
    lines = [
        line for line in path.read_text().splitlines() if line and not line.startswith(("-", "#"))
    ]
    return [Requirement(line) for line in lines]


@cache
def needs_of(name: str) -> tuple[str | None, tuple[Requirement, ...]]:
    """Return the version of a package that is installed here, and what that one needs."""
    try:
        return version(name), tuple(Requirement(text) for text in requires(name) or [])
    except PackageNotFoundError:
        return None, ()


def closure_faults(locks: tuple[str, ...], environment: dict[str, str]) -> list[str]:
    """Return what is needed, directly or by a package at its locked version,
    and is not pinned so in the locks.
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
def test_locks_hold_all_that_is_needed_on_every_python_and_system(locks: tuple[str, ...]) -> None:
    assert len(asked_of(ROOT / "requirements.in")) > 20
    assert [
        fault for environment in ENVIRONMENTS for fault in closure_faults(locks, environment)
    ] == []


@pytest.mark.parametrize("lock", [RUN, TRACES, MCP, AUTOENCODER, DEV])
def test_lock_pins_one_version_of_each_package_by_hash_and_names_no_place(lock: str) -> None:
    for line in lines_of(lock):
        assert re.match(r"[a-z0-9._-]+==\S+( ;.*?)?\s+--hash=sha256:[0-9a-f]{64}", line), line
    for environment in ENVIRONMENTS:
        names = [
            canonicalize_name(pin.name)
            for pin in pins_of(lock)
            if pin.marker is None or pin.marker.evaluate(environment)
        ]
        assert len(names) == len(set(names))
    # neither a registry nor a folder of the machine that locked
    assert not re.search(
        r"://|index-url|find-links|^\s*#.*\s/", (ROOT / lock).read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("upper", [TRACES, MCP, AUTOENCODER, DEV])
def test_a_lock_on_top_of_another_changes_nothing_of_it(upper: str) -> None:
    for environment in ENVIRONMENTS:
        below, above = pins_in((RUN,), environment), pins_in((upper,), environment)
        shared = below.keys() & above.keys()
        assert {name: above[name] for name in shared} == {name: below[name] for name in shared}


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_every_install_is_of_the_lock_alone_and_checked(file: str) -> None:
    text = (ROOT / file).read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install (?:(?!&&)[^\n])*", text)
    uses_uv = [line for line in installs if "--dry-run" in line]
    assert len(installs) - len(uses_uv) == 1
    for line in set(installs) - set(uses_uv):
        assert all(flag in line for flag in FLAGS), line
    assert "pip check" in text


def test_installed_packages_are_those_of_the_locks() -> None:
    """What the other tests here know of the packages, they know from those that are installed."""
    pins = pins_in((RUN, DEV), {})
    assert {name: version(name) for name in pins} == pins

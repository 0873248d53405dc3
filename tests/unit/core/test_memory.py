"""The available memory: the machine's, or what a control group allows."""

from os import sysconf
from pathlib import Path

import pytest

from core.memory import find_memory

MACHINE = sysconf("SC_PHYS_PAGES") * sysconf("SC_PAGE_SIZE")


def lay_out(root: Path, groups: str, limits: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for path, limit in limits.items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "found"),
    [
        ("0::/a/b\n", {"a/memory.max": "700000000", "a/b/memory.max": "max"}, 700_000_000),
        # In a container that sees its own group as the top one.
        ("0::/\n", {"memory.max": "900000000"}, 900_000_000),
        (
            "5:cpu,cpuacct:/x\n4:memory:/docker/x\n1:name=systemd:/x\n0::/x\n",
            {"memory/memory.limit_in_bytes": "800000000", "cpu/memory.max": "1"},
            800_000_000,
        ),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, MACHINE),
        ("0::/\n", {"memory.max": "max"}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_the_smallest_limit_counts(
    tmp_path: Path, groups: str, limits: dict[str, str], found: int
) -> None:
    assert find_memory(lay_out(tmp_path, groups, limits)) == found


def test_without_control_groups_the_machines_memory_counts(tmp_path: Path) -> None:
    assert find_memory(tmp_path) == MACHINE

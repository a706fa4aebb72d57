"""How much memory is free, as a container's files and the machine's say, and what is refused for want of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchduet.suites import free_memory, memory
from torchduet.suites.workload import Unavailable

GB = 10**9


def tree(folder: Path, *, limit: str = "max", used: int = 0, cached: int = 0, version: int = 2) -> tuple[Path, Path]:
    """A machine with 16 GB free and a control group: its /sys/fs/cgroup and its /proc."""
    cgroup, proc = folder / "cgroup", folder / "proc"
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    own = cgroup / ("pod/container" if version == 2 else "memory")
    own.mkdir(parents=True)
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 32000000 kB\nMemAvailable: {16 * GB // 1024} kB\n")
    (proc / "self" / "cgroup").write_text("0::/pod/container\n" if version == 2 else "4:memory:/\n")
    for name, value in zip(names, (limit, used), strict=True):
        (own / name).write_text(f"{value}\n")
    (own / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    return cgroup, proc


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts_where_it_is_less_than_the_machine_has(tmp_path: Path, version: int) -> None:
    limited = tree(tmp_path, limit=str(4 * GB), used=3 * GB, cached=GB, version=version)
    assert free_memory.available(*limited) == 2 * GB


def test_without_a_limit_or_with_a_larger_one_the_machine_counts(tmp_path: Path) -> None:
    for number, limit in enumerate(("max", str(64 * GB))):
        free = free_memory.available(*tree(tmp_path / str(number), limit=limit))
        assert free == 16 * GB // 1024 * 1024


def test_a_limit_of_a_group_above_counts_too_and_none_is_below_zero(tmp_path: Path) -> None:
    cgroup, proc = tree(tmp_path)
    for name, value in (("memory.max", GB), ("memory.current", 2 * GB)):
        (cgroup / "pod" / name).write_text(str(value))
    assert free_memory.available(cgroup, proc) == 0


def test_what_needs_more_than_the_container_has_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = tree(tmp_path, limit=str(4 * GB), used=GB)
    monkeypatch.setattr(memory, "available", lambda: free_memory.available(*places))
    memory.need_memory(2 * GB)
    with pytest.raises(Unavailable, match="needs about 8 GB of the host's memory, of which 3 GB are free"):
        memory.need_memory(8 * GB)


def test_where_no_file_says_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: None)
    free = memory.available_bytes()
    assert free is None or free > 0

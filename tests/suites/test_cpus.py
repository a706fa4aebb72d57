"""How many cores there are for this process, on machines with other control groups than this one's."""

from pathlib import Path

import pytest

from torchduet.suites import cpus
from torchduet.suites.cpus import cores, cpu_quota, within_quota
from torchduet.suites.workload import cores as of_workloads

V2 = "31 23 0:28 {root} /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "30 23 0:27 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n"
    "35 30 0:33 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
    "36 30 0:34 {root} /sys/fs/cgroup/cpu\\040time rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
)


class Machine:
    """A file system with nothing in it but control groups."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            self.put(f"proc/self/{name}", text)

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def v2(self, group: str, limit: str) -> None:
        self.put(f"sys/fs/cgroup/{group}/cpu.max", f"{limit}\n")

    def v1(self, group: str, quota: int, period: int = 100_000) -> None:
        self.put(f"sys/fs/cgroup/cpu time/{group}/cpu.cfs_quota_us", f"{quota}\n")
        self.put(f"sys/fs/cgroup/cpu time/{group}/cpu.cfs_period_us", f"{period}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_system_without_control_groups_has_no_quota(machine: Machine) -> None:
    assert cpu_quota(machine.root) is None
    machine.write(cgroup="0::/\n", mountinfo="")
    assert cpu_quota(machine.root) is None


def test_a_container_with_a_namespace_of_its_own(machine: Machine) -> None:
    machine.write(cgroup="0::/\n", mountinfo=V2.format(root="/"))
    machine.v2("", "max 100000")
    assert cpu_quota(machine.root) is None
    machine.v2("", "150000 100000")
    assert cpu_quota(machine.root) == 1.5


def test_the_least_limit_up_the_tree_counts(machine: Machine) -> None:
    machine.write(cgroup="0::/pods/one/app\n", mountinfo=V2.format(root="/"))
    machine.v2("pods/one/app", "800000 100000")
    machine.v2("pods/one", "200000 100000")
    machine.v2("pods", "max 100000")
    machine.v2("pods/other", "10000 100000")
    assert cpu_quota(machine.root) == 2.0


def test_a_container_that_sees_the_hosts_paths(machine: Machine) -> None:
    machine.write(cgroup="0::/docker/abc/inner\n", mountinfo=V2.format(root="/docker/abc"))
    machine.v2("", "300000 100000")
    machine.v2("inner", "max 100000")
    assert cpu_quota(machine.root) == 3.0


def test_version_1(machine: Machine) -> None:
    machine.write(cgroup="5:cpuset:/box\n4:cpu,cpuacct:/box/app\n0::/\n", mountinfo=V1.format(root="/"))
    machine.v1("box/app", -1)
    assert cpu_quota(machine.root) is None
    machine.v1("box", 125_000, 50_000)
    assert cpu_quota(machine.root) == 2.5


def test_version_1_in_a_container_that_sees_the_hosts_paths(machine: Machine) -> None:
    machine.write(cgroup="4:cpu,cpuacct:/docker/abc\n", mountinfo=V1.format(root="/docker/abc"))
    machine.v1("", 50_000)
    assert cpu_quota(machine.root) == 0.5


@pytest.mark.parametrize("text", ["", "garbage", "0 100000", "100000 0", "-1 100000", "100000", "\x00 \xff"])
def test_a_limit_of_another_form_is_none(machine: Machine, text: str) -> None:
    machine.write(cgroup="0::/\nnot a line\n::\n", mountinfo=f"short\n - \n{V2.format(root='/')}")
    machine.v2("", text)
    assert cpu_quota(machine.root) is None


def test_a_process_has_the_smaller_one_of_affinity_and_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "usable_cpus", lambda: set(range(64)))
    for quota, expected in ((None, 64), (100.0, 64), (2.0, 2), (1.5, 2), (0.1, 1)):
        monkeypatch.setattr(cpus, "_own_quota", lambda quota=quota: quota)
        assert cores() == of_workloads() == expected
    assert within_quota(1, 8.0) == 1

"""The machine's counters: read from Linux' files as they are, and "not known here" without them."""

import os
import random
from dataclasses import fields
from pathlib import Path

import pytest

from torchduet.bench.host import counters
from torchduet.bench.host.counters import Gauge, context_switches
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing.alternation import Alternation
from torchduet.bench.timing.clock import Block, CpuClock, median_block
from torchduet.bench.timing.pacing import Plan
from torchduet.bench.timing.stopping import Stopping
from torchduet.bench.timing.timed_case import TimedCase

TICK = os.sysconf("SC_CLK_TCK")


class Machine:
    """A file system with the files that a Linux machine of two cores has; this process may use the second."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cpus(busy=0.0, steal=0.0, idle=100.0)
        self.process(7, session=os.getsid(0), seconds=1.0)
        self.process(8, session=1, seconds=50.0)
        self.write("proc/vmstat", "nr_free_pages 1\npswpin 10\npswpout 5\n")
        self.write("proc/self/cgroup", "1:cpu:/other\n0::/box\n")
        self.write("sys/fs/cgroup/box/cpu.stat", "usage_usec 5\nthrottled_usec 1000000\n")
        self.write("sys/fs/cgroup/box/cpu.max", "150000 100000\n")
        self.write("proc/cpuinfo", "processor : 0\nflags\t\t: fpu hypervisor sse2\n")
        for cpu in (0, 1):
            self.write(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "schedutil\n")
            self.write(f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count", "3\n")
        self.clock(3_000_000)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def cpus(self, *, busy: float, steal: float, idle: float) -> None:
        other = "cpu0 9999 0 0 1 0 0 0 9999 0 0"
        user, rest, stolen = round(busy * TICK), round(idle * TICK), round(steal * TICK)
        self.write(
            "proc/stat", f"cpu 1 1 1 1 1 1 1 1 0 0\n{other}\ncpu1 {user} 0 0 {rest} 0 0 0 {stolen} 0 0\nintr 5 0\n"
        )

    def process(self, number: int, *, session: int, seconds: float) -> None:
        spent = round(seconds * TICK)
        self.write(f"proc/{number}/stat", f"{number} (a) b) S 1 1 {session} 0 -1 0 0 0 0 0 {spent} 0 0 0 20 0 1\n")

    def clock(self, kilohertz: int) -> None:
        self.write("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", f"{kilohertz}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((10.0, 12.0))
    monkeypatch.setattr(counters, "monotonic", lambda: next(times))


@pytest.mark.usefixtures("two_seconds")
def test_what_happened_between_two_readings(machine: Machine) -> None:
    gauge = Gauge(machine.root, cpus=[1])
    gauge.sample()
    machine.cpus(busy=1.7, steal=0.1, idle=100.2)
    machine.process(7, session=os.getsid(0), seconds=1.9)
    machine.process(9, session=os.getsid(0), seconds=0.3)  # the workload started another
    machine.write("proc/vmstat", "pswpin 300\npswpout 215\n")
    machine.write("sys/fs/cgroup/box/cpu.stat", "throttled_usec 1500000\n")
    machine.write("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "5\n")
    machine.clock(2_400_000)
    gauge.sample()
    seen = gauge.finish()
    assert seen.seconds == 2.0
    assert seen.others == pytest.approx((1.7 - 0.9 - 0.3) / 2)
    assert seen.steal == pytest.approx(0.1 / 2.0)
    assert seen.stopped == pytest.approx(0.25)
    assert seen.quota == 1.5
    assert (seen.swapped, seen.throttled) == (500, 2)
    assert (seen.slowest, seen.fastest, seen.governor) == (2.4e9, 3.0e9, "schedutil")
    assert seen.virtual is True


def test_without_these_files_nothing_is_known_and_nothing_fails(tmp_path: Path) -> None:
    gauge = Gauge(tmp_path, cpus=[0, 1])
    gauge.sample()
    seen = gauge.finish()
    known = {one.name for one in fields(Telemetry) if getattr(seen, one.name) is not None}
    assert known == {"seconds"}


@pytest.mark.parametrize("path", ["proc/stat", "proc/vmstat", "proc/self/cgroup", "sys/fs/cgroup/box/cpu.max"])
def test_a_file_of_another_form_is_not_known_either(machine: Machine, path: str) -> None:
    machine.write(path, "cpu1 what\n\x00 1 2 3\n0::\n")
    assert Gauge(machine.root, cpus=[1]).finish().seconds > 0


def test_the_real_counters_of_this_machine_can_be_read() -> None:
    gauge = Gauge()
    sum(range(2_000_000))
    seen = gauge.finish()
    assert seen.seconds > 0
    assert seen.others is None or 0 <= seen.others <= len(gauge.cpus) + 0.5


def test_a_block_counts_how_often_the_process_had_to_leave_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter((40, 43))
    monkeypatch.setattr("torchduet.bench.timing.clock.context_switches", lambda: next(counts))
    assert CpuClock().block(int, (), 5).switches == 3


def test_a_rounds_blocks_were_interrupted_if_half_of_them_were() -> None:
    def blocks(*switches: int) -> list[Block]:
        return [Block(1.0, 1.0, 1.0, count) for count in switches]

    assert median_block(blocks(0, 0, 2)).switches == 0
    assert median_block(blocks(0, 2)).switches == 2
    assert median_block(blocks(1, 0, 2)).switches == 1


class Interrupted:
    """A clock of which every fifth block was interrupted twice."""

    name = "perf_counter"
    needs_lead_in = False

    def __init__(self) -> None:
        self.blocks = 0

    def block(self, *_: object) -> Block:
        self.blocks += 1
        return Block(1e-3, 1e-3, 1e-3, 2 * (self.blocks % 5 == 0))

    def synchronize(self) -> None: ...


class Idle:
    """What a run calls, as far as timing it goes."""

    class case:
        device = "cpu"
        precision, mode = "fp32", "eager"

    graph = renew = None
    own_state = OwnState()

    class context:
        class meter:
            paused = False

    args = ()

    @staticmethod
    def call() -> None: ...


def test_every_block_counts_also_those_of_which_a_round_takes_the_median() -> None:
    run = TimedCase(prepared=Idle, clock=Interrupted(), calls=4, repeats=3, seconds=1e-3)  # type: ignore[arg-type]
    one_placement = Stopping(0.0)
    rng = random.Random(0)
    Alternation(lambda _: None, one_placement, Plan(5), rng, lambda _, error: str(error), lambda: None).time([run])
    (placement,) = run.placements
    assert [block.switches for block in placement] == [0] * 5
    found = run.context_switches
    assert (found.blocks, found.interrupted, found.switches) == (15, 3, 6)
    assert found.seconds == pytest.approx(15 * 4e-3)


def test_interruptions_only_grow() -> None:
    before = context_switches()
    assert context_switches() >= before >= 0

"""Pilots are taken now and then, for a small share of the run; every timed case gets its noise."""

import itertools
from dataclasses import replace
from typing import Any

import pynvml
import pytest

from tests.bench.nvml_fake import Nvml, error
from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult, ContextSwitches, FamilyResult, PilotTask
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.noise.family_noise import switch_share_and_rate
from torchduet.bench.noise.monitor import INTERVAL_SHARE, PILOT_SHARE, SHORT_INTERVAL, Monitor
from torchduet.bench.passes import pilots
from torchduet.bench.plugin.closing_table import noise_of, unclear
from torchduet.bench.record.schema import CLOCK_REASONS, NoiseRecord
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.workers.launcher import WorkerError

CASE = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
OTHER = replace(CASE, workload="x", implementation="x")  # of another family
STEADY = [[1e-3] * 10] * 12
IDLE = Telemetry(seconds=2.0, others=0.02, steal=0.0, virtual=True)


class Clock:
    """A clock that stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class Pilots:
    """A launcher whose pilots take a while and are as fast as it is told."""

    def __init__(self, clock: Clock, took: float = 0.15) -> None:
        self.clock, self.took, self.scale, self.fails = clock, took, 1.0, False
        self.asked: list[tuple[int, float]] = []

    def pilots(self, threads: int, seconds: float) -> dict[str, float]:
        self.asked.append((threads, seconds))
        self.clock.time += self.took
        if self.fails:
            raise WorkerError("it was killed")
        return {"arithmetic": 1e-4 * self.scale, "memory": 3e-3 * self.scale, "calls": 5e-5}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def result(case: Case = CASE, **changes: Any) -> CaseResult:
    return CaseResult(
        case, blocks=STEADY, disturbed=[0] * 12, context_switches=ContextSwitches(120, 0, 0, 0.12), **changes
    )


def timed(monitor: Monitor, clock: Clock, *, telemetry: Telemetry = IDLE, cases: Any = None) -> None:
    """A family of two seconds passes."""
    began = clock.time
    clock.time += 2.0
    monitor.add_family(began, FamilyResult(cases or [result()], telemetry=telemetry))


def graded(monitor: Monitor, case: Case = CASE) -> tuple[Any, NoiseRecord | None]:
    """The record of a family's case, and the noise of the run."""
    measured: Any = {"speedups": [], "notes": []}
    found = monitor.grade({case.id: measured})
    assert measured == {"speedups": [], "notes": []}  # what was measured stays as it is
    return found.records[case.id], found.noise


@pytest.mark.parametrize(("budget", "took"), [(90.0, 0.15), (540.0, 0.15), (3600.0, 0.4), (90.0, 0.4)])
def test_pilots_keep_to_their_share_of_the_budget(clock: Clock, budget: float, took: float) -> None:
    launcher = Pilots(clock, took)
    monitor = Monitor(launcher, 2, budget, print, now=clock)
    end = clock.time + budget
    while clock.time < end:
        monitor.pilots_before("s.w")
        clock.time += 1.5
    monitor.pilots_before("", due=True)
    spent, start = took * len(launcher.asked), SHORT_INTERVAL / INTERVAL_SHARE
    at_first = start / SHORT_INTERVAL + 2  # the first and the last are always taken
    assert spent <= PILOT_SHARE * (budget - start) + at_first * took
    assert monitor.pilots[0]["before"] == "s.w"
    assert monitor.pilots[-1]["before"] == ""
    for one, later in itertools.pairwise(monitor.pilots[:-1]):
        assert later["at"] - one["at"] >= (SHORT_INTERVAL if one["at"] <= start else took / PILOT_SHARE)


def test_a_pilot_that_fails_is_one_warning_and_no_more_are_tried(clock: Clock) -> None:
    launcher, warnings = Pilots(clock), list[str]()
    launcher.fails = True
    monitor = Monitor(launcher, 2, 90.0, warnings.append, now=clock)
    monitor.pilots_before("s.w", due=True)
    monitor.pilots_before("s.x", due=True)
    assert len(launcher.asked) == 1
    (warning,) = warnings
    assert "its pilots could not be timed: it was killed" in warning
    timed(monitor, clock)
    record, grade = graded(monitor)
    assert grade is not None
    assert grade["grade"] == "quiet"
    assert record["noise"]["grade"] == "quiet"


def test_pilots_after_a_family_still_count_for_it(clock: Clock) -> None:
    launcher = Pilots(clock)
    monitor = Monitor(launcher, 2, 90.0, print, now=clock)
    monitor.pilots_before("s.w")
    timed(monitor, clock)
    record, _ = graded(monitor)
    assert record["noise"]["grade"] == "quiet"
    launcher.scale = 2.0
    monitor.pilots_before("", due=True)
    record, whole = graded(monitor)
    assert record["noise"]["grade"] == "noisy"  # its own times were steady
    assert record["noise"]["causes"] == [
        "the pilots before and after differ by a factor of 2, without any load on this machine: "
        "other tenants of the host"
    ]
    assert whole is not None
    assert whole["grade"] == "noisy"
    assert whole["remedy"].startswith("a quieter hour")


def test_the_runs_figures_are_means_over_its_families(clock: Clock) -> None:
    monitor = Monitor(Pilots(clock), 2, 90.0, print, now=clock)
    timed(monitor, clock, telemetry=Telemetry(seconds=1.0, others=0.8))
    timed(monitor, clock, telemetry=Telemetry(seconds=3.0, others=0.0, steal=0.01), cases=[result(OTHER)])
    _, whole = graded(monitor)
    assert whole is not None
    assert whole["figures"] == {"others": 0.2, "steal": 0.01}


def test_what_was_only_checked_has_no_noise(clock: Clock) -> None:
    monitor = Monitor(Pilots(clock), 2, 90.0, print, now=clock)
    monitor.add_family(clock.time, FamilyResult([result()]))
    assert graded(monitor) == ({"speedups": [], "notes": []}, None)


def test_work_that_differs_from_placement_to_placement_is_no_drift(clock: Clock) -> None:
    monitor = Monitor(Pilots(clock), 2, 90.0, print, now=clock)
    uneven = [[1e-3 * (1 + place // 6)] * 10 for place in range(12)]
    timed(monitor, clock, cases=[replace(result(), blocks=uneven, meters={"epochs": ("", [1.0])})])
    timed(monitor, clock, cases=[replace(result(OTHER), blocks=uneven)])
    first, _ = graded(monitor)
    drifting, _ = graded(monitor, OTHER)
    assert drifting["noise"]["causes"][0].startswith("times drifted by a factor of 2")
    assert first["noise"]["grade"] == "quiet"


def test_interruptions_are_counted_per_block_and_per_second() -> None:
    one = replace(result(), context_switches=ContextSwitches())
    for switches in (2, 0) * 30:
        one.context_switches.add(switches, 0.002)
    share, rate = switch_share_and_rate([one, result()])
    assert share == 30 / 180
    assert rate == pytest.approx(60 / 0.24)
    assert switch_share_and_rate([CaseResult(CASE, blocks=STEADY)]) == (None, None)


def test_the_pilots_are_three_kinds_of_work_in_seconds() -> None:
    found = pilots.measure_pilots(PilotTask(threads=1, seconds=0.01))
    assert list(found) == ["arithmetic", "memory", "calls"]
    assert all(0 < seconds < 1 for seconds in found.values())


def open_record(name: str, grade: str, *, stop: str = "budget") -> Any:
    one = {"knob": "mode", "verdict": "unclear", "low": 0.9, "high": 1.2, "ratio": 1.05}
    return {
        "case": {"id": name},
        "speedups": [one],
        "timing": {"stop": stop},
        "noise": {"grade": grade, "causes": []},
    }


NOISY = NoiseRecord(
    grade="disturbed", causes=["others kept 0.9 of 2 cores busy", "steal 4 %"], remedy="use --threads 1"
)


def test_the_terminal_names_the_noise_and_what_would_help() -> None:
    assert noise_of(NOISY) == [
        "the machine was disturbed: others kept 0.9 of 2 cores busy",
        "  steal 4 %",
        "  what would help: use --threads 1",
    ]
    assert noise_of(NoiseRecord(grade="quiet", causes=["steal 4 % (at worst; in 1 of 9 families)"])) == []
    assert noise_of(None) == []


@pytest.mark.parametrize(
    ("grades", "run", "says"),
    [
        (("disturbed", "noisy"), NOISY, "the machine was too noisy to settle them within this budget"),
        (
            ("disturbed", "quiet"),
            NOISY,
            "settle 1 of them within this budget (see above for what would help); a longer",
        ),
        (("quiet", "quiet"), NOISY, "a longer --budget would settle more of them"),
        (("noisy", "quiet"), NoiseRecord(grade="quiet", causes=[]), "a longer --budget would settle more of them"),
    ],
)
def test_what_stayed_unclear_for_noise_is_said(grades: tuple[str, str], run: NoiseRecord, says: str) -> None:
    records = [open_record(str(place), grade) for place, grade in enumerate(grades)]
    (line,) = unclear(records, run)
    assert says in line


def test_a_gpu_that_lowered_its_clocks_is_named(clock: Clock) -> None:
    reasons = iter([0x4, 0x4 | 0x1, 0x1, 0x20])
    gpus = Gpus(["aaaa"], Nvml(nvmlDeviceGetCurrentClocksEventReasons=lambda _: next(reasons)))
    monitor = Monitor(Pilots(clock), 2, 90.0, print, gpus, now=clock)
    for _ in range(4):
        monitor.sample_gpus()
    cuda = replace(CASE, device="cuda")
    timed(monitor, clock, cases=[result(), CaseResult(cuda, blocks=STEADY)])
    record, _ = graded(monitor)
    assert record["noise"]["grade"] == "noisy"
    assert record["noise"]["causes"] == ["the GPU lowered its clocks: power cap, in 50 % of the samples"]
    assert record["noise"]["figures"]["gpu temperature"] == 0.25
    timed(monitor, clock, cases=[result(OTHER)])
    on_cpu, _ = graded(monitor, OTHER)
    assert on_cpu["noise"]["grade"] == "quiet"


@pytest.mark.parametrize(
    "nvml",
    [
        Nvml(nvmlInit=error(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)),
        Nvml(nvmlDeviceGetCurrentClocksEventReasons=error(pynvml.NVML_ERROR_NOT_SUPPORTED)),
    ],
)
def test_without_nvml_nothing_is_known_of_gpus(nvml: Nvml) -> None:
    gpus = Gpus(["aaaa"], nvml)
    gpus.sample()
    gpus.sample()
    assert gpus.shares() == {}


def test_nvmls_bits_are_those_of_its_own_module() -> None:
    assert {
        "power cap": pynvml.nvmlClocksEventReasonSwPowerCap,
        "temperature": pynvml.nvmlClocksEventReasonSwThermalSlowdown | pynvml.nvmlClocksEventReasonHwThermalSlowdown,
        "power brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
        "hardware slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    } == CLOCK_REASONS

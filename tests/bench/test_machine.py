"""What a machine can run: every obstacle is named with its knob and what it takes."""

from dataclasses import replace
from pathlib import Path

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.knobs import values_of
from torchduet.bench.host.counters import busy_cores
from torchduet.bench.host.machine import Accelerator, Gpu, Machine, probe
from torchduet.bench.plan import preflight
from torchduet.bench.plan.availability import missing, unavailable
from torchduet.bench.plan.preflight import load_warnings
from torchduet.bench.plugin.progress import ProgressLine
from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.units import duration, factor

CASE = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
CPU_ONLY = Machine(
    torch="2.13.0",
    cuda=None,
    gpus=(),
    no_cuda="CUDA needs a CUDA build of PyTorch; this is a CPU build",
    no_cpu_compiler="",
    cpu="a CPU",
    cpu_capability="AVX2",
    cores=2,
    memory_bytes=None,
    governor=None,
)
HOPPER = Gpu("NVIDIA H200", (9, 0), 140 << 30, triton=True)
TURING = Gpu("Tesla T4", (7, 5), 15 << 30, triton=True)


def with_gpus(*gpus: Gpu) -> Machine:
    return replace(CPU_ONLY, gpus=gpus, no_cuda="")


@pytest.mark.parametrize(
    ("machine", "changes", "obstacle"),
    [
        (CPU_ONLY, {}, None),
        (CPU_ONLY, {"precision": "bf16"}, None),
        (CPU_ONLY, {"device": "cuda"}, ("device", "CUDA needs a CUDA build")),
        (CPU_ONLY, {"precision": "tf32"}, ("precision", "TF32 needs a CUDA GPU of compute capability 8.0 or newer")),
        (with_gpus(HOPPER), {"precision": "tf32"}, ("precision", "TF32 needs a CUDA GPU")),  # on the CPU
        (with_gpus(HOPPER), {"precision": "tf32", "device": "cuda"}, None),
        (with_gpus(HOPPER), {"precision": "fp16", "device": "cuda"}, None),
        (with_gpus(HOPPER), {"precision": "fp16"}, ("precision", "fp16 with a scaled loss needs a CUDA GPU")),
        (with_gpus(HOPPER), {"mode": "graph", "device": "cuda"}, None),
        (with_gpus(HOPPER), {"mode": "reduce-overhead"}, ("mode", "CUDA graphs need a CUDA GPU")),
        (CPU_ONLY, {"mode": "graph"}, ("mode", "CUDA graphs need a CUDA GPU")),
        (CPU_ONLY, {"mode": "max-autotune"}, None),
        (with_gpus(TURING), {"precision": "tf32", "device": "cuda"}, ("precision", "this one has 7.5")),
        (with_gpus(TURING), {"precision": "bf16", "device": "cuda"}, ("precision", "this one has 7.5")),
        (with_gpus(HOPPER), {"device": "cuda:1"}, ("device", "cuda:1 does not exist: this machine has 1 CUDA GPU")),
        (with_gpus(replace(HOPPER, triton=False)), {"device": "cuda", "mode": "compile"}, ("mode", "Triton")),
        (replace(CPU_ONLY, no_cpu_compiler="install g++"), {"mode": "compile"}, ("mode", "install g++")),
    ],
)
def test_obstacles(machine: Machine, changes: dict[str, str], obstacle: tuple[str, str] | None) -> None:
    found = unavailable(machine, replace(CASE, **changes))  # type: ignore[arg-type]
    if obstacle is None:
        assert found is None
    else:
        assert found is not None
        assert found.knob == obstacle[0]
        assert obstacle[1] in found.why


def test_what_no_case_can_use_is_said() -> None:
    assert [variant for variant, _ in missing(CPU_ONLY)] == ["cuda", "tf32"]
    assert missing(with_gpus(HOPPER)) == []
    assert with_gpus(HOPPER).devices() == ["cpu", "cuda"]


def named(machine: Machine) -> dict[str, str]:
    return dict(missing(machine))


def test_bf16_is_named_where_no_gpu_has_it() -> None:
    found = named(with_gpus(TURING))
    assert set(found) == {"tf32", "bf16 on cuda", "bf16-pure on cuda"}  # the CPU has bf16
    assert "compute capability 8.0" in found["bf16 on cuda"] == found["bf16-pure on cuda"]
    assert "bf16 on cuda" not in named(with_gpus(TURING, HOPPER))


def test_a_missing_compiler_is_named_beside_a_missing_precision() -> None:
    found = named(with_gpus(replace(TURING, triton=False)))
    assert {"tf32", "bf16 on cuda", "compile on cuda", "compile-model on cuda", "reduce-overhead"} <= set(found)
    assert "Triton" in found["compile on cuda"]
    assert "Triton" in found["reduce-overhead"]


def test_a_compiler_that_only_the_cpu_lacks_is_named_with_the_cpu() -> None:
    lacking = {"no_cpu_compiler": "install g++"}
    assert named(replace(with_gpus(HOPPER), **lacking))["compile on cpu"] == "install g++"  # type: ignore[arg-type]
    assert named(replace(CPU_ONLY, **lacking))["compile"] == "install g++"  # type: ignore[arg-type]


def test_what_takes_a_gpu_and_nothing_more_is_named_with_the_gpu() -> None:
    reason = named(CPU_ONLY)["cuda"]
    assert reason.startswith(CPU_ONLY.no_cuda)
    assert all(setting in reason for setting in ("fp16", "graph", "reduce-overhead"))


def test_whatever_cannot_run_here_is_named() -> None:
    for machine in (CPU_ONLY, with_gpus(HOPPER), with_gpus(TURING), with_gpus(replace(TURING, triton=False))):
        said = " ".join(word for pair in missing(machine) for word in pair)
        settings = [{knob.name: setting} for knob in KNOBS for setting in values_of(knob) if knob.name != "device"]
        for setting in settings:
            cases = [CASE.with_settings({"device": device, **setting}) for device in machine.devices()]
            if all(unavailable(machine, case) for case in cases):
                assert set(setting.values()) <= set(said.replace(",", "").split())


def test_gpus_are_named_by_number_and_told_apart_by_uuid() -> None:
    both = with_gpus(replace(HOPPER, uuid="aaaa"), replace(TURING, uuid="bbbb"))
    assert both.uuids() == {"cuda": "aaaa", "cuda:0": "aaaa", "cuda:1": "bbbb"}
    assert both.gpus_of(["cpu", "cuda", "cuda:0"]) == {"cuda:0": "aaaa"}
    assert both.gpus_of(["cuda:1", "cuda:7"]) == {"cuda:1": "bbbb"}
    assert CPU_ONLY.gpus_of(["cpu"]) == CPU_ONLY.uuids() == {}


def test_this_machine_is_described() -> None:
    facts = probe().facts()
    assert facts["cores"]
    assert facts["cpu"]
    assert facts["torch"]


def test_a_system_without_proc_stat_is_not_called_busy(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert busy_cores(0.01, tmp_path / "none") is None


def test_only_the_cores_that_may_be_used_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of two cores on a machine of four whose others are busy has both of them."""
    stat = tmp_path / "stat"

    def after(ticks: int) -> None:
        idle, busy = f"0 0 0 {ticks} 0 0 0 0", f"{ticks} 0 0 0 0 0 0 0"
        cores = "".join(f"cpu{cpu} {one} 0 0\n" for cpu, one in enumerate((idle, idle, busy, busy)))
        stat.write_text(f"cpu  {2 * ticks} 0 0 {2 * ticks} 0 0 0 0 0 0\n{cores}intr 5\n")

    after(100)
    monkeypatch.setattr("torchduet.bench.host.counters.sleep", lambda _: after(200))
    monkeypatch.setattr("torchduet.bench.host.counters.usable_cpus", lambda: {0, 1})
    assert busy_cores(1.0, stat) == 0.0
    after(100)
    assert busy_cores(1.0, stat, cpus=[0, 1, 3]) == 1.0


def test_the_threads_that_fit_are_within_the_quota_and_beside_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("usable_cpus", set(range(8))), ("cores", 2), ("busy_cores", 3.0)):
        monkeypatch.setattr(preflight, name, lambda *_, value=value: value)
    assert load_warnings(2) == []
    (warning,) = load_warnings(4)
    assert "about 3.0 of 8 cores busy" in warning
    assert "--threads 2" in warning


def test_a_quota_is_in_the_record_where_there_is_one() -> None:
    assert "cpu_quota" not in CPU_ONLY.facts()
    assert replace(CPU_ONLY, cpu_quota=1.5).facts()["cpu_quota"] == 1.5


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.4, "8 s"), (80, "1 min 20 s"), (120, "2 min"), (7500, "2 h 5 min"), (-1, "0 s")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.308, "1.31×"), (12.34, "12.3×"), (0.0812, "0.0812×"), (456.7, "457×"), (None, "?")]
)
def test_factors_have_three_digits(value: float | None, text: str) -> None:
    assert factor(value) == text


class Terminal:
    """A terminal that keeps what is written to it."""

    def __init__(self, *, tty: bool) -> None:
        self.tty, self.written = tty, ""

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None: ...


def test_the_progress_line_is_drawn_below_and_taken_away() -> None:
    terminal = Terminal(tty=True)
    line = ProgressLine(terminal, lambda: 7)  # type: ignore[arg-type]
    line.show("[1/3] matmul")
    line.show("too soon to be drawn")
    line.clear()
    assert "[1/3] matmul" in terminal.written
    assert "too soon" not in terminal.written
    assert terminal.written.endswith("\x1b[K\x1b[1A\x1b[8G")  # cleared, and back at pytest's column


def test_a_log_file_gets_no_control_codes_and_no_flood() -> None:
    log = Terminal(tty=False)
    line = ProgressLine(log, lambda: 0)  # type: ignore[arg-type]
    for _ in range(100):
        line.show("[1/3] matmul")
    line.clear()
    assert "\x1b" not in log.written
    assert log.written.count("matmul") <= 1
    line = ProgressLine(log, lambda: 0, quiet_seconds=0.0)  # type: ignore[arg-type]
    line.show("[2/3] mlp")
    line.show("[3/3] einsum")
    assert log.written.endswith("\n  [2/3] mlp\n\n  [3/3] einsum\n")


def test_the_facts_name_the_gpu_that_is_measured() -> None:
    both = with_gpus(TURING, HOPPER)
    second = both.measuring(["cpu", "cuda:1"]).facts()
    assert (second["gpu"], second["gpu_memory_bytes"], second["gpu_capability"]) == ("NVIDIA H200", 140 << 30, "9.0")
    assert second["gpus"] == 2
    assert both.measuring(["cuda"]).facts()["gpu"] == "Tesla T4"
    together = both.measuring(["cuda:1", "cuda:0"]).facts()
    assert (together["gpu"], together["gpu_capability"]) == ("Tesla T4, NVIDIA H200", "7.5, 9.0")
    assert together["gpu_memory_bytes"] == 15 << 30
    assert with_gpus(HOPPER, HOPPER).measuring(["cuda:0", "cuda:1"]).facts()["gpu"] == "NVIDIA H200"
    assert both.measuring(["cpu"]).facts() == both.facts()  # as in earlier files
    assert CPU_ONLY.measuring(["cpu"]).facts()["gpu"] is None


def test_the_facts_name_the_accelerator_that_is_measured() -> None:
    two = (Accelerator("xpu:0", "Arc", 16), Accelerator("xpu:1", "Max 1550"))
    facts = replace(CPU_ONLY, accelerators=two).measuring(["xpu:1"]).facts()
    assert (facts["accelerator"], facts["accelerators"], facts["accelerator_memory_bytes"]) == ("Max 1550", 2, None)

"""``torchduet run --case ID --once``: one case is called in this process, as it is when it is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet import Axis, Suite
from torchduet.bench.cases.case import Case, cases_of
from torchduet.bench.passes import once
from torchduet.bench.passes.once import NotCalledError, OnceTask, call_once, recorded_calls
from torchduet.bench.plugin.once_command import run_once
from torchduet.bench.timing.callables import prepare
from torchduet.bench.timing.clock import Block, CpuClock
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites import registry

OWN = """
import os

import torch
from torchduet import Axis, Suite

suite = Suite("my own")


def pair(device, n):
    return torch.full((n,), 2.0, device=device), torch.ones(n, device=device)


@suite.workload(inputs=pair, axes={"n": Axis(quick=[64], full=[128])}, modes=["eager", "compile"])
def grows(x, y):
    "x changes"
    x.add_(y)
    return x * 2


suite.compare(
    "told",
    {
        "it's": lambda x, y: print("called with", float(x[0]), "in", os.getpid(), torch.get_num_threads()) or x + y,
        "other": lambda x, y: x + y,
    },
    inputs=pair, axes={"n": Axis([8])}, modes=["eager"], mutates=("x",),
)


@suite.workload(inputs=pair, axes={"n": Axis(quick=[8])}, modes=["eager"])
def raises(x, y):
    raise ValueError("no such luck")
"""


def torchduet(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torchduet", "run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, **variables},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OWN, "utf-8")
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which it ends before it has done anything."""
    assert run_once(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_built_in_case_is_called_alone(folder: Path) -> None:
    name = "tensor_ops.chain[n=100] cpu eager fp32"
    done = torchduet("--case", name, "--once", "--threads", "1", "--calls", "3", folder=folder)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{name}: 3 calls of ")
    assert "after a warm-up, 1 thread. This is no measurement" in line
    assert f"torchduet: calling {name}" in done.stderr
    assert list(folder.iterdir()) == [folder / "mine.py"], "nothing is left beside the files of the user"


def test_a_compiled_case_of_a_users_file_is_compiled_before_it_is_called(folder: Path) -> None:
    name, code = "my own.grows[n=128] cpu compile fp32", folder / "code"  # a size of another tier than quick
    arguments = ("--suite", "mine.py", "--case", name, "--once", "--threads", "1")
    done = torchduet(*arguments, folder=folder, TORCHINDUCTOR_CACHE_DIR="code")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name}: 1 call of ")
    assert done.stderr.index("compiling my own.grows") < done.stderr.index("calling my own.grows")
    assert list(code.rglob("*.so")), "a profiler finds the code after the process has ended"


def test_inputs_are_put_back_before_each_call_in_one_process(folder: Path) -> None:
    name = "my own.told[n=8] it's cpu eager fp32"
    done = torchduet("--suite", "mine.py", "--case", name, "--once", "--threads", "1", "--calls", "4", folder=folder)
    assert done.returncode == 0, done.stderr
    *told, last = done.stdout.splitlines()
    assert last.startswith(f"{name}: 4 calls of ")
    assert {line.split(" in ")[0] for line in told} == {"called with 2.0"}
    assert len({line.split(" in ")[1] for line in told}) == 1, "one process, with as many threads as asked for"
    assert told[0].endswith(" 1")


def test_calls_can_last_for_a_time(folder: Path) -> None:
    name = "tensor_ops.chain[n=100] cpu eager fp32"
    done = torchduet("--case", name, "--once", "--threads", "1", "--calls", "0.3s", folder=folder)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.removeprefix(f"{name}: ").split()[0].replace(",", "")) > 1


def test_what_cannot_be_called_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    several = refusal(capsys, "--case", "tensor_ops.chain*", "--once")
    assert several.startswith("error: --once: --case names ")
    assert "(tensor_ops.chain[n=100] cpu eager fp32, " in several
    assert several.endswith(" more); give the whole id of one")
    nearest = refusal(capsys, "--case", "matmul.square[n=65] cpu eager fp32", "--once")
    assert "the nearest are 'matmul.square[n=64] cpu eager fp32'" in nearest
    assert "--energy: cannot be combined with --once" in refusal(capsys, "--once", "--energy")
    assert "--calls '0': use a whole number" in refusal(capsys, "--case", "matmul.*", "--once", "--calls", "0")
    assert "--once: name one case by its id" in refusal(capsys, "--once")
    assert "--suite nowhere.py" in refusal(capsys, "--once", "--case", "x", "--suite", "nowhere.py").replace(
        str(Path("nowhere.py").resolve()), "nowhere.py"
    )
    lacking = "matmul.square[n=64] cpu graph fp32"
    assert refusal(capsys, "--case", lacking, "--once").startswith(f"error: --case {lacking!r}: ")


def test_a_case_whose_code_raises_says_so_in_one_line(folder: Path) -> None:
    done = torchduet("--suite", "mine.py", "--case", "my own.raises[n=8] cpu eager fp32", "--once", folder=folder)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: my own.raises[n=8] cpu eager fp32: it raised ValueError: no such luck (mine.py:")


def test_pytest_refuses_the_options_that_need_no_pytest(folder: Path) -> None:
    done = torchduet("--case", "matmul*", "--calls=3", folder=folder)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip() == "ERROR: --calls: belongs to `torchduet run --case ID --once`, which needs no pytest"


@pytest.fixture
def fresh_case() -> Any:
    """The case of a workload with new inputs for each call, and the values that it was given."""
    suite, given = Suite("given"), []

    def inputs(device: Any, n: int) -> tuple[torch.Tensor]:
        return (torch.randn(n, device=device),)

    @suite.workload(inputs=inputs, axes={"n": Axis([4])}, modes=["eager"], fresh=True)
    def sees(x: torch.Tensor) -> torch.Tensor:
        given.append(float(x[0]))
        return x * 2

    registry.give("given", [suite])
    case, _ = next(cases_of("given", suite, tier="quick", devices=["cpu"], asked={"mode": ["eager"]}))
    yield case, given
    registry.withdraw("given")


def test_new_inputs_are_made_before_each_call(fresh_case: tuple[Case, list[float]], tmp_path: Path) -> None:
    case, given = fresh_case
    called = call_once(OnceTask(case, 5, torch.get_num_threads(), str(tmp_path)), lambda *_: None)
    assert called.calls == 5
    assert called.seconds > 0
    assert len(set(given[-5:])) == 5
    assert case.record(reference=True)["source"] == "", "no file has it"


class Cuda:
    """The calls of ``torch.cuda`` that profilers see, in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        cudart = SimpleNamespace(
            cudaError=SimpleNamespace(success=0),
            cudaProfilerStart=lambda: self.note("start"),
            cudaProfilerStop=lambda: self.note("stop"),
        )
        monkeypatch.setattr(torch.cuda, "_cudart", cudart)
        monkeypatch.setattr(torch.cuda, "cudart", lambda: cudart)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: self.note("synchronize"))
        monkeypatch.setattr(torch.cuda.nvtx, "range_push", lambda name: self.note(f"push {name}"))
        monkeypatch.setattr(torch.cuda.nvtx, "range_pop", lambda: self.note("pop"))

    def note(self, what: str) -> int:
        self.log.append(what)
        return 0


class Restoring:
    """Notes when inputs are readied."""

    active = True
    seconds = 0.0

    def __init__(self, note: Callable[[str], object]) -> None:
        self.note = note

    def before_call(self, _: object) -> None:
        self.note("ready")

    def moved(self) -> None:
        """Not used."""


def timed_case(function: Callable[..., Any]) -> TimedCase:
    """A case on a GPU whose inputs are on the CPU."""
    suite = Suite("s")
    suite.compare("w", {"w": function}, inputs=lambda device: (torch.ones(2, device=device),), modes=["eager"])
    case, _ = next(cases_of("s", suite, tier="quick", devices=["cuda"], asked={"mode": ["eager"]}))
    return TimedCase(prepare(suite.workloads["w"], case, (torch.ones(2),)), CpuClock())


def test_a_gpus_profiler_records_the_calls_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)
    run = timed_case(lambda _: cuda.note("work"))
    assert recorded_calls(run, 2).calls == 2
    calls = ["push call 1", "work", "pop", "push call 2", "work", "pop"]
    assert cuda.log == ["synchronize", "start", f"push {run.prepared.case.id}", *calls, "synchronize", "pop", "stop"]


def test_inputs_are_readied_outside_of_the_ranges_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)
    run = timed_case(lambda _: cuda.note("work"))
    run.restoring = Restoring(cuda.note)
    recorded_calls(run, 2)
    before, calls = ["ready", "synchronize", "start"], ["push call 1", "work", "pop"]
    between = ["push inputs", "ready", "pop", "push call 2", "work", "pop"]
    after = ["synchronize", "pop", "stop"]
    assert cuda.log == [*before, f"push {run.prepared.case.id}", *calls, *between, *after]


def test_the_profiler_is_stopped_when_a_call_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)

    def fails(_: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        recorded_calls(timed_case(fails), 1)
    assert cuda.log[-3:] == ["pop", "pop", "stop"]


def test_a_cold_case_has_its_cache_filled_by_the_clock_before_each_call() -> None:
    run = timed_case(lambda x: x)
    flushed = []

    class Cold(CpuClock):
        cold_calls = 2

        def cold(self, call: Any, args: Any, calls: int, *_: Any) -> Block:
            flushed.append(calls)
            for _ in range(calls):
                call(*args)
            return Block(1e-3, 1e-3, 1e-3)

    run.clock, run.cold = Cold(), True
    run.prepared = replace(run.prepared, case=run.prepared.case.with_settings({"device": "cpu"}))
    assert recorded_calls(run, 5).calls == 5
    assert flushed == [2, 2, 1]


def test_it_is_prepared_as_for_its_timing_and_not_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``settle`` captures a CUDA graph again when the inputs have moved."""
    stages: list[Any] = []

    class Stages(once.FirstCalls):
        def prepare_device(self, name: str, cases: Any) -> None:
            stages.append(("prepared", self.checks.enabled, self.task.threads))
            super().prepare_device(name, cases)

    monkeypatch.setattr(once, "FirstCalls", Stages)
    monkeypatch.setattr(TimedCase, "settle", lambda _: stages.append("settled"))
    monkeypatch.setattr(once, "recorded_calls", lambda *_: stages.append("recorded"))
    suite = registry.load("matmul")[0]
    case, _ = next(cases_of("matmul", suite, tier="quick", devices=["cpu"], asked={"mode": ["eager"]}))
    threads = torch.get_num_threads()
    call_once(OnceTask(case, 1, threads, str(tmp_path)), lambda *_: None)
    assert stages == [("prepared", False, threads), "settled", "settled", "recorded"]


def test_a_case_that_the_machine_lacks_something_for_says_so(tmp_path: Path) -> None:
    suite = registry.load("matmul")[0]
    case, _ = next(cases_of("matmul", suite, tier="quick", devices=["cpu"], asked={"mode": ["eager"]}))
    nowhere = case.with_settings({"device": "cuda"})
    with pytest.raises(NotCalledError, match="CUDA"):
        call_once(OnceTask(nowhere, 1, torch.get_num_threads(), str(tmp_path)), lambda *_: None)

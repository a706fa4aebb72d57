"""Environment variables that change what a GPU measures are recorded, warned of, and named where runs are compared."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.bench.made_workers import begin
from tests.bench.nvml_fake import WHOLE, Nvml
from tests.reports.with_gpu import make_gpu_run
from torchduet import bench
from torchduet.bench.cases.case import Case
from torchduet.bench.host.gpu_timeline import Timeline
from torchduet.bench.host.gpus import variables
from torchduet.bench.host.machine import Gpu, probe
from torchduet.bench.host.nvml import devices
from torchduet.bench.library.run import _check_gpus
from torchduet.bench.noise.monitor import Monitor
from torchduet.bench.plan.availability import missing, unavailable
from torchduet.bench.plan.options import OptionError, parse
from torchduet.bench.plugin import collection, gpus
from torchduet.bench.plugin.stash import DUET, SELECTED, SESSION
from torchduet.bench.record.machines.facts import SETTING
from torchduet.bench.record.run_record import run_record
from torchduet.bench.record.schema import KEY
from torchduet.bench.run import preparing
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.resume import identity
from torchduet.bench.run.run_facts import facts_of
from torchduet.bench.run.settings import Settings
from torchduet.reports.compare.settings import cautions, differences
from torchduet.reports.html import run_page
from torchduet.reports.read.run_file import from_json

ROOT = Path(__file__).parents[2]
BENCH = Path(bench.__path__[0])
H200 = Gpu("NVIDIA H200", (9, 0), 2**37, triton=True, uuid="aaaa")
WITH_GPU = replace(probe(), gpus=(H200,), no_cuda="")
WORKLOAD = """
@suite.workload(inputs=lambda device: (torch.ones(4, device=device),))
def add(x):
    return x + 1
"""
NOTHING = dict.fromkeys(("device", "mode", "precision", "workers", "suite", "data", "threads", "budget"))


def case(**changes: Any) -> Case:
    return replace(Case("s", "s", "w", "", (), "w", True, "cuda", "eager", "tf32"), **changes)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables.NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CUDA_LAUNCH_BLOCKING", "1", "every launch waits for its kernel"),
        ("NVIDIA_TF32_OVERRIDE", "0", "tf32 cases are left out"),
        ("NVIDIA_TF32_OVERRIDE", "1", "fp32 cases fail their check"),
        ("PYTORCH_NO_CUDA_MEMORY_CACHING", "1", "every tensor takes its memory from the driver"),
        ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "50", "a part of the GPU's multiprocessors"),
    ],
)
def test_what_changes_times_is_one_line(name: str, value: str, says: str) -> None:
    (line,) = variables.warnings({name: value, "HOME": "/"})
    assert line.startswith(f"{name}={value}: ")
    assert says in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CUDA_LAUNCH_BLOCKING", "0"),
        ("PYTORCH_NO_CUDA_MEMORY_CACHING", ""),
        ("CUDA_VISIBLE_DEVICES", "1"),
        ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
        ("CUDA_MODULE_LOADING", "EAGER"),
    ],
)
def test_the_rest_is_recorded_without_a_warning(name: str, value: str) -> None:
    assert variables.warnings({name: value}) == []
    assert variables.environment({name: value, "HOME": "/"}) == {name: value}


def settings(machine: Any, **given: Any) -> Settings:
    return Settings(parse(tier="quick", **(NOTHING | given)), machine)


def test_only_a_run_that_measures_a_gpu_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    assert len(preparing.environment_warnings(settings(WITH_GPU))) == 1
    assert preparing.environment_warnings(settings(WITH_GPU, device="cpu")) == []
    assert preparing.environment_warnings(settings(probe())) == []


def test_tf32_that_the_environment_switches_off_is_not_measured_as_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unavailable(WITH_GPU, case()) is None
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    obstacle = unavailable(WITH_GPU, case())
    assert obstacle is not None
    assert (obstacle.knob, "NVIDIA_TF32_OVERRIDE=0" in obstacle.why) == ("precision", True)
    assert unavailable(WITH_GPU, case(precision="fp32")) is None
    assert ("tf32", variables.NO_TF32) in missing(WITH_GPU)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert unavailable(WITH_GPU, case()) is None


def test_an_older_gpus_own_reason_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    older = replace(WITH_GPU, gpus=(replace(H200, capability=(7, 5)),))
    obstacle = unavailable(older, case())
    assert obstacle is not None
    assert "compute capability 8.0" in obstacle.why


def test_fp32_that_fails_beside_forced_tf32_has_that_as_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchduet.bench.timing.checking.check import _wrong
    from torchduet.bench.timing.checking.compare import Held

    held = Held(path="", error=3e-4)
    reference: Any = SimpleNamespace(held_against="float64", free=False, random=False)
    monkeypatch.setattr("torchduet.bench.timing.checking.check._is_random", lambda _: False)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert "NVIDIA_TF32_OVERRIDE" not in _wrong(held, 2e-5, "fp32", "fp32", reference, 1)  # nothing is on a GPU
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert "NVIDIA_TF32_OVERRIDE=1 lets NVIDIA's libraries use TF32" in _wrong(held, 2e-5, "fp32", "w", reference, 1)
    assert "NVIDIA_TF32_OVERRIDE" not in _wrong(held, 3e-2, "bf16", "w", reference, 1)


def test_another_value_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(tmp_path, monkeypatch, WORKLOAD).measuring
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    assert identity(made)["environment"] == {}
    assert "environment" not in run_record(facts_of(made))
    made.settings = replace(made.settings, machine=WITH_GPU)
    assert identity(made)["environment"] == {"CUDA_LAUNCH_BLOCKING": "1"}
    assert facts_of(made).environment == {"CUDA_LAUNCH_BLOCKING": "1"}
    assert run_record(facts_of(made))["environment"] == {"CUDA_LAUNCH_BLOCKING": "1"}


def run_with(environment: dict[str, str] | None) -> Any:
    document = copy.deepcopy(make_gpu_run())
    if environment is not None:
        document[KEY]["environment"] = environment
    return from_json(document, "run.json")


def test_a_comparison_names_the_variables_that_differ() -> None:
    base, new = run_with({}), run_with({"NVIDIA_TF32_OVERRIDE": "0", "CUDA_VISIBLE_DEVICES": "1"})
    found = differences(base, new)
    assert [(one.kind, one.name, one.base, one.new) for one in found] == [
        (SETTING, "NVIDIA_TF32_OVERRIDE", "not set", "0"),
        (SETTING, "CUDA_VISIBLE_DEVICES", "not set", "1"),
    ]
    (caution,) = [text for text in cautions(base, new, found) if "settings" in text]
    assert "NVIDIA_TF32_OVERRIDE" in caution
    assert differences(new, new) == []


def test_a_file_of_an_earlier_version_does_not_say_which_variables_were_set() -> None:
    earlier, new = run_with(None), run_with({"CUDA_VISIBLE_DEVICES": "0"})
    assert differences(earlier, new) == differences(new, earlier) == []


def test_the_page_shows_them_by_their_names() -> None:
    page = run_page.render(run_with({"CUDA_LAUNCH_BLOCKING": "1"}))
    assert "<dt>CUDA_LAUNCH_BLOCKING</dt><dd>1</dd>" in page


class Reporter:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def checked(*, when_busy: str = "go", duet: object = None, device: str = "cuda", **answers: Any) -> tuple[Any, Any]:
    """The check of a run's GPUs before its first worker: the session's progress, the terminal."""
    reporter, stash = Reporter(), pytest.Stash()
    stash[DUET] = duet  # type: ignore[assignment]
    config: Any = SimpleNamespace(
        stash=stash,
        getoption={"when_busy": when_busy}.__getitem__,
        pluginmanager=SimpleNamespace(get_plugin=lambda _: reporter),
    )
    (handle,), _ = devices(["aaaa"], Nvml(**answers))
    progress: Any = Progress(families=[SimpleNamespace(cases=[case(device=device)])])  # type: ignore[list-item]
    pilot_timer: Any = None
    measuring = SimpleNamespace(
        settings=settings(WITH_GPU),
        gpus={"cuda:0": handle},
        progress=progress,
        monitor=Monitor(pilot_timer, 1, 60.0, progress.warnings.append),
        timeline=Timeline({"cuda:0": handle}),
    )
    session: Any = SimpleNamespace(settings=settings(WITH_GPU), progress=progress, measuring=measuring)
    assert handle is not None
    assert handle.handle == WHOLE
    gpus.check(config, session)
    return progress, reporter


def test_the_wait_for_a_gpu_is_no_part_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def an_hour(*_: Any) -> list[str]:
        monkeypatch.setattr("torchduet.bench.run.progress.monotonic", lambda: monotonic() + 3600)
        return []

    monkeypatch.setattr(preparing, "check_idle", an_hour)
    progress, _ = checked()
    assert progress.elapsed() < 1800


def test_a_journal_that_does_not_fit_is_found_before_a_gpu_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(collection.gpus, "check", lambda *_: order.append("wait"))
    monkeypatch.setattr(collection.gpu_clocks, "lock_clocks", lambda *_: order.append("lock"))
    monkeypatch.setattr(collection.output, "begin", lambda *_: order.append("journal"))
    monkeypatch.setattr(collection, "check_what", lambda *_: None)
    monkeypatch.setattr(collection.sharding, "selected_ids", lambda _: [])
    monkeypatch.setattr(collection, "json_path", lambda _: None)
    for resumes, expected in ((True, ["journal", "wait", "lock"]), (False, ["wait", "lock", "journal"])):
        stash = pytest.Stash()
        run: Any = SimpleNamespace(
            measuring=SimpleNamespace(plan=lambda _: None),
            progress=SimpleNamespace(families=[1]),
            settings=SimpleNamespace(options=SimpleNamespace(profile=None, warm_start=None), profiling=None),
            stop_request=SimpleNamespace(graceful=False),
        )
        stash[SELECTED], stash[SESSION] = True, run
        order.clear()
        config = SimpleNamespace(stash=stash, getoption={"resume": resumes}.__getitem__)
        session: Any = SimpleNamespace(config=config, items=[])
        collection.pytest_collection_finish(session)
        assert order == expected
        assert run.stop_request.graceful


def test_a_busy_gpu_is_in_the_record_and_on_the_terminal() -> None:
    progress, reporter = checked()  # the fake is 98 % busy
    (warning,) = progress.warnings
    assert "cuda:0 (NVIDIA H200) is 98 % busy with other processes" in warning
    assert reporter.lines == [f"torchduet: warning: {warning}"]
    with pytest.raises(pytest.UsageError, match="--when-busy refuse: cuda:0"):
        checked(when_busy="refuse")


def test_a_gpu_that_no_selected_case_uses_is_not_looked_at() -> None:
    progress, _ = checked(device="cpu", when_busy="refuse")
    assert progress.warnings == []


def test_a_duet_on_a_gpu_for_one_process_is_refused_before_it_starts() -> None:
    with pytest.raises(pytest.UsageError, match=r"compute mode EXCLUSIVE_PROCESS: .* a duet"):
        checked(duet=object(), nvmlDeviceGetComputeMode=3)
    checked(nvmlDeviceGetComputeMode=3)


def library_check(*, initialized: bool, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> tuple[Any, Any]:
    """What ``torchduet.compare`` checks of a GPU: the run's progress, the launcher."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: initialized)
    (handle,), _ = devices(["aaaa"], Nvml(**answers))
    measuring: Any = SimpleNamespace(
        gpus={"cuda:0": handle}, monitor=SimpleNamespace(piloted=("cuda:0",)), progress=SimpleNamespace(warnings=[])
    )
    launcher: Any = SimpleNamespace(alone="")
    _check_gpus(measuring, launcher)
    return measuring.progress, launcher


def test_a_comparison_of_functions_is_warned_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    progress, launcher = library_check(initialized=True, monkeypatch=monkeypatch)
    assert progress.warnings[0].startswith("CUDA_LAUNCH_BLOCKING=1: every launch waits")
    assert launcher.alone == ""


@pytest.mark.parametrize("initialized", [True, False])
def test_a_gpu_that_this_process_holds_alone_gets_no_fresh_process(
    monkeypatch: pytest.MonkeyPatch, initialized: bool
) -> None:
    _, launcher = library_check(initialized=initialized, monkeypatch=monkeypatch, nvmlDeviceGetComputeMode=3)
    assert ("EXCLUSIVE_PROCESS" in launcher.alone) is initialized
    with pytest.raises(OptionError, match="PROHIBITED: no process can use it"):
        library_check(initialized=initialized, monkeypatch=monkeypatch, nvmlDeviceGetComputeMode=2)


PLUGIN = """
import sys
from dataclasses import replace

from tests.bench.nvml_fake import Nvml
from torchduet.bench.host import machine

real = machine.probe
h200 = machine.Gpu("NVIDIA H200", (9, 0), 2**37, triton=True, uuid="aaaa")
machine.probe = lambda: replace(real(), gpus=(h200,), no_cuda="")
sys.modules["pynvml"] = Nvml()
"""


def test_pytest_refuses_a_busy_gpu_before_anything_is_measured(tmp_path: Path) -> None:
    """All of pytest's own steps, on a GPU that is made up; the fake driver says that it is 98 % busy."""
    (tmp_path / "with_gpu.py").write_text(PLUGIN)
    suite = tmp_path / "made.py"
    suite.write_text("import torch\nfrom torchduet import Suite\nsuite = Suite('made', 'one')\n" + WORKLOAD)
    run = tmp_path / "run.json"
    command = [sys.executable, "-m", "pytest", str(BENCH), "-p", "with_gpu", "--suite", str(suite), "--mode", "eager"]
    done = subprocess.run(
        [*command, "--device", "cuda", "--when-busy", "refuse", "--benchmark-json", str(run)],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "TORCHDUET_LOCK": str(tmp_path / "lock")}
        | {"CUDA_LAUNCH_BLOCKING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, said
    assert "--when-busy refuse: cuda:0 (NVIDIA H200) is 98 % busy with other processes; end them, choose" in said
    assert "torchduet: warning: CUDA_LAUNCH_BLOCKING=1: every launch waits" in said
    assert "Traceback" not in said
    assert list(tmp_path.glob("run*")) == []

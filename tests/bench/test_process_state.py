"""State that a call leaves changed is put back for other cases, holds for its own, and is named."""

from __future__ import annotations

import decimal
import gc
import importlib
import logging
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, Task
from torchduet.bench.state import threads
from torchduet.bench.state.entry import Entry, LastingChangeError, changes, put_back, read
from torchduet.bench.state.own_state import OwnState, everything, fast, restored
from torchduet.bench.state.threads import Reading, busy
from torchduet.bench.workers.visit import measure

HEAD = "import torch\nfrom torchduet import Implementation, Suite\nsuite = Suite('s')\nONE = {'modes': ('eager',)}\n"


class FunctionMode(TorchFunctionMode):
    """Does nothing."""


class DispatchMode(TorchDispatchMode):
    """Does nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def state() -> Iterator[None]:
    """Whatever a test changes is put back for the next one."""
    with restored():
        yield


# What is changed, in words of the note → how a script changes it for good.
CHANGES: dict[str, Callable[[], object]] = {
    "autocast on cpu (off → on)": lambda: torch.autocast("cpu", dtype=torch.bfloat16).__enter__(),
    "dtype of autocast on cpu (bfloat16 → float16)": lambda: torch.set_autocast_dtype("cpu", torch.float16),
    "autocast's cache": lambda: torch.set_autocast_cache_enabled(False),
    "anomaly mode (off → on)": lambda: torch.autograd.set_detect_anomaly(True),
    "anomaly mode's check for NaN": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "grad mode (on → off)": lambda: torch.set_grad_enabled(False),
    "inference mode (off → on)": lambda: KEPT.append(torch.inference_mode()) or KEPT[-1].__enter__(),
    "forward-mode gradients": lambda: torch._C._set_fwd_grad_enabled(False),
    "default dtype (float32 → float64)": lambda: torch.set_default_dtype(torch.float64),
    "default device meta": lambda: torch.set_default_device("meta"),
    "default device cpu": lambda: torch.device("cpu").__enter__(),
    "FunctionMode": lambda: FunctionMode().__enter__(),
    "DispatchMode": lambda: DispatchMode().__enter__(),
    "torch function handling": lambda: KEPT.append(torch._C.DisableTorchFunctionSubclass()) or KEPT[-1].__enter__(),
    "hooks for saved tensors": lambda: torch.autograd.graph.saved_tensors_hooks(id, id).__enter__(),
    "global hooks of modules": lambda: torch.nn.modules.module.register_module_forward_hook(lambda *_: None),
    "global hooks of optimisers": lambda: __import__(
        "torch.optim.optimizer", fromlist=["x"]
    ).register_optimizer_step_post_hook(lambda *_: None),
    "level of forward-mode gradients": torch.autograd.forward_ad.enter_dual_level,
    "functorch": lambda: torch._C._functorch._grad_increment_nesting(),
    "deterministic algorithms (off → on)": lambda: torch.use_deterministic_algorithms(True),
    "deterministic algorithms: warnings only": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "filling of uninitialised memory": lambda: setattr(torch.utils.deterministic, "fill_uninitialized_memory", False),
    "number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "precision of fp32 (matrix products: highest → medium": lambda: torch.set_float32_matmul_precision("medium"),
    "mkldnn matmul: ": lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
    "generic all: none → tf32": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "torch.backends.cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "cuDNN (on → off)": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "oneDNN": lambda: torch._C._set_mkldnn_enabled(False),
    "fast path of nn.MultiheadAttention": lambda: torch.backends.mha.set_fastpath_enabled(False),
    "flash attention": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "attention by matrix products (math)": lambda: torch.backends.cuda.enable_math_sdp(False),
    "torch.backends.opt_einsum": lambda: setattr(
        torch.backends.opt_einsum, "enabled", not torch.backends.opt_einsum.enabled
    ),
    "flushing of denormal numbers": lambda: torch.set_flush_denormal(True),
    "checks of sparse tensors": torch.sparse.check_sparse_tensor_invariants.enable,
    "multithreading of autograd": lambda: torch._C._set_multithreading_enabled(False),
    "TorchScript's profiling executor": lambda: torch._C._jit_set_profiling_executor(False),
    "TorchScript's fuser": lambda: torch._C._jit_set_texpr_fuser_enabled(False),
    "PyTorch's profiler": lambda: torch.autograd.profiler.profile().__enter__(),
    "stance of torch.compile": lambda: torch.compiler.set_stance("force_eager"),
    "torch._dynamo.config": lambda: setattr(torch._dynamo.config, "cache_size_limit", 3),
    "garbage collection (on → off)": gc.disable,
    "thresholds of garbage collection": lambda: gc.set_threshold(10),
    "sys.settrace": lambda: sys.settrace(lambda *_: None),
    "sys.setprofile": lambda: sys.setprofile(lambda *_: None),
    "threading.setprofile": lambda: threading.setprofile(lambda *_: None),
    "tracemalloc": tracemalloc.start,
    "recursion limit": lambda: sys.setrecursionlimit(5000),
    "switch interval": lambda: sys.setswitchinterval(1e-5),
    "warnings filters": lambda: warnings.simplefilter("error", BytesWarning),
    "root logger": lambda: logging.getLogger().setLevel(logging.DEBUG),
    "decimal context": lambda: setattr(decimal.getcontext(), "prec", 99),
    "NumPy's handling of errors": lambda: np.seterr(all="raise"),
    "environment (TORCHDUET_TEST)": lambda: os.environ.update(TORCHDUET_TEST="1"),
    "working directory": lambda: os.chdir("/"),
    "folder of temporary files": lambda: setattr(tempfile, "tempdir", "/"),
    "sys.stdout": lambda: setattr(sys, "stdout", sys.stderr),
}
KEPT: list[Any] = []  # contexts that stay entered, as those that a program keeps at its top


@pytest.mark.parametrize("words", CHANGES)
def test_a_change_is_seen_put_back_and_set_again_around_the_cases_own_calls(words: str) -> None:
    before = read(everything())
    own = OwnState()
    with own.entered(thorough=True):
        CHANGES[words]()
        after = [change for change in changes(everything(), before, read(everything())) if change.entry.named]
    assert not changes(everything(), before, read(everything()))
    (note,) = own.notes
    assert words in note
    assert note.startswith("its calls changed ")
    assert note.endswith(": put back before other cases are called")
    if words in ("PyTorch's profiler", "functorch"):
        return  # its call alone can begin it again
    with own.entered():
        for change in after:
            assert change.entry.read() == change.after, change.entry.name
    assert not changes(everything(), before, read(everything()))
    assert own.notes == [note]  # entering its own state is no change


def test_reading_changes_nothing_and_each_value_can_be_put_back_as_it_is() -> None:
    before = read(everything())
    for entry, value in zip(everything(), before, strict=True):
        if entry.name != "number of inter-op threads":  # PyTorch takes no second value
            entry.put_back(value)
    assert not changes(everything(), before, read(everything()))


def test_the_state_is_put_back_when_a_call_raises() -> None:
    own = OwnState()

    def call() -> None:
        with own.entered(thorough=True):
            torch.set_grad_enabled(False)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        call()
    assert torch.is_grad_enabled()


def test_what_changes_after_the_first_calls_is_put_back_after_the_block() -> None:
    own = OwnState()
    with own.entered(thorough=True):
        pass
    with own.entered():
        torch.autocast("cpu", dtype=torch.bfloat16).__enter__()
    assert not torch.is_autocast_enabled("cpu")
    assert "autocast on cpu" in own.notes[0]
    assert len(fast()) < len(everything()) / 4


def test_what_a_library_changes_when_it_is_imported_is_not_named_as_a_change_of_the_code_that_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("filtering_one", "filtering_two"):
        (tmp_path / f"{name}.py").write_text("import warnings\nwarnings.simplefilter('once', BytesWarning)\n", "utf-8")
    with restored() as by_import:
        importlib.import_module("filtering_one")
        torch.set_grad_enabled(False)
    with restored() as by_code:
        importlib.import_module("filtering_one")
        warnings.simplefilter("once", BytesWarning)
    assert by_import.note("inputs=") == ["inputs= changed grad mode (on → off): put back before other cases are called"]
    assert [note.partition(" (")[0] for note in by_code.note("inputs=")] == ["inputs= changed warnings filters"]
    own = OwnState()
    with own.entered(thorough=True):
        importlib.import_module("filtering_two")
    assert own.notes == []


def test_a_change_that_the_system_refuses_to_undo_ends_the_measuring_in_this_process() -> None:
    value = [0]

    def refuse(_: int) -> None:
        raise PermissionError

    harmful = Entry("niceness", lambda: value[0], refuse, poisons=True)
    before = read([harmful])
    value[0] = 5
    (lasting,) = put_back(changes([harmful], before, read([harmful])))
    assert str(lasting) == "niceness (0 → 5)"


def test_a_thread_that_keeps_a_core_busy_is_refused_and_one_that_waits_is_not() -> None:
    stop, waiting = threading.Event(), threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    own = OwnState()
    try:
        with pytest.raises(LastingChangeError, match=r"keeps a core busy \(spinner\)"), own.entered(thorough=True):
            threading.Thread(target=spin, name="spinner", daemon=True).start()
        with own.entered(thorough=True):
            waiter = threading.Thread(target=waiting.wait, daemon=True)
            waiter.start()
        assert busy([waiter]) == []
    finally:
        stop.set()
        waiting.set()


def run(tmp_path: Path, text: str, *implementations: str, seconds: float = 0.2, **kinds: Any) -> FamilyResult:
    file = tmp_path / "suite.py"
    file.write_text(HEAD + textwrap.dedent(text))
    cases = tuple(Case(str(file), "s", "w", "", (), name, False, "cpu", "eager", "fp32") for name in implementations)
    return measure(Task(Family(cases, cases), seconds, kinds.get("threads", 1), str(tmp_path)), lambda *_: None)


def module_of(outcome: FamilyResult) -> Any:
    """The imported suite."""
    return sys.modules[workload_of(outcome.results[0].case).implementations["plain"].function.__module__]


def assert_measured(results: list[CaseResult]) -> None:
    assert [result.error for result in results] == [None] * len(results)
    assert all(result.blocks for result in results)


def test_each_case_of_a_family_is_timed_in_its_own_state_and_named(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        SEEN = {"plain": set(), "left": set(), "late": set()}
        CALLS = [0]
        def look(name):
            SEEN[name].add((torch.is_autocast_enabled("cpu"), torch.is_anomaly_enabled(), torch.get_default_dtype()))
        def plain(x):
            look("plain")
            return x @ x
        def left(x):
            torch.autocast("cpu", dtype=torch.bfloat16).__enter__()
            look("left")
            return (x @ x).float()
        def late(x):
            CALLS[0] += 1
            if CALLS[0] == 40:
                torch.autograd.set_detect_anomaly(True)
            look("late")
            return x @ x
        suite.compare("w", {"plain": plain, "left": left, "late": late}, inputs=lambda device: (torch.randn(64, 64),),
                      tolerance={"fp32": 0.05}, **ONE)
        """,
        "plain",
        "left",
        "late",
    )
    assert_measured(outcome.results)
    plain, left, late = outcome.results
    assert [note for note in plain.notes if "SEEN" not in note] == []  # the test's own record
    assert [note for note in left.notes if "autocast on cpu (off → on)" in note]
    assert [note for note in late.notes if "anomaly mode (off → on)" in note]
    seen = module_of(outcome).SEEN
    assert {state[:2] for state in seen["plain"]} == {(False, False)}
    assert {state[0] for state in seen["left"]} == {True}
    assert {state[1] for state in seen["late"]} == {False, True}
    assert not torch.is_autocast_enabled("cpu")


def test_the_state_is_put_back_after_a_failed_check(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        def right(x):
            assert torch.is_grad_enabled()
            assert torch.get_default_dtype() in (torch.float32, torch.float64)
            return x * 2
        def wrong(x):
            torch.set_grad_enabled(False)
            torch.set_default_dtype(torch.float16)
            return x * 3
        def raises(x):
            torch.set_grad_enabled(False)
            raise RuntimeError("no")
        suite.compare("w", {"right": right, "wrong": wrong, "raises": raises, "right2": right},
                      inputs=lambda device: (torch.randn(64),), **ONE)
        """,
        "right",
        "wrong",
        "raises",
        "right2",
    )
    right, wrong, raises, again = outcome.results
    assert "its result is wrong" in str(wrong.error)
    assert "RuntimeError: no" in str(raises.error)
    assert_measured([right, again])


def test_what_inputs_setup_and_observe_change_is_named_and_setup_holds_for_its_case(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        def inputs(device):
            torch.set_default_dtype(torch.float64)
            return (torch.randn(64, dtype=torch.float32),)
        def observe(inputs, result):
            torch.set_anomaly_enabled(True)
            return result
        def plain(x):
            assert torch.is_grad_enabled() and not torch.is_anomaly_enabled()
            return x * 2
        def without_grad(x):
            torch.set_grad_enabled(False)
            def call(x):
                assert not torch.is_grad_enabled() and not torch.is_anomaly_enabled()
                return x * 2
            return call
        suite.compare("w", {"plain": plain, "without_grad": Implementation(without_grad, setup=True)},
                      inputs=inputs, observe=observe, **ONE)
        """,
        "plain",
        "without_grad",
    )
    assert_measured(outcome.results)
    plain, without_grad = ("\n".join(result.notes) for result in outcome.results)
    assert "inputs= changed default dtype (float32 → float64): put back before other cases are called" in plain
    assert "observe= changed anomaly mode (off → on)" in plain
    assert "its setup changed grad mode (on → off): in force around its own calls only" in without_grad
    assert "setup" not in plain


@pytest.mark.parametrize(
    ("readings", "works"),
    [
        ([Reading(0.02)], True),  # all of the time
        ([Reading(0.001)], False),
        ([Reading(0.0, 0.0, True), Reading(0.004, 0.036, True)], True),  # at first it had no turn
        ([Reading(0.0, 0.0, True), Reading(0.001, 0.036)], False),  # it was woken, waited for a core, and sleeps again
        ([Reading(0.0, 0.0, True)] * threads.MAX_WINDOWS, False),
    ],
)
def test_a_thread_is_judged_by_the_time_in_which_it_could_have_a_core(
    readings: list[Reading], works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, now, seen = threading.current_thread(), [0.0], iter([Reading(), *readings])
    monkeypatch.setattr(threads, "reading", lambda _: next(seen))
    clock = SimpleNamespace(sleep=lambda seconds: now.append(now[-1] + seconds), perf_counter=lambda: now[-1])
    monkeypatch.setattr(threads, "time", clock)
    assert threads.busy([thread], 0.02) == [thread] * works
    assert next(seen, None) is None


def test_a_case_that_leaves_a_busy_thread_fails_and_the_others_get_another_process(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import threading
        STOP = []
        def spin():
            while not STOP:
                pass
        def plain(x):
            return x * 2
        def spins(x):
            threading.Thread(target=spin, daemon=True).start()
            return x * 2
        suite.compare("w", {"plain": plain, "spins": spins}, inputs=lambda device: (torch.randn(64),), **ONE)
        """,
        "plain",
        "spins",
    )
    module_of(outcome).STOP.append(1)
    assert outcome.broken == outcome.results[1].case
    assert "keeps a core busy" in str(outcome.results[1].error)


def test_threads_set_at_import_are_set_again_and_the_rest_is_kept_and_named(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        torch.set_num_threads(3)
        torch.use_deterministic_algorithms(True)
        def plain(x):
            assert torch.get_num_threads() == 2, torch.get_num_threads()
            assert torch.are_deterministic_algorithms_enabled()
            return x * 2
        suite.compare("w", {"plain": plain}, inputs=lambda device: (torch.randn(64),), **ONE)
        """,
        "plain",
        threads=2,
    )
    assert_measured(outcome.results)
    threads, others = outcome.results[0].notes
    assert threads == "suite.py sets 3 threads when it is imported; --threads 2 is in force"
    assert others.startswith("suite.py changes deterministic algorithms (off → on)")
    assert others.endswith(" when it is imported: in force for all of its cases")


def test_a_call_that_sets_the_number_of_threads_is_named_and_timed_with_it(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        def plain(x):
            assert torch.get_num_threads() == 2, torch.get_num_threads()
            return x * 2
        def alone(x):
            torch.set_num_threads(1)
            return x * 2
        suite.compare("w", {"plain": plain, "alone": alone}, inputs=lambda device: (torch.randn(64),), **ONE)
        """,
        "plain",
        "alone",
        threads=2,
    )
    assert_measured(outcome.results)
    assert outcome.results[1].notes == [
        "its calls changed number of threads (2 → 1): put back before other cases are called"
    ]


def test_importing_a_users_suite_changes_nothing_in_the_pytest_process(tmp_path: Path) -> None:
    code = """
    import os
    os.chdir("/")
    os.environ["TORCHDUET_LEFT"] = "1"
    @suite.workload(inputs=lambda device: (torch.randn(8),), **ONE)
    def w(x):
        assert os.environ["TORCHDUET_LEFT"] == "1"
        return x * 2
    """
    (tmp_path / "first.py").write_text(HEAD + textwrap.dedent(code))
    second = """
    import os
    assert "TORCHDUET_LEFT" not in os.environ
    @suite.workload(inputs=lambda device: (torch.randn(8),), **ONE)
    def v(x):
        return x * 2
    """
    (tmp_path / "second.py").write_text(HEAD.replace("'s'", "'t'") + textwrap.dedent(second))
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "--suite", str(tmp_path / "first.py"), "--suite",
         str(tmp_path / "second.py"), "--budget", "4s", "-q", "--benchmark-json", str(tmp_path / "run.json")],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "run.json").is_file()

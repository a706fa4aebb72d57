"""Compilation: own code objects, what Dynamo says, and no recompilation while being timed."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import Task
from torchduet.bench.host.temporary import HEADERS
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.callables import asks_for, assemble
from torchduet.bench.timing.compile_watch import CompileWatch
from torchduet.bench.timing.dynamo import (
    CompiledModel,
    cold_cache,
    compile_into,
    load_without_headers,
    own_code,
    precompile_headers_again,
)
from torchduet.bench.timing.failures import describe, limitation
from torchduet.bench.timing.precision import autocast_factory
from torchduet.bench.timing.stopping import MIN_VISIT_PLACEMENTS
from torchduet.bench.workers.environment import for_workers
from torchduet.bench.workers.visit import measure
from torchduet.suites.registry import load

WORKLOADS = str(Path(__file__).parent / "workloads" / "compiled.py")


@pytest.fixture(autouse=True)
def fresh_dynamo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No compiled code or cache is left over from another test, or for one."""
    torch._dynamo.reset()
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))


def case(workload: str, mode: str = "compile", precision: str = "fp32") -> Case:
    return Case(WORKLOADS, "compiled", workload, "", (), workload, True, "cpu", mode, precision)


def run(tmp_path: Path, *cases: Case):  # type: ignore[no-untyped-def]
    family = Family(cases=cases, reported=cases)
    for seconds in (0.3, 3.0, 30.0):  # beside busy processes a visit takes longer
        outcome = measure(Task(family, seconds, 1, str(tmp_path)), lambda *_: None)
        if all(one.error or len(one.blocks) >= MIN_VISIT_PLACEMENTS for one in outcome.results):
            break
    return outcome


def test_cases_of_one_function_do_not_share_compiled_code() -> None:
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    first, second = own_code(double), own_code(double)
    assert first.__code__ is not second.__code__  # type: ignore[attr-defined]
    assert first(torch.ones(1)) == second(torch.ones(1)) == 2
    assert own_code(torch.mm)(torch.ones(1, 1), torch.ones(1, 1)) == 1  # a builtin has no code of its own


def test_graph_breaks_are_counted_with_their_reasons() -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        torch._dynamo.graph_break()
        return y + 1

    watch = CompileWatch()
    torch.compile(broken, backend="eager")(torch.ones(3))
    record = watch.record()
    assert record["graphs"] == 2
    assert [entry["count"] for entry in record["graph_breaks"]] == [1]
    assert "graph_break" in record["graph_breaks"][0]["reason"]
    (place,) = record["graph_breaks"][0]["places"]
    assert place.startswith("test_compile.py:")
    assert place.endswith("torch._dynamo.graph_break()")


def test_a_recompilation_while_timing_is_an_error_that_names_its_cause() -> None:
    compiled = torch.compile(lambda x: x * 2, backend="eager", dynamic=False)
    compiled(torch.ones(3))
    with undisturbed(), pytest.raises(RuntimeError) as caught:
        compiled(torch.ones(4))
    assert "compiled again while being timed" in describe(caught.value, "x.py")
    assert "size mismatch" in describe(caught.value, "x.py")
    compiled(torch.ones(5))  # the prohibition ends with the timing


def test_compiled_steps_are_checked_timed_and_not_recompiled(tmp_path: Path) -> None:
    modes = [case("train", mode) for mode in ("eager", "compile-model", "compile")]
    outcome = run(tmp_path, *modes)
    assert [result.error for result in outcome.results] == [None] * 3
    eager, model, step = outcome.results
    assert eager.compile is None
    assert model.compile is not None
    assert step.compile is not None
    assert model.compile["graphs"] >= 1
    assert len(model.blocks) == len(eager.blocks) >= MIN_VISIT_PLACEMENTS
    assert model.first_call["seconds"] > eager.first_call["seconds"]  # type: ignore[index]
    assert outcome.seconds["compiling"] > 0


def test_a_workload_that_recompiles_fails_and_its_family_goes_on(tmp_path: Path) -> None:
    outcome = run(tmp_path, case("restless", "eager"), case("restless"))
    eager, compiled = outcome.results
    assert eager.error is None
    assert len(eager.blocks) >= MIN_VISIT_PLACEMENTS
    assert "compiled again while being timed" in str(compiled.error)


def test_what_torch_says_that_it_does_not_support_is_skipped_with_its_words(tmp_path: Path) -> None:
    eager, compiled = run(tmp_path, case("penalty", "eager"), case("penalty", "compile-model")).results
    assert (eager.error, eager.skip) == (None, None)
    assert len(eager.blocks) >= MIN_VISIT_PLACEMENTS
    assert compiled.error is None
    assert compiled.skip == "torch.compile with aot_autograd does not currently support double backward"


def test_where_torch_compiles_nothing_its_reason_is_the_cases(tmp_path: Path) -> None:
    eager, compiled = run(tmp_path, case("reads_lstm", "eager"), case("reads_lstm")).results
    assert eager.error is None
    assert compiled.error is None
    assert compiled.skip is not None
    assert compiled.skip.startswith("torch.compile compiles nothing of it: Attempted to wrap RNN, GRU, or LSTM (")
    assert "compiled.py:" in compiled.skip
    assert "layer(x)" in compiled.skip
    assert "leave this mode out of its modes=" in compiled.skip


def test_a_case_of_which_nothing_is_compiled_without_a_reason_fails(tmp_path: Path) -> None:
    _, compiled = run(tmp_path, case("hands_back", "eager"), case("hands_back")).results
    assert compiled.error == "torch.compile compiled nothing of it; leave this mode out of its modes="


DOUBLE = RuntimeError("torch.compile does not currently support higher order gradients.")


@pytest.mark.parametrize(
    ("error", "file", "skipped"),
    [
        (DOUBLE, torch.__file__, True),
        (DOUBLE, __file__, False),
        (RuntimeError("torch.compile compiled something that is wrong"), torch.__file__, False),
        (RuntimeError("addmm does not support this dtype"), torch.__file__, False),
        (ValueError("torch.compile does not support this option"), torch.__file__, False),
    ],
)
def test_only_a_limitation_that_torch_itself_states_is_one(error: Exception, file: str, skipped: bool) -> None:
    with pytest.raises(type(error)) as raised:
        exec(compile("raise error", file, "exec"), {"error": error.with_traceback(None)})
    assert (limitation(raised.value) is not None) == skipped


@pytest.mark.parametrize(("numbers", "changing"), [((0, 1), False), ((0, 0), True)])
def test_models_of_a_case_do_not_make_each_others_sizes_changing_ones(
    monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, int], changing: bool
) -> None:
    symbols = []

    def backend(graph: torch.fx.GraphModule, inputs: list[object]) -> object:
        symbols.extend(value for value in inputs if isinstance(value, torch.SymInt))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    for number, size in zip(numbers, (3, 5), strict=True):
        CompiledModel(torch.nn.ReLU(), number)(torch.ones(size))
    assert bool(symbols) == changing


@pytest.mark.parametrize(("between", "changing"), [(cold_cache, False), (lambda _: None, True)])
def test_a_case_does_not_make_the_strides_of_the_next_ones_changing_ones(
    between: Callable[[Path], None], changing: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    symbolic = []

    def backend(graph: torch.fx.GraphModule, inputs: list[object]) -> Callable[..., object]:
        symbolic.append(any(isinstance(value, torch.SymInt) for value in inputs))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    for memory_format in (torch.contiguous_format, torch.channels_last):
        between(tmp_path)
        model = torch.nn.Conv2d(3, 8, 3).to(memory_format=memory_format)  # type: ignore[call-overload]
        CompiledModel(model)(torch.randn(4, 3, 16, 16).to(memory_format=memory_format))
    assert symbolic == [False, changing]


def test_compile_model_without_a_model_says_so(tmp_path: Path) -> None:
    outcome = run(tmp_path, case("restless", "eager"), case("restless", "compile-model"))
    assert "needs an nn.Module among the inputs" in str(outcome.results[1].error)


def test_autocast_is_placed_by_the_function_that_asks_for_it() -> None:
    (suite,) = load(WORKLOADS)
    train = suite.workloads["train"].implementations["train"].function
    assert "autocast" in asks_for(train)
    assert "autocast" not in asks_for(torch.mm)
    a = torch.randn(4, 4)
    assert assemble(torch.mm, "bf16", "cpu")(a, a).dtype == torch.bfloat16
    assert assemble(torch.mm, "fp32", "cpu") is torch.mm
    seen = assemble(lambda x, autocast: autocast, "bf16", "cpu")(a)  # noqa: ARG005
    assert type(seen) is type(autocast_factory("bf16", "cpu"))


@pytest.fixture
def short_path() -> Iterator[Path]:
    """As a run's folder has: that of pytest may be too long for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="td-", dir="/tmp") as folder:
        yield Path(folder)


def test_headers_are_precompiled_in_the_runs_own_folder(
    short_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import codecache

    variables = for_workers(short_path, compiler=True)
    folders = [variables[name] for name in ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR", HEADERS)]
    assert all(Path(folder).is_relative_to(short_path) for folder in folders)
    assert len({for_workers(short_path, compiler=True, side=side)[HEADERS] for side in "ab"}) == 2
    monkeypatch.setenv(HEADERS, variables[HEADERS])
    before = codecache._HEADER_DIR
    for number in range(2):
        compile_into(tmp_path / f"code-{number}")
        assert variables[HEADERS] == codecache._HEADER_DIR
        assert Path(codecache._HEADER_LOCK_DIR).parent == Path(variables[HEADERS])
    load_without_headers()
    precompile_headers_again()
    assert before == codecache._HEADER_DIR


def test_where_sockets_would_have_too_long_a_path_temporary_files_stay_where_they_are(tmp_path: Path) -> None:
    assert "TMPDIR" not in for_workers(tmp_path / ("x" * 60), compiler=False)

"""Modes with CUDA graphs: captured anew where the inputs moved, poisoned before they are checked, reasons kept."""

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet import Suite
from torchduet.bench.cases.case import Case, Family, cases_of
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, Task
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.timing.callables import assemble, prepare
from torchduet.bench.timing.checking.check import check
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.poison import poison
from torchduet.bench.timing.checking.reference import Reference
from torchduet.bench.timing.checking.results import observed, results_of
from torchduet.bench.timing.clock import CpuClock
from torchduet.bench.timing.cuda_graph import (
    WARM_UP_CALLS,
    Captured,
    CaptureError,
    newest_first,
    skipped_graphs,
    step_by_step,
)
from torchduet.bench.timing.meter import Context
from torchduet.bench.timing.precision import first_result
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.launcher import Launcher
from torchduet.bench.workers.visit import measure
from torchduet.suites.registry import load
from torchduet.suites.workload import Implementation, SuiteError, Unavailable, Workload

FILE = """
import torch
from torchduet import Suite
from torchduet.suites.registry import load

suite = Suite("graphs")


def step(model, optimizer, x):
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss.detach()


def inputs(device):
    model = torch.nn.Linear(8, 4)
    return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), torch.randn(16, 8)


suite.compare(
    "train", {"step": step}, inputs=inputs, modes=["eager", "graph"], devices=["cpu"],
    observe=lambda inputs, loss: (loss, list(inputs[0].parameters())), tolerance={"fp32": 1e-3},
)
"""


class FakeGraph:
    """torch.cuda.CUDAGraph; what it does when it is replayed is left to the test."""

    made: list["FakeGraph"]

    def __init__(self) -> None:
        self.replayed = 0
        self.work: Callable[[], None] = lambda: None
        self.made.append(self)

    def replay(self) -> None:
        self.replayed += 1
        self.work()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is called in which surroundings, on a CUDA that is faked at torch's own interface."""
    events: list[str] = []
    FakeGraph.made = []

    class Stream:
        def wait_stream(self, other: object) -> None:
            assert other is not None

    @contextmanager
    def surrounded(name: str, stream: object = None) -> Iterator[None]:
        """As torch.cuda.graph does, it goes on to its end whatever happens within, and may fail there, too."""
        assert stream is None or isinstance(stream, Stream)
        events.append(f"in {name}")
        try:
            yield
        except RuntimeError as error:
            again = "CUDA error: operation failed due to a previous error during capture"
            raise (RuntimeError(again) if stream else error) from None
        events.append(f"out {name}")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "device", lambda _: surrounded("device"))
    monkeypatch.setattr(torch.cuda, "stream", lambda _: surrounded("stream"))
    monkeypatch.setattr(torch.cuda, "graph", lambda _, stream: surrounded("graph", stream))
    monkeypatch.setattr(torch.cuda, "set_stream", lambda _: events.append("stream restored"))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    return events


@pytest.fixture
def working(log: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Graphs that do when replayed what was captured, and write it to the same memory."""
    capture = Captured.capture

    def captured(self: Captured) -> None:
        capture(self)
        assert isinstance(self._graph, FakeGraph)
        self._graph.work = lambda: self.result.copy_(self._call(*self._args))

    monkeypatch.setattr(Captured, "capture", captured)
    return log


def test_a_graph_is_captured_after_calls_on_a_stream_of_its_own_and_replayed(log: list[str]) -> None:
    graph = Captured(lambda x: log.append(f"call {x}"), (7,), "cuda:0")
    graph.capture()
    calls = ["call 7"] * WARM_UP_CALLS
    assert log == ["in device", "in stream", *calls, "out stream", "in graph", "call 7", "out graph", "out device"]
    log.clear()
    graph(7)
    graph(7)
    assert log == []
    assert [one.replayed for one in FakeGraph.made] == [2]
    graph.capture()
    graph(7)
    assert [one.replayed for one in FakeGraph.made] == [2, 1]


def a_case(workload: Workload, mode: str, precision: str = "fp32", device: str = "cpu") -> Case:
    name = next(iter(workload.implementations))
    return Case(workload.suite, workload.suite, workload.name, "", (), name, True, device, mode, precision)


def of(function: Callable[..., Any]) -> Workload:
    return Suite("s").compare("w", {"w": function}, inputs=lambda device: (device,))


@pytest.mark.usefixtures("working")
def test_a_family_with_a_graph_is_measured_and_its_graph_follows_the_inputs(tmp_path: Any) -> None:
    path = tmp_path / "graphs.py"
    path.write_text(FILE)
    (suite,) = load(str(path))
    found = [case for case, _ in cases_of(str(path), suite, tier="quick", devices=["cpu"])]
    assert [case.mode for case in found] == ["eager", "graph"]
    result = measure(Task(Family(tuple(found), tuple(found)), 0.3, 1, str(tmp_path)), lambda *_: None)
    for one in result.results:
        assert one.error is None
        assert one.check is not None
        assert one.check["relative_error"] is not None
        assert one.blocks
    assert len(FakeGraph.made) > len(result.results[1].blocks)  # once per placement, and for the check


def test_what_cannot_be_captured_says_why_and_leaves_the_stream_as_it_was(log: list[str]) -> None:
    def waits(x: int) -> None:
        if "in graph" in log:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({x})")

    with pytest.raises(CaptureError, match=r"RuntimeError: CUDA error: operation not permitted .* \(7\)"):
        Captured(waits, (7,), "cuda:0").capture()
    assert "stream restored" in log


def test_a_family_goes_on_in_a_new_worker_without_what_could_not_be_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = of(lambda x: x)
    eager, graph = a_case(workload, "eager"), a_case(workload, "graph")
    asked: list[tuple[Case, ...]] = []

    def once(_: Launcher, task: Task, listen: Any) -> FamilyResult:
        del listen
        asked.append(task.family.cases)
        results = [CaseResult(case, error="it cannot" if case == graph else None) for case in task.family.cases]
        broken = graph if graph in task.family.cases else None
        return FamilyResult(results, None if broken else "precise", {"checking": 1.0}, broken=broken)

    monkeypatch.setattr(Launcher, "_measure", once)
    conductor = Launcher()
    found = conductor.measure(Task(Family((eager, graph), (eager, graph)), 1.0, 1), lambda _: None)
    conductor.close()
    assert asked == [(eager, graph), (eager,)]
    assert [(one.case, one.error) for one in found.results] == [(eager, None), (graph, "it cannot")]
    assert (found.stop, found.seconds, found.broken) == ("precise", {"checking": 2.0}, None)


def test_a_worker_stops_at_what_could_not_be_captured(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Captured) -> None:
        raise CaptureError("it cannot be captured in a CUDA graph: no")

    monkeypatch.setattr(Captured, "capture", fail)
    path = tmp_path / "graphs.py"
    path.write_text(FILE)
    (suite,) = load(str(path))
    found = [case for case, _ in cases_of(str(path), suite, tier="quick", devices=["cpu"])]
    result = measure(Task(Family(tuple(found), tuple(found)), 0.3, 1, str(tmp_path)), lambda *_: None)
    assert result.broken == found[1]
    assert result.results[1].error == "it cannot be captured in a CUDA graph: no"
    assert not result.results[0].blocks


def test_inductors_newest_recordings_are_looked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cudagraph_trees

    def nodes_of(*numbers: int) -> list[Any]:
        return [SimpleNamespace(id=cudagraph_trees.GraphID(number), children={}) for number in numbers]

    nodes, later = nodes_of(3, 7, 5), nodes_of(4, 9)
    nodes[2].children["g"] = later  # what follows after a graph break
    asked: list[Any] = []

    def get_manager(index: int, create_if_none_exists: bool = True) -> Any:
        asked.append((index, create_if_none_exists))
        return SimpleNamespace(roots={"f": nodes}) if index else None

    assert inspect.signature(cudagraph_trees.get_manager).parameters.keys() >= {"create_if_none_exists"}
    monkeypatch.setattr(cudagraph_trees, "get_manager", get_manager)
    newest_first("cuda:1")
    newest_first("cuda")
    assert [node.id.id for node in nodes] == [7, 5, 3]
    assert [node.id.id for node in later] == [9, 4]
    assert asked == [(1, False), (0, False)]


def test_a_scaler_that_finds_its_first_factor_too_large_tries_smaller_ones() -> None:
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    placements = Placements((model, optimizer), random.Random(0))
    scaler: Any = SimpleNamespace(scale=4.0, get_scale=lambda: scaler.scale)
    before = model.weight.detach().clone()
    seen: list[float] = []

    def step() -> str:
        seen.append(scaler.scale)
        assert torch.equal(model.weight, before)
        if scaler.scale > 1:
            scaler.scale /= 2
            model.weight.data.fill_(torch.inf)  # whatever a skipped step leaves behind
        return "done"

    assert first_result(step, scaler, placements.restore) == "done"
    assert seen == [4.0, 2.0, 1.0]


@pytest.mark.usefixtures("log")
def test_a_replay_that_writes_nothing_is_found_out() -> None:
    workload = of(lambda x: x + 1)
    inputs = (torch.ones(4),)
    prepared = prepare(workload, a_case(workload, "graph"), inputs)
    assert prepared.graph is not None
    prepared.graph.capture()  # the fake computes it meanwhile, and never again
    reference = Reference(results_of(torch.full((4,), 2.0, dtype=torch.float64)))
    poison(reference, "cpu", prepared.graph.result, inputs)
    value = prepared.call(*prepared.args)
    with pytest.raises(CheckError, match="NaN"):
        check(workload, "fp32", observed(workload, inputs, value), reference)


def test_poison_leaves_the_inputs_alone() -> None:
    x = torch.ones(4)
    poison(Reference(results_of(x.double())), "cpu", [x[:2], {"y": x.view(2, 2)}], (x,))
    assert x.tolist() == [1, 1, 1, 1]


def test_a_graph_gets_an_optimiser_of_its_own_that_can_be_captured() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    workload = of(lambda *_: None)
    _, own = prepare(workload, a_case(workload, "graph"), (model, optimizer)).args
    assert own is not optimizer
    assert own.param_groups[0]["capturable"]
    assert own.param_groups[0]["params"] is optimizer.param_groups[0]["params"]
    assert not optimizer.param_groups[0]["capturable"]


def test_what_a_graph_cannot_hold_is_said() -> None:
    seeded = of(lambda seed: seed)
    with pytest.raises(SuiteError, match="seed cannot be captured in a CUDA graph"):
        prepare(seeded, a_case(seeded, "graph"), (1,))

    def scaled(x: Any, scaler: Any = None) -> Any:
        return x if scaler is None else scaler

    workload = of(scaled)
    with pytest.raises(Unavailable, match="GradScaler waits for the device"):
        prepare(workload, a_case(workload, "graph", "fp16"), (1,))
    assert prepare(workload, a_case(workload, "graph"), (1,)).graph is not None


def test_fp16_alone_scales_the_loss() -> None:
    def scaled(scaler: Any = None) -> Any:
        return scaler

    assert assemble(scaled, "fp32", "cpu", Context())() is None
    assert assemble(scaled, "bf16", "cpu", Context())() is None
    scaler = assemble(scaled, "fp16", "cpu", Context())()
    assert isinstance(scaler, torch.amp.GradScaler)
    assert scaler.is_enabled()


def test_a_renewed_call_goes_on_with_the_scaler_of_its_context() -> None:
    class Step:
        def __call__(self, x: Any, scaler: Any = None) -> Any:
            return scaler if x else None

        def renew(self) -> "Step":
            return Step()

    workload = of(Implementation(lambda _: Step(), setup=True))  # type: ignore[arg-type]
    prepared = prepare(workload, a_case(workload, "eager", "fp16"), (1,))
    first = prepared.call(1)
    assert prepared.renew is not None
    assert prepared.renew()(1) is first is prepared.context.scaler is not None


def test_restoring_gives_back_the_values_where_they_are() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    x = torch.randn(5, 3)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    placements = Placements((model, optimizer, x), random.Random(0))
    for _ in range(3):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    placements.restore()
    assert [parameter.data_ptr() for parameter in model.parameters()] == addresses
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.grad is not None
        assert not parameter.grad.any()
    assert all(not state["exp_avg"].any() and float(state["step"]) == 0 for state in optimizer.state.values())


def test_each_call_of_a_compiled_graph_is_a_step_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: log.append("step"))
    call = step_by_step(lambda: log.append("call"))
    call()
    call()
    assert log == ["step", "call", "step", "call"]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("reduce-overhead", ("reduce-overhead", None)),
        ("max-autotune", ("max-autotune", None)),
        ("max-autotune-no-cudagraphs", ("max-autotune-no-cudagraphs", None)),
        ("compile", (None, None)),
        ("compile-dynamic", (None, True)),
        ("compile-static", (None, False)),
    ],
)
def test_torch_compile_is_told_the_mode_and_the_sizes(
    mode: str, told: tuple[str | None, bool | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda function, mode, dynamic: asked.append((mode, dynamic)) or function)
    workload = of(lambda x: x)
    prepare(workload, a_case(workload, mode), (1,))
    assert asked == [told]


def test_the_reasons_for_skipped_graphs_are_heard() -> None:
    from torch._inductor.cudagraph_utils import log_cudagraph_skip_and_bump_counter

    with skipped_graphs(True) as reasons:
        log_cudagraph_skip_and_bump_counter("skipping cudagraphs due to mutated inputs (1 instances)")
    log_cudagraph_skip_and_bump_counter("skipping cudagraphs due to something later")
    assert reasons == ["skipping cudagraphs due to mutated inputs (1 instances)"]
    with skipped_graphs(False) as none:
        assert none == []


def test_inductor_gets_the_calls_in_which_it_records_its_graphs_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    calls: list[int] = []
    workload = of(lambda x: calls.append(x))
    TimedCase(prepare(workload, a_case(workload, "reduce-overhead"), (1,)), CpuClock()).settle()
    assert len(calls) == 3
    TimedCase(prepare(workload, a_case(workload, "eager"), (1,)), CpuClock()).settle()
    assert len(calls) == 4


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
def test_what_can_be_compiled_has_its_other_modes_where_they_are_asked_for(mode: str) -> None:
    suite = Suite("s")
    suite.compare("w", {"w": lambda x: x}, inputs=lambda device: (device,))
    suite.compare("plain", {"w": lambda x: x}, inputs=lambda device: (device,), modes=["eager"])

    def modes(asked: list[str] | None) -> list[str]:
        return [
            case.mode
            for case, _ in cases_of("s", suite, tier="full", devices=["cuda"], asked=asked and {"mode": asked})
        ]

    assert modes([mode]) == [mode]
    assert mode not in modes(None)

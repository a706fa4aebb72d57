"""What a function may ask for reaches it, and what it notes is kept placement by placement."""

import torch

from torchduet import Axis, Implementation, Meter, Suite
from torchduet.bench.cases.case import cases_of
from torchduet.bench.cases.exchange import CeilingTask
from torchduet.bench.cases.knobs import worker_counts
from torchduet.bench.passes.ceilings import measure_ceilings
from torchduet.bench.passes.operators_and_memory import count_operators, peak_memory
from torchduet.bench.record.ceilings import highest
from torchduet.bench.timing.callables import assemble, prepare, with_own_optimizers
from torchduet.bench.timing.clock import CpuClock
from torchduet.bench.timing.meter import Context, Recorder
from torchduet.bench.timing.timed_case import TimedCase


def test_a_recorder_keeps_values_by_placement_and_nothing_before_or_while_paused() -> None:
    recorder = Recorder()
    recorder.value("early", 1)
    recorder.placements.append({})
    recorder.value("epochs", 3, "epochs")
    recorder.paused = True
    recorder.value("epochs", 99)
    recorder.paused = False
    recorder.placements.append({})
    recorder.value("epochs", 4, "epochs")
    assert recorder.placements == [{"epochs": [3.0]}, {"epochs": [4.0]}]
    assert recorder.units == {"epochs": "epochs"}


def test_laps_add_up_to_the_call() -> None:
    recorder = Recorder()
    recorder.placements.append({})
    recorder.begin()
    recorder.lap("first")
    recorder.lap("second")
    first, second = recorder.placements[0]["first"][0], recorder.placements[0]["second"][0]
    assert first >= 0
    assert second >= 0


def test_a_function_gets_what_it_asks_for_and_a_new_seed_per_placement() -> None:
    context = Context(workers=3)
    seen = []

    def function(x: int, workers: int, seed: int, meter: Meter) -> None:
        seen.append((x, workers, seed, meter))

    call = assemble(function, "fp32", "cpu", context)
    call(7)
    context.next_placement()
    call(8)
    assert seen == [(7, 3, 0, context.meter), (8, 3, 1, context.meter)]


def test_worker_counts_know_the_machine(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("torchduet.bench.cases.knobs.cores", lambda: 4)
    suite = Suite("s")
    suite.compare(
        "load", {"load": lambda x: x}, inputs=lambda device: (device,), workers=Axis([0], ["cores", 4], ["2x cores"])
    )
    workload = suite.workloads["load"]
    assert worker_counts(workload, "quick") == [0]
    assert worker_counts(workload, "default") == [0, 4]
    assert worker_counts(workload, "full") == [0, 4, 8]
    monkeypatch.setattr("torchduet.bench.cases.knobs.cores", lambda: 24)
    assert worker_counts(workload, "full") == [0, 4, 24, 32]  # not 48
    cases = [
        case
        for case, _ in cases_of("s", suite, tier="full", devices=["cpu"], asked={"mode": ["eager"], "workers": [1]})
    ]
    assert [case.workers for case in cases] == [1]
    assert cases[0].id == "s.load cpu eager fp32 workers1"
    _, reference = next(cases_of("s", suite, tier="full", devices=["cpu"], asked={"mode": ["eager"], "workers": [1]}))
    assert reference.workers == 0


def test_an_implementation_may_have_fewer_variants_than_its_workload() -> None:
    suite = Suite("s")
    suite.compare(
        "w",
        {"a": lambda x: x, "b": Implementation(lambda x: x, modes=("eager",), precisions=("fp32",))},
        inputs=lambda device: (device,),
        precisions=["fp32", "bf16"],
    )
    variants = [case.variant for case, _ in cases_of("s", suite, tier="quick", devices=["cpu"])]
    assert [variant for variant in variants if variant[0] == "b"] == [("b", "cpu", "eager", "fp32")]
    assert len([variant for variant in variants if variant[0] == "a"]) == 4


def test_operators_are_counted_below_autograd_and_views_are_not() -> None:
    x = torch.ones(4, requires_grad=True)
    assert count_operators(lambda: (x.detach() * 2).view(2, 2) + 1) == 2
    forward = count_operators(lambda: (x * 2).sum())
    assert count_operators(lambda: (x * 2).sum().backward()) > forward


def test_what_holds_memory_of_its_own_is_made_anew_for_each_placement() -> None:
    made: list[int] = []

    class Served:
        def __init__(self) -> None:
            self.number = len(made)
            made.append(self.number)

        def __call__(self, x: int, workers: int) -> tuple[int, int, int]:
            return self.number, x, workers

        def renew(self) -> "Served":
            return Served()

    suite = Suite("s")
    served = Implementation(lambda _: Served(), setup=True)
    workload = suite.compare("w", {"w": served}, inputs=lambda _: (7,), modes=["eager"], workers=[3])
    ((case, _),) = cases_of("s", suite, tier="quick", devices=["cpu"])
    run = TimedCase(prepare(workload, case, (7,)), CpuClock())
    assert run.call() == (0, 7, 3)
    run.settle()
    assert run.call() == (1, 7, 3)
    run.settle()
    assert run.call() == (2, 7, 3)


def test_peak_memory_is_what_a_call_holds_at_once() -> None:
    x = torch.ones(250_000)  # 1 MB

    def one_after_the_other() -> float:
        return float((x + 1).sum()) + float((x + 2).sum())

    def at_once() -> float:
        return float(((x + 1) * (x + 2)).sum())

    (low, _), (high, reserved) = peak_memory(one_after_the_other, "cpu"), peak_memory(at_once, "cpu")
    assert reserved is None
    assert 1_000_000 <= low < 1_100_000
    assert 2_000_000 <= high <= 3_100_000


def test_ceilings_are_measured_and_the_best_of_several_counts() -> None:
    threads = torch.get_num_threads()
    try:
        (measured,) = measure_ceilings(CeilingTask(("cpu",), ("fp32", "tf32"), 1, 0.1))
    finally:
        torch.set_num_threads(threads)
    assert set(measured["flops_per_second"]) == {"fp32"}
    assert measured["flops_per_second"]["fp32"] > 1 / measured["operator_seconds"]
    assert all(rate > 0 for rate in measured["bytes_per_second"].values())
    better = {**measured, "operator_seconds": measured["operator_seconds"] / 2}
    (best,) = highest([[measured], [better]])  # type: ignore[list-item]
    assert best["operator_seconds"] == better["operator_seconds"]
    assert best["bytes_per_second"] == measured["bytes_per_second"]


def test_a_compiled_step_has_an_optimiser_of_its_own_over_the_same_parameters() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    shared = torch.optim.Adam([parameter], lr=0.1)
    parameter.grad = torch.ones(3)
    shared.step()
    inputs = (parameter, {"adam": shared}, [shared], "else")
    _, by_name, (listed,), rest = (with_own_optimizers(value) for value in inputs)
    own = by_name["adam"]
    assert own is not shared
    assert listed is not shared
    assert rest == "else"
    assert own.param_groups[0]["params"][0] is parameter
    before = shared.state[parameter]["step"].clone()
    own.step()
    own.param_groups[0]["lr"] = 0.5
    assert shared.state[parameter]["step"].equal(before)
    assert own.state[parameter]["step"] == before + 1
    assert shared.param_groups[0]["lr"] == 0.1

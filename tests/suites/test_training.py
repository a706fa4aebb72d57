"""Time to accuracy: every loop learns, what misses the target is told, and nothing is compiled anew."""

import functools
from typing import Any

import pytest
import torch

from torchduet.bench.cases.case import cases_of
from torchduet.bench.timing.callables import assemble
from torchduet.bench.timing.dynamo import CompiledModel
from torchduet.bench.timing.meter import Context
from torchduet.suites import training
from torchduet.suites.training import suite

pytest.importorskip("sklearn")
CPU = torch.device("cpu")
TO_ACCURACY = suite.workloads["to_accuracy"]


def run(name: str, seed: int = 0, precision: str = "fp32", **changed: Any) -> tuple[float, dict[str, list[float]]]:
    """One implementation's result and what its call noted."""
    torch.manual_seed(0)
    model, x, y, test_x, test_y, target = TO_ACCURACY.inputs(CPU)
    context = Context()
    context.next_placement()
    context.seed = seed
    call = assemble(TO_ACCURACY.implementations[name].function, precision, "cpu", context)
    result = call(changed.get("model", model), x, y, test_x, test_y, changed.get("target", target))
    return float(result), context.meter.placements[0]


@pytest.mark.parametrize("name", ["naive", "batch_1000", "workers"])
def test_every_loop_reaches_the_target_and_says_after_how_many_epochs(name: str) -> None:
    reached, noted = run(name, seed=3)
    assert reached == 1
    assert noted["reached"] == [1]
    assert noted["accuracy"][0] >= 0.95
    epochs = noted["epochs"][0]
    assert 2 <= epochs < training.MAX_EPOCHS / 4
    assert len(noted["training epoch"]) == len(noted["evaluation"]) == epochs


def test_the_seed_decides_and_not_where_the_batches_come_from() -> None:
    _, naive = run("naive", seed=5)
    _, again = run("naive", seed=5)
    _, in_memory = run("in_memory", seed=5)
    for noted in (again, in_memory):
        assert noted["epochs"] == naive["epochs"]
        assert noted["accuracy"] == pytest.approx(naive["accuracy"], abs=0.003)


def test_bf16_reaches_the_target_too() -> None:
    assert run("bf16", precision="bf16")[0] == 1


def test_a_miss_fails_the_check_with_the_accuracy_and_is_noted_while_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MAX_EPOCHS", 2)
    with pytest.raises(training.TargetMissedError, match=r"accuracy 0\.[0-9]+ after 2 epochs, 0\.99 is the target"):
        run("naive", target=0.99)
    reached, noted = run("naive", seed=1, target=0.99)
    assert reached == 0
    assert noted["reached"] == [0]
    assert noted["epochs"] == [2]


def test_a_compiled_model_is_not_compiled_again_for_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    model = CompiledModel(TO_ACCURACY.inputs(CPU)[0])
    run("batch_1000", model=model)
    with torch.compiler.set_stance("fail_on_recompile"):
        assert run("batch_1000", seed=1, model=model)[0] == 1


def test_an_epoch_sees_every_image_once_whatever_the_batch() -> None:
    workload = suite.workloads["epoch"]
    inputs = workload.inputs(CPU)
    expected = [len(inputs[1]), int(inputs[2].sum())]
    for name in ("naive", "batch_1000", "workers", "in_memory"):
        call = assemble(workload.implementations[name].function, "fp32", "cpu", Context())
        assert call(*inputs).tolist() == expected


def test_the_tuned_steps_are_there_once_each_and_only_from_the_default_tier_on() -> None:
    assert not list(cases_of("training", suite, tier="quick", devices=["cpu", "cuda"]))
    found = [
        (case.implementation, case.mode, case.precision)
        for case, _ in cases_of("training", suite, tier="default", devices=["cuda"])
        if case.workload == "to_accuracy"
    ]
    assert sorted(found) == sorted(
        [
            *((name, "eager", "fp32") for name in ("naive", "batch_1000", "workers", "pinned", "in_memory")),
            ("compile", "compile-model", "fp32"),
            ("tf32", "compile-model", "tf32"),
            ("bf16", "compile-model", "bf16"),
        ]
    )

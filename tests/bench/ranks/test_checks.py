"""Checks in several processes: what a call changes is no part of the reference, and pure precisions are held to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from torchduet.bench.cases.case import cases_of, group
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.workers.launcher import Launcher
from torchduet.suites.registry import load

STEPS = """
import torch
import torch.distributed as dist
from torch import nn
from torchduet import Implementation, Suite

suite = Suite("steps", "A training step on rows of a batch")


def inputs(device):
    model = nn.Linear(16, 4).to(device)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(32, 16, device=device)


def alone(model, optimizer, x):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


def together(factor):
    def step(model, optimizer, x):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        for parameter in model.parameters():
            dist.all_reduce(parameter.grad)
            parameter.grad *= factor / dist.get_world_size()
        optimizer.step()
    return step


def creates(model, optimizer, x):
    together(1.0)(model, optimizer, x @ torch.eye(16))


suite.compare(
    "step",
    {
        "alone": Implementation(alone, alone=True),
        "averaged": together(1.0),
        "too_large": together(1.01),
        "much_too_large": together(1.5),
        "creates": creates,
        "own_rows": Implementation(alone, part=True),
    },
    inputs=inputs,
    shard=lambda model, optimizer, x, rank, ranks: (model, optimizer, x.chunk(ranks)[rank]),
    ranks=[1, 2],
    modes=("eager",),
    precisions=("fp32", "bf16-pure"),
    observe=lambda inputs, result: [parameter.grad for parameter in inputs[0].parameters()],
)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, CaseResult]]:
    file = tmp_path_factory.mktemp("suite") / "steps.py"
    file.write_text(STEPS)
    (suite,) = load(str(file))
    (family,) = group(cases_of(str(file), suite, tier="quick", devices=["cpu"]))
    launcher = Launcher()
    try:
        measured = launcher.measure(Task(family, 0.1, 1, check_only=True), lambda _: None).results
        yield {f"{one.case.implementation} {one.case.precision} {one.case.ranks}": one for one in measured}
    finally:
        launcher.close()


@pytest.mark.parametrize("ranks", [1, 2])
def test_steps_that_change_a_model_which_all_processes_begin_with_are_checked(
    results: Mapping[str, CaseResult], ranks: int
) -> None:
    for name in ("averaged", "own_rows"):
        for precision in ("fp32", "bf16-pure"):
            check = results[f"{name} {precision} {ranks}"].check
            assert check is not None, results[f"{name} {precision} {ranks}"].error
            assert check["what"] == "values"
            assert "held_against" not in check  # float64
    for wrong, precision in (("too_large", "fp32"), ("much_too_large", "fp32"), ("much_too_large", "bf16-pure")):
        error = results[f"{wrong} {precision} {ranks}"].error or ""
        assert "its result is wrong" in error or (ranks == 2 and "refused in another" in error)
        assert "random (dropout" not in error


@pytest.mark.parametrize("ranks", [1, 2])
def test_code_that_cannot_run_in_a_pure_precision_is_skipped_in_all_processes(
    results: Mapping[str, CaseResult], ranks: int
) -> None:
    skip = results[f"creates bf16-pure {ranks}"].skip
    assert "tensors of another type that it creates" in str(skip)
    assert results[f"creates fp32 {ranks}"].error is None

"""Training by several processes computes what one process computes, and the engine's check refuses what does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from tests.suites.two_ranks import RANKS, in_two_ranks
from torchduet.bench.inputs.reference import to_reference
from torchduet.suites.distributed.common import suite
from torchduet.suites.distributed.steps import LEARNING_RATE, state
from torchduet.suites.workload import Workload

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
STEPS = 3
ROUNDING = 1e-9  # in float64, after three steps of AdamW
COMPRESSED = ("bf16_gradients",)  # rounds what it sends
TRAINING = [workload for workload in suite.workloads.values() if workload.observe is state]


def inputs_of(workload: Workload) -> tuple[Any, ...]:
    """Those of all ranks at the smallest size, in float64."""
    torch.manual_seed(0)
    return to_reference(workload.make(CPU, next(workload.sizes("full")), RANKS))


def three_steps(workload: Workload, name: str, inputs: tuple[Any, ...]) -> list[torch.Tensor]:
    step = workload.implementations[name].function(*inputs)
    for _ in range(STEPS):
        stepped = step(*inputs)
    parameters: list[torch.Tensor] = state(inputs, stepped)["parameters"]
    return parameters


def different(workload: Workload) -> dict[str, str]:
    """Way of training → how its parameters after three steps differ from those of one process on all rows; if so."""
    inputs = inputs_of(workload)
    first, *others = workload.implementations
    expected = three_steps(workload, first, inputs)
    moved = [new.dist(old) for new, old in zip(expected, inputs[0].parameters(), strict=True)]
    assert max(moved) > STEPS * LEARNING_RATE  # of AdamW's step, which is about as long in each element
    rank = dist.get_rank()
    own = inputs if workload.shard is None else workload.shard(*inputs, rank=rank, ranks=RANKS)
    found = {}
    for name in others:
        if name in COMPRESSED or workload.implementations[name].part:
            continue
        actual, found[name] = three_steps(workload, name, tuple(own)), ""
        try:
            torch.testing.assert_close(actual, expected, rtol=ROUNDING, atol=ROUNDING)
        except AssertionError as error:
            found[name] = str(error)
    return found


def write_differences(folder: str) -> None:
    """In each rank: what differs in each workload."""
    found = {workload.name: different(workload) for workload in TRAINING}
    Path(folder, f"rank{dist.get_rank()}.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, str]]]:
    """What each rank found; starting the ranks takes seconds."""
    folder = tmp_path_factory.mktemp("ranks")
    in_two_ranks(write_differences, folder, str(folder))
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(RANKS)]


@pytest.mark.parametrize("name", [workload.name for workload in TRAINING])
def test_after_three_steps_the_parameters_are_those_of_one_process(
    name: str, differences: list[dict[str, dict[str, str]]]
) -> None:
    for found in differences:
        assert found[name]
        assert not any(found[name].values()), found[name]


def test_every_way_that_is_not_rounded_is_compared(differences: list[dict[str, dict[str, str]]]) -> None:
    ways = {way for found in differences[0].values() for way in found}
    assert ways >= {"ddp", "fsdp", "no_sync", "tensor_parallel", "rpc", "resharded", "kept", "bucket_views"}


SPOILED = """
import torch.distributed as dist
from torchduet.suites.distributed.models import ENCODER, MLP
from torchduet.suites.distributed.steps import Way, ddp, fsdp, state, unwrapped
from torchduet.suites.distributed.training import FP32, PLAIN, own_rows, strong
from torchduet.suites.workload import Unavailable

def way(function):
    return Implementation(function, setup=True)

def without_optimizer(model, x, y):
    step = Way(ddp())(model, x, y)
    step.optimizer.step = lambda: None
    return step

def of_rank_0(model, x, y):
    step = Way(ddp())(model, x, y)
    def call(model, x, y):
        dist.broadcast(x, 0)
        dist.broadcast(y, 0)
        return step(model, x, y)
    return call

def summed(gradients):
    for gradient in gradients:
        gradient *= 2

def zeroed(gradients):
    gradients[-1].zero_()

ways = {
    "plain": PLAIN,
    "ddp": way(Way(ddp())),
    "fsdp": way(Way(fsdp())),
    "without_optimizer": way(without_optimizer),
    "without_synchronization": way(Way(unwrapped)),
    "rows_of_rank_0": way(of_rank_0),
    "summed": way(Way(ddp(), before_step=summed)),
    "one_gradient_zero": way(Way(ddp(), before_step=zeroed)),
}
def left_out(model, x, y):
    raise Unavailable("it needs something else")

some = {"plain": PLAIN, "left_out": way(left_out), "ddp": ways["ddp"]}
few = {name: ways[name] for name in ("plain", "ddp", "fsdp", "without_optimizer", "without_synchronization")}

for name, model, batch, of in (
    ("mlp", MLP, 64, ways), ("encoder", ENCODER, 2, few), ("even", MLP, 4, some), ("uneven", MLP, 5, some)
):
    suite.compare(
        name,
        of,
        inputs=strong(model),
        shard=own_rows,
        ranks=[1, 2],
        axes={"batch": [batch]},
        modes=("eager",),
        observe=state,
        tolerance={"fp32": FP32},
    )
"""
CHECKING = """
import json, sys
from pathlib import Path
from tests.bench.measured import families_of, name
from torchduet.bench.cases.exchange import Task
from torchduet.bench.workers.visit import measure

errors, skips = {}, {}
for number, family in enumerate(families_of(Path(sys.argv[1]), sys.stdin.read())):
    folder = Path(sys.argv[1], str(number))
    folder.mkdir()
    done = measure(Task(family, 0.0, 1, str(folder), check_only=True), lambda _what, _fraction: None)
    errors |= {name(result): result.error for result in done.results}
    skips |= {name(result): result.skip for result in done.results}
print(json.dumps([errors, skips]))
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str | None]]:
    """The errors and the skips by case, checked in ranks as the engine does; a process of its own can fork them."""
    done = subprocess.run(
        [sys.executable, "-c", CHECKING, str(tmp_path_factory.mktemp("spoiled"))],
        input=SPOILED,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    found: list[dict[str, str | None]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def errors(checked: list[dict[str, str | None]]) -> dict[str, str | None]:
    return checked[0]


def test_a_case_that_every_rank_leaves_out_is_skipped_and_the_others_are_checked(
    checked: list[dict[str, str | None]],
) -> None:
    errors, skips = ({name: why for name, why in each.items() if "even" in name} for each in checked)
    assert not any(errors.values()), errors
    unequal = "2 ranks do not divide 5 rows equally: choose --ranks that do"
    assert {name: why for name, why in skips.items() if why} == {
        **{f"even[batch=4] left_out eager fp32 ranks{ranks}": "it needs something else" for ranks in (1, 2)},
        "uneven[batch=5] left_out eager fp32 ranks1": "it needs something else",
        **{f"uneven[batch=5] {way} eager fp32 ranks2": unequal for way in ("left_out", "ddp")},
    }


@pytest.mark.parametrize("model", ["mlp", "encoder"])
def test_a_right_step_is_accepted(model: str, errors: dict[str, str | None]) -> None:
    right = {name: error for name, error in errors.items() if model in name and ("ddp" in name or "fsdp" in name)}
    assert right
    assert not any(right.values()), right


@pytest.mark.parametrize(
    ("model", "error"),
    [
        *(("mlp", error) for error in ("rows_of_rank_0", "summed", "one_gradient_zero")),
        *((model, f"without_{what}") for model in ("mlp", "encoder") for what in ("optimizer", "synchronization")),
    ],
)
def test_a_spoiled_step_is_refused(model: str, error: str, errors: dict[str, str | None]) -> None:
    (reason,) = [text for name, text in errors.items() if model in name and error in name and "ranks2" in name]
    assert reason
    assert "did not answer" not in reason
    assert "gradients" in reason or "parameters" in reason

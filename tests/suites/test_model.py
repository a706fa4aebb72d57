"""``suite.model``: batches of every form become a training step and an inference step."""

# ruff: noqa: ARG005 (the parameters of functions that are never called are what is tested)

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from torchduet import Suite, SuiteError

CPU = torch.device("cpu")


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None
    more: tuple[Tensor, ...] = ()


class Net(nn.Module):
    """Takes its inputs by position or by name, and computes its loss itself if it is given labels."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor, mask: Tensor | None = None, labels: Tensor | None = None) -> Output:
        logits = self.linear(x if mask is None else x * mask)
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return Output(logits, loss, (logits.sum(),))


class MappingNet(Net):
    def forward(self, **named: Tensor) -> OrderedDict[str, Any]:  # type: ignore[override]
        output = super().forward(**named)
        return OrderedDict(loss=output.loss, logits=output.logits)


class Plain(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 3)


def tensors(batch: int) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, 4), torch.randint(3, (batch,))


def named(batch: int) -> dict[str, Tensor]:
    x, labels = tensors(batch)
    return {"x": x, "mask": torch.ones(batch, 1), "labels": labels}


def call(suite: Suite, workload: str, **size: Any) -> tuple[tuple[Any, ...], Any, Any]:
    """The inputs, the result and what is checked of a workload's only implementation."""
    described = suite.workloads[workload]
    inputs = tuple(described.inputs(CPU, **size))
    result = described.implementations["step"].function(*inputs, autocast=nullcontext)
    return inputs, result, described.observe(inputs, result) if described.observe else result


FORMS: Mapping[str, tuple[Callable[[], nn.Module], Callable[..., Any], Callable[..., Any] | None]] = {
    "inputs, then the target": (Plain, tensors, functional.cross_entropy),
    "a loss that is a module": (Plain, tensors, nn.CrossEntropyLoss()),
    "a loss of the output alone": (Plain, lambda batch: (tensors(batch)[0],), lambda output: output.square().mean()),
    "one tensor": (Plain, lambda n: tensors(n)[0], lambda output: output.mean()),
    "by name, the output has the loss": (Net, named, None),
    "by name, the output is a mapping": (MappingNet, named, None),
    "by name, a loss of the output": (Net, named, lambda output: output.loss),
    "by name, a loss of output and batch": (
        Net,
        named,
        lambda output, batch: functional.cross_entropy(output.logits, batch["labels"]),
    ),
    "by name, the module does not take the labels": (
        Plain,
        lambda batch: {"input": tensors(batch)[0], "labels": tensors(batch)[1]},
        lambda output, batch: functional.cross_entropy(output, batch["labels"]),
    ),
    "by name, then the target": (
        Net,
        lambda batch: ({"x": tensors(batch)[0]}, tensors(batch)[1]),
        lambda output, target: functional.cross_entropy(output.logits, target),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_of_any_form_is_trained_and_inferred(form: str) -> None:
    make, data, loss = FORMS[form]
    suite = Suite("own")
    suite.model("net", make, data, loss=loss, batch=[8, 16])
    inputs, value, checked = call(suite, "net_train", batch=8)
    assert inputs[0].training
    assert value.ndim == 0
    assert torch.isfinite(value)
    assert len([name for name in checked if name.startswith("gradient of ")]) == 2  # of weight and bias
    assert suite.workloads["net_train"].cost(batch=8).samples == 8  # type: ignore[misc]
    inputs, _, checked = call(suite, "net_infer", batch=8)
    assert not inputs[0].training
    by_name = checked if isinstance(checked, Tensor | dict) else vars(checked)
    found = by_name if isinstance(by_name, Tensor) else by_name["logits"]
    assert found.shape == (8, 3)


def test_without_a_loss_only_inference_is_measured() -> None:
    suite = Suite("own")
    suite.model("net", Plain, lambda batch: torch.randn(batch, 4))
    suite.model("other", Net, lambda batch: {"x": torch.randn(batch, 4)})
    assert set(suite.workloads) == {"net_infer", "other_infer"}
    assert call(suite, "net_infer", batch=2)[1].shape == (2, 3)


def test_an_output_without_a_loss_is_refused_with_what_to_give() -> None:
    suite = Suite("own")
    suite.model("net", Plain, lambda batch: {"input": torch.randn(batch, 4), "labels": torch.ones(batch)})
    with pytest.raises(SuiteError, match=r"the module's output, Tensor, has no loss; give loss=, or labels"):
        call(suite, "net_train", batch=2)


def test_data_takes_more_axes_than_the_batch() -> None:
    seen = []

    def data(batch: int, seq: int, dropout: float, bias: bool) -> tuple[Tensor, ...]:
        seen.append((batch, seq, dropout, bias))
        return torch.randn(batch, seq, 4), torch.randn(batch, seq, 3)

    axes = {"seq": [16, 64], "dropout": [0.0, 0.1], "bias": [True, False]}
    suite = Suite("own")
    suite.model("net", Plain, data, loss=functional.mse_loss, batch=[2], axes=axes)
    train = suite.workloads["net_train"]
    assert list(train.axes) == ["batch", "seq", "dropout", "bias"]
    assert len(list(train.sizes("quick"))) == 8
    call(suite, "net_train", batch=2, seq=16, dropout=0.1, bias=True)
    assert seen == [(2, 16, 0.1, True)]


def test_data_may_take_no_batch() -> None:
    suite = Suite("own")
    suite.model("net", Plain, lambda n: torch.randn(n, 4), axes={"n": [3, 5]})
    assert list(suite.workloads["net_infer"].axes) == ["n"]
    assert call(suite, "net_infer", n=5)[1].shape == (5, 3)
    suite.model("fixed", Plain, lambda: torch.randn(2, 4))
    assert suite.workloads["fixed_infer"].axes == {}


def test_details_apply_to_both_workloads() -> None:
    suite = Suite("own")
    suite.model("net", Plain, tensors, loss=functional.cross_entropy, fresh=True, check=False, modes=["eager"])
    for workload in suite.workloads.values():
        assert (workload.fresh, workload.check, workload.modes.up_to("full")) == (True, False, ("eager",))


def test_the_optimizer_is_made_of_the_parameters() -> None:
    suite = Suite("own")
    suite.model(
        "net", Plain, tensors, loss=functional.cross_entropy, optimizer=lambda parameters: torch.optim.SGD(parameters)
    )
    assert isinstance(suite.workloads["net_train"].inputs(CPU, batch=2)[1], torch.optim.SGD)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"make": nn.Linear(1, 1)}, r"make= must return a new module at each call: give lambda: Linear\(…\)"),
        ({"make": 5}, "make= must be a function, not 5"),
        ({"data": torch.ones(2)}, "data= must be a function, not tensor"),
        ({"loss": "mse"}, "loss= must be a function, not 'mse'"),
        ({"optimizer": torch.optim.SGD(Plain().parameters())}, r"optimizer= must make an optimiser: give lambda"),
        ({"seq": [16, 64]}, r"there is no keyword seq=; did you mean axes=\{'seq': …\}\?"),
        ({"batches": [16]}, r"there is no keyword batches=; did you mean batch=\?"),
        ({"axes": {"seq": [16]}}, r"data= does not take the axis 'seq'; add a parameter of that name"),
        ({"data": lambda batch, seq: ()}, r"data= has a parameter 'seq', which no axis gives; add it to axes="),
        ({"loss": None, "data": lambda batch: 1 / 0}, r"data= raised ZeroDivisionError for \{'batch': 32\}"),
        ({"batch": "32"}, r"batch= cannot be used: Axis: quick= takes a list"),
        ({"batch": 32}, r"batch= takes a list of sizes: give batch="),
    ],
)
def test_a_model_that_cannot_be_measured_is_refused_at_the_call(given: dict[str, Any], message: str) -> None:
    arguments = {"make": Plain, "data": tensors, "loss": functional.cross_entropy} | given
    suite = Suite("own")
    with pytest.raises(SuiteError, match=rf"^suite 'own', workload 'net': {message}"):
        suite.model("net", **arguments)
    assert suite.workloads == {}

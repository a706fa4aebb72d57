"""Calls that change their inputs; each fails unless it is given what ``inputs=`` returned."""

import array
import heapq
import io
import queue
from collections import OrderedDict, deque
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchduet import Suite

suite = Suite("changing")
NUMBERS = [3.0, 1.0, 2.0]


@dataclass
class Batch:
    x: Tensor
    names: list[str]


@dataclass(frozen=True, slots=True)
class Slots:
    items: list[float]


class Counter(nn.Module):
    """A module that counts its calls in an attribute, and keeps a state of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.hidden: Tensor = torch.zeros(3)
        self.history: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        assert self.calls == 0
        assert not self.hidden.any()
        assert not self.history
        self.calls += 1
        self.hidden = self.hidden + x
        self.history.append(x)
        return self.hidden


def tensor() -> Tensor:
    return torch.tensor(NUMBERS)


def is_first(values: Any) -> None:
    assert [float(value) for value in values] == NUMBERS, "the call was given changed inputs"


def sort_list(values: list[float]) -> Tensor:
    is_first(values)
    values.sort()
    return torch.tensor(values[0])


def pop(values: list[float]) -> Tensor:
    is_first(values)
    return torch.tensor(values.pop())


def grow(values: list[float]) -> Tensor:
    is_first(values)
    values.append(4.0)
    return torch.tensor(sum(values))


def nested(value: dict[str, list[list[float]]]) -> Tensor:
    is_first(value["a"][0])
    value["a"][0].reverse()
    return torch.tensor(1.0)


def heap(values: list[float]) -> Tensor:
    is_first(values)
    heapq.heapify(values)
    return torch.tensor(heapq.heappop(values))


def rotate(values: "deque[float]") -> Tensor:
    is_first(values)
    values.rotate(1)
    return torch.tensor(values[0])


def insert(value: dict[str, float]) -> Tensor:
    assert list(value) == ["a"]
    value["b"] = 1.0
    return torch.tensor(value["a"])


def to_the_end(value: "OrderedDict[str, float]") -> Tensor:
    assert list(value) == ["a", "b"]
    value.move_to_end("a")
    return torch.tensor(value["a"])


def add_to_set(value: set[int]) -> Tensor:
    assert value == {1}
    value.add(2)
    return torch.tensor(float(len(value)))


def write_bytes(value: bytearray) -> Tensor:
    assert value == b"abc"
    value.extend(b"d")
    return torch.tensor(float(value[0]))


def write_array(value: "array.array[float]") -> Tensor:
    is_first(value)
    value[0] = 7.0
    return torch.tensor(value[1])


def sort_array(values: "np.ndarray[Any, Any]") -> Tensor:
    is_first(values)
    values.sort()
    return torch.tensor(values[0])


def sort_nested_array(value: list["np.ndarray[Any, Any]"]) -> Tensor:
    return sort_array(value[0])


def from_queue(value: "queue.Queue[float]") -> Tensor:
    assert value.qsize() == 3
    return torch.tensor(value.get())


def write_stream(stream: io.BytesIO) -> Tensor:
    assert stream.getvalue() == b"abc"
    assert stream.tell() == 0
    stream.write(b"defg")
    return torch.tensor(1.0)


def sort_tensor(x: Tensor) -> Tensor:
    is_first(x)
    return x.copy_(x.sort()[0]).sum()


def write_view(x: Tensor, view: Tensor) -> Tensor:
    is_first(x)
    view.zero_()
    return x.sum()


def write_data(x: Tensor) -> Tensor:
    is_first(x)
    x.data.mul_(2)
    return x.sum()


def assign_data(x: Tensor) -> Tensor:
    is_first(x)
    x.data = x.data * 2
    return x.sum()


def write_numpy(x: Tensor) -> Tensor:
    is_first(x)
    x.numpy()[:] = 1
    return x.sum()


def resize(x: Tensor) -> Tensor:
    is_first(x)
    return x.resize_(2).sum()


def ask_for_gradient(x: Tensor) -> Tensor:
    assert not x.requires_grad
    assert x.grad is None
    x.requires_grad_().square().sum().backward()
    assert x.grad is not None
    return x.grad.clone()


def record(x: Tensor, weight: Tensor) -> Tensor:
    assert x.grad_fn is None
    is_first(x)
    return x.mul_(weight).sum().detach()


def transpose(x: Tensor) -> Tensor:
    assert x.shape == (2, 3)
    return x.t_().sum()


def dataclass_of_tensors(batch: Batch) -> Tensor:
    is_first(batch.x)
    assert batch.names == ["a"]
    batch.x.zero_()
    batch.names.append("b")
    return batch.x.sum()


def attribute(holder: SimpleNamespace) -> Tensor:
    is_first(holder.x)
    holder.x = holder.x + 1
    return holder.x.sum()


def slots(holder: Slots) -> Tensor:
    is_first(holder.items)
    holder.items.clear()
    return torch.tensor(1.0)


def sparse(x: Tensor) -> Tensor:
    assert x.to_dense().equal(torch.eye(3))
    return x.mul_(2).to_dense().sum()


def compressed(x: Tensor) -> Tensor:
    assert x.to_dense().equal(torch.eye(3))
    x.values().mul_(2)
    return x.to_dense().sum()


def module(model: Counter, x: Tensor) -> Tensor:
    return model(x)


def changing(function: Any, *make: Any) -> None:
    def inputs(device: Any) -> tuple[Any, ...]:
        del device
        return tuple(value() for value in make)

    suite.compare(function.__name__, {"f": function}, inputs=inputs, modes=("eager",))


def base_and_view(device: Any) -> tuple[Tensor, Tensor]:
    del device
    x = tensor()
    return x, x[1:]


def filled_queue() -> "queue.Queue[float]":
    filled: queue.Queue[float] = queue.Queue()
    for number in NUMBERS:
        filled.put(number)
    return filled


for function in (sort_list, pop, grow, heap):
    changing(function, lambda: list(NUMBERS))
for function in (sort_tensor, write_data, assign_data, write_numpy, resize):
    changing(function, tensor)
changing(nested, lambda: {"a": [list(NUMBERS)]})
changing(rotate, lambda: deque(NUMBERS))
changing(insert, lambda: {"a": 1.0})
changing(to_the_end, lambda: OrderedDict(a=1.0, b=2.0))
changing(add_to_set, lambda: {1})
changing(write_bytes, lambda: bytearray(b"abc"))
changing(write_array, lambda: array.array("d", NUMBERS))
changing(sort_array, lambda: np.array(NUMBERS))
changing(sort_nested_array, lambda: [np.array(NUMBERS)])
changing(from_queue, filled_queue)
changing(write_stream, lambda: io.BytesIO(b"abc"))
changing(ask_for_gradient, tensor)
changing(record, tensor, lambda: torch.ones(3, requires_grad=True))
changing(transpose, lambda: torch.ones(2, 3))
changing(dataclass_of_tensors, lambda: Batch(tensor(), ["a"]))
changing(attribute, lambda: SimpleNamespace(x=tensor()))
changing(slots, lambda: Slots(list(NUMBERS)))
changing(sparse, lambda: torch.eye(3).to_sparse())
changing(compressed, lambda: torch.eye(3).to_sparse_csr())
changing(module, Counter, tensor)
suite.compare("write_view", {"f": write_view}, inputs=base_and_view, modes=("eager",))

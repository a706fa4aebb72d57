"""Placements move memory and nothing else; references are float64 copies."""

import collections
import dataclasses
import functools
import random
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.inputs.reference import to_reference


def pointers(value: object) -> list[int]:
    return [tensor.untyped_storage().data_ptr() for tensor in tensors_in(value)]


def test_a_placement_is_new_memory_with_the_same_values() -> None:
    x, y = torch.randn(1000), torch.randn(7)
    inputs, values = (x, [y]), (x.clone(), y.clone())
    placements = Placements(inputs, random.Random(0))
    seen = set(pointers(inputs))
    for _ in range(5):
        x.add_(1)
        before = set(pointers(inputs))
        placements.fresh()
        assert not before & set(pointers(inputs))
        seen |= set(pointers(inputs))
        torch.testing.assert_close((x, y), values)
    assert len(seen) > 4  # not two places in turn


def test_views_go_on_sharing_memory_with_their_strides() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    inputs = (base, base.T, base[1:], base[:1].expand(5, 4))
    layout = [(tensor.size(), tensor.stride(), tensor.storage_offset()) for tensor in inputs]
    Placements(inputs, random.Random(0)).fresh()
    assert [(tensor.size(), tensor.stride(), tensor.storage_offset()) for tensor in inputs] == layout
    assert len(set(pointers(inputs))) == 1
    base.zero_()
    assert not inputs[1].any()


def test_training_state_starts_again_at_every_placement() -> None:
    model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    inputs = (model, optimizer, torch.randn(8, 4), torch.randn(8, 2))
    placements = Placements(inputs, random.Random(0))
    parameters = list(model.parameters())

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(inputs[2]), inputs[3])
        loss.backward()
        optimizer.step()
        return model.weight.detach().clone()

    first = step()
    step()
    placements.fresh()
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    torch.testing.assert_close(step(), first)


def test_references_are_float64_copies_on_the_cpu() -> None:
    weight = torch.randn(3, 3, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.5)
    index = torch.tensor([1, 2])
    copied_weight, copied_optimizer, copied_index, device = to_reference(
        (weight, optimizer, index, torch.device("meta"))
    )
    assert copied_weight.dtype == torch.float64
    assert weight.dtype == torch.float32
    assert copied_index.dtype == torch.int64
    assert device == torch.device("cpu")
    copied_weight.sum().backward()
    copied_optimizer.step()
    torch.testing.assert_close(copied_weight, weight.double() - 0.5)


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "NAdam", "ASGD", "Rprop", "RMSprop", "Adagrad", "Adamax", "RAdam"])
def test_every_optimiser_starts_again_where_it_began(kind: str) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.1)
    inputs = (model, optimizer, torch.randn(8, 4), torch.randn(8, 2))
    placements = Placements(inputs, random.Random(0))

    def two_steps() -> torch.Tensor:
        for _ in range(2):
            optimizer.zero_grad()
            F.mse_loss(model(inputs[2]), inputs[3]).backward()
            optimizer.step()
        return model.weight.detach().clone()

    first = two_steps()
    placements.fresh()
    torch.testing.assert_close(two_steps(), first)


def test_arrays_get_their_values_back_and_sparse_tensors_are_left_where_they_are() -> None:
    array, sparse = np.ones(3), torch.eye(3).to_sparse()
    placements = Placements((array, sparse), random.Random(0))
    array += 1
    placements.fresh()
    assert array.tolist() == [1, 1, 1]
    assert sparse.to_dense().equal(torch.eye(3))


class Batch(NamedTuple):
    x: torch.Tensor
    names: dict[str, torch.Tensor]


def test_references_keep_the_shape_of_what_they_copy() -> None:
    given = (Batch(torch.ones(2), {"y": torch.ones(2, dtype=torch.complex64)}),)
    (copied,) = to_reference(given)
    assert type(copied) is Batch
    assert copied.x.dtype == torch.float64
    assert copied.names["y"].dtype == torch.complex128
    assert given[0].x.dtype == torch.float32


def test_what_is_added_later_moves_and_starts_again_too() -> None:
    x, y = torch.ones(5), torch.full((7,), 2.0)
    placements = Placements((x,), random.Random(0))
    placements.add((x, y))
    y += 1
    before = y.data_ptr()
    placements.fresh()
    assert y.tolist() == [2.0] * 7
    assert y.data_ptr() != before


@dataclasses.dataclass
class Pair:
    x: torch.Tensor
    y: torch.Tensor


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def sum(self) -> torch.Tensor:
        return self.x.sum()


class WithTable(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.table, self.tables = torch.nn.Linear(2, 2), torch.ones(2), {"a": [torch.ones(3)]}


HOLDERS = {
    "dataclass": lambda x: Pair(x, x[1:]),
    "set": lambda x: {x},
    "partial": lambda x: functools.partial(torch.add, x, other=x),
    "slots": Slotted,
    "namespace": lambda x: types.SimpleNamespace(a=[x]),
    "method": lambda x: Slotted(x).sum,
    "array of objects": lambda x: np.array([x, None], dtype=object),
    "deque": lambda x: collections.deque([x]),
    "key of a mapping": lambda x: {x: 1},
    "user's mapping": lambda x: collections.UserDict(a=x),
    "distribution": lambda x: torch.distributions.Normal(x, x.abs() + 1),
    "packed": lambda x: torch.nn.utils.rnn.pack_padded_sequence(x.reshape(-1, 1, 1), [len(x)]),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_tensors_move_and_are_copied_wherever_they_are_held(holder: Callable[[torch.Tensor], Any]) -> None:
    inputs = (holder(torch.randn(8)),)
    before = pointers(inputs)
    assert before
    values = [tensor.clone() for tensor in tensors_in(inputs)]
    (copied,) = to_reference(inputs)
    assert type(copied) is type(inputs[0])
    for reference, value in zip(tensors_in(copied), values, strict=True):
        assert reference.dtype == (torch.float64 if value.is_floating_point() else value.dtype)
        torch.testing.assert_close(reference, value, check_dtype=False)
    placements = Placements(inputs, random.Random(0))
    placements.fresh()
    assert not set(before) & set(pointers(inputs))
    assert all(map(torch.equal, tensors_in(inputs), values))


def test_plain_attributes_of_modules_are_copied_in_float64() -> None:
    (copied,) = to_reference((WithTable(),))
    assert {tensor.dtype for tensor in tensors_in(copied)} == {torch.float64}


def test_references_share_memory_as_the_inputs_do() -> None:
    base = torch.arange(6.0).reshape(2, 3)
    whole, row, transposed, again = to_reference((base, base[1], base.T, base))
    assert again is whole
    row.fill_(9)
    assert whole[1].tolist() == [9, 9, 9]
    assert transposed[:, 1].tolist() == [9, 9, 9]
    assert base[1].tolist() == [3, 4, 5]


LAYOUTS = {
    "coo": lambda: torch.eye(4).to_sparse(),
    "csr": lambda: torch.eye(4).to_sparse_csr(),
    "csc": lambda: torch.eye(4).to_sparse_csc(),
    "bsr": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
    "quantised": lambda: torch.quantize_per_tensor(torch.randn(4, 4), 0.1, 0, torch.qint8),
    "per channel": lambda: torch.quantize_per_channel(
        torch.randn(4, 4), torch.full((4,), 0.1), torch.zeros(4, dtype=torch.int64), 0, torch.qint8
    ),
    "jagged": lambda: torch.nested.nested_tensor([torch.ones(3, 8), torch.ones(5, 8)], layout=torch.jagged),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(3, 8), torch.ones(5, 8)]),
    "mkldnn": lambda: torch.ones(4, 4).to_mkldnn(),
    "conjugate": lambda: torch.randn(3, dtype=torch.complex64).conj(),
    "negative": lambda: torch.randn(3, dtype=torch.complex64).conj().imag,
    "float8": lambda: torch.ones(4).to(torch.float8_e4m3fn),
    "inference": lambda: torch.inference_mode()(torch.ones)(3),
    "result": lambda: torch.ones(3, requires_grad=True) * 2,
    "channels last": lambda: torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "expanded": lambda: torch.randn(3, 1).expand(3, 5),
}


def dense(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    if tensor.is_nested:
        return torch.cat([part.reshape(-1) for part in tensor.unbind()]).double()
    if tensor.is_quantized:
        return tensor.dequantize().double()
    tensor = tensor if tensor.layout == torch.strided else tensor.to_dense()
    return tensor.resolve_conj().resolve_neg().to(torch.complex128 if tensor.is_complex() else torch.float64)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_keeps_its_layout_and_values(make: Callable[[], torch.Tensor]) -> None:
    tensor = make()
    layout = (tensor.layout, tensor.dtype, tensor.is_conj(), tensor.is_neg(), tensor.is_quantized)
    stride = tensor.stride() if tensor.layout == torch.strided and not tensor.is_nested else None
    values = dense(tensor).clone()
    placements = Placements((tensor,), random.Random(0))
    for _ in range(2):
        placements.fresh()
        assert layout == (tensor.layout, tensor.dtype, tensor.is_conj(), tensor.is_neg(), tensor.is_quantized)
        assert stride is None or tensor.stride() == stride
        torch.testing.assert_close(dense(tensor), values)
        assert not placements.changes()
    (copied,) = to_reference((tensor,))
    assert copied.layout == tensor.layout
    torch.testing.assert_close(dense(copied), values)

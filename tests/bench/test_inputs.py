"""Placements move memory and nothing else; references are float64 copies."""

import random
from typing import NamedTuple

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

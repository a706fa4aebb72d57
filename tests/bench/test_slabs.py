"""Placements on a device with a caching allocator, which a model of PyTorch's stands in for."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.bench.caching_allocator import CachingAllocator
from torchduet import Suite
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.inputs import fresh_memory, slabs
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.inputs.slabs import (
    ALWAYS_SLACK_BYTES,
    GRANULE,
    SLACK_BYTES,
    SLACK_SHARE,
    Slabs,
    Usage,
    slack_for,
)
from torchduet.bench.timing.family_inputs import FamilyInputs

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = (4 * KIB, 64 * KIB, MIB, 4 * MIB, 11 * MIB, 24 * MIB, 381 * MIB)
TOUCHED = 24 * MIB  # of larger storages no bytes are copied
CPU = torch.device("cpu")


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CachingAllocator:
    """Let placements take memory from a model of the allocator, as on a GPU; a parameter: with expandable segments."""
    model = CachingAllocator(expandable=getattr(request, "param", False))
    on(model, monkeypatch)
    return model


def on(model: CachingAllocator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_memory, "has_slabs", lambda _: True)
    monkeypatch.setattr(slabs, "allocate", model.allocate)
    monkeypatch.setattr(slabs, "usage", model.usage)


def made(model: CachingAllocator, size: int) -> torch.Tensor:
    return model.allocate(size).view(torch.float32)


@pytest.mark.parametrize("mib", [4, 16, 64, 381])
def test_the_allocator_alone_returns_two_addresses(mib: int) -> None:
    model, rng, seen = CachingAllocator(), random.Random(0), set()
    old, ballast = model.malloc(mib * MIB), model.malloc(512)
    for _ in range(64):
        present = model.malloc(rng.randint(64, MIB)), model.malloc(mib * MIB)
        model.free(ballast)
        model.free(old)
        ballast, old = present
        seen.add(old)
    assert len(seen) == 2


@pytest.mark.parametrize("device", [False, True], indirect=True, ids=["segments", "expandable"])
@pytest.mark.parametrize("emptied", [False, True], ids=["cached", "emptied"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size // KIB} KiB")
def test_eight_placements_have_eight_addresses(
    size: int, emptied: bool, device: CachingAllocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if size > TOUCHED:
        monkeypatch.setattr(torch.UntypedStorage, "copy_", lambda self, *_: self)
    x = made(device, size)
    placements, seen, before = Placements((x,), random.Random(0)), [], device.allocated
    for _ in range(16):
        placements.fresh()
        seen.append(x.data_ptr())
        results = [device.allocate(size), device.allocate(size // 3)]
        del results
        if emptied:
            device.empty_cache()
    assert len(set(seen)) == 16
    assert all(address % GRANULE == 0 for address in seen)
    assert x.untyped_storage().nbytes() == size
    assert x.storage_offset() == 0
    assert device.allocated - before <= SLACK_BYTES + 4 * 17 * MIB  # slack, and ballast of four placements


@pytest.mark.parametrize(("size", "least"), [(64 * KIB, 2), (4 * MIB, 8), (24 * MIB, 3)])
def test_the_distances_between_inputs_change_with_each_placement(
    size: int, least: int, device: CachingAllocator
) -> None:
    x, y = made(device, size), made(device, size)
    placements, distances, pages = Placements((x, y), random.Random(0)), set(), set()
    for _ in range(16):
        placements.fresh()
        distances.add(y.data_ptr() - x.data_ptr())
        pages.add(x.data_ptr() // (2 * MIB))
    assert len(distances) == 16
    assert len(pages) >= least  # the slabs themselves lie elsewhere


def test_views_with_other_types_and_offsets_stay_what_they_are(device: CachingAllocator) -> None:
    data = made(device, 4 * MIB)
    data.copy_(torch.randn(MIB))
    views = (data[3:1000], data.view(torch.int16)[7::2], data.view(1024, 1024).T, data.view(torch.uint8)[4096:])
    values = [view.clone() for view in views]
    layout = [(view.shape, view.stride(), view.storage_offset(), view.dtype) for view in views]
    placements = Placements(views, random.Random(0))
    for _ in range(4):
        views[0].zero_()
        assert placements.changes().arguments == {0, 1, 2, 3}
        placements.fresh()
        assert not placements.changes()
        assert [(view.shape, view.stride(), view.storage_offset(), view.dtype) for view in views] == layout
        assert len({view.untyped_storage().data_ptr() for view in views}) == 1
        assert all(map(torch.equal, views, values))


def test_what_calls_change_is_put_back_within_its_slab_alone(
    device: CachingAllocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[torch.Tensor] = []
    monkeypatch.setattr(slabs, "allocate", lambda *of: taken.append(device.allocate(*of).fill_(7)) or taken[-1])
    x = made(device, 8 * KIB)
    x.copy_(torch.arange(2 * KIB, dtype=torch.float32))
    placements = Placements((x,), random.Random(0))
    placements.fresh()
    (slab,) = (slab for slab in taken if 0 <= x.data_ptr() - slab.data_ptr() < slab.nbytes)
    x += 1
    changes = placements.changes()
    assert changes.arguments == {0}
    placements.put_back(changes)
    assert x.tolist() == list(range(2 * KIB))
    x += 1
    placements.restore()
    assert x.tolist() == list(range(2 * KIB))
    begin = x.data_ptr() - slab.data_ptr()
    assert bool((slab[:begin] == 7).all())
    assert bool((slab[begin + 8 * KIB :] == 7).all())


@pytest.mark.usefixtures("device")
def test_gradients_and_moments_that_calls_have_made_lie_elsewhere_each_time() -> None:
    model = torch.nn.Linear(64, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    inputs: tuple[Any, ...] = (model, optimizer, torch.randn(8, 64), torch.randn(8, 32))
    placements = Placements(inputs, random.Random(0))

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=False)
        F.mse_loss(model(inputs[2]), inputs[3]).backward()
        optimizer.step()
        return model.weight.detach().clone()

    def addresses() -> tuple[int, ...]:
        state = optimizer.state[model.weight]
        assert model.weight.grad is not None
        return model.weight.grad.data_ptr(), state["exp_avg"].data_ptr(), state["exp_avg_sq"].data_ptr()

    first, seen = step(), []
    for _ in range(8):
        placements.fresh()
        seen.append(addresses())
        torch.testing.assert_close(step(), first)
    assert [len(set(of)) for of in zip(*seen, strict=True)] == [8, 8, 8]


@pytest.mark.usefixtures("device")
def test_a_storage_that_calls_resize_may_grow() -> None:
    x = torch.arange(256.0)
    placements = Placements((x,), random.Random(0))

    def call() -> None:
        x.resize_(4096)

    placements.fresh(may_grow=True)  # as for the first calls
    call()
    for _ in range(3):
        placements.fresh()
        assert x.tolist() == list(range(256))
        call()


@pytest.mark.usefixtures("device")
def test_only_the_first_calls_of_a_case_have_storages_that_may_grow() -> None:
    suite = Suite("s")
    workload = suite.compare("w", {"w": lambda x: x + 1}, inputs=lambda _: (torch.ones(300),))
    case = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
    inputs = FamilyInputs(Family((case,), (case,)), workload, random.Random(0))
    made_once = inputs.make("cpu")
    inputs.hold("cpu", made_once)
    (x,) = inputs.of(case, made_once)
    assert x.untyped_storage().resizable()
    inputs.fresh("cpu")
    assert not x.untyped_storage().resizable()
    assert x.tolist() == [1.0] * 300


def test_slack_is_a_small_share_of_large_inputs_and_none_where_memory_is_short() -> None:
    assert slack_for([381 * MIB], Usage(70 * GIB, GIB, 80 * GIB)) == SLACK_BYTES
    assert slack_for([60 * GIB], Usage(80 * GIB, GIB, 80 * GIB)) == SLACK_BYTES
    assert slack_for([60 * GIB], Usage(60 * GIB, 20 * GIB, 80 * GIB)) == 0
    assert slack_for([60 * GIB], None) == SLACK_BYTES
    for sizes in ([4 * KIB] * 10_000, [MIB] * 5_000, [12 * MIB] * 5_000):
        slack = slack_for(sizes, Usage(79 * GIB, GIB, 80 * GIB))
        assert slack % GRANULE == 0
        assert slack >= 8 * GRANULE
        assert slack * len(sizes) <= ALWAYS_SLACK_BYTES + SLACK_SHARE * sum(sizes)


def test_inputs_that_fit_only_just_are_placed_without_slack_and_ballast(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CachingAllocator(total=52 * MIB)
    on(model, monkeypatch)
    x = made(model, 24 * MIB)
    placements = Placements((x,), random.Random(0))
    for _ in range(4):
        placements.fresh()
        assert x.untyped_storage().nbytes() == 24 * MIB
    assert model.reserved_most <= 52 * MIB


def test_ballast_never_takes_what_a_call_needs_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CachingAllocator(total=GIB)
    on(model, monkeypatch)
    monkeypatch.setattr(torch.UntypedStorage, "copy_", lambda self, *_: self)
    placements = Placements((made(model, 4 * MIB),), random.Random(0))
    for _ in range(64):
        placements.fresh()
        result = model.allocate(600 * MIB)
        del result


def test_an_address_is_not_used_twice_where_there_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CachingAllocator()
    on(model, monkeypatch)
    of, seen = Slabs(0.5), set()
    for _ in range(40):
        of.next_placement({CPU: [4 * KIB]})
        seen.add(of.storage(4 * KIB, CPU).data_ptr())
    assert len(seen) == 40

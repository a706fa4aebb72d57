"""Collectives of the suite ``distributed``: what each rank must get, and what moving it costs; costs of its steps."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from torchduet.bench.cases.case import cases_of, group
from torchduet.bench.ranks.checks import shares
from torchduet.suites.distributed import rpc
from torchduet.suites.distributed.common import suite
from torchduet.suites.workload import Unavailable, Workload

CPU = torch.device("cpu")
KIB, MIB = 1 << 10, 1 << 20
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "barrier", "small_all_reduces")


def joint(name: str, rank: int, *inputs: Any) -> Any:
    """What a rank of two must get."""
    function = suite.workloads[name].joint
    assert function is not None
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = {"rank": rank, "ranks": 2}
    return function(*inputs, **{name: given[name] for name in given if name in names})


def test_what_each_rank_must_get() -> None:
    both = torch.tensor([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]])
    sums = [11.0, 22.0, 33.0, 44.0]
    assert [joint("all_reduce", rank, both).tolist() for rank in (0, 1)] == [sums, sums]
    assert [joint("reduce_scatter", rank, both).tolist() for rank in (0, 1)] == [sums[:2], sums[2:]]
    assert [joint("broadcast", rank, both).tolist() for rank in (0, 1)] == [[1.0, 2.0, 3.0, 4.0]] * 2
    assert [joint("all_to_all", rank, both).tolist() for rank in (0, 1)] == [[1, 2, 10, 20], [3, 4, 30, 40]]
    assert [joint("all_gather", rank, both[0]).tolist() for rank in (0, 1)] == [[1.0, 2.0, 3.0, 4.0]] * 2
    assert [joint("barrier", rank, torch.zeros(1)).tolist() for rank in (0, 1)] == [[2.0]] * 2
    assert [total.tolist() for total in joint("small_all_reduces", 0, [both, 2 * both])] == [sums, [22, 44, 66, 88]]


@pytest.mark.parametrize("name", [name for name in COLLECTIVES if name != "barrier"])
@pytest.mark.parametrize("ranks", [2, 4])
def test_a_rank_has_a_message_of_the_stated_bytes(name: str, ranks: int) -> None:
    """The larger of what it gives and what it gets."""
    workload = suite.workloads[name]
    size = next(workload.sizes("default"))
    cost = workload.cost_at(size, ranks)
    assert cost is not None
    assert workload.shard is not None
    takes_ranks = "ranks" in workload.shard.__code__.co_varnames[: workload.shard.__code__.co_argcount]
    own = workload.shard(*workload.make(CPU, size, ranks), rank=1, **({"ranks": ranks} if takes_ranks else {}))
    tensors = own[0] if isinstance(own[0], list) else own
    counted = [tensor.numel() * tensor.element_size() for tensor in tensors]
    assert (sum(counted) if isinstance(own[0], list) else max(counted)) == cost.message


@pytest.mark.parametrize(
    ("name", "size", "bus_of_2", "bus_of_4"),
    [
        ("all_reduce", {"bytes": MIB}, 1 * MIB, 1.5 * MIB),
        ("all_gather", {"bytes": MIB}, 0.5 * MIB, 0.75 * MIB),
        ("reduce_scatter", {"bytes": MIB}, 0.5 * MIB, 0.75 * MIB),
        ("all_to_all", {"bytes": MIB}, 0.5 * MIB, 0.75 * MIB),
        ("broadcast", {"bytes": MIB}, 1 * MIB, 1 * MIB),
        ("small_all_reduces", {"tensors": 16}, 64 * KIB, 96 * KIB),
    ],
)
def test_bytes_on_the_bus_are_those_of_nccl_tests(
    name: str, size: dict[str, int], bus_of_2: float, bus_of_4: float
) -> None:
    buses = [cost.bus for ranks in (2, 4) if (cost := suite.workloads[name].cost_at(size, ranks)) is not None]
    assert buses == [bus_of_2, bus_of_4]


def test_a_tensor_there_and_back_crosses_twice() -> None:
    cost = suite.workloads["echo"].cost_at({"bytes": KIB}, 2)
    assert cost is not None
    assert (cost.message, cost.bus) == (KIB, 2 * KIB)


def test_a_barrier_moves_nothing() -> None:
    cost = suite.workloads["barrier"].cost_at({}, 2)
    assert cost is not None
    assert (cost.message, cost.bus) == (0, 0)


def of_rank_0(name: str, ranks: int, **size: int) -> Any:
    """The arguments of rank 0 of so many."""
    workload = suite.workloads[name]
    assert workload.shard is not None
    return shares(workload.shard, 0, ranks)(*workload.make(CPU, size, ranks))


@pytest.mark.parametrize(
    ("name", "size", "ranks", "why"),
    [
        ("all_gather", {"bytes": KIB}, 3, "3 ranks do not divide 256 elements equally"),
        ("reduce_scatter", {"bytes": KIB}, 6, "6 ranks do not divide 256 elements equally"),
        ("all_to_all", {"bytes": KIB}, 3, "3 ranks do not divide 256 elements equally"),
        ("mlp_step", {"batch": 256}, 3, "3 ranks do not divide 256 rows equally"),
        ("encoder_step", {"batch": 8}, 16, "16 ranks do not divide 8 rows equally"),
        ("parameter_server", {"batch": 256}, 5, "5 ranks do not divide 256 rows equally"),
        ("accumulation", {"batch": 256}, 128, "2 rows of a rank are not 4 equal micro-batches"),
        ("echo", {"bytes": KIB}, 3, "needs --ranks 2, not 3"),
        ("echo", {"bytes": KIB}, 1, "needs --ranks 2, not 1"),
    ],
)
def test_numbers_of_ranks_that_cannot_share_the_work_are_left_out(
    name: str, size: dict[str, int], ranks: int, why: str
) -> None:
    with pytest.raises(Unavailable, match=why):
        of_rank_0(name, ranks, **size)
    assert of_rank_0(name, 2, **size)


@pytest.mark.parametrize(
    ("name", "way", "size", "ranks", "why"),
    [
        ("all_reduce", "reduce_scatter_all_gather", {"bytes": KIB}, 3, "3 ranks do not divide 256 elements equally"),
        ("all_to_all", "point_to_point", {"bytes": KIB}, 1, "needs --ranks from 2"),
        ("tensor_parallel_mlp", "tensor_parallel", {"tokens": 8}, 3, "3 ranks do not divide 1024 hidden features"),
        ("tensor_parallel_attention", "tensor_parallel", {"batch": 1}, 16, "16 ranks do not divide 8 heads equally"),
    ],
)
def test_ways_that_need_other_numbers_of_ranks_are_left_out(
    name: str, way: str, size: dict[str, int], ranks: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = suite.workloads[name]
    inputs = workload.make(CPU, size, ranks) if workload.shard is None else of_rank_0(name, ranks, **size)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: ranks)
    with pytest.raises(Unavailable, match=why):
        workload.implementations[way].function(*inputs)


STEPS = [workload for workload in suite.workloads.values() if next(iter(workload.implementations)) == "plain"]


@pytest.mark.parametrize("workload", STEPS, ids=lambda workload: workload.name)
def test_costs_of_steps_are_what_pytorch_counts(workload: Workload) -> None:
    size = next(workload.sizes("full"))
    inputs = workload.make(CPU, size, 2)
    step = workload.implementations["plain"].function(*inputs)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step(*inputs)
    cost = workload.cost_at(size, 2)
    assert cost is not None
    assert cost.flops == counter.get_total_flops()


@pytest.mark.parametrize("name", ["mlp_step", "encoder_step"])
def test_weak_scaling_has_as_many_rows_for_each_rank(name: str) -> None:
    strong = [suite.workloads[name].cost_at({"batch": 8}, ranks) for ranks in (1, 4)]
    weak = [suite.workloads[f"{name}_weak"].cost_at({"batch_per_rank": 8}, ranks) for ranks in (1, 4)]
    assert [cost.samples for cost in (*strong, *weak) if cost] == [8, 8, 8, 32]
    rows = [suite.workloads[f"{name}_weak"].make(CPU, {"batch_per_rank": 8}, ranks)[1] for ranks in (1, 4)]
    assert [len(x) for x in rows] == [8, 32]


def test_a_parameter_server_answers_each_rank_with_the_mean_of_its_round() -> None:
    """Two ranks in threads, of which one is always late."""
    server = rpc.Server(2)
    answers: dict[int, list[float]] = {0: [], 1: []}

    def rank(number: int) -> None:
        for turn in range(100):
            gradients = torch.full((3,), float(10 * turn + number))
            answers[number].append(float(server.average(gradients)[2]))

    threads = [threading.Thread(target=rank, args=(number,)) for number in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    expected = [10 * turn + 0.5 for turn in range(100)]
    assert answers == {0: expected, 1: expected}


def test_a_parameter_server_gives_up_if_a_rank_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "RPC_SECONDS", 0.05)
    with pytest.raises(TimeoutError, match="1 of 2 ranks have sent"):
        rpc.Server(2).average(torch.ones(1))


def test_without_tensorpipe_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.distributed.rpc.is_available", lambda: False)
    with pytest.raises(Unavailable, match=r"built without torch\.distributed\.rpc"):
        rpc.start()


@pytest.mark.parametrize("hosts", [("here", "here"), ("here", "there")])
def test_rpc_needs_one_machine(hosts: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(given: list[tuple[str, str]], own: tuple[str, str]) -> None:
        given[:] = [(host, f"{own[1]}-{rank}") for rank, host in enumerate(hosts)]

    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    if hosts == ("here", "here"):
        assert rpc.meeting_of(2).name.endswith("-0")
    else:
        with pytest.raises(Unavailable, match="on one machine only"):
            rpc.meeting_of(2)


def test_pytorch_finds_the_file_by_its_address(tmp_path: Path) -> None:
    """Whatever the name of the folder for temporary files."""
    folder = tmp_path / "a folder, 100%25 übel"
    folder.mkdir()
    store, _, _ = next(torch.distributed.rendezvous(rpc.address_of(folder / "meeting"), rank=0, world_size=1))
    store.set("key", "value")
    assert (folder / "meeting").is_file()


def test_the_default_tier_of_two_ranks_is_small() -> None:
    """Each family starts processes of its own."""
    cases = [
        pair for pair in cases_of("distributed", suite, tier="default", devices=["cpu"]) if pair[0].ranks in (1, 2)
    ]
    assert len(cases) <= 55
    assert len(group(cases)) <= 20
    assert not [*cases_of("distributed", suite, tier="quick", devices=["cpu"])]

"""Collectives over sizes.

The size of a message is in bytes, as nccl-tests counts it: of the larger of what a rank gives and gets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from torchduet.suites.distributed.common import FLOAT, MODES, SEVERAL, collective, equal_part, others, suite
from torchduet.suites.workload import Axis, Cost, Implementation, Unavailable

KIB, MIB = 1 << 10, 1 << 20
EVERY_SIZE = Axis(
    default=[KIB, 64 * KIB, MIB, 16 * MIB],
    full=[64 * MIB],
    on={"cuda": Axis(default=[64 * KIB, MIB, 16 * MIB, 64 * MIB], full=[KIB, 256 * MIB])},
)
ONE_SIZE = Axis(
    default=[MIB],
    full=[KIB, 64 * KIB, 16 * MIB],
    on={"cuda": Axis(default=[16 * MIB], full=[64 * KIB, MIB, 256 * MIB])},
)
ELEMENTS = "elements"
SMALL, SMALL_BYTES = 16, 4 * KIB  # tensors of a model, such as its biases


def register(
    name: str,
    functions: dict[str, Callable[..., Tensor] | Implementation],
    *,
    about: str,
    inputs: Callable[..., tuple[Tensor, ...]],
    shard: Callable[..., tuple[Tensor, ...]],
    joint: Callable[..., Tensor],
    factor: Callable[[int], float],
    scratch: tuple[str, ...],
    sizes: Axis = ONE_SIZE,
) -> None:
    """A collective over sizes; ``factor`` of the number of ranks is nccl-tests' for the bus bandwidth."""
    suite.compare(
        name,
        functions,
        about=about,
        inputs=inputs,
        shard=shard,
        joint=joint,
        ranks=SEVERAL,
        axes={"bytes": sizes},
        modes=MODES,
        scratch=scratch,
        cost=lambda bytes, ranks: collective(bytes, factor(ranks)),
    )


def of_all(device: torch.device, bytes: int, ranks: int) -> tuple[Tensor]:
    """A message for each rank."""
    return (torch.rand(ranks, bytes // FLOAT, device=device),)


def own(x: Tensor, rank: int) -> tuple[Tensor]:
    return (x[rank].clone(),)


def all_reduce(x: Tensor) -> Tensor:
    """In place, as gradients are summed: after some hundred calls the sums are infinite, and as fast to add up."""
    dist.all_reduce(x)
    return x


def in_equal_parts(x: Tensor) -> Callable[[Tensor], Tensor]:
    """``by_two_collectives``, where each rank's part of the sum has the same size."""
    equal_part(x.numel(), dist.get_world_size(), ELEMENTS)
    return by_two_collectives


def by_two_collectives(x: Tensor) -> Tensor:
    """A ring's all_reduce consists of these two."""
    part = torch.empty(x.numel() // dist.get_world_size(), device=x.device)
    dist.reduce_scatter_tensor(part, x)
    dist.all_gather_into_tensor(x, part)
    return x


register(
    "all_reduce",
    {"all_reduce": all_reduce, "reduce_scatter_all_gather": Implementation(in_equal_parts, setup=True)},
    about="Sum over ranks, in place",
    inputs=of_all,
    shard=own,
    joint=lambda x: x.sum(0),
    factor=lambda ranks: 2 * others(ranks),
    scratch=("x",),
    sizes=EVERY_SIZE,
)


def own_and_whole(x: Tensor, rank: int, ranks: int) -> tuple[Tensor, Tensor]:
    """A rank's part, and memory for all parts."""
    equal_part(x.numel(), ranks, ELEMENTS)
    return x.chunk(ranks)[rank].clone(), torch.empty_like(x)


def one_message(device: torch.device, bytes: int) -> tuple[Tensor]:
    return (torch.rand(bytes // FLOAT, device=device),)


def all_gather_into_tensor(x: Tensor, out: Tensor) -> Tensor:
    dist.all_gather_into_tensor(out, x)
    return out


def all_gather_list(x: Tensor, out: Tensor) -> Tensor:
    """The older form, which fills a list of tensors."""
    dist.all_gather([*out.chunk(dist.get_world_size())], x)
    return out


register(
    "all_gather",
    {"all_gather_into_tensor": all_gather_into_tensor, "list": all_gather_list},
    about="Every rank gets the parts of all",
    inputs=one_message,
    shard=own_and_whole,
    joint=lambda x: x,
    factor=others,
    scratch=("out",),
)


def own_and_part(x: Tensor, rank: int, ranks: int) -> tuple[Tensor, Tensor, Tensor]:
    """A rank's message, memory for a message, and memory for a rank's part of the sum."""
    mine = x[rank].clone()
    return mine, torch.empty_like(mine), torch.empty(equal_part(mine.numel(), ranks, ELEMENTS), device=x.device)


def reduce_scatter_tensor(x: Tensor, work: Tensor, out: Tensor) -> Tensor:
    del work
    dist.reduce_scatter_tensor(out, x)
    return out


def by_all_reduce(x: Tensor, work: Tensor, out: Tensor) -> Tensor:
    """The sum of everything, of which a rank keeps its part: gloo's reduce_scatter is built like this."""
    work.copy_(x)
    dist.all_reduce(work)
    return out.copy_(work.chunk(dist.get_world_size())[dist.get_rank()])


register(
    "reduce_scatter",
    {"reduce_scatter_tensor": reduce_scatter_tensor, "all_reduce": by_all_reduce},
    about="Every rank gets its part of the sum over ranks",
    inputs=of_all,
    shard=own_and_part,
    joint=lambda x, rank, ranks: x.sum(0).chunk(ranks)[rank],
    factor=others,
    scratch=("work", "out"),
)


def broadcast(x: Tensor) -> Tensor:
    dist.broadcast(x, src=0)
    return x


register(
    "broadcast",
    {"broadcast": broadcast},
    about="Every rank gets what rank 0 has",
    inputs=of_all,
    shard=own,
    joint=lambda x: x[0],
    factor=lambda _: 1.0,
    scratch=("x",),
)


def own_and_received(x: Tensor, rank: int, ranks: int) -> tuple[Tensor, Tensor]:
    mine = x[rank].clone()
    equal_part(mine.numel(), ranks, ELEMENTS)
    return mine, torch.empty_like(mine)


def all_to_all_single(x: Tensor, out: Tensor) -> Tensor:
    dist.all_to_all_single(out, x)
    return out


def between_ranks(x: Tensor, out: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """``point_to_point``, where there is another rank."""
    del x, out
    if dist.get_world_size() == 1:
        raise Unavailable("one rank has no other to send to: it needs --ranks from 2")
    return point_to_point


def point_to_point(x: Tensor, out: Tensor) -> Tensor:
    """By sends and receives, all under way at once."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    given, taken = x.chunk(ranks), out.chunk(ranks)
    taken[rank].copy_(given[rank])
    peers = [(rank + offset) % ranks for offset in range(1, ranks)]
    operations = [dist.P2POp(dist.isend, given[peer], peer) for peer in peers]
    operations += [dist.P2POp(dist.irecv, taken[peer], peer) for peer in peers]
    for work in dist.batch_isend_irecv(operations):
        work.wait()
    return out


register(
    "all_to_all",
    {"all_to_all_single": all_to_all_single, "point_to_point": Implementation(between_ranks, setup=True)},
    about="Every rank sends each other one a part of its message",
    inputs=of_all,
    shard=own_and_received,
    joint=lambda x, rank, ranks: x.view(ranks, ranks, -1)[:, rank].flatten(),
    factor=others,
    scratch=("out",),
)


def barrier(flag: Tensor) -> Tensor:
    """The result says how many ranks have met."""
    dist.barrier()
    return flag.fill_(dist.get_world_size())


def one_element(flag: Tensor) -> Tensor:
    """A sum of ones, for which every rank waits, too."""
    dist.all_reduce(flag.fill_(1.0))
    return flag


suite.compare(
    "barrier",
    {"barrier": barrier, "all_reduce": one_element},
    about="Every rank waits for all others",
    inputs=lambda device: (torch.zeros(1, device=device),),
    joint=lambda flag, ranks: torch.full_like(flag, ranks),
    ranks=SEVERAL,
    modes=MODES,
    scratch=("flag",),
    cost=lambda: Cost(message=0, bus=0),
)


def many(device: torch.device, tensors: int, ranks: int) -> tuple[list[Tensor]]:
    return ([torch.rand(ranks, SMALL_BYTES // FLOAT, device=device) for _ in range(tensors)],)


def own_of_many(xs: list[Tensor], rank: int) -> tuple[list[Tensor]]:
    return ([x[rank].clone() for x in xs],)


def one_by_one(xs: list[Tensor]) -> list[Tensor]:
    for x in xs:
        dist.all_reduce(x)
    return xs


def asynchronous(xs: list[Tensor]) -> list[Tensor]:
    """All are started before the first is waited for."""
    for work in [dist.all_reduce(x, async_op=True) for x in xs]:
        work.wait()
    return xs


def flattened(xs: list[Tensor]) -> list[Tensor]:
    """One all_reduce of a copy of all of them, as DDP does with its buckets."""
    flat = torch.cat(xs)
    dist.all_reduce(flat)
    torch._foreach_copy_(xs, [*torch.split(flat, [x.numel() for x in xs])])
    return xs


def summed(xs: list[Tensor]) -> Any:
    return [x.sum(0) for x in xs]


suite.compare(
    "small_all_reduces",
    {"one_by_one": one_by_one, "asynchronous": asynchronous, "flattened": flattened},
    about=f"Sum of many tensors of {SMALL_BYTES // KIB} KiB over ranks, in place",
    inputs=many,
    shard=own_of_many,
    joint=summed,
    ranks=SEVERAL,
    axes={"tensors": Axis(default=[SMALL], full=[16 * SMALL])},
    modes=MODES,
    scratch=("xs",),
    cost=lambda tensors, ranks: collective(tensors * SMALL_BYTES, 2 * others(ranks)),
)

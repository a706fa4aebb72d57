"""Remote procedure calls by TensorPipe: a tensor there and back, and a training step with a parameter server.

Every rank starts its agent once; it answers in the background, until its process ends.
"""

from __future__ import annotations

import functools
import platform
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from torchduet.suites.distributed.common import FLOAT, MODES, PAIR, suite
from torchduet.suites.distributed.models import MLP
from torchduet.suites.distributed.steps import Way
from torchduet.suites.distributed.training import DDP, PLAIN, register
from torchduet.suites.workload import Axis, Cost, Implementation, Unavailable

SERVER = 0
RPC_SECONDS = 10.0  # until a call gives up
KIB, MIB = 1 << 10, 1 << 20


def name_of(rank: int) -> str:
    return f"rank{rank}"


@functools.cache
def start() -> Any:
    """Start this rank's agent; every rank of the group calls this at about the same time.

    Raises:
        Unavailable: this PyTorch has no RPC, or the ranks are on several machines; every rank says so.
    """
    from torch.distributed import rpc as module

    rpc: Any = module
    if not rpc.is_available() or not hasattr(rpc, "TensorPipeRpcBackendOptions"):
        raise Unavailable("this PyTorch was built without torch.distributed.rpc (USE_TENSORPIPE=0)")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    options = rpc.TensorPipeRpcBackendOptions(
        init_method=address_of(meeting_of(ranks)),
        rpc_timeout=RPC_SECONDS,
        num_worker_threads=2 + ranks,  # more than wait
    )
    rpc.init_rpc(name_of(rank), rank=rank, world_size=ranks, rpc_backend_options=options)
    return rpc


def meeting_of(ranks: int) -> Path:
    """The file by which all ranks find each other: in the folder of rank 0, and used by no other group.

    Raises:
        Unavailable: they do not share that folder, as their host names differ.
    """
    own = (platform.node(), str(Path(tempfile.gettempdir()) / f"rpc-{uuid.uuid4().hex}"))
    given: list[tuple[str, str]] = [own] * ranks
    dist.all_gather_object(given, own)
    if len({host for host, _ in given}) > 1:
        raise Unavailable("RPC meets by a file here, so on one machine only: run it with --ranks of one machine")
    return Path(given[SERVER][1])


def address_of(path: Path) -> str:
    """The address of a file as PyTorch reads it: on Windows it decodes what is encoded, elsewhere it does not."""
    return path.as_uri() if sys.platform == "win32" else f"file://{path}"


def echo(x: Tensor) -> Tensor:
    """What rank 1 runs."""
    return x


def of_two(x: Tensor, out: Tensor, ranks: int) -> tuple[Tensor, Tensor]:
    """The inputs of each rank, where there are two; others would have nothing to do."""
    if ranks != 2:
        raise Unavailable(f"a tensor goes from rank 0 to rank 1 and back: it needs --ranks 2, not {ranks}")
    return x.clone(), out


def with_agents(*_: Tensor) -> Callable[..., Tensor]:
    """``by_rpc``, as soon as every rank has its agent."""
    start()
    return by_rpc


def by_rpc(x: Tensor, out: Tensor) -> Tensor:
    """Rank 0 calls; rank 1 answers in the background."""
    del out
    return start().rpc_sync(name_of(1), echo, args=(x,)) if dist.get_rank() == 0 else x


def send_recv(x: Tensor, out: Tensor) -> Tensor:
    """The same by sends and receives of the process group, into memory that is there."""
    if dist.get_rank() == 0:
        dist.send(x, 1)
        dist.recv(out, 1)
        return out
    dist.recv(out, 0)
    dist.send(out, 0)
    return out


suite.compare(
    "echo",
    {"send_recv": send_recv, "rpc_sync": Implementation(with_agents, setup=True)},
    about="A tensor from rank 0 to rank 1 and back",
    inputs=lambda device, bytes: (torch.rand(bytes // FLOAT, device=device), torch.empty(bytes // FLOAT)),
    shard=of_two,
    joint=lambda x, out: x,  # noqa: ARG005 - named in scratch=
    ranks=PAIR,
    axes={"bytes": Axis(default=[KIB, MIB], full=[64 * KIB, 16 * MIB])},
    modes=MODES,
    devices=("cpu",),
    scratch=("out",),
    cost=lambda bytes: Cost(message=bytes, bus=2 * bytes),  # there and back, one after the other
)


class Server:
    """Averages the gradients of all ranks: each call waits until all ranks have called."""

    def __init__(self, ranks: int) -> None:
        self._ranks, self._changed = ranks, threading.Condition()
        self._round, self._count = 0, 0
        self._sum = self._mean = torch.empty(0)

    def average(self, gradients: Tensor) -> Tensor:
        """The mean of what all ranks give in this round.

        Raises:
            TimeoutError: a rank did not call.
        """
        with self._changed:
            own_round, self._count = self._round, self._count + 1
            self._sum = gradients.clone() if self._count == 1 else self._sum.add_(gradients)
            if self._count == self._ranks:
                self._mean, self._count, self._round = self._sum / self._ranks, 0, own_round + 1
                self._changed.notify_all()
            elif not self._changed.wait_for(lambda: self._round != own_round, RPC_SECONDS):
                raise TimeoutError(f"{self._count} of {self._ranks} ranks have sent their gradients")
            return self._mean


@functools.cache
def server(ranks: int) -> Server:
    """That of this process; only one rank's is called."""
    return Server(ranks)


def averaged(gradients: Tensor, ranks: int) -> Tensor:
    """What the server's rank runs, in a thread for each call."""
    return server(ranks).average(gradients)


def with_agent(model: nn.Module, device: torch.device) -> nn.Module:
    del device
    start()
    return model


def served(gradients: Sequence[Tensor]) -> None:
    """Send all gradients to the parameter server, and take the mean for them."""
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    mean = start().rpc_sync(name_of(SERVER), averaged, args=(flat, dist.get_world_size()))
    parts = mean.split([gradient.numel() for gradient in gradients])
    shaped = [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]
    torch._foreach_copy_([*gradients], shaped)


register(
    "parameter_server",
    MLP,
    {"plain": PLAIN, "ddp": DDP, "rpc": Implementation(Way(with_agent, before_step=served), setup=True)},
    about="Training step of an MLP, 784-512-512-10, AdamW; rank 0 averages the gradients that it is sent by RPC",
    rows=Axis(default=[256]),
    devices=("cpu",),
)

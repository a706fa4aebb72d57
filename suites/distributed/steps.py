"""A training step in each of the ways to train a model by several processes.

The wrappers, the optimiser and what they hold in memory are made anew for each placement of the inputs.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.distributed.common import mesh
from torchduet.suites.distributed.models import blocks

LEARNING_RATE = 1e-3
Wrap = Callable[[nn.Module, torch.device], nn.Module]
Sync = Callable[[Any, bool], AbstractContextManager[object]]  # of a micro-batch: the last one or not
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Stepped:
    """What a step leaves behind, by which it is checked."""

    loss: Tensor
    parameters: list[nn.Parameter]


@dataclass(frozen=True)
class Way:
    """How a model is trained.

    Attributes:
        wrap: what is trained in place of a model on a device.
        sync: a context around the forward and backward pass of each micro-batch.
        micro_batches: number of those whose gradients are added up for one step of the optimiser.
        before_step: changes the gradients before the optimiser's step.
        loss: of the model's output and the target.
    """

    wrap: Wrap
    sync: Sync = lambda _model, _last: contextlib.nullcontext()
    micro_batches: int = 1
    before_step: Callable[[Sequence[Tensor]], None] = lambda _: None
    loss: Loss = F.cross_entropy

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Step:
        """The step of a copy of the model: an implementation's setup."""
        del y
        return Step(self, model, x.device)


class Step:
    """A model with its optimiser, which a call trains by one step."""

    def __init__(self, way: Way, original: nn.Module, device: torch.device) -> None:
        self._way, self._original, self._device = way, original, device
        self.model = way.wrap(copy.deepcopy(original), device)
        self.parameters = [*self.model.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=LEARNING_RATE)

    def renew(self) -> Step:
        """The same with other memory, and with the parameters of the original."""
        return Step(self._way, self._original, self._device)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Stepped:
        """Gradients of the mean loss of these rows, and the optimiser's step."""
        del model
        parts = self._way.micro_batches
        self.optimizer.zero_grad()
        for number, (rows, target) in enumerate(zip(x.chunk(parts), y.chunk(parts), strict=True), 1):
            with self._way.sync(self.model, number == parts):
                loss = self._way.loss(self.model(rows), target) / parts
                loss.backward()  # type: ignore[no-untyped-call]
        self._way.before_step([parameter.grad for parameter in self.parameters if parameter.grad is not None])
        self.optimizer.step()
        return Stepped(loss.detach(), self.parameters)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which each rank has a part; every rank has to ask for it."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def state(inputs: Sequence[Any], stepped: Stepped) -> dict[str, Any]:
    """The values by which a step is checked: all gradients, and all new parameters."""
    del inputs
    return {
        "gradients": [whole(parameter.grad) for parameter in stepped.parameters if parameter.grad is not None],
        "parameters": [whole(parameter.detach()) for parameter in stepped.parameters],
    }


def unwrapped(model: nn.Module, device: torch.device) -> nn.Module:
    del device
    return model


def ddp(**options: Any) -> Wrap:
    """DistributedDataParallel: whole models, whose gradients are averaged while the backward pass runs."""

    def wrap(model: nn.Module, device: torch.device) -> nn.Module:
        from torch.nn.parallel import DistributedDataParallel

        del device
        return DistributedDataParallel(model, **options)

    return wrap


def ddp_bf16(model: nn.Module, device: torch.device) -> nn.Module:
    """DDP whose gradients cross the link in bf16: half the bytes, three significant digits."""
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook

    wrapped: Any = ddp()(model, device)
    # By its name, DDP refuses this hook without NCCL; gloo adds up bf16, too.
    wrapped.register_comm_hook(None, lambda group, bucket: bf16_compress_hook(group, bucket))
    return wrapped  # type: ignore[no-any-return]


def fsdp(reshard_after_forward: bool = True) -> Wrap:
    """FSDP2: each rank holds a part of every block, and gathers the whole for a pass through the block.

    Args:
        reshard_after_forward: release the whole after the forward pass, and gather it again for the backward pass.
    """

    def wrap(model: nn.Module, device: torch.device) -> nn.Module:
        from torch.distributed.fsdp import fully_shard

        assert isinstance(model, nn.Sequential)
        ranks = mesh(device)
        for block in blocks(model):
            fully_shard(block, mesh=ranks, reshard_after_forward=reshard_after_forward)
        fully_shard(model, mesh=ranks, reshard_after_forward=reshard_after_forward)
        return model

    return wrap


def only_after_the_last(model: Any, last: bool) -> AbstractContextManager[object]:
    """DDP averages the gradients of the last micro-batch, which are the sum of all."""
    return contextlib.nullcontext() if last else model.no_sync()


@contextlib.contextmanager
def _fsdp_sync(model: Any, last: bool) -> Any:
    model.set_requires_gradient_sync(last)
    yield


def fsdp_only_after_the_last(model: Any, last: bool) -> AbstractContextManager[object]:
    """The same for FSDP2: until then each rank holds the gradients of the whole model."""
    return _fsdp_sync(model, last)

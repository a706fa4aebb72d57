"""CTC loss and its gradient: that of PyTorch, that of cuDNN, and the recursion by hand."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation, Unavailable

BLANK = 0  # cuDNN has no other
NEVER = -1e30  # the log of a probability of zero; finite, so that no gradient is NaN
MAX_TARGET = 255  # labels: cuDNN is used for shorter targets only
FRAMES_PER_LABEL = 8
FLOAT = 4  # bytes of a float32

SELECT: Any = torch.ops.aten._use_cudnn_ctc_loss.default  # for logits on a GPU only
ctc_loss: Any = F.ctc_loss  # it takes lengths as tuples, as it is documented, but is not annotated so


def target_length(frames: int) -> int:
    """The labels of the longest target: at 50 frames a second, six a second, as letters of spoken English."""
    return min(MAX_TARGET, max(2, frames // FRAMES_PER_LABEL))


def logits_and_targets(device: torch.device, frames: int, batch: int, classes: int) -> tuple[Any, ...]:
    """Logits, targets and lengths.

    Returns:
        logits (frames, batch, classes), which need a gradient;
        targets (batch, labels), int64 on the device, padded; the same one after the other, int32 on the CPU;
        the frames of each sequence, all the same, as cuDNN wants it; the labels of each, some of them fewer.
    """
    longest = target_length(frames)
    lengths = tuple(longest - sequence % (1 + longest // 2) for sequence in range(batch))
    labels = torch.randint(1, classes, (batch, longest))
    joined = torch.cat([row[:length] for row, length in zip(labels, lengths, strict=True)]).int()
    logits = torch.randn(frames, batch, classes, device=device, requires_grad=True)
    return logits, labels.to(device), joined, (frames,) * batch, lengths


def with_gradient(loss: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and its gradient as a new tensor."""
    (gradient,) = torch.autograd.grad(loss, logits)
    return loss.detach(), gradient


Lengths = tuple[int, ...]


def native(logits: Tensor, targets: Tensor, _: Tensor, frames: Lengths, labels: Lengths) -> tuple[Tensor, Tensor]:
    """PyTorch's own kernels, which targets of int64 select on any device."""
    return with_gradient(ctc_loss(logits.log_softmax(-1), targets, frames, labels, BLANK), logits)


def takes_cudnn(logits: Tensor, joined: Tensor, frames: Lengths, labels: Lengths) -> bool:
    """Whether ``F.ctc_loss`` calls cuDNN for these arguments, by the function with which it decides."""
    return bool(SELECT(logits.detach().log_softmax(-1), joined, frames, labels, BLANK))


def cudnn(logits: Tensor, targets: Tensor, joined: Tensor, frames: Lengths, labels: Lengths) -> Any:
    """The function that calls cuDNN's.

    It is selected for float32, joined int32 targets on the CPU, and sequences that use all frames.

    Raises:
        Unavailable: PyTorch would silently call its own kernels.
    """
    del targets
    if not takes_cudnn(logits, joined, frames, labels):
        version = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        reason = "is switched off" if version and not torch.backends.cudnn.enabled else "does not take these inputs"
        raise Unavailable(
            f"PyTorch calls its own CTC kernels here: cuDNN {reason}" if version else "this PyTorch has no cuDNN"
        )
    return joined_targets


def joined_targets(
    logits: Tensor, _: Tensor, joined: Tensor, frames: Lengths, labels: Lengths
) -> tuple[Tensor, Tensor]:
    return with_gradient(ctc_loss(logits.log_softmax(-1), joined, frames, labels, BLANK), logits)


def by_hand(logits: Tensor, targets: Tensor, _: Tensor, frames: Lengths, labels: Lengths) -> tuple[Tensor, Tensor]:
    """The forward variables of Graves et al. 2006, §4.1, in log space; autograd computes the gradient.

    The states of a target of n labels are its labels with a blank before, between and after them: 2n + 1.
    """
    del frames  # all are used
    batch, longest = targets.shape
    states = targets.new_full((batch, 2 * longest + 1), BLANK)
    states[:, 1::2] = targets
    # From two states before: to a label that differs from the label before it.
    skips = F.pad((states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2]), (2, 0))
    scores = logits.log_softmax(-1).gather(2, states.expand(logits.shape[0], -1, -1))  # (frames, batch, states)
    alpha = scores[0].masked_fill(torch.arange(states.shape[1], device=states.device) > 1, NEVER)
    for score in scores[1:]:
        stayed = torch.logaddexp(alpha, F.pad(alpha[:, :-1], (1, 0), value=NEVER))
        skipped = F.pad(alpha[:, :-2], (2, 0), value=NEVER).masked_fill(~skips, NEVER)
        alpha = torch.logaddexp(stayed, skipped) + score
    lengths = torch.tensor(labels, device=targets.device)
    ends = torch.stack([2 * lengths, 2 * lengths - 1], dim=1)  # the last blank or the last label
    loss = -alpha.gather(1, ends).logsumexp(1)
    return with_gradient((loss / lengths).mean(), logits)  # as F.ctc_loss reduces by default


def cost(frames: int, batch: int, classes: int) -> Cost:
    """The logits are read and their gradient is written; intermediate values are not counted."""
    return Cost(bytes=2.0 * FLOAT * frames * batch * classes, samples=frames * batch, unit="frames")


def add_to(suite: Suite) -> None:
    """Register the workload."""
    suite.compare(
        "ctc_loss",
        {"native": native, "by_hand": by_hand, "cudnn": Implementation(cudnn, setup=True, devices=("cuda",))},
        about="CTC loss of logits (frames, batch, classes) and its gradient",
        inputs=logits_and_targets,
        axes={
            "frames": Axis(default=[50, 200], full=[500], on={"cuda": Axis(default=[200], full=[500])}),
            "batch": Axis(default=[8], full=[32], on={"cuda": Axis(default=[32], full=[64])}),
            "classes": Axis(default=[32], full=[1000], on={"cuda": Axis(default=[32, 10_000])}),
        },
        modes=["eager"],
        cost=cost,
        call_seconds=lambda frames, batch, classes, device: (
            2e-4 * frames + (1e-8 * frames * batch * classes if is_host(device) else 0.0)
        ),
        memory=True,
    )

"""A step of a speech recogniser that is trained with CTC: Wav2Vec2 of transformers, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites.devices import is_host
from torchduet.suites.extras import require
from torchduet.suites.model import STATE_TOLERANCE, state
from torchduet.suites.speech.ctc import ctc_loss
from torchduet.suites.steps import CPU_FLOPS, backward_and_step
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

RATE = 16_000  # samples of sound a second
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)  # of the convolutions: 49 frames a second
LABELS_PER_SECOND = 6
LEARNING_RATE = 1e-4
TRAINED, FROZEN = "trained", "frozen"

# model → width, layers, heads, width of the feed-forward layers, channels of the convolutions,
# kernel and groups of the convolution that encodes positions
SHAPES = {
    "tiny": (64, 2, 4, 128, 32, 16, 4),
    "base": (768, 12, 12, 3072, 512, 128, 16),  # facebook/wav2vec2-base
}
CLASSES = 32


def frames(samples: int) -> list[int]:
    """The length after each of the convolutions."""
    lengths = []
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        samples = (samples - kernel) // stride + 1
        lengths.append(samples)
    return lengths


def recogniser(model: str) -> nn.Module:
    """``Wav2Vec2ForCTC`` from its configuration, without dropout, masks and dropped layers: each call is the same."""
    require("transformers", "transformers")
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    width, layers, heads, feed_forward, channels, kernel, groups = SHAPES[model]
    config = Wav2Vec2Config(
        vocab_size=CLASSES,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        conv_dim=(channels,) * len(KERNELS),
        conv_kernel=KERNELS,
        conv_stride=STRIDES,
        num_conv_pos_embeddings=kernel,
        num_conv_pos_embedding_groups=groups,
        apply_spec_augment=False,
        layerdrop=0.0,
        **dict.fromkeys(
            ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout", "final_dropout"), 0.0
        ),
    )
    network: nn.Module = Wav2Vec2ForCTC(config)
    return network


def step_inputs(device: torch.device, model: str, features: str, batch: int, seconds: int) -> tuple[Any, ...]:
    """The recogniser, its optimiser, sound (batch, samples) of mean 0 and variance 1, and labels (batch, labels).

    Args:
        features: "frozen": the convolutions are not trained, as is usual in fine-tuning.
    """
    network: Any = recogniser(model).to(device).train()
    if features == FROZEN:
        network.freeze_feature_encoder()
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=LEARNING_RATE)
    sound = torch.randn(batch, seconds * RATE, device=device)
    labels = torch.randint(1, CLASSES, (batch, seconds * LABELS_PER_SECOND), device=device)
    return network, optimizer, sound, labels


def step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    sound: Tensor,
    labels: Tensor,
    *,
    autocast: Callable[[], AbstractContextManager[object]],
    scaler: torch.amp.GradScaler | None = None,
) -> Tensor:
    """zero_grad, forward and CTC loss under autocast, backward, optimiser step.

    The loss is that of the model, computed here as the model converts to float32 first. PyTorch's kernels compute it:
    those of cuDNN are not selected for labels of int64.
    """
    optimizer.zero_grad()
    with autocast():
        scores = network(sound).logits.log_softmax(-1).transpose(0, 1)
        batch, length = labels.shape
        loss: Tensor = ctc_loss(scores, labels, (scores.shape[0],) * batch, (length,) * batch, reduction="sum")
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


def forward_flops(model: str, seconds: int) -> tuple[float, float, float]:
    """Operations for one sequence: of the first convolution, of the other ones, and of the transformer with its head.

    A multiply-add is two. Convolutions and linear layers have their weights times the frames that they are applied to,
    attention has 4 operations for each pair of frames and channel. Softmax and normalisation are not counted.
    """
    width, layers, _, feed_forward, channels, kernel, groups = SHAPES[model]
    lengths = frames(seconds * RATE)
    last = lengths[-1]
    convolutions = [2.0 * length * size * channels * channels for length, size in zip(lengths, KERNELS, strict=True)]
    positions = 2.0 * (last + 1 - kernel % 2) * kernel * width * width / groups
    weights = width * (channels + CLASSES) + layers * width * (4 * width + 2 * feed_forward)
    transformer = 2.0 * last * weights + positions + 4.0 * layers * width * last**2
    return convolutions[0] / channels, sum(convolutions[1:]), transformer


def cost(model: str, features: str, batch: int, seconds: int) -> Cost:
    """Forward and backward, which costs twice as much as forward (Kaplan et al. 2020, §2.1).

    Frozen convolutions have no part in the backward pass, nor does the gradient of the sound: where they are trained,
    transformers has it computed (for checkpointing), although nothing reads it.
    """
    first, later, transformer = forward_flops(model, seconds)
    convolutions = first + later if features == FROZEN else 2 * first + 3 * later
    return Cost(flops=batch * (convolutions + 3 * transformer), samples=batch * seconds, unit="seconds of sound")


def call_seconds(model: str, features: str, batch: int, seconds: int, device: str) -> float:
    flops = cost(model, features, batch, seconds).flops or 0.0
    return 0.02 + flops / CPU_FLOPS if is_host(device) else 0.0


def add_to(suite: Suite) -> None:
    """Register the workload."""
    suite.compare(
        "train_wav2vec2",
        {"step": step},
        about="A training step of Wav2Vec2 with CTC and AdamW on sound of 16 kHz; features: the convolutions",
        inputs=step_inputs,
        axes={
            "model": Axis(default=["tiny"], full=["base"], on={"cuda": Axis(default=["base"])}),
            "features": Axis(default=[TRAINED, FROZEN]),
            "batch": Axis(default=[2], on={"cuda": Axis(default=[8], full=[32])}),
            "seconds": Axis(default=[1], full=[5], on={"cuda": Axis(default=[5], full=[15])}),
        },
        modes=Axis(default=["eager"], full=["compile-model"]),
        precisions=Axis(default=["fp32"], full=["bf16", "tf32"], on={"cuda": Axis(default=["fp32", "bf16", "tf32"])}),
        cost=cost,
        observe=state,
        tolerance=STATE_TOLERANCE,
        call_seconds=call_seconds,
        memory=True,
    )

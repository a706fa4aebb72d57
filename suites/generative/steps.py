"""Training steps of a GAN: what each implementation computes and differentiates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.mlp import Autocast, Scaler
from torchduet.suites.steps import backward_and_step

Optimizer = torch.optim.Optimizer


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Mean binary cross-entropy of logits (batch, …) that should all have one label: 1 for real, 0 for fake."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def discriminate(
    discriminator: nn.Module, optimizer: Optimizer, x: Tensor, fakes: Tensor, autocast: Autocast, scaler: Scaler
) -> Tensor:
    """A step of the discriminator. Real images and fakes are batches of their own: each is normalised by itself."""
    optimizer.zero_grad()
    with autocast():
        loss = cross_entropy(discriminator(x), 1.0) + cross_entropy(discriminator(fakes), 0.0)
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


def generate(
    discriminator: nn.Module, optimizer: Optimizer, fakes: Tensor, autocast: Autocast, scaler: Scaler
) -> Tensor:
    """A step of the generator, whose fakes should be taken for real images."""
    optimizer.zero_grad()
    with autocast():
        loss = cross_entropy(discriminator(fakes), 1.0)
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within, no gradients of the network's own parameters are computed; they still flow through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


# Inputs of every step: generator, discriminator, the optimiser of each, real images (batch, 3, n, n), noise
# (batch, noise, 1, 1).


def discriminator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    _: Optimizer,
    optimizer: Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    """Fakes are made with a graph, as an iteration needs it, and detached from it."""
    with autocast():
        fakes = generator(z)
    return discriminate(discriminator, optimizer, x, fakes.detach(), autocast, scaler)


def discriminator_step_attached(
    generator: nn.Module,
    discriminator: nn.Module,
    _: Optimizer,
    optimizer: Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    """The generator's gradients are computed, too, and never used."""
    generator.zero_grad()
    with autocast():
        fakes = generator(z)
    return discriminate(discriminator, optimizer, x, fakes, autocast, scaler)


def discriminator_step_no_grad(
    generator: nn.Module,
    discriminator: nn.Module,
    _: Optimizer,
    optimizer: Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    """Fakes are made without a graph."""
    with torch.no_grad(), autocast():
        fakes = generator(z)
    return discriminate(discriminator, optimizer, x, fakes, autocast, scaler)


def generator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: Optimizer,
    _: Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    """The discriminator's gradients are computed, too, and never used."""
    del x
    discriminator.zero_grad()
    with autocast():
        fakes = generator(z)
    return generate(discriminator, optimizer, fakes, autocast, scaler)


def generator_step_frozen(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: Optimizer,
    _: Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    """Only the generator's gradients are computed."""
    del x
    with autocast():
        fakes = generator(z)
    with frozen(discriminator):
        return generate(discriminator, optimizer, fakes, autocast, scaler)


def iteration(
    generator: nn.Module,
    discriminator: nn.Module,
    of_generator: Optimizer,
    of_discriminator: Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> tuple[Tensor, Tensor]:
    """Both steps with the same fakes, which the generator makes once."""
    with autocast():
        fakes = generator(z)
    loss = discriminate(discriminator, of_discriminator, x, fakes.detach(), autocast, scaler)
    return loss, generate(discriminator, of_generator, fakes, autocast, scaler)


def iteration_fakes_twice(
    generator: nn.Module,
    discriminator: nn.Module,
    of_generator: Optimizer,
    of_discriminator: Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> tuple[Tensor, Tensor]:
    """The two steps one after the other; the generator makes its fakes, from the same noise, in each."""
    inputs = generator, discriminator, of_generator, of_discriminator, x, z
    return discriminator_step_no_grad(*inputs, autocast, scaler), generator_step(*inputs, autocast, scaler)

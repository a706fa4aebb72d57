"""Steps of Wasserstein GANs: the critic with clipped weights, and with a penalty on the norms of its gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from torchduet.suites.mlp import Autocast, Scaler
from torchduet.suites.steps import backward_and_step

CLIP = 0.01  # the greatest weight of a critic (Arjovsky et al. 2017, algorithm 1)
PENALTY = 10.0  # of squared distances from a norm of 1 (Gulrajani et al. 2017, algorithm 1)


def distance(critic: nn.Module, x: Tensor, fakes: Tensor) -> Tensor:
    """What a critic minimises: its mean score of fakes less that of real images, a Wasserstein distance's negative."""
    loss: Tensor = critic(fakes).mean() - critic(x).mean()
    return loss


def gradient_penalty(critic: nn.Module, x: Tensor, fakes: Tensor, share: Tensor) -> Tensor:
    """Mean of (‖∇D(x̂)‖₂ - 1)² for mixtures x̂ of real images and fakes.

    Args:
        share: of the real image in each mixture, from 0 to 1: (batch, 1, 1, 1).
    """
    mixed = torch.lerp(fakes, x, share).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    norms: Tensor = gradient.flatten(1).norm(dim=1)
    return ((norms - 1) ** 2).mean()


def clipped_step(
    generator: nn.Module,
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    z: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    """Distance, optimiser's step, and every weight clipped to ±0.01."""
    optimizer.zero_grad()
    with torch.no_grad(), autocast():
        fakes = generator(z)
    with autocast():
        loss = distance(critic, x, fakes)
    backward_and_step(loss, optimizer, scaler)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.clamp_(-CLIP, CLIP)
    return loss.detach()


def penalised_step(
    generator: nn.Module,
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    z: Tensor,
    share: Tensor,
) -> Tensor:
    """Distance and penalty, whose gradient is one of a gradient: a double backward."""
    optimizer.zero_grad()
    with torch.no_grad():
        fakes = generator(z)
    loss = distance(critic, x, fakes) + PENALTY * gradient_penalty(critic, x, fakes, share)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()

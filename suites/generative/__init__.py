"""Generative adversarial networks: steps of DCGAN (Radford et al. 2016) and of Wasserstein GANs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites.generative import steps, wasserstein
from torchduet.suites.generative.networks import GANS
from torchduet.suites.model import state
from torchduet.suites.steps import FORMATS_LATER, seconds_of
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation

suite = Suite("generative", "Training steps of generative adversarial networks: DCGAN, WGAN and WGAN-GP")

EAGER = ("eager",)
SIZES = {
    "pixels": Axis(default=[16], full=[32, 64], on={"cuda": Axis(default=[64], full=[16])}),
    "batch": Axis(default=[16], on={"cuda": Axis(default=[128], full=[16])}),
}
LATE = Axis(quick=["eager"], full=["compile-model", "compile"])
PRECISIONS = Axis(
    quick=["fp32"],
    default=["tf32"],
    full=["bf16"],
    on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32"], full=["fp16"])},
)
ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}  # Radford et al. 2016, section 4
ADAM_OF_CRITIC = {"lr": 1e-4, "betas": (0.0, 0.9)}  # Gulrajani et al. 2017, algorithm 1


def networks(pixels: int, device: torch.device, *, normalised: bool = True) -> tuple[nn.Module, nn.Module]:
    """A generator and a discriminator or critic."""
    gan = GANS[pixels]
    return gan.generator().to(device), gan.discriminator(normalised=normalised).to(device)


def images_and_noise(pixels: int, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images with values from -1 to 1, and what the generator makes fakes of."""
    x = 2 * torch.rand(batch, 3, pixels, pixels, device=device) - 1
    return x, torch.randn(batch, GANS[pixels].noise, 1, 1, device=device)


def dcgan_inputs(device: torch.device, pixels: int, batch: int) -> tuple[Any, ...]:
    """Generator, discriminator, the optimiser of each, images, noise."""
    both = networks(pixels, device)
    optimizers = [torch.optim.Adam(network.parameters(), **ADAM) for network in both]  # type: ignore[arg-type]
    return *both, *optimizers, *images_and_noise(pixels, batch, device)


def of_generator(inputs: Sequence[Any], loss: Tensor) -> dict[str, Tensor]:
    """The values by which a generator's step is checked."""
    return state(inputs, loss)


def of_discriminator(inputs: Sequence[Any], loss: Tensor) -> dict[str, Tensor]:
    """The values by which a discriminator's or critic's step is checked."""
    return state(inputs[1:], loss)


def of_iteration(inputs: Sequence[Any], losses: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """The values by which an iteration is checked.

    The discriminator's gradients are left out: its own step has used them, and that of the generator has added others.
    """
    of_generator, of_discriminator = losses[1], dict(inputs[1].named_parameters())
    return {"loss of the discriminator": losses[0], **state(inputs, of_generator)} | {
        f"discriminator's {name.replace('_orig_mod.', '')}": value for name, value in of_discriminator.items()
    }


def multiply_adds(pixels: int) -> tuple[int, int, int, int]:
    """Per image: of the generator and its first layer, of the discriminator and its first layer."""
    generator, discriminator = GANS[pixels].of_generator(), GANS[pixels].of_discriminator()
    return sum(generator), generator[0], sum(discriminator), discriminator[0]


def discriminator_cost(pixels: int, batch: int) -> Cost:
    """A forward pass of the generator, and twice a forward and a backward pass of the discriminator.

    A backward pass needs twice the operations of the forward pass, except in the first layer, which needs them once:
    the gradient of its input is not computed.
    """
    generator, _, discriminator, first = multiply_adds(pixels)
    return Cost(flops=2.0 * batch * (generator + 2 * (3 * discriminator - first)), samples=batch, unit="images")


def generator_cost(pixels: int, batch: int) -> Cost:
    """A forward and a backward pass of the generator, and the same of the discriminator without its own gradients."""
    generator, first, discriminator, _ = multiply_adds(pixels)
    return Cost(flops=2.0 * batch * (3 * generator - first + 2 * discriminator), samples=batch, unit="images")


def iteration_cost(pixels: int, batch: int) -> Cost:
    """Both steps, but one forward pass of the generator."""
    flops = [cost(pixels, batch).flops or 0.0 for cost in (discriminator_cost, generator_cost)]
    return Cost(flops=sum(flops) - 2.0 * batch * multiply_adds(pixels)[0], samples=batch, unit="images")


def penalty_cost(pixels: int, batch: int) -> Cost:
    """A critic's step, and the penalty: a forward pass, the gradient of the images, and the gradients of that.

    The gradient of a layer's input is a convolution of the gradient of its output. Both its arguments have a gradient
    again, except in the last layer, whose output's gradient is constant.
    """
    layers = GANS[pixels].of_discriminator()
    flops = 2.0 * batch * (4 * sum(layers) - layers[-1])
    return Cost(flops=(discriminator_cost(pixels, batch).flops or 0.0) + flops, samples=batch, unit="images")


suite.compare(
    "discriminator_step",
    {
        "detach": steps.discriminator_step,
        "attached": Implementation(steps.discriminator_step_attached, modes=EAGER),
        "no_grad": Implementation(steps.discriminator_step_no_grad, modes=EAGER),
    },
    about="DCGAN, step of the discriminator: real images and fakes, cross-entropy, Adam",
    inputs=dcgan_inputs,
    axes=SIZES | {"pixels": Axis(default=[32], full=[16, 64], on={"cuda": Axis(default=[64], full=[32])})},
    modes=Axis(quick=["eager"], default=["compile-model"], full=["compile"]),
    precisions=PRECISIONS,
    observe=of_discriminator,
    cost=discriminator_cost,
    call_seconds=seconds_of(discriminator_cost),
)
suite.compare(
    "generator_step",
    {"through": steps.generator_step, "frozen": Implementation(steps.generator_step_frozen, modes=EAGER)},
    about="DCGAN, step of the generator, through the discriminator: cross-entropy, Adam",
    inputs=dcgan_inputs,
    axes=SIZES,
    modes=LATE,
    precisions=PRECISIONS,
    observe=of_generator,
    cost=generator_cost,
    call_seconds=seconds_of(generator_cost),
)
suite.compare(
    "iteration",
    {"fakes_once": steps.iteration, "fakes_twice": Implementation(steps.iteration_fakes_twice, modes=EAGER)},
    about="DCGAN, one iteration: a step of the discriminator, then one of the generator",
    inputs=dcgan_inputs,
    axes=SIZES,
    modes=Axis(quick=["eager"], full=["compile-model", "compile", "graph"]),
    precisions=PRECISIONS,
    knobs=FORMATS_LATER,
    observe=of_iteration,
    cost=iteration_cost,
    call_seconds=seconds_of(iteration_cost),
)


def wgan_inputs(device: torch.device, pixels: int, batch: int) -> tuple[Any, ...]:
    """Generator, critic, the critic's optimiser, images, noise."""
    both = networks(pixels, device)
    return *both, torch.optim.RMSprop(both[1].parameters(), lr=5e-5), *images_and_noise(pixels, batch, device)


def wgan_gp_inputs(device: torch.device, pixels: int, batch: int) -> tuple[Any, ...]:
    """Generator, critic, the critic's optimiser, images, noise, and the share of the real image in each mixture."""
    both = networks(pixels, device, normalised=False)
    optimizer = torch.optim.Adam(both[1].parameters(), **ADAM_OF_CRITIC)  # type: ignore[arg-type]
    return *both, optimizer, *images_and_noise(pixels, batch, device), torch.rand(batch, 1, 1, 1, device=device)


suite.compare(
    "wgan_critic_step",
    {"clipped": wasserstein.clipped_step},
    about="WGAN, step of the critic: Wasserstein distance, RMSprop, weights clipped to ±0.01",
    inputs=wgan_inputs,
    axes=SIZES,
    modes=LATE,
    precisions=PRECISIONS,
    observe=of_discriminator,
    cost=discriminator_cost,
    call_seconds=seconds_of(discriminator_cost),
)
suite.compare(
    "wgan_gp_critic_step",
    {"penalised": wasserstein.penalised_step},
    about="WGAN-GP, step of the critic: Wasserstein distance, gradient penalty by double backward, Adam",
    inputs=wgan_gp_inputs,
    axes=SIZES,
    modes=LATE,  # torch.compile supports no double backward yet: those cases are skipped with its reason
    precisions=Axis(quick=["fp32"], default=["tf32"]),
    observe=of_discriminator,
    cost=penalty_cost,
    call_seconds=seconds_of(penalty_cost),
)

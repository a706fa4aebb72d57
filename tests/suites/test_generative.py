"""Steps of GANs: known losses, no gradients where none belong, penalties by hand, and costs as PyTorch counts them."""

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tests.suites.spoiled_steps import accepted
from torchduet.bench.inputs.reference import to_reference
from torchduet.suites.generative import dcgan_inputs, penalty_cost, steps, suite, wasserstein, wgan_gp_inputs
from torchduet.suites.generative.networks import GANS
from torchduet.suites.workload import Workload

CPU = torch.device("cpu")


class Counting(TorchDispatchMode):
    """Counts operations by PyTorch's formulas; its own counter knows no gradient of an input, as the penalty needs."""

    flops = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        self.flops += formula(*args, **(kwargs or {}), out_val=result) if formula else 0
        return result


def counted(step: Callable[..., Any], *inputs: Any) -> int:
    with Counting() as counting:
        step(*inputs)
    return counting.flops


def linear(weight: float) -> nn.Linear:
    """(batch, 1) to (batch, 1): a product with one weight."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def tiny() -> tuple[Any, ...]:
    """A generator that doubles its noise, a discriminator that takes its input as the logit, and SGD for both."""
    generator, discriminator = linear(2.0), linear(1.0)
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.5) for network in (generator, discriminator)]
    return generator, discriminator, *optimizers, torch.tensor([[3.0]]), torch.tensor([[0.5]])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_discriminators_loss_and_gradient_are_those_by_hand() -> None:
    inputs = tiny()
    loss = steps.discriminator_step(*inputs, nullcontext)
    assert loss.item() == pytest.approx(-math.log(sigmoid(3.0)) - math.log(1 - sigmoid(1.0)))
    gradient = (sigmoid(3.0) - 1) * 3.0 + sigmoid(1.0) * 1.0  # logit of the real image 3, of the fake 2 · 0.5
    assert inputs[1].weight.grad.item() == pytest.approx(gradient)
    assert inputs[1].weight.item() == pytest.approx(1.0 - 0.5 * gradient)


def test_the_generators_loss_and_gradient_are_those_by_hand() -> None:
    inputs = tiny()
    loss = steps.generator_step(*inputs, nullcontext)
    assert loss.item() == pytest.approx(-math.log(sigmoid(1.0)))
    assert inputs[0].weight.grad.item() == pytest.approx((sigmoid(1.0) - 1) * 0.5)
    assert inputs[1].weight.item() == 1.0  # the discriminator stays as it is


@pytest.mark.parametrize(
    ("step", "reaches"),
    [
        (steps.discriminator_step, False),
        (steps.discriminator_step_no_grad, False),
        (steps.discriminator_step_attached, True),
    ],
)
def test_detached_fakes_give_the_generator_no_gradients(step: Callable[..., Tensor], reaches: bool) -> None:
    inputs = dcgan_inputs(CPU, 16, 2)
    step(*inputs, nullcontext)
    assert [parameter.grad is not None for parameter in inputs[0].parameters()].count(reaches) == len(
        list(inputs[0].parameters())
    )


def test_a_frozen_discriminator_gets_no_gradients_and_can_be_trained_afterwards() -> None:
    inputs = dcgan_inputs(CPU, 16, 2)
    steps.generator_step_frozen(*inputs, nullcontext)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in inputs[1].parameters())
    assert all(parameter.grad is not None for parameter in inputs[0].parameters())


def test_an_iteration_is_the_two_steps_one_after_the_other() -> None:
    torch.manual_seed(0)
    inputs = dcgan_inputs(CPU, 16, 4)
    others = copy.deepcopy(inputs)
    first, second = steps.iteration(*inputs, nullcontext)
    assert first == steps.discriminator_step(*others, nullcontext)
    assert second.item() == pytest.approx(steps.generator_step(*others, nullcontext).item(), rel=1e-5)
    for network, other in zip(inputs[:2], others[:2], strict=True):
        for parameter, expected in zip(network.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(parameter, expected, rtol=1e-4, atol=1e-6)


def test_the_penalty_of_a_linear_critic_is_that_by_hand() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    critic[1].weight.data = torch.tensor([[3.0, 0.0, 4.0, 0.0]])  # its gradient everywhere, of norm 5
    x, fakes = torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2)
    penalty = wasserstein.gradient_penalty(critic, x, fakes, torch.rand(2, 1, 1, 1))
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    penalty.backward()  # type: ignore[no-untyped-call]
    expected = 2 * (5 - 1) * critic[1].weight.detach() / 5
    torch.testing.assert_close(critic[1].weight.grad, expected)


def test_the_gradients_of_the_penalty_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    images = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64)
    share = torch.rand(3, 1, 1, 1, dtype=torch.float64)
    wasserstein.gradient_penalty(critic, *images, share).backward()  # type: ignore[no-untyped-call]
    weight = critic[1].weight
    differences = []
    for change in (1e-6, -1e-6):
        with torch.no_grad():
            weight[0, 0] += change
        differences.append(wasserstein.gradient_penalty(critic, *images, share).item())
        with torch.no_grad():
            weight[0, 0] -= change
    assert weight.grad is not None
    assert weight.grad[0, 0].item() == pytest.approx((differences[0] - differences[1]) / 2e-6, rel=1e-5)


def test_mixtures_lie_between_fakes_and_real_images() -> None:
    seen = []

    class Critic(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach().flatten().tolist())
            return x.flatten(1).sum(1)

    x, fakes = torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)
    wasserstein.gradient_penalty(Critic(), x, fakes, torch.tensor([0.25, 1.0]).view(2, 1, 1, 1))
    assert seen == [[0.25, 1.0]]


def test_weights_of_a_critic_are_clipped() -> None:
    inputs = suite.workloads["wgan_critic_step"].inputs(CPU, pixels=16, batch=2)
    wasserstein.clipped_step(*inputs, nullcontext)
    assert max(parameter.abs().max().item() for parameter in inputs[1].parameters()) == pytest.approx(0.01)


@pytest.mark.parametrize("pixels", GANS)
def test_networks_have_the_shapes_that_their_names_say(pixels: int) -> None:
    gan = GANS[pixels]
    fakes = gan.generator()(torch.randn(2, gan.noise, 1, 1))
    assert fakes.shape == (2, 3, pixels, pixels)
    assert gan.discriminator()(fakes).shape == (2, 1, 1, 1)
    assert counted(gan.generator(), torch.randn(2, gan.noise, 1, 1)) == 2 * 2 * sum(gan.of_generator())
    assert counted(gan.discriminator(), fakes.detach()) == 2 * 2 * sum(gan.of_discriminator())


@pytest.mark.parametrize(
    ("workload", "implementation"),
    [
        ("discriminator_step", "detach"),
        ("discriminator_step", "no_grad"),
        ("generator_step", "frozen"),
        ("wgan_critic_step", "clipped"),
    ],
)
def test_costs_are_what_pytorch_counts(workload: str, implementation: str) -> None:
    described = suite.workloads[workload]
    inputs = described.inputs(CPU, pixels=16, batch=2)
    flops = counted(described.implementations[implementation].function, *inputs, nullcontext)
    assert described.cost is not None
    cost = described.cost(pixels=16, batch=2)
    assert cost.flops == flops
    assert (cost.samples, cost.unit) == (2, "images")


def test_an_iteration_costs_both_steps_without_what_they_share_or_never_use() -> None:
    flops = counted(steps.iteration, *dcgan_inputs(CPU, 16, 2), nullcontext)
    never_used = counted(steps.generator_step, *dcgan_inputs(CPU, 16, 2), nullcontext) - counted(
        steps.generator_step_frozen, *dcgan_inputs(CPU, 16, 2), nullcontext
    )
    cost = suite.workloads["iteration"].cost
    assert cost is not None
    assert cost(pixels=16, batch=2).flops == flops - never_used


def test_a_penalised_step_costs_what_pytorch_counts_without_activations() -> None:
    """With leaky ReLUs, PyTorch also passes on their second derivative, which is zero, through the layers before.

    It also computes a gradient of the last layer's constant gradient, which nothing reads.
    """
    inputs = wgan_gp_inputs(CPU, 16, 2)
    with_zeros = counted(wasserstein.penalised_step, *inputs)
    critic = inputs[1]
    for index, module in enumerate(critic):
        if isinstance(module, nn.LeakyReLU):
            critic[index] = nn.Identity()
    flops = counted(wasserstein.penalised_step, *inputs)
    assert penalty_cost(16, 2).flops == flops - 2 * 2 * GANS[16].of_discriminator()[-1]
    assert flops < with_zeros


@pytest.mark.parametrize("workload", suite.workloads.values(), ids=suite.workloads)
def test_a_step_without_an_optimizer_s_or_with_a_gradient_of_zero_is_refused(workload: Workload) -> None:
    assert accepted(workload, {"pixels": 16, "batch": 4}) == []


def test_a_scaled_iteration_gives_the_parameters_of_one_that_is_not() -> None:
    torch.manual_seed(0)
    inputs = to_reference(dcgan_inputs(CPU, 16, 2))
    others = copy.deepcopy(inputs)
    steps.iteration(*inputs, nullcontext)
    steps.iteration(*others, nullcontext, torch.amp.GradScaler("cpu", init_scale=4.0))
    for network, other in zip(inputs[:2], others[:2], strict=True):
        torch.testing.assert_close(list(network.parameters()), list(other.parameters()))

"""The networks of a deep convolutional GAN (Radford et al. 2016), with their numbers of operations."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn

KERNEL, SMALLEST = 4, 4  # sides of every kernel, and of the smallest maps
COLOURS, SLOPE = 3, 0.2
MEAN, DEVIATION = 1.0, 0.02  # of the initial weights: of a normalisation, and of all


@dataclass(frozen=True)
class GAN:
    """A generator and its adversary for images of ``pixels`` × ``pixels`` in three colours, with values from -1 to 1.

    Attributes:
        pixels: a power of two, 8 at least.
        width: channels of the largest maps; they double whenever the sides halve.
        noise: the generator makes an image of as many random numbers.
    """

    pixels: int
    width: int
    noise: int

    def channels(self) -> tuple[int, ...]:
        """Of the maps from the image on; the sides of each but the first are half those of the one before."""
        halvings = (self.pixels // SMALLEST).bit_length() - 1
        return COLOURS, *(self.width << level for level in range(halvings))

    def generator(self) -> nn.Sequential:
        """Noise (batch, noise, 1, 1) to images (batch, 3, pixels, pixels): transposed convolutions and ReLUs."""
        widths = self.channels()[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(self.noise, widths[0], KERNEL, bias=False)]
        for width_in, width in itertools.pairwise(widths):
            layers += [nn.BatchNorm2d(width_in), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(width_in, width, KERNEL, stride=2, padding=1, bias=False)]
        return initialised(nn.Sequential(*layers, nn.Tanh()))

    def discriminator(self, *, normalised: bool = True) -> nn.Sequential:
        """Images to logits (batch, 1, 1, 1): convolutions and leaky ReLUs.

        Args:
            normalised: with batch normalisation. The critic of WGAN-GP has none, since its penalty is of each image's
                own gradient (Gulrajani et al. 2017, section 4).
        """
        layers: list[nn.Module] = []
        for width_in, width in itertools.pairwise(self.channels()):
            layers += [nn.Conv2d(width_in, width, KERNEL, stride=2, padding=1, bias=not normalised)]
            layers += [nn.BatchNorm2d(width)] if normalised and width_in != COLOURS else []
            layers += [nn.LeakyReLU(SLOPE, inplace=True)]
        layers.append(nn.Conv2d(self.channels()[-1], 1, KERNEL, bias=not normalised))
        return initialised(nn.Sequential(*layers))

    def of_discriminator(self) -> tuple[int, ...]:
        """Multiply-adds per image of each layer: output positions × channels × summands of each value."""
        widths = self.channels()
        sides = [self.pixels >> level for level in range(1, len(widths))]
        layers = [
            side**2 * width_in * width * KERNEL**2
            for side, (width_in, width) in zip(sides, itertools.pairwise(widths), strict=True)
        ]
        return *layers, widths[-1] * KERNEL**2

    def of_generator(self) -> tuple[int, ...]:
        """The same: a transposed convolution is the gradient of a convolution, with as many operations."""
        return self.noise * self.channels()[-1] * KERNEL**2, *self.of_discriminator()[-2::-1]


def initialised(network: nn.Sequential) -> nn.Sequential:
    """Weights from normal distributions of deviation 0.02, as Radford et al. (2016) draw them; biases of zero."""
    for module in network:
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor):
            nn.init.normal_(weight, MEAN if isinstance(module, nn.BatchNorm2d) else 0.0, DEVIATION)
        bias = getattr(module, "bias", None)
        if isinstance(bias, Tensor):
            nn.init.zeros_(bias)
    return network


# By pixels: 64 is the original; the small ones keep a CPU busy for some milliseconds.
GANS = {16: GAN(16, 16, 32), 32: GAN(32, 32, 64), 64: GAN(64, 64, 100)}

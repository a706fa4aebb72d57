"""VGG networks (Simonyan & Zisserman 2015), small and large, with their numbers of operations."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class VGG:
    """The architecture of a VGG network for images of ``pixels`` × ``pixels`` in three colours.

    Attributes:
        stages: output channels of the 3×3 convolutions of each stage; max-pooling after a stage halves the sides.
        hidden: width of the two hidden linear layers.
    """

    pixels: int
    stages: tuple[tuple[int, ...], ...]
    hidden: int
    classes: int

    def network(self) -> nn.Sequential:
        """A new network without dropout, which is random: so a training step can be checked."""
        layers: list[nn.Module] = []
        width_in = 3
        for stage in self.stages:
            for width in stage:
                layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.ReLU()]
                width_in = width
            layers.append(nn.MaxPool2d(2))
        network = nn.Sequential(
            *layers,
            *(nn.Flatten(), nn.Linear(self._features(), self.hidden), nn.ReLU()),
            *(nn.Linear(self.hidden, self.hidden), nn.ReLU(), nn.Linear(self.hidden, self.classes)),
        )
        for parameter in network.parameters():
            if parameter.dim() > 1:  # a weight, as in He et al. 2015: else signals fade from layer to layer
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            else:
                nn.init.zeros_(parameter)
        return network

    def _features(self) -> int:
        """Values per image that the first linear layer takes."""
        return self.stages[-1][-1] * (self.pixels >> len(self.stages)) ** 2

    def multiply_adds(self) -> tuple[int, ...]:
        """Per image, for each convolution and linear layer: positions × channels × summands of each value."""
        counts: list[int] = []
        width_in, side = 3, self.pixels
        for stage in self.stages:
            for width in stage:
                counts.append(side**2 * width * width_in * 9)
                width_in = width
            side //= 2
        return (*counts, self._features() * self.hidden, self.hidden**2, self.hidden * self.classes)


VGGS = {
    "vgg11-narrow": VGG(64, ((16,), (32,), (64, 64), (128, 128), (128, 128)), hidden=256, classes=10),
    "vgg11": VGG(224, ((64,), (128,), (256, 256), (512, 512), (512, 512)), hidden=4096, classes=1000),
}

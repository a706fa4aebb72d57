"""Residual networks (He et al. 2016), small and large, with their numbers of operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3×3 convolutions with batch normalisation beside a shortcut: ``relu(body(x) + shortcut(x))``."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)),
        )
        self.shortcut = nn.Sequential()
        if (width_in, 1) != (width, stride):
            self.shortcut.append(nn.Conv2d(width_in, width, 1, stride, bias=False)).append(nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width_in, n, n) to (batch, width, n / stride, n / stride)."""
        return F.relu(self.body(x) + self.shortcut(x))


@dataclass(frozen=True)
class ResNet:
    """The architecture of a residual network for images of ``pixels`` × ``pixels`` in three colours.

    Attributes:
        widths: channels of each stage; each stage but the first halves the sides.
        blocks: number of blocks in each stage.
        large: whether it begins with a 7×7 convolution and max-pooling, which quarter the sides, instead of a 3×3
            convolution.
    """

    pixels: int
    widths: tuple[int, ...]
    blocks: int
    classes: int
    large: bool = False

    def network(self) -> nn.Sequential:
        """A new network."""
        width = self.widths[0]
        kernel, stride = (7, 2) if self.large else (3, 1)
        return nn.Sequential(
            *(nn.Conv2d(3, width, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *([nn.MaxPool2d(3, 2, padding=1)] if self.large else []),
            *(Block(*shape) for shape in self._shapes()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.widths[-1], self.classes)),
        )

    def _shapes(self) -> Iterator[tuple[int, int, int]]:
        """(channels in, channels out, stride) of each block."""
        width_in = self.widths[0]
        for stage, width in enumerate(self.widths):
            for block in range(self.blocks):
                yield width_in, width, 2 if stage and not block else 1
                width_in = width

    def multiply_adds(self) -> tuple[int, ...]:
        """Per image, for each convolution and the linear layer: positions × channels × summands of each value."""
        side = self.pixels // (2 if self.large else 1)
        layers = [side**2 * self.widths[0] * 3 * (49 if self.large else 9)]
        side //= 2 if self.large else 1
        for width_in, width, stride in self._shapes():
            side //= stride
            layers += [side**2 * width * width_in * 9, side**2 * width * width * 9]
            if (width_in, 1) != (width, stride):
                layers.append(side**2 * width * width_in)
        return (*layers, self.widths[-1] * self.classes)


RESNETS = {
    "resnet8": ResNet(32, (16, 32, 64), blocks=1, classes=10),
    "resnet18-narrow": ResNet(64, (16, 32, 64, 128), blocks=2, classes=1000, large=True),
    "resnet18": ResNet(224, (64, 128, 256, 512), blocks=2, classes=1000, large=True),
}

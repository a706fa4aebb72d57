"""Tiny YOLO, version 2 (Redmon & Farhadi 2017): the network, its loss and its boxes.

The published loss compares each predicted box with a threshold, so that rounding decides which predictions it counts.
The loss here is that of version 3 without such a threshold: an object belongs to the anchor of the most similar shape
in the cell of its centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 32  # pixels of the side of a cell
ANCHORS = ((1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52))  # width, height; of 13 cells
GRID = 13
COORDINATES_WEIGHT, NOTHING_WEIGHT = 5.0, 0.5  # of the loss, Redmon et al. 2016, §2.2


@dataclass(frozen=True)
class TinyYolo:
    """The architecture for images of ``pixels`` × ``pixels``.

    Attributes:
        width: channels of the first of eight 3×3 convolutions.
    """

    pixels: int
    width: int
    classes: int = 20

    def widths(self) -> tuple[int, ...]:
        """Output channels of the 3×3 convolutions."""
        return (*(self.width << doubled for doubled in range(7)), self.width << 6)

    def outputs(self) -> int:
        """Values per cell: for each anchor four coordinates, the score of an object, and scores of the classes."""
        return len(ANCHORS) * (5 + self.classes)

    def network(self) -> nn.Sequential:
        """A new network: (batch, 3, pixels, pixels) to (batch, anchors × (5 + classes), cells, cells)."""
        layers: list[nn.Module] = []
        width_in = 3
        for layer, width in enumerate(self.widths()):
            layers += [nn.Conv2d(width_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.1)]
            if layer < 5:
                layers.append(nn.MaxPool2d(2))
            elif layer == 5:  # of the same size
                layers += [nn.ReplicationPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, stride=1)]
            width_in = width
        return nn.Sequential(*layers, nn.Conv2d(width_in, self.outputs(), 1))

    def anchors(self) -> Tensor:
        """Width and height of each anchor (anchors, 2), in cells."""
        return torch.tensor(ANCHORS) * (self.pixels / CELL / GRID)

    def multiply_adds(self) -> tuple[int, ...]:
        """Per image, for each convolution: positions × channels × summands of each value."""
        counts: list[int] = []
        width_in, side = 3, self.pixels
        for layer, width in enumerate(self.widths()):
            counts.append(side**2 * width * width_in * 9)
            width_in = width
            side //= 2 if layer < 5 else 1
        return (*counts, side**2 * width_in * self.outputs())


def random_objects(architecture: TinyYolo, batch: int, each: int = 4) -> tuple[Tensor, ...]:
    """``each`` random objects per image, as the loss takes them.

    Returns:
        Four tensors. ``index`` (4, objects): image, anchor, row and column of the prediction that an object belongs to.
        ``centre`` (objects, 2): in its cell, from 0 to 1. ``stretch`` (objects, 2): the logarithm of its size in
        anchors. ``label`` (objects,): its class.
    """
    anchors, cells = architecture.anchors(), architecture.pixels // CELL
    count = batch * each
    centre = torch.rand(count, 2) * cells
    size = (0.1 + 0.8 * torch.rand(count, 2)) * cells
    intersection = torch.minimum(size[:, None], anchors).prod(dim=2)
    anchor = (intersection / (size.prod(dim=1)[:, None] + anchors.prod(dim=1) - intersection)).argmax(dim=1)
    column, row = centre.long().clamp(max=cells - 1).unbind(dim=1)
    index = torch.stack((torch.arange(batch).repeat_interleave(each), anchor, row, column))
    return index, centre.frac(), (size / anchors[anchor]).log(), torch.randint(architecture.classes, (count,))


def by_anchor(output: Tensor) -> Tensor:
    """The network's output as (batch, anchors, rows, columns, 5 + classes)."""
    return output.reshape(len(output), len(ANCHORS), -1, *output.shape[2:]).movedim(2, -1)


def loss_of(output: Tensor, index: Tensor, centre: Tensor, stretch: Tensor, label: Tensor) -> Tensor:
    """The sum of the losses of coordinates, objects and classes, per image; see :func:`random_objects`."""
    predicted = by_anchor(output)
    image, anchor, row, column = index
    matched = predicted[image, anchor, row, column]
    has_object = torch.zeros_like(predicted[..., 4])
    has_object[image, anchor, row, column] = 1
    weight = NOTHING_WEIGHT + (1 - NOTHING_WEIGHT) * has_object
    coordinates = F.mse_loss(matched[:, :2].sigmoid(), centre, reduction="sum")
    coordinates = coordinates + F.mse_loss(matched[:, 2:4], stretch, reduction="sum")
    objects = F.binary_cross_entropy_with_logits(predicted[..., 4], has_object, weight, reduction="sum")
    classes = F.cross_entropy(matched[:, 5:], label, reduction="sum")
    return (COORDINATES_WEIGHT * coordinates + objects + classes) / len(output)


def decode(output: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (batch, n, 4) in pixels, and scores (batch, n, classes), of all n = anchors × cells predictions."""
    predicted = by_anchor(output)
    cells = torch.arange(predicted.shape[2], device=output.device)
    corner = torch.stack((cells.expand(len(cells), -1), cells[:, None].expand(-1, len(cells))), dim=-1)
    centre = predicted[..., :2].sigmoid() + corner
    half = predicted[..., 2:4].exp() * anchors[:, None, None] / 2
    boxes = torch.cat((centre - half, centre + half), dim=-1) * CELL
    scores = predicted[..., 4:5].sigmoid() * predicted[..., 5:].softmax(dim=-1)
    return boxes.flatten(1, 3), scores.flatten(1, 3)


TINY_YOLOS = {"tiny-yolo-narrow": TinyYolo(128, width=4), "tiny-yolo": TinyYolo(416, width=16)}

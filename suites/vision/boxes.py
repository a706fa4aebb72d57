"""Boxes: how much they overlap, and non-maximum suppression in two ways.

A box is (left, top, right, bottom) in pixels. Boxes come in descending order of their scores.
"""

from __future__ import annotations

import torch
from torch import Tensor

OVERLAP = 0.5  # boxes that overlap more than this show the same object


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each of n boxes (n, 4) with each of m others (m, 4): (n, m)."""
    least = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    greatest = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    common = (least - greatest).clamp(min=0).prod(dim=2)
    area, other_area = ((some[:, 2:] - some[:, :2]).prod(dim=1) for some in (boxes, others))
    return common / (area[:, None] + other_area[None, :] - common)


def greedy(boxes: Tensor) -> Tensor:
    """Which boxes are kept (n,): the best one suppresses what overlaps it, and so on with the rest."""
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    left = torch.arange(len(boxes), device=boxes.device)
    while len(left):
        best, left = left[0], left[1:]
        kept[best] = True
        left = left[overlaps(boxes[best][None], boxes[left])[0] <= OVERLAP]
    return kept


def cluster(boxes: Tensor) -> Tensor:
    """The same by Cluster-NMS (Zheng et al. 2020): all overlaps at once.

    A box is kept if no kept box before it overlaps it; this is repeated until nothing changes, as often as the longest
    chain of overlapping boxes.
    """
    suppresses = (overlaps(boxes, boxes) > OVERLAP).triu(diagonal=1)
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    while True:
        before, kept = kept, ~(suppresses & kept[:, None]).any(dim=0)
        if torch.equal(before, kept):
            return kept


def detections(boxes: Tensor, scores: Tensor, most: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of each image the boxes that remain, their scores and classes, in descending order of scores.

    Args:
        boxes: (batch, n, 4).
        scores: (batch, n, classes).
        most: number of boxes that suppression begins with, the best ones of each image.
    """
    best, classes = scores.max(dim=2)
    best, places = best.topk(min(most, best.shape[1]), dim=1)
    found = []
    for of_image, score, place, label in zip(boxes, best, places, classes, strict=True):
        candidates, labels = of_image[place], label[place]
        # Boxes of different classes are moved apart, so that none suppresses another.
        apart = labels[:, None] * (candidates.max() - candidates.min() + 1)
        kept = cluster(candidates + apart)
        found.append((candidates[kept], score[kept], labels[kept]))
    return found

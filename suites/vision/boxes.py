"""Boxes: how much they overlap, and non-maximum suppression in two ways.

A box is (left, top, right, bottom) in pixels. Boxes come in descending order of their scores.
"""

from __future__ import annotations

import torch
from torch import Tensor

OVERLAP = 0.5  # boxes that overlap more than this show the same object


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each of n boxes (n, 4) with each of m others (m, 4): (n, m)."""
    right_bottom = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    left_top = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    intersection = (right_bottom - left_top).clamp(min=0).prod(dim=2)
    area, other_area = ((corners[:, 2:] - corners[:, :2]).prod(dim=1) for corners in (boxes, others))
    return intersection / (area[:, None] + other_area[None, :] - intersection)


def greedy(boxes: Tensor) -> Tensor:
    """Whether each box is kept (n,): the best one suppresses the boxes that overlap it, and so on with the rest."""
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    candidates = torch.arange(len(boxes), device=boxes.device)
    while len(candidates):
        best, candidates = candidates[0], candidates[1:]
        kept[best] = True
        candidates = candidates[overlaps(boxes[best][None], boxes[candidates])[0] <= OVERLAP]
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


def detections(boxes: Tensor, scores: Tensor, max_boxes: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The boxes that remain in each image, their scores and classes, in descending order of scores.

    Args:
        boxes: (batch, n, 4).
        scores: (batch, n, classes).
        max_boxes: number of boxes that suppression begins with, the best ones of each image.
    """
    best, classes = scores.max(dim=2)
    best, indices = best.topk(min(max_boxes, best.shape[1]), dim=1)
    remaining = []
    for image_boxes, image_scores, index, image_classes in zip(boxes, best, indices, classes, strict=True):
        candidates, labels = image_boxes[index], image_classes[index]
        # Boxes of different classes are moved to different regions, so that none suppresses another.
        offset = labels[:, None] * (candidates.max() - candidates.min() + 1)
        kept = cluster(candidates + offset)
        remaining.append((candidates[kept], image_scores[kept], labels[kept]))
    return remaining

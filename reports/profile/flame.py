"""Computes a flame graph's frames: nested names, as wide as their time. Drawing them is left to the template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchduet.reports.profile.categories import CATEGORIES, PYTHON, host_category
from torchduet.reports.profile.tree import Node
from torchduet.reports.text import units

MIN_SHARE = 0.004  # of a call; narrower frames can be neither seen nor selected
MAX_FRAMES = 160
MAX_DEPTH = 40


@dataclass(frozen=True)
class Frame:
    """One name within those above it; left and width in per cent of a call, depth from 0.

    Attributes:
        tone: index of its category, which selects its colour.
        description: name, time and share in words.
    """

    name: str
    left: float
    width: float
    depth: int
    tone: int
    description: str


def frames(root: Node) -> list[Frame]:
    """The widest frames of a tree, at most ``MAX_FRAMES``, each parent before its children."""
    nested = list(_frames(root, root, 0.0, ()))
    if len(nested) > MAX_FRAMES:
        narrowest = sorted((frame.width for frame in nested), reverse=True)[MAX_FRAMES - 1]
        nested = [frame for frame in nested if frame.width >= narrowest][:MAX_FRAMES]
    return nested


def _frames(node: Node, root: Node, left: float, above: tuple[str, ...]) -> Iterator[Frame]:
    depth = len(above)
    share = _share(node, root)
    if share < MIN_SHARE or depth > MAX_DEPTH:
        return
    kind = PYTHON if node is root else host_category(node.name, node.kind, above[1:])
    per_call = node.total / root.calls
    description = f"{node.name}: {units.seconds(per_call)}, {units.percent(share)} of a call"
    if node is not root and node.calls != root.calls:
        description += f", {node.calls / root.calls:.3g} times"
    yield Frame(node.name, left, 100 * share, depth, CATEGORIES.index(kind), description)
    for child in sorted(node.children.values(), key=lambda child: -child.total):
        yield from _frames(child, root, left, (*above, node.name))
        left += 100 * _share(child, root)


def _share(node: Node, root: Node) -> float:
    """A node's share of a call: all for the root, even where calls were recorded without a length."""
    return node.total / root.total if root.total else float(node is root)

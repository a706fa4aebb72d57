"""A flame graph's frames: what ran within what, as wide as it took. How they look is left to the template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchduet.reports.profile.categories import CATEGORIES, PYTHON, category_within
from torchduet.reports.profile.tree import Node
from torchduet.reports.text import units

NARROWEST = 0.004  # of the whole; narrower ones cannot be seen, nor chosen
MAX = 160
DEEPEST = 40


@dataclass(frozen=True)
class Frame:
    """One name within those above it; left and width in per cent of a call, depth from 0.

    Attributes:
        tone: its category's place.
        said: the whole of it in words.
    """

    name: str
    left: float
    width: float
    depth: int
    tone: int
    said: str


def frames(root: Node) -> list[Frame]:
    """The frames of a tree, each parent before its children, at most 160: the widest."""
    found = list(_frames(root, root, 0.0, ()))
    if len(found) > MAX:
        narrowest = sorted((frame.width for frame in found), reverse=True)[MAX - 1]
        found = [frame for frame in found if frame.width >= narrowest][:MAX]
    return found


def _frames(node: Node, root: Node, left: float, above: tuple[str, ...]) -> Iterator[Frame]:
    depth = len(above)
    share = node.total / root.total if root.total else 0.0
    if share < NARROWEST or depth > DEEPEST:
        return
    kind = PYTHON if node is root or node.kind == "python" else category_within(node.name, above[1:])
    per_call = node.total / root.calls
    said = f"{node.name}: {units.seconds(per_call)}, {units.percent(share)} of a call"
    if node is not root and node.calls != root.calls:
        said += f", {node.calls / root.calls:.3g} times"
    yield Frame(node.name, left, 100 * share, depth, CATEGORIES.index(kind), said)
    for child in sorted(node.children.values(), key=lambda one: -one.total):
        yield from _frames(child, root, left, (*above, node.name))
        left += 100 * child.total / root.total

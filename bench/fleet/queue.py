"""Which family a machine of a fleet measures next, and what becomes of it when the machine is lost.

Whole families only. Machines are grouped in kinds: times are compared within a kind, so that every kind measures its
own families, and what one machine loses goes to another of the same kind. No process and no clock: the driver calls.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

MAX_LOSSES = 3  # machines that may be lost with the same family in hand, until the family is given up


class QueueError(ValueError):
    """A call that does not fit what was called before; the message names the node or the kind."""


@dataclass
class _Kind:
    """The families of one kind of machine.

    Attributes:
        queue: families to be handed out, the next one first.
        in_hand: node → the family that it measures.
        nodes: present nodes in the order in which they joined → the families that they can measure (None: all).
        losses: family → how many nodes were lost while they measured it.
        failed: family → why it is given up.
        seconds: of the families that are neither done nor given up.
    """

    families: dict[str, float]
    queue: deque[str]
    done: set[str]
    seconds: float
    in_hand: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, frozenset[str] | None] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)


class Queue:
    """The families of every kind of machine, each handed out once, the longest first.

    A family is queued, in the hand of one node, done, or given up. Families that came back go out again before all
    others, so that a long one does not start last.

    Args:
        split: the nodes of a kind share its families (``--split``). Otherwise one node of each kind measures all of
            them, and the other nodes of the kind wait to take its place.
        max_losses: so many nodes may be lost with the same family in hand before it is given up, for each kind.
    """

    def __init__(self, *, split: bool = True, max_losses: int = MAX_LOSSES) -> None:
        self.split, self.max_losses = split, max_losses
        self._kinds: dict[str, _Kind] = {}
        self._kind_of: dict[str, str] = {}

    def plan(self, kind: str, families: Mapping[str, float], done: Collection[str] = ()) -> None:
        """Add a kind of machine with its families; called once for each kind, before its first node joins.

        Args:
            families: name → seconds that it takes about, in the order of the suite.
            done: those that an earlier run of the same fleet has measured (``--resume``).

        Raises:
            QueueError: the kind was planned before, or a done family is none of its families.
        """
        if kind in self._kinds:
            raise QueueError(f"the families of {kind} are planned already")
        if unknown := sorted(set(done) - families.keys()):
            raise QueueError(f"{kind} has no family {', '.join(unknown)}")
        # sorted() keeps the suite's order of families that take equally long.
        longest_first = sorted((name for name in families if name not in done), key=lambda name: -families[name])
        seconds = sum(families[name] for name in longest_first)
        self._kinds[kind] = _Kind(dict(families), deque(longest_first), set(done), seconds)

    def joined(self, node: str, kind: str, able: Collection[str] | None = None) -> None:
        """A node takes part from now on; one that was lost may join again.

        Args:
            able: the families that it can measure; None: all of its kind.

        Raises:
            QueueError: it takes part already, or its kind has no plan yet.
        """
        if node in self._kind_of:
            raise QueueError(f"{node} takes part already")
        if kind not in self._kinds:
            raise QueueError(f"the families of {kind} are not planned yet")
        self._kind_of[node] = kind
        self._kinds[kind].nodes[node] = None if able is None else frozenset(able)

    def take(self, node: str) -> str | None:
        """The family that a node measures next; None: nothing now, see :meth:`waiting_for`.

        Raises:
            QueueError: the node does not take part, or it has a family in hand.
        """
        of = self._of(node)
        if node in of.in_hand:
            raise QueueError(f"{node} has {of.in_hand[node]} in hand")
        if not self._may_take(of, node):
            return None
        able = of.nodes[node]
        family = next((name for name in of.queue if able is None or name in able), None)
        if family is not None:
            of.queue.remove(family)  # the first one, but for nodes that are not able to measure every family
            of.in_hand[node] = family
        return family

    def done(self, node: str, family: str) -> bool:
        """A node has measured a family; returns whether that counts.

        It does not if the node has not the family in hand: it was declared lost before, and the family was queued
        again. Then its answer is to be left out, or the family would be counted twice.
        """
        kind = self._kind_of.get(node)
        of = self._kinds[kind] if kind is not None else None
        if of is None or of.in_hand.get(node) != family:
            return False
        del of.in_hand[node]
        of.done.add(family)
        of.seconds -= of.families[family]
        return True

    def lost(self, node: str) -> str | None:
        """A node has died; returns the family that it had in hand, if any.

        The family is queued again for the same kind, before all others, unless too many nodes were lost with it.

        Raises:
            QueueError: the node does not take part.
        """
        of = self._of(node)
        family = self.left(node)
        if family is None:
            return None
        of.losses[family] += 1
        if of.losses[family] >= self.max_losses:
            of.queue.popleft()
            of.seconds -= of.families[family]
            of.failed[family] = f"{of.losses[family]} machines were lost while they measured {family}"
        return family

    def left(self, node: str) -> str | None:
        """A node takes part no longer, without a fault: it was preempted or is to end; returns the family in hand.

        The family is queued again for the same kind, before all others.

        Raises:
            QueueError: the node does not take part.
        """
        of = self._of(node)
        family = of.in_hand.pop(node, None)
        del of.nodes[node], self._kind_of[node]
        if family is not None:
            of.queue.appendleft(family)
        return family

    def waiting_for(self, node: str) -> tuple[str, ...]:
        """The families for which a node that was given none has to wait: they may still become its own.

        These are the families in the hands of others of its kind, and, for a node that only waits to take the place of
        another, the families in the queue. Empty: nothing is left for the node, and it may end.

        Raises:
            QueueError: the node does not take part.
        """
        of = self._of(node)
        able = of.nodes[node]
        others = [family for holder, family in of.in_hand.items() if holder != node]
        queued = () if self._may_take(of, node) else of.queue
        return tuple(name for name in (*others, *queued) if able is None or name in able)

    def in_hand(self, node: str) -> str | None:
        """The family that a node measures.

        Raises:
            QueueError: the node does not take part.
        """
        return self._of(node).in_hand.get(node)

    def nodes(self, kind: str) -> tuple[str, ...]:
        """The nodes of a kind that take part, in the order in which they joined."""
        return tuple(self._kinds[kind].nodes)

    def kinds(self) -> tuple[str, ...]:
        """The kinds in the order in which they were planned."""
        return tuple(self._kinds)

    def measured(self, kind: str) -> tuple[str, ...]:
        """The families of a kind that are done, in the order of the suite."""
        of = self._kinds[kind]
        return tuple(name for name in of.families if name in of.done)

    def failed(self, kind: str) -> dict[str, str]:
        """The families of a kind that are given up, with the reason of each."""
        return dict(self._kinds[kind].failed)

    def unreached(self) -> dict[str, tuple[str, ...]]:
        """Kind → its queued families that no node which takes part can measure, in the order of the suite.

        All queued families of a kind without any node are among them; a node that joins can still measure them.
        """
        found = {kind: self._unreached(of) for kind, of in self._kinds.items()}
        return {kind: names for kind, names in found.items() if names}

    def number(self, kind: str) -> tuple[int, int]:
        """How many families of a kind are done or given up, and how many there are."""
        of = self._kinds[kind]
        return len(of.done) + len(of.failed), len(of.families)

    def seconds_left(self, kind: str) -> float:
        """The seconds of the families of a kind that are queued or in hand, as they were planned."""
        return max(0.0, self._kinds[kind].seconds)

    @property
    def ended(self) -> bool:
        """Whether no family is in hand, and none is queued that a node which takes part can measure."""
        return all(not of.in_hand and len(of.queue) == len(self._unreached(of)) for of in self._kinds.values())

    def _unreached(self, of: _Kind) -> tuple[str, ...]:
        if not of.queue or None in of.nodes.values():
            return ()
        able = frozenset().union(*(names for names in of.nodes.values() if names is not None))
        queued = set(of.queue) - able
        return tuple(name for name in of.families if name in queued)

    def _of(self, node: str) -> _Kind:
        if node not in self._kind_of:
            raise QueueError(f"{node} does not take part")
        return self._kinds[self._kind_of[node]]

    def _may_take(self, of: _Kind, node: str) -> bool:
        """Whether it is one of those that measure: with ``split`` all nodes, otherwise the first of its kind."""
        return self.split or next(iter(of.nodes)) == node

"""The queue of a fleet: no family is lost, none is measured twice, and what is lost goes to the same kind."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from torchduet.bench.fleet.queue import MAX_LOSSES, Queue, QueueError

SUITE = {"short": 1.0, "long": 30.0, "middle": 5.0, "also middle": 5.0}


def queue_of(*nodes: str, split: bool = True) -> Queue:
    queue = Queue(split=split)
    queue.plan("A100", SUITE)
    for node in nodes:
        queue.joined(node, "A100")
    return queue


def test_the_longest_family_goes_out_first_and_equal_ones_in_the_order_of_the_suite() -> None:
    queue = queue_of("a")
    order = []
    while (family := queue.take("a")) is not None:
        order.append(family)
        assert queue.done("a", family)
    assert order == ["long", "middle", "also middle", "short"]
    assert queue.ended
    assert queue.measured("A100") == tuple(SUITE)


def test_a_family_of_a_lost_node_goes_out_first_and_to_its_kind_only() -> None:
    queue = queue_of("a", "b")
    queue.plan("H100", SUITE)
    queue.joined("c", "H100")
    assert (queue.take("a"), queue.take("b")) == ("long", "middle")
    assert queue.lost("a") == "long"
    assert queue.done("b", "middle")
    assert queue.take("b") == "long"
    for family in ("long", "middle", "also middle", "short"):
        assert queue.take("c") == family
        queue.done("c", family)


def test_the_answer_of_a_node_that_was_declared_lost_does_not_count() -> None:
    queue = queue_of("a", "b")
    assert queue.take("a") == "long"
    queue.lost("a")
    assert not queue.done("a", "long")
    assert queue.take("b") == "long"
    assert not queue.done("a", "long")
    assert queue.done("b", "long")
    assert not queue.done("b", "long")


def test_a_family_that_takes_three_nodes_with_it_is_given_up_and_says_so() -> None:
    queue = queue_of()
    for number in range(MAX_LOSSES):
        queue.joined(f"node {number}", "A100")
        assert queue.take(f"node {number}") == "long"
        queue.lost(f"node {number}")
    assert queue.failed("A100") == {"long": "3 machines were lost while they measured long"}
    queue.joined("last", "A100")
    assert queue.take("last") == "middle"


def test_a_node_that_is_preempted_says_nothing_against_its_family() -> None:
    queue = queue_of()
    for number in range(3 * MAX_LOSSES):
        queue.joined(f"node {number}", "A100")
        assert queue.take(f"node {number}") == "long"
        assert queue.left(f"node {number}") == "long"
    assert queue.failed("A100") == {}


def test_a_node_without_work_waits_for_what_others_of_its_kind_have_in_hand() -> None:
    queue = Queue()
    queue.plan("A100", {"one": 1.0, "two": 2.0})
    for node in ("a", "b", "c"):
        queue.joined(node, "A100")
    assert (queue.take("a"), queue.take("b"), queue.take("c")) == ("two", "one", None)
    assert set(queue.waiting_for("c")) == {"one", "two"}
    assert queue.waiting_for("a") == ("one",)
    queue.done("a", "two")
    queue.lost("b")
    assert queue.take("c") == "one"
    assert queue.waiting_for("a") == ("one",)
    queue.done("c", "one")
    assert queue.waiting_for("a") == ()
    assert queue.ended


def test_without_splitting_one_node_of_a_kind_measures_all_and_another_takes_its_place() -> None:
    queue = queue_of("a", "b", split=False)
    assert (queue.take("a"), queue.take("b")) == ("long", None)
    assert set(queue.waiting_for("b")) == SUITE.keys()
    queue.done("a", "long")
    queue.take("a")
    queue.lost("a")
    order = []
    while (family := queue.take("b")) is not None:
        order.append(family)
        queue.done("b", family)
    assert order == ["middle", "also middle", "short"]
    assert queue.measured("A100") == tuple(SUITE)


def test_families_of_a_kind_without_nodes_are_named_until_one_joins() -> None:
    queue = queue_of("a")
    assert queue.unreached() == {}
    queue.lost("a")
    assert queue.unreached() == {"A100": tuple(SUITE)}
    assert queue.ended
    queue.joined("b", "A100")
    assert queue.unreached() == {}
    assert not queue.ended


def test_a_node_takes_only_what_it_can_measure() -> None:
    queue = Queue()
    queue.plan("A100", {"on one GPU": 1.0, "on two GPUs": 2.0})
    queue.joined("small", "A100", able=["on one GPU"])
    assert queue.unreached() == {"A100": ("on two GPUs",)}
    assert queue.take("small") == "on one GPU"
    queue.done("small", "on one GPU")
    assert queue.take("small") is None
    assert queue.waiting_for("small") == ()
    queue.joined("large", "A100")
    assert queue.take("large") == "on two GPUs"
    assert queue.waiting_for("small") == ()


def test_what_an_earlier_run_measured_is_not_handed_out() -> None:
    queue = Queue()
    queue.plan("A100", SUITE, done=["long", "short"])
    queue.joined("a", "A100")
    assert queue.seconds_left("A100") == 10.0
    assert queue.number("A100") == (2, 4)
    assert queue.take("a") == "middle"
    with pytest.raises(QueueError, match="H100 has no family other"):
        queue.plan("H100", SUITE, done=["other"])


def test_calls_in_a_wrong_order_are_refused() -> None:
    queue = queue_of("a")
    with pytest.raises(QueueError, match="a takes part already"):
        queue.joined("a", "A100")
    with pytest.raises(QueueError, match="families of H100 are not planned yet"):
        queue.joined("b", "H100")
    with pytest.raises(QueueError, match="families of A100 are planned already"):
        queue.plan("A100", {})
    with pytest.raises(QueueError, match="b does not take part"):
        queue.take("b")
    with pytest.raises(QueueError, match="b does not take part"):
        queue.lost("b")
    queue.take("a")
    with pytest.raises(QueueError, match="a has long in hand"):
        queue.take("a")


class Fleet(RuleBasedStateMachine):
    """Nodes of several kinds that join, take, finish, leave and die at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.nodes: dict[str, str] = {}
        self.in_hand: dict[str, str] = {}
        self.suites: dict[str, dict[str, float]] = {}
        self.able: dict[str, frozenset[str] | None] = {}
        self.measured: dict[str, list[str]] = {}
        self.losses: dict[tuple[str, str], int] = {}
        self.back: dict[str, list[str]] = {}  # families that came back, the last one first
        self.queue = Queue()

    @rule(split=st.booleans())
    @precondition(lambda self: not self.suites)
    def begin(self, split: bool) -> None:
        self.queue = Queue(split=split)

    @rule(seconds=st.lists(st.integers(1, 20).map(float), max_size=8))
    @precondition(lambda self: len(self.suites) < 3)
    def plan(self, seconds: list[float]) -> None:
        kind = f"kind {len(self.suites)}"
        self.suites[kind] = {f"family {number}": length for number, length in enumerate(seconds)}
        self.measured[kind], self.back[kind] = [], []
        self.queue.plan(kind, self.suites[kind])

    @rule(data=st.data())
    @precondition(lambda self: self.suites)
    def join(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(sorted(self.suites)))
        node = f"node {self.number}"
        self.number += 1
        self.nodes[node] = kind
        names = sorted(self.suites[kind])
        able = data.draw(st.none() | st.sets(st.sampled_from(names))) if names else None
        self.able[node] = None if able is None else frozenset(able)
        self.queue.joined(node, kind, able)

    def _can(self, node: str, family: str) -> bool:
        able = self.able[node]
        return able is None or family in able

    def _node(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.nodes)))

    @rule(data=st.data())
    @precondition(lambda self: self.nodes.keys() - self.in_hand.keys())
    def take(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.nodes.keys() - self.in_hand.keys())))
        kind, suite = self.nodes[node], self.suites[self.nodes[node]]
        held = {self.in_hand[other] for other in self.in_hand if self.nodes[other] == kind}
        gone = {*self.measured[kind], *held, *self.queue.failed(kind)}
        left = [name for name in suite if name not in gone and self._can(node, name)]
        family = self.queue.take(node)
        if not self.queue.split and self.queue.nodes(kind)[0] != node:
            assert family is None
            return
        if family is None:
            assert not left, "a node that could measure something was given nothing"
            assert set(self.queue.waiting_for(node)) == {name for name in held if self._can(node, name)}
            return
        assert family in left
        back = [name for name in self.back[kind] if name in left]
        if back:
            assert family == back[0]
            self.back[kind].remove(family)
        else:
            assert suite[family] == max(suite[name] for name in left)
        self.in_hand[node] = family

    @rule(data=st.data())
    @precondition(lambda self: self.in_hand)
    def done(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.in_hand)))
        family = self.in_hand.pop(node)
        assert self.queue.done(node, family)
        self.measured[self.nodes[node]].append(family)
        assert not self.queue.done(node, family)

    @rule(data=st.data(), fault=st.booleans())
    @precondition(lambda self: self.nodes)
    def part(self, data: st.DataObject, fault: bool) -> None:
        node = self._node(data)
        kind, family = self.nodes.pop(node), self.in_hand.pop(node, None)
        assert (self.queue.lost if fault else self.queue.left)(node) == family
        if family is None:
            return
        self.losses[kind, family] = self.losses.get((kind, family), 0) + fault
        if self.losses[kind, family] < MAX_LOSSES:
            self.back[kind].insert(0, family)
        assert not self.queue.done(node, family), "the answer of a node that is gone counted"

    @invariant()
    def no_family_is_lost_or_measured_twice(self) -> None:
        for kind, suite in self.suites.items():
            assert len(self.measured[kind]) == len(set(self.measured[kind]))
            assert set(self.queue.measured(kind)) == set(self.measured[kind])
            held = [self.in_hand[node] for node in self.in_hand if self.nodes[node] == kind]
            assert len(held) == len(set(held))
            given_up = {name for name in suite if self.losses.get((kind, name), 0) >= MAX_LOSSES}
            assert self.queue.failed(kind).keys() == given_up
            left = suite.keys() - set(self.measured[kind]) - given_up
            assert self.queue.seconds_left(kind) == sum(suite[name] for name in left)
            unreached = set(self.queue.unreached().get(kind, ()))
            nodes = [node for node, its in self.nodes.items() if its == kind]
            queued = left - set(held)
            assert unreached == {name for name in queued if not any(self._can(node, name) for node in nodes)}

    def teardown(self) -> None:
        """Whatever has happened: one more node of each kind measures all that is left."""
        for kind, suite in self.suites.items():
            for node in [node for node, its in self.nodes.items() if its == kind]:
                self.queue.left(node)
            self.queue.joined("last", kind)
            while (family := self.queue.take("last")) is not None:
                assert self.queue.done("last", family)
                self.measured[kind].append(family)
            assert sorted([*self.measured[kind], *self.queue.failed(kind)]) == sorted(suite)
            assert self.queue.waiting_for("last") == ()
            self.queue.left("last")
        assert self.queue.ended


TestFleet = Fleet.TestCase

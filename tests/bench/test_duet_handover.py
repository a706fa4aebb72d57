"""Two sides that hand over to each other: who takes which block, and what becomes of errors, pauses and deaths."""

import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from torchduet.bench.duet.handover import IS_WAITING, Turns
from torchduet.bench.host.suspension import MAX_RETAKES
from torchduet.bench.received.channel import Channel

ROOMY = 60.0


class Sides:
    """Both sides of a placement as two threads, whose blocks are written down in the order taken."""

    def __init__(self, turns: Sequence[tuple[int, int]], answers: dict[tuple[int, int], list[Any]], **order: Any):
        self.log: list[tuple[int, int]] = []  # (side, case)
        self._answers = {key: [*values] for key, values in answers.items()}
        ends, self.controllers = socket.socketpair(), [socket.socketpair() for _ in range(2)]
        self.peers = [Channel(end) for end in ends]
        self.results: dict[int, Any] = {}
        common = {"peer": 0, "stops": False, "turns": turns, "timed": [], "seconds": ROOMY, "cores": [], **order}
        self.sides = [
            Turns(
                {**common, "side": side},
                self.peers[side],
                Channel(self.controllers[side][1]),
                lambda case, side=side: self._block(side, case),
            )
            for side in range(2)
        ]

    def _block(self, side: int, case: int) -> Any:
        self.log.append((side, case))
        answers = self._answers.get((side, case))
        found = answers.pop(0) if answers else {}
        return found if "error" in found else {"seconds": 3.0 + 2 * case + side, "cpu": None, "paused": 0.0} | found

    def take(self) -> tuple[Any, Any]:
        threads = [threading.Thread(target=self._take, args=[side]) for side in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        return self.results[0], self.results[1]

    def _take(self, side: int) -> None:
        self.results[side] = self.sides[side].take()

    def close(self) -> None:
        for end in [*self.peers, *(end for both in self.controllers for end in both)]:
            end.close()


@pytest.fixture
def opened() -> Iterator[list[Sides]]:
    every: list[Sides] = []
    yield every
    for sides in every:
        sides.close()


def test_each_turn_has_a_block_of_both_sides_in_its_own_order(opened: list[Sides]) -> None:
    turns = [(0, 1), (1, 0), (0, 0), (1, 1)]
    opened.append(sides := Sides(turns, {}))
    a, b = sides.take()
    assert sides.log == [(1, 0), (0, 0), (0, 1), (1, 1), (0, 0), (1, 0), (1, 1), (0, 1)]
    assert (a["blocks"], b["blocks"]) == ([3.0, 5.0, 3.0, 5.0], [4.0, 6.0, 4.0, 6.0])
    assert a["errors"] == b["errors"] == {}


def test_no_turns_are_over_at_once(opened: list[Sides]) -> None:
    opened.append(sides := Sides([], {}))
    a, b = sides.take()
    assert a["blocks"] == b["blocks"] == []


@pytest.mark.parametrize("side", [0, 1])
def test_a_case_that_fails_on_one_side_is_timed_no_more_on_both(side: int, opened: list[Sides]) -> None:
    turns = [(0, 0), (1, 0), (0, 1), (1, 1)]
    opened.append(sides := Sides(turns, {(side, 0): [{"error": "it broke"}]}))
    answers = sides.take()
    assert answers[side]["errors"] == {"0": "it broke"}
    assert answers[1 - side]["errors"] == {}
    assert [case for _, case in sides.log].count(0) == 1 + side  # side 0 came first, and nobody took the case again
    assert all(answer["blocks"][1] and answer["blocks"][3] for answer in answers)


@pytest.mark.parametrize("side", [0, 1])
def test_a_turn_in_which_a_side_was_suspended_is_taken_again_by_both(side: int, opened: list[Sides]) -> None:
    opened.append(sides := Sides([(0, 0), (1, 1)], {(side, 0): [{"paused": 2.0, "seconds": 9.0}]}))
    answers = sides.take()
    assert sides.log == [(0, 0), (1, 0), (0, 0), (1, 0), (1, 1), (0, 1)]
    assert [answer["blocks"] for answer in answers] == [[3.0, 5.0], [4.0, 6.0]]
    assert sum(answer["left_out"].get("0", 0) for answer in answers) == 1


def test_a_side_that_is_always_suspended_still_comes_to_an_end(opened: list[Sides]) -> None:
    opened.append(sides := Sides([(0, 0)], {(0, 0): [{"paused": 1.0}] * 99}))
    answers = sides.take()
    assert sides.log == [(0, 0), (1, 0)] * (MAX_RETAKES + 1)
    assert all(answer["blocks"][0] for answer in answers)


def test_after_the_deadline_only_cases_without_blocks_are_timed(opened: list[Sides]) -> None:
    turns = [(0, 0), (1, 1), (1, 0), (0, 1)]
    opened.append(sides := Sides(turns, {}, seconds=-1.0, timed=[0]))
    a, b = sides.take()
    assert sides.log == [(1, 1), (0, 1)]
    assert a["blocks"] == [None, 5.0, None, None]
    assert b["blocks"] == [None, 6.0, None, None]


def test_a_side_whose_peer_has_ended_answers_that_it_is_lost(opened: list[Sides]) -> None:
    opened.append(sides := Sides([(0, 0), (0, 1)], {}))
    sides.peers[1].close()
    assert sides.sides[0].take() == {"lost": True}
    opened.append(sides := Sides([(0, 1)], {}))
    sides.peers[1].close()
    assert sides.sides[0].take() == {"lost": True}  # it was waiting


def test_a_side_that_waits_says_so(opened: list[Sides]) -> None:
    opened.append(sides := Sides([(0, 0)], {}))
    controller = Channel(sides.controllers[1][0])
    thread = threading.Thread(target=sides._take, args=[1])
    thread.start()
    controller.send({"do": "waiting"})
    assert controller.receive(20) == IS_WAITING
    sides._take(0)
    thread.join(20)
    assert sides.results[1]["blocks"] == [4.0]


def test_a_side_ends_when_the_controller_has_ended(opened: list[Sides]) -> None:
    opened.append(sides := Sides([(0, 0)], {}))
    sides.controllers[1][0].close()
    with pytest.raises(ConnectionError):
        sides.sides[1].take()

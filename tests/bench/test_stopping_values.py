"""When a visit ends and how many placements it takes at a time: worked examples on a clock that tests move."""

from __future__ import annotations

import pytest

from torchduet.bench.timing.stopping import Stopping


class Visit:
    """A visit that began 100 s into the clock, with so many seconds for its placements."""

    def __init__(self, seconds: float = 40.0) -> None:
        self.now = 100.0
        self.requested = False
        self.stopping = Stopping(seconds, now=lambda: self.now, stop_requested=lambda: self.requested)
        self.stopping.start()

    def after(self, placements: int, seconds: float) -> Stopping:
        self.now += seconds
        self.stopping.add(placements)
        return self.stopping


def test_as_many_placements_are_taken_as_fit_by_what_those_before_took() -> None:
    """Two took 10 s; in the 30 s that are left there is room for six."""
    assert Visit().stopping.room_for(9) == 9  # nothing is known yet
    assert [Visit().after(2, 10.0).room_for(most) for most in (4, 6, 9)] == [4, 6, 6]
    assert Visit().after(4, 39.0).room_for(9) == 1
    assert Visit(1.0).after(6, 1.2).room_for(9) == 1  # short ones, too, once the time is up
    assert Visit().after(1, 0.0).room_for(9) == 9  # which took no time at all


def test_three_placements_are_taken_whatever_they_take() -> None:
    assert [Visit().after(taken, 50.0).room_for(9) for taken in (1, 2, 3)] == [2, 1, 1]
    assert Visit().after(2, 50.0).finished() is None
    assert Visit().after(3, 50.0).finished() == "budget"
    assert Visit().after(3, 40.0).finished() == "budget"
    assert Visit().after(3, 39.0).finished() is None
    visit = Visit()
    visit.now += 50.0
    for _ in range(2):
        visit.stopping.add()
    assert visit.stopping.finished() is None
    visit.stopping.add()
    assert visit.stopping.finished() == "budget"


def test_sixteen_placements_are_enough() -> None:
    assert Visit().after(15, 1.0).finished() is None
    assert Visit().after(16, 1.0).finished() == "limit"


@pytest.mark.parametrize(("seconds", "ends"), [(119.0, False), (120.0, True)])
def test_three_times_the_time_ends_a_visit_after_any_number(seconds: float, ends: bool) -> None:
    visit = Visit()
    assert visit.after(1, seconds).must_end() is ends
    assert (visit.stopping.finished() is not None) is ends


def test_a_request_to_stop_ends_a_visit_at_once() -> None:
    visit = Visit()
    visit.requested = True
    assert visit.stopping.must_end()
    assert visit.stopping.finished() == "interrupted"


def test_before_it_begins_no_visit_is_over() -> None:
    waiting = Stopping(1.0, now=lambda: 1e9)
    assert not waiting.must_end()
    assert waiting.finished() is None

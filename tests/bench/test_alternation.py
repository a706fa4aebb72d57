"""How blocks are taken in turns, and what a block's seconds are: worked examples on a clock that tests move."""

import gc
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet.bench.cases.exchange import ContextSwitches
from torchduet.bench.timing import alternation
from torchduet.bench.timing import clock as clocks
from torchduet.bench.timing.alternation import even_out, undisturbed
from torchduet.bench.timing.clock import Block, CpuClock, SynchronizedClock, median_block


class Turns:
    """A case whose blocks take the seconds of a list, one after the other."""

    def __init__(self, name: str, log: list[str], repeats: int = 1, blocks: tuple[Block, ...] = ()) -> None:
        self.name, self.log, self.repeats = name, log, repeats
        self.calls, self.error = 1, None
        self.placements: list[list[Block]] = [[]]
        self.context_switches = ContextSwitches()
        self.left_out = SimpleNamespace(seconds=0.0, blocks=0, kept=0)
        self._blocks: Iterator[Block] = iter(blocks)

    def block(self) -> Block:
        self.log.append(self.name)
        return next(self._blocks, Block(1.0, 1.0, 1.0))


def take_round(cases: list[Any], seed: int = 0) -> None:
    alternation._round(cases, random.Random(seed), lambda _, error: str(error))


def test_the_turns_of_a_round_come_in_another_order_each_time() -> None:
    orders = []
    rng = random.Random(3)
    for _ in range(20):
        log: list[str] = []
        alternation._round([Turns("a", log, 2), Turns("b", log, 2)], rng, lambda _, error: str(error))  # type: ignore[list-item]
        assert sorted(log) == ["a", "a", "b", "b"]
        orders.append("".join(log))
    assert len(set(orders)) > 3
    assert {order[0] for order in orders} == {"a", "b"}


def test_a_round_adds_the_median_of_its_blocks_and_the_mean_of_two() -> None:
    three = Turns("a", [], 3, tuple(Block(value, value, value) for value in (5.0, 1.0, 2.0)))
    two = Turns("b", [], 2, tuple(Block(value, value, value) for value in (1.0, 4.0)))
    take_round([three, two])
    assert [block.seconds for block in three.placements[0]] == [2.0]
    assert [block.seconds for block in two.placements[0]] == [2.5]


def test_each_time_of_a_median_block_is_its_own_median_and_switches_are_the_upper_one() -> None:
    blocks = [Block(1.0, 30.0, 200.0, 4), Block(2.0, 10.0, 300.0, 0), Block(9.0, 20.0, 100.0, 1)]
    assert median_block(blocks) == Block(2.0, 20.0, 200.0, 1)
    assert median_block(blocks[:2]) == Block(1.5, 20.0, 250.0, 4)


def test_context_switches_are_counted_per_second_of_whole_blocks_not_of_calls() -> None:
    case = Turns("a", [], 2, (Block(0.01, 0.01, 0.02, 3), Block(0.01, 0.01, 0.02)))
    case.calls = 50
    take_round([case])
    counted = case.context_switches
    assert (counted.blocks, counted.interrupted, counted.switches) == (2, 1, 3)
    assert counted.seconds == pytest.approx(2 * 50 * 0.02)


def test_a_suspended_block_is_taken_again_and_its_seconds_are_counted_as_left_out() -> None:
    case = Turns("a", [], 1, (Block(7.0, 7.0, 7.0, paused=3.0), Block(1.0, 1.0, 1.0)))
    take_round([case])
    assert [block.seconds for block in case.placements[0]] == [1.0]
    assert (case.left_out.seconds, case.left_out.blocks, case.left_out.kept) == (3.0, 1, 0)


def test_a_block_that_is_suspended_each_time_is_kept_in_the_end() -> None:
    number = alternation.MAX_RETAKES + 1
    case = Turns("a", [], 1, tuple(Block(float(index), 1.0, 1.0, paused=0.5) for index in range(number)))
    take_round([case])
    assert [block.seconds for block in case.placements[0]] == [float(number - 1)]
    assert (case.left_out.seconds, case.left_out.blocks, case.left_out.kept) == (0.5 * number, number - 1, 1)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What becomes of the objects that are frozen: the calls; the real ones would unfreeze all of this session's."""
    calls: list[str] = []
    for name in ("freeze", "unfreeze"):
        monkeypatch.setattr(gc, name, lambda name=name: calls.append(name))
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 0)
    return calls


def test_no_garbage_is_collected_while_blocks_are_timed_and_all_is_as_before_afterwards(frozen: list[str]) -> None:
    assert gc.isenabled()
    with undisturbed():
        assert not gc.isenabled()
        assert frozen == ["freeze"]
    assert gc.isenabled()
    assert frozen == ["freeze", "unfreeze"]
    gc.disable()
    try:
        with undisturbed():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("objects", [1, 1000])
def test_what_a_program_has_frozen_stays_frozen(
    frozen: list[str], monkeypatch: pytest.MonkeyPatch, objects: int
) -> None:
    """Unfreezing would unfreeze all of it."""
    monkeypatch.setattr(gc, "get_freeze_count", lambda: objects)
    with undisturbed():
        assert not gc.isenabled()
    assert frozen == []


class Slow:
    """A case that was warmed up in a slow moment, and whose calls take these seconds one after the other."""

    def __init__(self, seconds: float, *blocks: float) -> None:
        self.seconds, self.calls, self.error = seconds, 7, None
        self.blocks = iter(blocks)
        self.taken = 0

    def block(self) -> Block:
        self.taken += 1
        seconds = next(self.blocks)
        return Block(seconds, seconds, seconds)


def confirmed(slow: Slow, fast: float = 1.0) -> tuple[int, float, int]:
    """How many calls confirm it, how long a call takes then, and how many calls its blocks have."""
    cases: list[Any] = [Slow(fast), slow]
    alternation._confirm_long(cases, [(0, 1)], lambda _, error: str(error))
    assert cases[0].taken == 0
    return slow.taken, slow.seconds, slow.calls


def test_a_case_that_seems_more_than_four_times_as_long_is_called_until_a_call_takes_as_long_as_the_last() -> None:
    assert confirmed(Slow(4.0)) == (0, 4.0, 7)
    assert confirmed(Slow(4.1, 4.1)) == (1, 4.1, 1)
    assert confirmed(Slow(100.0, 50.0, 10.0, 8.5)) == (3, 10.0, 1)  # 8.5 s are more than 10 / 1.25
    assert confirmed(Slow(100.0, 50.0, 10.0, 7.9, 7.9)) == (4, 7.9, 1)


def test_a_case_whose_calls_never_take_as_long_as_the_last_is_called_thirty_times() -> None:
    falling = [1e9 / 2**number for number in range(1, 40)]
    assert confirmed(Slow(1e9, *falling)) == (30, falling[29], 1)


def test_a_case_that_fails_while_it_is_confirmed_is_not_called_again() -> None:
    slow = Slow(100.0)  # its first block raises
    taken, seconds, _ = confirmed(slow)
    assert (taken, seconds) == (1, 100.0)
    assert slow.error is not None
    assert confirmed(slow)[0] == 1


def test_cases_are_cut_to_as_many_placements_and_rounds_as_the_shortest_has() -> None:
    block = Block(1.0, 1.0, 1.0)
    one, other = Turns("a", []), Turns("b", [])
    one.placements, other.placements = [[block] * 3, [block] * 2, [block]], [[block] * 2, [block] * 4]
    cases: list[Any] = [one, other]
    assert even_out(cases, 0) == 2
    assert [list(map(len, case.placements)) for case in cases] == [[2, 2], [2, 2]]


class Hands:
    """A clock whose hands are moved by what is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.flushes = 0
        monkeypatch.setattr(clocks, "perf_counter", lambda: self.now)
        monkeypatch.setattr(clocks, "context_switches", lambda: 5)

    def move(self, seconds: float) -> None:
        self.now += seconds

    def buffer(self) -> Any:
        """What fills the cache; it takes 64 s each time."""

        def add_(_: int) -> None:
            self.flushes += 1
            self.move(64.0)

        return SimpleNamespace(add_=add_)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_a_blocks_seconds_are_those_of_one_call_and_what_comes_before_is_untimed(hands: Hands) -> None:
    block = CpuClock().block(hands.move, (2.0,), 4, after=lambda: hands.move(1.0), before=lambda: hands.move(50.0))
    assert block == Block(2.25, 2.25, 2.25)
    assert hands.now == 100.0 + 50.0 + 8.0 + 1.0


def test_filling_the_cache_is_no_part_of_a_cold_call(hands: Hands) -> None:
    clock = CpuClock()
    clock._flush_buffer = hands.buffer()
    assert clock.cold(hands.move, (2.0,), 4, after=lambda: hands.move(1.0)) == Block(2.25, 2.25, 2.25)
    assert hands.flushes == 4


def synchronized(hands: Hands) -> SynchronizedClock:
    """A clock whose device needs 0.5 s to finish, each time that it is waited for."""
    return SynchronizedClock(lambda: hands.move(0.5), torch.device("cpu"), lambda: 8)


def test_a_device_without_events_is_waited_for_once_and_launching_is_told_from_finishing(hands: Hands) -> None:
    block = synchronized(hands).block(hands.move, (2.0,), 4, lambda: hands.move(1.0), lambda: hands.move(50.0))
    assert block == Block((8 + 1 + 0.5) / 4, 9 / 4, (8 + 1 + 0.5) / 4)
    assert hands.now == 100.0 + 50.0 + 0.5 + 8.0 + 1.0 + 0.5


def test_on_such_a_device_filling_the_cache_has_finished_before_a_cold_call_is_timed(hands: Hands) -> None:
    clock = synchronized(hands)
    clock._flush_buffer = hands.buffer()
    block = clock.cold(hands.move, (2.0,), 4, after=lambda: hands.move(1.0))
    assert block == Block((4 * 2.5 + 1) / 4, (4 * 2 + 1) / 4, (4 * 2.5 + 1) / 4)
    assert hands.flushes == 4


@pytest.mark.parametrize("calls", [1, 3])
def test_what_fills_the_cache_runs_on_the_device_until_it_is_waited_for(hands: Hands, calls: int) -> None:
    """It is launched at once, and takes the device 64 s; a call is launched in 2 s, and takes the device 8 s."""
    pending: list[float] = []

    def wait() -> None:
        hands.move(sum(pending))
        pending.clear()

    def call() -> None:
        hands.move(2.0)
        pending.append(8.0)

    clock = SynchronizedClock(wait, torch.device("cpu"), lambda: 8)
    clock._flush_buffer = SimpleNamespace(add_=lambda _: pending.append(64.0))  # type: ignore[assignment]
    assert clock.cold(call, (), calls) == Block(10.0, 2.0, 10.0)
    pending.append(64.0)  # of what was launched before the block
    assert clock.block(call, (), calls) == Block(2.0 + 8.0, 2.0, 2.0 + 8.0)


def test_a_block_has_no_switches_pauses_or_unfinished_work_unless_it_says_so(hands: Hands) -> None:
    block = CpuClock().block(hands.move, (1.0,), 1)
    assert (block.switches, block.paused, block.unfinished) == (0, 0.0, 0.0)


def test_cold_calls_are_single_and_neither_clock_of_the_host_needs_a_lead_in(hands: Hands) -> None:
    for clock in (CpuClock(), synchronized(hands)):
        clock.block(hands.move, (1.0,), 1)
        assert (clock.cold_calls, clock.needs_lead_in) == (1, False)


def test_what_fills_the_cache_of_a_device_has_its_size() -> None:
    clock = SynchronizedClock(lambda: None, torch.device("cpu"), lambda: 8)
    clock.cold(lambda: None, (), 3)
    assert clock._flush_buffer is not None
    assert clock._flush_buffer.tolist() == [3] * 8

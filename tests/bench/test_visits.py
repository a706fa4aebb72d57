"""Which family is visited next: first all alike, then where it narrows an interval most for what it costs."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from torchduet.bench.plan.visits import (
    LONE_VISITS,
    MAX_VISIT_SECONDS,
    MAX_VISITS,
    MIN_VISIT_SECONDS,
    MIN_VISITS,
    PRECISE_SPAN,
    PRECISE_VISITS,
    SECONDS_PER_CASE,
    SPARE,
    TIMED_SHARE,
    VISITS_PER_SHARE,
    Rounds,
    Visited,
    guess_beside,
    needs_of,
    visit_seconds,
)
from torchduet.bench.record.moderation import Visits, estimate
from torchduet.bench.record.statistics import TARGET_HALF_WIDTH


def visited(name: str, number: int = 1, *, needs: float = 4.0, beside: float = 0.1, apart: float = 10.0) -> Visited:
    """A family of two cases with so many visits, which began ``apart`` seconds one after the other."""
    begun = [apart * place for place in range(number)]
    return Visited(name, 2, 8.0, compared=True, begun=begun, beside=beside, needs=needs)


def order(
    families: Sequence[Visited],
    seconds: float = math.inf,
    *,
    seed: int = 1,
    narrower: bool = False,
    limit: int = 10_000,
) -> list[str]:
    """The names in the order of their visits, until none is left; each visit takes what it costs.

    Args:
        narrower: an interval narrows with the root of the number of visits.
    """
    rounds, chance, now, names = Rounds(random.Random(seed)), {each.name: each.needs for each in families}, 0.0, []
    while len(names) < limit and (chosen := rounds.next(families, seconds - now)) is not None:
        now += chosen.cost
        chosen.begun.append(max((each.begun[-1] for each in families), default=0.0) + chosen.cost)
        if narrower:
            chosen.needs = chance[chosen.name] / math.sqrt(chosen.number)
        names.append(chosen.name)
    return names


@pytest.mark.parametrize("seed", range(5))
def test_all_families_get_three_visits_before_any_gets_more(seed: int) -> None:
    families = [visited(f"f{place}", needs=float(1 + place)) for place in range(12)]
    names = order(families, seed=seed, limit=12 * (MIN_VISITS - 1))
    turns = [names[start : start + 12] for start in range(0, len(names), 12)]
    assert all(set(turn) == {each.name for each in families} for turn in turns)
    assert turns[0] != turns[1]  # each turn in an order of its own


def test_a_second_visit_is_begun_only_if_starting_its_device_fits() -> None:
    starting = visited("a", beside=guess_beside(0, starting=3.0))
    assert order([starting], 3.0) == []
    assert order([visited("a", beside=guess_beside(0))], 3.0, limit=1) == ["a"]
    assert order([starting], 4.5, limit=1) == ["a"]


def test_families_that_lag_behind_catch_up_first() -> None:
    families = [visited("a", 2), visited("b", 1), visited("c", 2)]
    assert order(families, limit=1) == ["b"]


@pytest.mark.parametrize("seed", range(5))
def test_no_family_is_visited_twice_in_a_row_while_another_is_left(seed: int) -> None:
    chance = random.Random(seed)
    families = [visited(f"f{place}", needs=chance.uniform(1.5, 30), beside=chance.uniform(0, 2)) for place in range(5)]
    names = order(families, seed=seed, narrower=True)
    until_one_is_left = max(place for place, name in enumerate(names) if name != names[-1]) + 2
    assert until_one_is_left > 20
    assert all(one != following for one, following in itertools.pairwise(names[:until_one_is_left]))


def test_of_a_single_family_one_visit_follows_another() -> None:
    assert order([visited("a")], limit=3) == ["a"] * 3


def test_the_widest_interval_for_what_a_visit_costs_comes_first() -> None:
    def first(other: Visited) -> str:
        return order([other, visited("wide", 5, needs=3.0)], limit=1)[0]

    assert first(visited("narrow", 5, needs=1.05)) == "wide"
    assert first(visited("dear", 5, needs=3.0, beside=5.0)) == "wide"
    assert first(visited("often", 20, needs=3.0)) == "wide"  # of many visits each changes the mean little
    assert first(visited("cheap", 5, needs=3.0, beside=0.0)) == "cheap"


def test_what_is_precise_waits_for_what_is_not() -> None:
    precise, unclear = visited("a", 3, needs=0.5, apart=1.0), visited("b", 10, needs=1.5)
    assert not precise.done
    assert order([precise, unclear], limit=1) == ["b"]


def test_a_family_without_an_interval_gains_as_much_as_any() -> None:
    first = visited("a", 1, needs=math.inf)
    assert math.isfinite(first.gain)
    assert first.gain >= visited("b", 1, needs=100.0).gain


def test_it_is_precise_only_after_enough_visits_over_enough_time() -> None:
    apart = PRECISE_SPAN / (PRECISE_VISITS - 1)
    assert visited("a", PRECISE_VISITS, needs=1.0, apart=apart).done
    assert not visited("a", PRECISE_VISITS, needs=1.01, apart=apart).done
    assert not visited("a", PRECISE_VISITS, needs=1.0, apart=0.99 * apart).done
    assert not visited("a", PRECISE_VISITS - 1, needs=0.1, apart=PRECISE_SPAN).done
    assert visited("a", PRECISE_VISITS + 5, needs=1.0, apart=apart).done


def test_there_is_a_last_visit_however_wide_the_interval_is() -> None:
    assert not visited("a", MAX_VISITS - 1, needs=math.inf).done
    assert visited("a", MAX_VISITS, needs=math.inf).done
    families = [visited(name, needs=math.inf) for name in "abc"]
    assert Counter(order(families)) == dict.fromkeys("abc", MAX_VISITS - 1)


def test_where_nothing_is_compared_five_visits_show_how_much_the_time_varies() -> None:
    alone = visited("a", LONE_VISITS - 1)
    alone.compared = False
    assert not alone.done
    assert order([alone]) == ["a"]
    assert alone.done


def test_a_family_whose_visit_failed_gets_no_more() -> None:
    families = [visited("a"), visited("b")]
    families[0].failed = "the worker was killed by SIGKILL"
    assert set(order(families)) == {"b"}
    families[1].failed = "it raised"
    assert Rounds(random.Random(1)).next(families, math.inf) is None
    assert Rounds(random.Random(1)).next([], math.inf) is None


@pytest.mark.parametrize("seconds", [0.0, 1.0, 7.5, 40.0])
def test_no_visit_is_begun_that_does_not_fit_into_what_is_left(seconds: float) -> None:
    chance = random.Random(3)
    families = [visited(f"f{place}", beside=chance.uniform(0, 3)) for place in range(20)]
    costs = {each.name: each.cost for each in families}
    names = order(families, seconds)
    assert sum(costs[name] for name in names) <= seconds
    assert bool(names) == (SPARE * min(costs.values()) <= seconds)


def test_where_the_time_is_too_short_for_a_turn_the_cheapest_come_first() -> None:
    families = [visited(name, beside=beside) for name, beside in (("a", 2.0), ("b", 0.5), ("c", 1.0), ("d", 3.0))]
    costs = sorted((each.cost, each.name) for each in families)
    seconds = sum(cost for cost, _ in costs[:3]) + 0.5
    assert order(families, seconds)[:2] == [name for _, name in costs[:2]]
    dear = visited("z", beside=30.0)
    assert order([dear, visited("y")], 20.0, limit=1) == ["y"]  # and one that does not fit stops no other


def test_a_visit_times_as_long_as_it_takes_beside_that_within_bounds() -> None:
    assert visit_seconds(2, 8.0) == visit_seconds(2, 8.0, beside=0.01) == MIN_VISIT_SECONDS
    assert visit_seconds(50, 8.0) == 50 * SECONDS_PER_CASE > MIN_VISIT_SECONDS
    beside = 1.5 * MIN_VISIT_SECONDS / TIMED_SHARE
    assert visit_seconds(2, 1000.0, beside) == pytest.approx(TIMED_SHARE * beside)
    share = 2 * MIN_VISIT_SECONDS * VISITS_PER_SHARE
    assert visit_seconds(2, share, 1000.0) == share / VISITS_PER_SHARE
    assert visit_seconds(2, 1e6, 1000.0) == MAX_VISIT_SECONDS
    known, unknown = visited("a", 2, beside=1.0), visited("b", 1, beside=guess_beside(compiled=3))
    assert known.cost == 1.0 + known.timing
    assert unknown.timing == visit_seconds(2, 8.0)  # the guess says when it may begin, not how long it times
    assert unknown.cost > known.cost
    unknown.least = 7.0  # three placements of long calls
    assert unknown.timing == 7.0


def test_the_widest_interval_of_a_family_counts() -> None:
    narrow = estimate(Visits((0.0, 0.001, 0.0005, 0.0008), (None,) * 4), None)
    wide = estimate(Visits((0.0, 0.1, 0.05, 0.08), (None,) * 4), None)
    assert needs_of([narrow]) == narrow.half_width / TARGET_HALF_WIDTH < 1
    assert needs_of([narrow, wide]) == needs_of([wide]) > 1
    assert needs_of([estimate(Visits((0.0,), (None,)), None)]) == math.inf
    assert needs_of([]) == 1.0  # nothing is to be decided

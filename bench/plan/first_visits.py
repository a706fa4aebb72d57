"""The order of the first visits where the time may be too short for all families."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torchduet.bench.cases.case import Family
from torchduet.suites.registry import relevance


def in_turns(families: Sequence[Family], cost: Callable[[Family], float]) -> list[Family]:
    """The families of the suites in turns, the most relevant suite first; of each suite, its cheapest family is next.

    So every suite has a family early, whatever its name, and a suite of many or of dear families takes no other's time.
    Families that cost the same stay in their order.

    Args:
        cost: the least seconds that a family takes.
    """
    suites: dict[tuple[str, str], list[Family]] = {}
    for family in sorted(families, key=cost):
        suites.setdefault((family.reference.source, family.reference.suite), []).append(family)
    place = {family.name: place for place, family in enumerate(families)}
    queues = sorted(
        suites.items(), key=lambda entry: (relevance(entry[0][0]), min(place[family.name] for family in entry[1]))
    )
    longest = max(map(len, suites.values()), default=0)
    return [queue[turn] for turn in range(longest) for _, queue in queues if turn < len(queue)]

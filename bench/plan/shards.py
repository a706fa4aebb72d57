"""Cuts a suite into shards: whole families, each in exactly one shard, so that all shards take about equally long.

The cut is a pure function of the families' names and weights: the same on every machine, in any order of the families.
Which shard a process is, and how long families take, are decided elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.cases.option_values import OptionError

AUTO = "auto"
MAX_SHARDS = 9999
WHOLE = 10**9  # the weight of all families together: whole numbers have the same sum in any order
CLOSE = 1.005  # times the ideal is near enough
MAX_STEPS = 200

Weights = Mapping[str, float]  # kind of machine → seconds that a family takes there; 0 or absent: not measured there
Loads = tuple[int, ...]  # the same as shares of WHOLE, one for each kind of machine


@dataclass(frozen=True)
class Shard:
    """One shard of several: ``2/8``. Numbers begin with 1."""

    index: int
    number: int

    def __str__(self) -> str:
        return f"{self.index}/{self.number}"


def parse_shard(text: str) -> Shard:
    """``"2/8"`` → the second of eight shards.

    Raises:
        OptionError: not two whole numbers K/N with 1 ≤ K ≤ N ≤ 9999.
    """
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
    if found is None:
        raise OptionError(f"--shard {text!r}: use K/N, e.g. 2/8 for the second of eight, or {AUTO}")
    index, number = int(found[1]), int(found[2])
    if not 1 <= number <= MAX_SHARDS:
        raise OptionError(f"--shard {text!r}: the number of shards must be from 1 to {MAX_SHARDS}")
    if not 1 <= index <= number:
        raise OptionError(f"--shard {text!r}: shards are numbered from 1 to {number}")
    return Shard(index, number)


def cut(families: Mapping[str, Weights], number: int) -> list[list[str]]:
    """The families of each of ``number`` shards, by name; a shard has none where there are fewer families.

    The longest family goes first, into the shard in which the load is then the least (Graham's LPT rule, 1969); equal
    ones in the order of their names. Then families are moved and swapped while the longest shard becomes shorter.
    Where families have weights on several kinds of machines, the load is the largest share on any of them, so that the
    same shards are balanced on each.

    Args:
        families: name → seconds on each kind of machine, not negative.
    """
    loads = _shares(families)
    order = sorted(loads, key=lambda name: (-max(loads[name], default=0), tuple(-load for load in loads[name]), name))
    kinds = len(next(iter(loads.values()), ()))
    shards = [_Load([], [0] * kinds) for _ in range(number)]
    for name in order:
        # A family without any weight goes where the fewest are.
        best = min(shards, key=lambda shard: (shard.with_(loads[name]), sum(shard.loads), len(shard.names)))
        best.add(name, loads[name])
    _refine(shards, loads)
    return [sorted(shard.names) for shard in shards]


def plan_digest(families: Mapping[str, Weights], cases: Iterable[str], number: int) -> str:
    """Eight hex digits of all that a cut depends on, and of the cases: shards with the same digest form one suite."""
    content = [number, sorted(set(cases)), sorted(_shares(families).items())]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]


@dataclass
class _Load:
    """A shard while it is filled."""

    names: list[str]
    loads: list[int]

    @property
    def most(self) -> int:
        """The largest of its loads."""
        return max(self.loads, default=0)

    def with_(self, added: Loads, removed: Loads | None = None) -> int:
        """The load with one family more, and perhaps another one less."""
        if removed is None:
            return max(map(operator.add, self.loads, added), default=0)
        return max(map(operator.sub, map(operator.add, self.loads, added), removed), default=0)

    def without(self, removed: Loads) -> int:
        """The load with one family less."""
        return max(map(operator.sub, self.loads, removed), default=0)

    def add(self, name: str, loads: Loads) -> None:
        self.names.append(name)
        self.loads = [load + more for load, more in zip(self.loads, loads, strict=True)]

    def remove(self, name: str, loads: Loads) -> None:
        self.names.remove(name)
        self.loads = [load - less for load, less in zip(self.loads, loads, strict=True)]


def _shares(families: Mapping[str, Weights]) -> dict[str, Loads]:
    """Each family's share of the time of all on each kind of machine, as whole numbers.

    ``math.fsum`` does not depend on the order; ``sum`` does, and on the version of Python.
    """
    kinds = sorted({kind for weights in families.values() for kind in weights})
    totals = {kind: math.fsum(weights.get(kind, 0.0) for weights in families.values()) for kind in kinds}
    used = [kind for kind in kinds if totals[kind] > 0]
    return {
        name: tuple(round(WHOLE * (weights.get(kind, 0.0) / totals[kind])) for kind in used)
        for name, weights in families.items()
    }


def _refine(shards: Sequence[_Load], loads: Mapping[str, Loads]) -> None:
    """Move a family out of the longest shard, or swap two, while that makes the longer of both shorter."""
    of_kinds = list(zip(*loads.values(), strict=True))
    ideal = max((max(sum(kind) / len(shards), max(kind)) for kind in of_kinds), default=0)
    for _ in range(MAX_STEPS):
        longest = max(shards, key=lambda shard: shard.most)
        if longest.most <= CLOSE * ideal:
            return
        others = (shard for shard in shards if shard is not longest)
        steps = (step for other in others for step in _steps(longest, other, loads))
        most, out, other, back = min(steps, key=lambda step: step[0], default=(longest.most, "", longest, None))
        if most >= longest.most:
            return
        longest.remove(out, loads[out])
        other.add(out, loads[out])
        if back is not None:
            other.remove(back, loads[back])
            longest.add(back, loads[back])


def _steps(longest: _Load, other: _Load, loads: Mapping[str, Loads]) -> Iterator[tuple[int, str, _Load, str | None]]:
    """(the longer of both loads afterwards, family that moves, where to, family that comes back)."""
    for out in longest.names:
        yield max(longest.without(loads[out]), other.with_(loads[out])), out, other, None
        for back in other.names:
            most = max(longest.with_(loads[back], loads[out]), other.with_(loads[out], loads[back]))
            yield most, out, other, back

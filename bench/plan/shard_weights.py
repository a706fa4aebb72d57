"""How long each family takes, as shards are cut by: the plan's guess on each kind of machine, or an earlier run.

Nothing here depends on the machine: where numbers of DataLoader workers follow its cores, they are only counted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from torchduet.bench.cases.case import Case, Family, group, workload_of
from torchduet.bench.plan.budget import ENERGY_SECONDS, Budget, call_seconds
from torchduet.bench.plan.earlier_run import Earlier
from torchduet.bench.plan.options import Options
from torchduet.bench.plan.shards import Weights

Pair = tuple[Case, Case]  # a case, and its family's reference
# Of every kind of machine that suites are written for: the CPU, a CUDA GPU, any other accelerator.
MACHINES: dict[str, tuple[str, ...]] = {"cpu": ("cpu",), "cuda": ("cpu", "cuda"), "xpu": ("cpu", "xpu")}
ASKED = "asked"  # the one kind of machine where devices were named
ELSEWHERE = "elsewhere"  # what no machine of the earlier run has


def guessed(options: Options, pairs: Mapping[str, Iterable[Pair]]) -> dict[str, dict[str, float]]:
    """Kind of machine → family → seconds that the plan expects, before anything is measured.

    Args:
        pairs: kind of machine → the selected cases, as suites declare them for such a machine.
    """
    return {kind: _guess(options, group(_counted(of, options))) for kind, of in pairs.items()}


def weights(
    guesses: Mapping[str, Mapping[str, float]], earlier: Mapping[str, Earlier] | None = None
) -> dict[str, Weights]:
    """Family → its weight on each kind of machine, of all families of any kind.

    With an earlier run every machine of its file is a kind. A family that the file lacks has the guess for such a
    machine, in proportion to what the file's families took; what such a machine cannot run is balanced by itself.
    """
    names = {name for of in guesses.values() for name in of}
    if earlier is None:
        return {name: {kind: of[name] for kind, of in guesses.items() if name in of} for name in names}
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for machine, run in sorted(earlier.items()):
        guess = guesses.get(run.kind) or guesses.get(ASKED, {})
        scale = _scale(run.seconds, guess)
        for name in names:
            if name in run.seconds:
                found[name][machine] = run.seconds[name]
            elif name in guess:
                found[name][machine] = scale * guess[name]
    for name in names:
        if not found[name]:
            found[name][ELSEWHERE] = max(of[name] for of in guesses.values() if name in of)
    return dict(found)


def known(earlier: Mapping[str, Earlier], families: Collection[str]) -> int:
    """How many of the families the earlier run has measured."""
    return sum(any(name in run.seconds for run in earlier.values()) for name in families)


def part_of(weights: Mapping[str, Weights], own: Collection[str], every: Collection[str], kind: str) -> float:
    """The part of the time of all families that some of them take: from 0 to 1.

    Args:
        own: the families of a shard that this machine can measure.
        every: the families that it can measure of all shards.
        kind: of this machine; weights for others are taken where there are none for it.
    """

    def seconds(names: Collection[str]) -> float:
        return math.fsum(weights[name].get(kind, max(weights[name].values(), default=0.0)) for name in names)

    total = seconds(every)
    return seconds(own) / total if total else len(own) / max(1, len(every))


def _scale(measured: Mapping[str, float], guess: Mapping[str, float]) -> float:
    """How many times as long as guessed the families took."""
    both = [name for name in measured if name in guess]
    expected = math.fsum(guess[name] for name in both)
    return math.fsum(measured[name] for name in both) / expected if expected else 1.0


def _guess(options: Options, families: Sequence[Family]) -> dict[str, float]:
    extra = ENERGY_SECONDS if options.energy else 0.0
    budget = Budget(options.budget_seconds, families, call_seconds(families), extra, now=lambda: 0.0)
    return {family.name: budget.guess(family) for family in families}


def _counted(pairs: Iterable[Pair], options: Options) -> list[Pair]:
    """The cases with workers numbered 0, 1, …: as many as the workload declares, whatever this machine's cores are."""
    counted = {}
    for case, reference in pairs:
        if case.workers is None:
            counted[case] = reference
            continue
        axis, asked = workload_of(case).workers, options.asked.get("workers")
        number = len(asked) if asked else 1 if axis is None else len(list(axis.up_to(options.tier)))
        first = replace(reference, workers=0)
        counted |= dict.fromkeys((replace(case, workers=index) for index in range(number)), first)
    return list(counted.items())

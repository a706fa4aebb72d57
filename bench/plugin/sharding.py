"""Applies ``--shard``: pytest's items are cut into shards, and those of other shards are left out.

The cut is made of the cases that suites declare for any machine, after pytest and our options have selected among them:
so it is the same on machines that can run different cases. A family that no case of this machine is in belongs to a
shard, too; that shard has nothing to measure of it here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.duet import against
from torchduet.bench.plan.earlier_run import Earlier, earlier_runs
from torchduet.bench.plan.options import OptionError, Options
from torchduet.bench.plan.shard_weights import ASKED, MACHINES, guessed, known, part_of, weights
from torchduet.bench.plan.shards import Weights, cut, plan_digest
from torchduet.bench.plugin.stash import CASE, DUET, SESSION
from torchduet.bench.run.settings import Settings
from torchduet.suites.suite import Suite

MAX_LISTED = 12  # shards, in the line that lists them
REACHED = "reached"  # the weights of what --only-changed selects: it is balanced, too


@dataclass
class Sharding:
    """What ``--shard`` needs of a collection.

    Attributes:
        earlier: what families took, of ``--shard-by``; None: the plan's guess.
        declared: kind of machine → case → its family's reference, of the collected suites.
        own: the cases that this machine has a case of.
        names: the families of this process's shard; None: not yet cut.
        selected: the ids of the selected cases of all shards.
        lines: for the terminal.
    """

    earlier: Mapping[str, Earlier] | None = None
    declared: dict[str, dict[Case, Case]] = field(default_factory=dict)
    own: set[Case] = field(default_factory=set)
    names: frozenset[str] | None = None
    selected: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


SHARDING = pytest.StashKey[Sharding | None]()  # None: without --shard


def begin(options: Options, run: Path | None) -> Sharding | None:
    """Read ``--shard-by`` before anything is measured; None without ``--shard``.

    Args:
        run: the path of the run's file.

    Raises:
        OptionError: the file cannot be used.
    """
    if options.shard is None:
        return None
    if options.shard_by is None:
        return Sharding()
    path = Path(options.shard_by)
    if run is not None and path.exists() and run.exists() and path.samefile(run):
        raise OptionError(
            f"--shard-by {path}: is also the file of --benchmark-json, which this shard replaces: the next shard would "
            "be cut by another file; write to another"
        )
    return Sharding(earlier_runs(path))


def candidates(config: pytest.Config, source: str) -> list[tuple[Suite, Case]]:
    """The cases of a suite that the options select; with ``--shard`` those, too, that other machines would have."""
    settings, sharding = config.stash[SESSION].settings, config.stash[SHARDING]
    own = settings.selection.cases(source)
    if sharding is None:
        return own
    cases = {case: suite for suite, case in own}
    sharding.own |= cases.keys()
    asked = settings.options.asked.get("device")
    machines = MACHINES if asked is None else {ASKED: tuple(map(str, asked))}
    for kind, devices in machines.items():
        for suite, case, reference in settings.selection.declared(source, devices):
            sharding.declared.setdefault(kind, {})[case] = reference
            cases.setdefault(case, suite)
    return [(suite, case) for case, suite in cases.items()]


def leave_out(items: list[pytest.Item], config: pytest.Config) -> list[pytest.Item]:
    """Remove the items of other shards and of other machines; returns them."""
    sharding, session = config.stash[SHARDING], config.stash[SESSION]
    shard = session.settings.options.shard
    if sharding is None or shard is None:
        return []
    cases = [item.stash[CASE] for item in items if CASE in item.stash]
    of_families = _weights(sharding, session.settings, cases)
    if config.stash[DUET] is not None:
        chosen = against.narrowed(config.stash[DUET], cases)
        reached = set() if chosen is None else {case.family for case in chosen.reached}
        for name in reached:
            of_families[name] = {**of_families[name], REACHED: max(of_families[name].values(), default=0.0)}
    shards = cut(of_families, shard.number)
    sharding.names, sharding.selected = frozenset(shards[shard.index - 1]), [case.id for case in cases]
    progress = session.progress
    progress.shard_plan = plan_digest(of_families, map(_portable, cases), shard.number)
    here = {case.family for case in cases if case in sharding.own}
    mine = sharding.names & here
    progress.shard_part = part_of(of_families, mine, here, _kind(session.settings))
    sharding.lines += _lines(sharding, session.settings, of_families, shards, here)
    progress.hints += [line for line in sharding.lines if not mine]
    left_out = [item for item in items if CASE in item.stash and not _is_kept(item.stash[CASE], sharding.own, mine)]
    out = set(left_out)
    items[:] = [item for item in items if item not in out]
    return left_out


def is_part(config: pytest.Config) -> bool:
    """Whether this run is a shard of a suite with cases: then it has a file, even if it measures none of them."""
    sharding = config.stash[SHARDING]
    return bool(sharding is not None and sharding.selected)


def selected_ids(config: pytest.Config) -> Collection[str]:
    """The ids of the selected cases, of all shards: what globs over ids may match."""
    sharding = config.stash[SHARDING]
    families = config.stash[SESSION].progress.families
    return [*(case.id for family in families for case in family.reported), *(sharding.selected if sharding else ())]


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Show which part of the suite this shard is."""
    sharding = config.stash[SHARDING]
    return [] if sharding is None else [f"torchduet: {line}" for line in sharding.lines]


def _is_kept(case: Case, own: Collection[Case], families: Collection[str]) -> bool:
    return case in own and case.family in families


def _portable(case: Case) -> str:
    """Its id, without a number of workers that may follow the machine's cores."""
    return (case if case.workers is None else replace(case, workers=0)).id


def _kind(settings: Settings) -> str:
    """The kind of machine that this one is, as weights name them."""
    if settings.options.asked.get("device") is not None:
        return ASKED
    return "cuda" if settings.machine.gpus else "xpu" if settings.machine.accelerators else "cpu"


def _weights(sharding: Sharding, settings: Settings, cases: Sequence[Case]) -> dict[str, Weights]:
    """Family → weights, of the families of these cases."""
    selected = set(cases)
    pairs = {
        kind: [(case, reference) for case, reference in of.items() if case in selected]
        for kind, of in sharding.declared.items()
    }
    found = weights(guessed(settings.options, pairs), sharding.earlier)
    return found | {case.family: {} for case in cases if case.family not in found}  # of devices of this machine alone


def _lines(
    sharding: Sharding,
    settings: Settings,
    of: Mapping[str, Weights],
    shards: Sequence[Sequence[str]],
    here: Collection[str],
) -> list[str]:
    """This shard in words, and the size of all."""
    options, kind = settings.options, _kind(settings)
    assert options.shard is not None
    mine = shards[options.shard.index - 1]
    measured = [name for name in mine if name in here]
    whole = len(of)
    counted = f"{len(mine)} of {whole} famil{'y' if whole == 1 else 'ies'}"
    if not mine:
        counted = f"there are only {whole} families for {options.shard.number} shards: nothing to measure in this one"
    elif not measured:
        counted += ", none of which this machine can measure"
    elif len(measured) < len(mine):
        counted += f", {len(measured)} of which this machine can measure"
    lines = [f"shard {options.shard}: {counted}"]
    if sharding.earlier is not None:
        number = known(sharding.earlier, of)
        lines[0] += f"; {options.shard_by} has the seconds of {number or 'none'} of {whole}"
    if len(shards) <= MAX_LISTED:
        parts = [part_of(of, [name for name in names if name in here], here, kind) for names in shards]
        lines.append("shares of the time here: " + ", ".join(f"{100 * part:.0f} %" for part in parts))
    return lines

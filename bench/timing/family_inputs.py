"""The inputs of a family on its devices: made, converted to cases' settings, moved, and readied for each call."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import SEED, CaseResult
from torchduet.bench.inputs.changes import NOTHING, Changes
from torchduet.bench.inputs.graph import has_lazy_parameters
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.inputs.restoring import Fresh, PutBack, seed_all
from torchduet.bench.inputs.updates import Updates
from torchduet.bench.inputs.variables import Opaque, Variables
from torchduet.bench.timing.callables import Prepared, assemble, over_sizes, timed_function
from torchduet.bench.timing.changed_inputs import (
    argument_names,
    changed_by_a_call,
    changed_while_timed,
    late_note,
    positions,
    refuse_iterators,
    refuse_no_items,
    restored_note,
    unrestored_note,
)
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.conversions import conversion_of, converted
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.dynamo import Uncompiling
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import PURE, Workload

Watched = tuple[Variables, Opaque, Updates | None]


def made_inputs(workload: Workload, case: Case, device: str, number: int = 0, ranks: int = 1) -> tuple[Any, ...]:
    """The inputs of a case's workload on a device, allocated anew; for each number with other random values.

    Args:
        ranks: for how many processes together, of a workload that has some.

    Raises:
        CheckError: ``inputs=`` does not return a tuple.
    """
    seed_all(SEED + number)
    inputs = workload.make(device_of(device).torch_device, dict(case.size), ranks)
    if not isinstance(inputs, tuple | list):
        raise CheckError(f"inputs= returned {type(inputs).__name__}; return a tuple, for one value: (x,)")
    return tuple(inputs)


class FamilyInputs:
    """The inputs of one family, device by device.

    Attributes:
        placements: device → what moves its inputs.
        restoring: device → what readies its inputs before calls.
        names: of the arguments.
        changes: case → what a call changes of its inputs.
        uncompiled: the author had compiled something among the inputs; they hold the originals.
    """

    def __init__(self, family: Family, workload: Workload, rng: random.Random) -> None:
        self._family, self._workload, self._rng = family, workload, rng
        self.placements: dict[str, Placements] = {}
        self.restoring: dict[str, PutBack | Fresh] = {}
        self.names: tuple[str, ...] = ()
        self.changes: dict[Case, Changes] = {}
        self.uncompiled = False
        self.agreed: Callable[[bool], bool] = bool  # whether something holds in any process that makes the same calls
        self._scratch: frozenset[int] = frozenset()
        self._mutates: frozenset[int] = frozenset()
        self._variables: Variables | None = None  # watched while the reference is computed
        self._reference_note: str | None = None
        self._converted: dict[tuple[Any, ...], tuple[Any, ...]] = {}  # device, conversion → inputs

    def make(self, device: str, number: int = 0) -> tuple[Any, ...]:
        """The inputs on a device, see :func:`made_inputs`, without torch.compile where the author has compiled them."""
        uncompiling = Uncompiling()
        inputs: tuple[Any, ...] = uncompiling(made_inputs(self._workload, self._family.reference, device, number))
        self.uncompiled = self.uncompiled or uncompiling.found
        return inputs

    def hold(self, device: str, inputs: Sequence[Any]) -> None:
        """Take the values that the inputs on a device have now for those that they are given again.

        Raises:
            CheckError: an iterator among them, a wrong name in ``mutates=`` or ``scratch=``, or no items for ``each=``.
        """
        self.names = argument_names(self._workload, len(inputs))
        refuse_no_items(self._workload.each, inputs, self.names)
        self._variables = Variables(self._function(next(iter(self._workload.implementations)), inputs), inputs)
        self._scratch = positions(self._workload, "scratch", self.names)
        self._mutates = positions(self._workload, "mutates", self.names)
        if self._workload.fresh:
            self.placements[device] = Placements((), self._rng)
            self.restoring[device] = Fresh(partial(self.make, device))
            return
        refuse_iterators(inputs, self.names)
        if has_lazy_parameters(inputs):
            first = next(iter(self._workload.implementations))
            function = assemble(timed_function(self._workload, first, inputs), "fp32", device)
            over_sizes(self._workload, function)(*self._workload.split(inputs)[0])
        self.placements[device] = Placements(inputs, self._rng)
        of = device_of(device)
        self.restoring[device] = PutBack(self.placements[device], of.synchronize if of.asynchronous else None)

    def _function(self, name: str, inputs: Sequence[Any]) -> Callable[..., Any]:
        """The function of an implementation as it reads these inputs, or the one that sets it up."""
        implementation, captured = self._workload.implementations[name], self._workload.split(inputs)[1]
        return implementation.bind(captured) if captured and implementation.bind else implementation.function

    def after_reference(self) -> None:
        """The reference was computed, by a call of the first implementation."""
        self._reference_note = self._variables.note() if self._variables else None
        self._variables = None

    def original(self, device: str, inputs: Sequence[Any]) -> Sequence[Any]:
        """These inputs with their original values; with ``fresh=True`` others with the same values."""
        if self._workload.fresh:
            return self.make(device)
        self.placements[device].restore()
        return inputs

    def of(self, case: Case, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The inputs of a case, with their original values in fresh memory, for its first calls.

        They are converted to the case's settings; cases with the same settings share the tensors.
        """
        self.placements[case.device].fresh(may_grow=True)
        if self._workload.fresh:
            return converted(self.make(case.device), case)
        key = (case.device, *conversion_of(case))
        if key not in self._converted:
            self._converted[key] = converted(inputs, case)
            self.placements[case.device].add(self._converted[key])
        return self._converted[key]

    def add(self, prepared: Prepared) -> None:
        """Move the arguments that a case has of its own, such as its optimiser, with the inputs."""
        if not self._workload.fresh:
            self.placements[prepared.case.device].add(prepared.args)

    def watch(self, case: Case, inputs: Sequence[Any]) -> Watched:
        """Watch what the case's first call may change, and what cannot be put back."""
        variables = Variables(self._function(case.implementation, inputs), inputs)
        updates = Updates(inputs) if case.precision in PURE else None
        return variables, Opaque(() if self._workload.fresh else inputs, self._scratch), updates

    def note_changes(self, prepared: Prepared, watched: Watched, result: CaseResult) -> None:
        """After a case's first call, note what it has changed, and what the author says that calls change."""
        case = prepared.case
        variables, opaque, updates = watched
        notes = [variables.note(), opaque.note(self.names), updates.note() if updates else None]
        if case.implementation == next(iter(self._workload.implementations)):
            notes.append(self._reference_note)
        result.notes += dict.fromkeys(filter(None, notes))
        restoring = self.restoring[case.device]
        if not isinstance(restoring, PutBack):
            return
        placements = self.placements[case.device]
        found = changed_by_a_call(placements, partial(prepared.call, *prepared.args), self._scratch, self.agreed)
        self.changes[case] = found | placements.everything_of(self._mutates)
        restoring.include(self.changes[case])

    def ready(self, run: TimedCase) -> TimedCase:
        """The case that is going to be timed, with what readies its inputs."""
        case = run.prepared.case
        run.restoring, run.changes = self.restoring[case.device], self.changes.get(case.original, NOTHING)
        return run

    def fresh(self, device: str) -> None:
        """Move the inputs on a device to fresh memory, with their original values."""
        with device_of(device).current():
            self.placements[device].fresh()
        self.restoring[device].moved()

    def address_sets(self, run: TimedCase) -> int | None:
        """How many sets of addresses of a case's inputs differ in its placements; None without any on a device.

        Inputs that are made anew for each call are where their author's code puts them.
        """
        return None if self._workload.fresh else run.prepared.context.addresses.distinct(len(run.placements))

    def decide(self, runs: Sequence[TimedCase], results: Mapping[Case, CaseResult]) -> None:
        """After the warm-up, decide where inputs can be put back before every call, and note it."""
        for device, restoring in self.restoring.items():
            changing = [run for run in runs if run.prepared.case.device == device and run.changes]
            timed = [run.seconds for run in changing if run.seconds > 0]
            if not isinstance(restoring, PutBack) or not timed:
                continue
            restored = restoring.decide(min(timed))
            for run in changing:
                if restored:
                    note = restored_note(run.changes, self.names)
                else:
                    note = unrestored_note(run.changes, self.names, restoring.seconds, run.seconds)
                results[run.prepared.case].notes.append(note)

    def restores(self) -> bool | None:
        """Whether inputs are put back before every call; None where no call changes any."""
        decided = [one.active for one in self.restoring.values() if isinstance(one, PutBack) and one.changes]
        return all(decided) if decided else None

    def agree(self, active: bool) -> None:
        """Put inputs back before every call, or not, as another process has decided."""
        for restoring in self.restoring.values():
            if isinstance(restoring, PutBack):
                restoring.agree(active)

    def note_late_changes(self, runs: Sequence[TimedCase], results: Mapping[Case, CaseResult]) -> None:
        """After the timing, note which calls have changed their inputs since the first call."""
        for device, restoring in self.restoring.items():
            if not isinstance(restoring, PutBack) or restoring.changes:
                continue
            timed = [run for run in runs if run.prepared.case.device == device and run.error is None and run.placements]
            for run, changes in changed_while_timed(timed, self.placements[device], self._scratch):
                results[run.prepared.case].notes.append(late_note(changes, self.names))

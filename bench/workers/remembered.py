"""Finds results that are remembered instead of computed: they do not follow when the values of the inputs change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from time import perf_counter, process_time
from typing import Any

import torch
from torch.utils.data import DataLoader

from torchduet.bench.host.error_words import one_line
from torchduet.bench.host.time_limit import limited
from torchduet.bench.inputs.graph import walk
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.inputs.reference import duplicate
from torchduet.bench.state.own_state import restored
from torchduet.bench.timing.callables import in_float64, in_own_dtype
from torchduet.bench.timing.checking.changed import Undo, change_values
from torchduet.bench.timing.checking.compare import compare
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.exactness import allowed, computes_in, lowest, unit_roundoff
from torchduet.bench.timing.checking.pairing import pair
from torchduet.bench.timing.checking.reference import reference_result
from torchduet.bench.timing.checking.results import Results, observed, results_of
from torchduet.bench.timing.checking.seen_before import Took, reason_if_seen
from torchduet.bench.timing.conversions import converted
from torchduet.bench.timing.dynamo import Uncompiling
from torchduet.bench.timing.family_inputs import made_inputs
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.second_import import imported_again
from torchduet.suites.workload import Workload

MIN_REFERENCE_LIMIT = 60.0  # seconds for the same in float64
MIN_LIMIT, LIMIT = 5.0, 20.0  # seconds, and times the usual seconds, after which a call with other values is ended
STALE = "it returns what it computed before: its result does not follow when the values of its inputs change"


class TookTooLong(BaseException):
    """A call with changed values does not end; no error that the call itself might handle."""


class Memory:
    """Whether one timed case remembers its results.

    Args:
        before: its results in the last call, with whatever values its inputs have.
    """

    def __init__(self, workload: Workload, run: TimedCase, placements: Placements, before: Results) -> None:
        self.workload, self.run, self.placements, self.before = workload, run, placements, before
        self.case = run.prepared.case
        self.seed = int.from_bytes(hashlib.sha256(self.case.id.encode()).digest()[:6], "big")
        self.common = False
        self._undo: list[Undo] = []

    def reason(self) -> str | None:
        """Why the case must not be reported; None where it computes, or where that cannot be decided.

        The inputs have their original values afterwards.
        """
        if self.workload.fresh or self.workload.implementations[self.case.implementation].setup:
            return None  # each call had other values; what a setup has made may hold values of its own
        if any(isinstance(value, DataLoader) and value.persistent_workers for value in walk(*self.run.prepared.inputs)):
            return None  # its processes hold copies of the data
        try:
            return self._reason()
        except TookTooLong as error:
            print(f"{self.case.id}: with changed values {error}")
            return None
        finally:
            self._restore()

    def _reason(self) -> str | None:
        first = self._first_call()
        if first is None:
            return None
        took, new = first
        short = self.run.seconds < LONG_CALL_SECONDS
        if new is None:
            return self._by_object() if short and self.case.mode == "eager" else None
        if self.workload.check and self.workload.deterministic:
            same = {path for path, part in new.items() if path in self.before and _equal(part, self.before[path])}
            if same and self._is_wrong(new, same):
                return STALE
        return self._by_value(took) if short else None

    def _first_call(self) -> tuple[Took, Results | None] | None:
        """The time and results with changed values; no results where nothing can be changed, None where it raises."""
        for common in (False, True):
            self.common = common
            if not self._change(self.seed):
                return Took(0.0, 0.0), None
            try:
                took, value = self._timed()
                with restored():
                    return took, observed(self.workload, self.run.prepared.inputs, value)
            except (Exception, TookTooLong) as error:  # noqa: BLE001 - such values are not its inputs
                print(f"{self.case.id}: with changed values it raised {one_line(error)}")
        return None

    def _by_value(self, took: Took) -> str | None:
        """Whether each first call with new values is slower than the second with the same ones.

        Every call but the very first follows another one at once: after other work, code and caches would be cold.
        """

        def again(number: int) -> Took:
            return self._took(lambda: self._change(self.seed + number))

        def first(number: int) -> Took:
            if not number:
                return took
            again(-number)
            return again(number)

        return reason_if_seen("values", first, again)

    def _by_object(self) -> str | None:
        """Whether each first call with copies of the inputs is slower than one with the inputs themselves.

        It is for inputs without real numbers, whose values cannot be changed safely.
        """
        copies = list[Any]()  # which live to the end: another object could have the id of one that is gone

        def first(_: int) -> Took | None:
            self._restore()
            try:
                copies.append(duplicate(self.run.prepared.args))
            except Exception as error:  # noqa: BLE001 - what cannot be copied cannot be tried
                print(f"{self.case.id}: its inputs cannot be copied: {one_line(error)}")
                return None
            self._took(self._restore)
            return self._timed(copies[-1])[0]

        return reason_if_seen("objects", first, lambda _: self._took(self._restore))

    def _is_wrong(self, new: Results, same: set[str]) -> bool:
        """Whether some of these values, which are the same as before, should have followed the inputs."""
        inputs = self.run.prepared.inputs
        if self._differs(self.workload, inputs, lambda: self._change(self.seed), new, same):
            return True
        real = {path for path, part in new.items() if isinstance(part.value, torch.Tensor) and _is_real(part.value)}
        if real and not real & same:
            return False  # what is the same are positions and conditions, and the reference has the same
        # Even the reference may be remembered, as by an id that another object had: it is computed again by another
        # import of the file, from new inputs.
        for workload in imported_again(self.case):
            self._restore()
            others = converted(Uncompiling()(made_inputs(workload, self.case, self.case.device)), self.case)
            if not _alike(inputs, others):
                return False  # it does not draw the same again
            changed, _ = change_values(others, self.seed, common=self.common, numbers=self._numbers)
            return changed and self._differs(workload, others, lambda: None, new, same)
        return False

    def _differs(
        self, workload: Workload, inputs: Sequence[Any], restore: Callable[[], object], new: Results, same: set[str]
    ) -> bool:
        """Whether some of these values are not what the same implementation returns for a copy of the changed inputs.

        Not what another one returns: of inputs that hold the same data twice, as a tensor and as a file or as bytes,
        only one may have been changed.
        """
        name = self.case.implementation
        calls = in_float64(workload, name), in_own_dtype(workload, self.case.device, name)
        try:
            with self._limited(MIN_REFERENCE_LIMIT), restored():
                reference = reference_result(workload, inputs, *calls, lambda: (restore(), None)[1])
            pairs = pair(new, reference.results)
        except Exception as error:  # noqa: BLE001 - nothing can be said without a reference
            print(f"{self.case.id}: no reference for changed values: {one_line(error)}")
            return False
        found, precision = lowest(reference.dtypes), self.case.precision
        dtype = computes_in(precision, found)
        tolerance = allowed(self.workload, self.case.implementation, precision, dtype)
        unit = unit_roundoff(precision, dtype)
        return any(
            not compare(actual, expected, reference, tolerance, unit).error <= tolerance
            for actual, expected in pairs
            if actual.path in same and reference.held_against == "float64"
        )

    def _took(self, prepare: Callable[[], object]) -> Took:
        prepare()
        return self._timed()[0]

    def _timed(self, args: tuple[Any, ...] | None = None) -> tuple[Took, Any]:
        """The time and value of one call, with its inputs as they are, or with others."""
        given = self.run.prepared.args if args is None else args
        self.run.clock.synchronize()
        with self._limited(MIN_LIMIT), self.run.unmetered(), self.run.in_its_state():
            cpu, wall = process_time(), perf_counter()
            value = self.run.prepared.call(*given)
            self.run.clock.synchronize()
            return Took(perf_counter() - wall, process_time() - cpu), value

    def _limited(self, least: float) -> AbstractContextManager[None]:
        """End calls that take much longer than those that were timed."""
        seconds = max(least, LIMIT * self.run.seconds)
        return limited(seconds, lambda: TookTooLong(f"it did not end within {seconds:.0f} s"))

    @property
    def _numbers(self) -> bool:
        """Python's numbers are compiled into code; those of other cases may change."""
        return self.case.mode == "eager"

    def _change(self, seed: int) -> bool:
        self._restore()
        inputs = self.run.prepared.inputs
        made = self.placements.made_by_calls
        changed, self._undo = change_values(inputs, seed, common=self.common, numbers=self._numbers, left=made)
        return changed

    def _restore(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        self.placements.restore()


def _equal(part: Any, other: Any) -> bool:
    """Whether two values are the same to the last bit."""
    if isinstance(part.value, str) or isinstance(other.value, str):
        return bool(part.value == other.value)
    return _same(part.value, other.value)


def _same(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    return tensor.shape == other.shape and tensor.dtype == other.dtype and torch.equal(tensor, other)


def _alike(inputs: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two lists of inputs hold the same values under the same names; False where that cannot be seen."""
    try:
        values, same = results_of(list(inputs)), results_of(list(others))
    except CheckError:
        return False
    return values.keys() == same.keys() and all(_equal(part, same[path]) for path, part in values.items())


def _is_real(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()

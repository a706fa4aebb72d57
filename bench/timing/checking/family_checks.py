"""The checks of a family's cases: the reference, the types that they compute in, and their results held against it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from torchduet.bench.cases.case import Family
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.state.own_state import restored
from torchduet.bench.timing.callables import Prepared, assemble, in_float64, in_own_dtype, over_sizes, timed_function
from torchduet.bench.timing.checking.check import check
from torchduet.bench.timing.checking.exactness import Recorder, changes_nothing
from torchduet.bench.timing.checking.place import float64_device
from torchduet.bench.timing.checking.reference import Reference, no_reference, reference_result
from torchduet.bench.timing.checking.results import Results, observed
from torchduet.bench.timing.conversions import converted
from torchduet.bench.timing.dynamo import Uncompiling
from torchduet.bench.timing.family_inputs import FamilyInputs
from torchduet.suites.workload import COMPILED, Unavailable, Workload


class FamilyChecks:
    """Checks the results of one family's cases.

    Attributes:
        enabled: False where another process has checked them: nothing is compared.
    """

    def __init__(self, family: Family, workload: Workload, inputs: FamilyInputs) -> None:
        self.family, self.workload, self.inputs = family, workload, inputs
        self.enabled = True

    def reference(self, device: str, inputs: Sequence[Any]) -> Reference:
        """The result in float64, or the next best, with which the others are compared.

        It is computed on the CPU; on the accelerator where the CPU takes too long, unless its memory is too small.
        """
        if not (self.enabled and self.workload.check):
            return no_reference()
        first = next(iter(self.workload.implementations))
        alone = any(case.mode not in COMPILED and case.implementation == first for case in self.family.cases)
        calls = in_float64(self.workload), in_own_dtype(self.workload, device)
        original = partial(self.inputs.original, device, inputs)
        place = self.float64_device
        on_device = (place, in_float64(self.workload, device=place)) if place else None
        return reference_result(self.workload, inputs, *calls, original, runs_alone=alone, on_device=on_device)

    @property
    def float64_device(self) -> str:
        """The accelerator that computes the reference; empty where the CPU does."""
        return float64_device(self.workload, self.family)

    def observed(self, result: CaseResult, prepared: Prepared, value: Any) -> Results:
        """What is checked of a result."""
        with restored() as changed:
            values = observed(self.workload, prepared.inputs, value)
        result.notes += changed.note("observe=")
        return values

    def check(self, result: CaseResult, prepared: Prepared, values: Results, reference: Reference) -> None:
        """Compare the values of a first call with the reference; the inputs may be restored meanwhile."""
        if not self.enabled:
            return
        case = prepared.case
        recorded = partial(self.recorded, prepared, case.precision)
        result.check = check(self.workload, case.precision, values, reference, case.implementation, recorded)

    def recorded(self, prepared: Prepared, precision: str) -> set[torch.dtype]:
        """The floating-point types in which an implementation computes, from an eager call with its inputs."""
        case = prepared.case
        implementation = self.workload.implementations[case.implementation]
        if implementation.setup:
            return set()  # what it made does not run on PyTorch's operators alone
        inputs = self.inputs.original(case.device, prepared.inputs)
        if self.workload.fresh:
            inputs = converted(inputs, case)
        made = timed_function(self.workload, case.implementation, inputs)
        function = over_sizes(self.workload, assemble(Uncompiling()(made), precision, case.device))
        with restored(), Recorder() as recorder:
            function(*self.workload.split(inputs)[0])
        self.inputs.original(case.device, inputs)
        dtypes: set[torch.dtype] = recorder.dtypes
        return dtypes

    def refuse_without_effect(self, prepared: Prepared, reference: Reference) -> None:
        """Skip a case whose precision changes nothing, as its tensors are of another.

        Raises:
            Unavailable: says which.
        """
        precision = prepared.case.precision
        reason = changes_nothing(precision, reference.dtypes, partial(self.recorded, prepared, "fp32"))
        if reason is not None:
            raise Unavailable(reason)

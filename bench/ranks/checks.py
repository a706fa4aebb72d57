"""The inputs of one rank, and its checks: its part of what is made alike in all ranks, held against one process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import torch

from torchduet.bench.cases.case import Family
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.memory import bytes_of, has_storage
from torchduet.bench.ranks.blame import REFUSED_ELSEWHERE
from torchduet.bench.timing.callables import Prepared, in_float64, in_own_dtype
from torchduet.bench.timing.checking.check import check
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.family_checks import FamilyChecks
from torchduet.bench.timing.checking.reference import Reference, no_reference, reference_result
from torchduet.bench.timing.checking.results import Results
from torchduet.bench.timing.dynamo import Uncompiling
from torchduet.bench.timing.family_inputs import FamilyInputs, made_inputs
from torchduet.suites.authoring.signatures import parameters_of
from torchduet.suites.workload import RANKS, Workload, takes

RANK = "rank"


def shares(function: Callable[..., Any], rank: int, ranks: int) -> Callable[..., Any]:
    """``shard`` or ``joint`` of a workload for one rank: a function of the inputs alone."""
    given = {RANK: rank, RANKS: ranks}
    return partial(function, **{name: number for name, number in given.items() if takes(function, name)})


class RankInputs(FamilyInputs):
    """The inputs of one rank.

    Attributes:
        joint: what ``inputs`` returned, the same in every rank; None as soon as nothing is checked any more.
        own: this rank's arguments, as the cases of its precisions are given them or copies of them.
    """

    def __init__(self, family: Family, workload: Workload, rng: Any, rank: int, ranks: int) -> None:
        super().__init__(family, workload, rng)
        self._of, self._device_case = workload, family.reference
        self.rank, self.ranks = rank, ranks
        self.joint: tuple[Any, ...] | None = None
        self.own: tuple[Any, ...] = ()

    def make(self, device: str, number: int = 0) -> tuple[Any, ...]:
        """This rank's arguments, in other memory than what a check reads: calls may change them.

        Raises:
            CheckError: ``shard=`` does not return a tuple.
        """
        self.joint = self._joint(device, number)
        self.own = self._sharded(self.joint)
        if self._of.shard is None or _share_memory(self.own, self.joint):
            self.own = self._sharded(self._joint(device, number))
        return self.own

    def _sharded(self, joint: tuple[Any, ...]) -> tuple[Any, ...]:
        if self._of.shard is None:
            return joint
        own = shares(self._of.shard, self.rank, self.ranks)(*joint)
        if not isinstance(own, tuple | list):
            raise CheckError(f"shard= returned {type(own).__name__}; return a tuple, for one value: (x,)")
        return tuple(own)

    def _joint(self, device: str, number: int) -> tuple[Any, ...]:
        uncompiling = Uncompiling()
        made = made_inputs(self._of, self._device_case, device, number, self.ranks)
        joint: tuple[Any, ...] = uncompiling(made)
        self.uncompiled = self.uncompiled or uncompiling.found
        return joint

    def digest(self) -> str:
        """Equal in two ranks if the tensors that ``inputs`` returned are, but for the contents of scratch."""
        found = hashlib.sha256()
        named_by = self._of.shard or next(iter(self._of.implementations.values())).function
        names = [parameter.name for parameter in parameters_of(named_by) or ()]
        for argument, name in zip_longest(self.joint or (), names[: len(self.joint or ())]):
            for tensor in filter(has_storage, tensors_in(argument)):
                found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
                if name not in self._of.scratch:
                    found.update(bytes_of(tensor.detach().cpu().contiguous().untyped_storage()).numpy().tobytes())
        return found.hexdigest()


def _share_memory(own: Sequence[Any], joint: Sequence[Any]) -> bool:
    """Whether an argument of a rank is what ``inputs`` returned, or a view of it."""
    places = [
        {tensor.untyped_storage().data_ptr() for tensor in filter(has_storage, tensors_in(of))} for of in (own, joint)
    ]
    return not places[0].isdisjoint(places[1] - {0})


class RankChecks(FamilyChecks):
    """Checks results of one rank against what one process computes of all inputs, or of the rank's own."""

    inputs: RankInputs
    agreed: Callable[[bool], bool] = staticmethod(bool)  # whether a condition holds in any rank
    _own: Reference | None = None

    def reference(self, device: str, inputs: Sequence[Any]) -> Reference:
        """What ``joint`` computes in float64 of the inputs of all ranks; without it the first implementation."""
        del inputs
        if not (self.enabled and self.workload.check):
            return no_reference()
        joint = self.inputs.joint
        assert joint is not None
        of = self.workload.joint
        if of is None:
            return self._computed(device, joint, runs_alone=True)
        call = shares(of, self.inputs.rank, self.inputs.ranks)
        return reference_result(self.workload, joint, call, call)

    def _computed_here(self, device: str) -> Reference:
        """What the first implementation computes of this rank's arguments, which calls may have changed meanwhile."""
        restore = partial(self.inputs.original, device, self.inputs.own)
        return self._computed(device, restore(), restore)

    def _computed(
        self,
        device: str,
        inputs: Sequence[Any],
        restore: Callable[[], Sequence[Any] | None] = lambda: None,
        *,
        runs_alone: bool = False,
    ) -> Reference:
        calls = in_float64(self.workload), in_own_dtype(self.workload, device)
        place = self.float64_device
        on_device = (place, in_float64(self.workload, device=place)) if place else None
        return reference_result(self.workload, inputs, *calls, restore, runs_alone=runs_alone, on_device=on_device)

    def check(self, result: CaseResult, prepared: Prepared, values: Results, reference: Reference) -> None:
        """Compare the values of a first call; no rank makes calls for it that the others do not make.

        Raises:
            CheckError: the result of this rank or of another is refused: none of them goes on with the case.
        """
        if not self.enabled:
            return
        refused: Exception | None = None
        try:
            self._check(result, prepared, values, reference)
        except Exception as error:  # noqa: BLE001 - raised again as soon as the others have been told
            refused = error
        refused_somewhere = self.agreed(refused is not None)
        if refused is not None:
            raise refused
        if refused_somewhere:
            raise CheckError(REFUSED_ELSEWHERE)

    def _check(self, result: CaseResult, prepared: Prepared, values: Results, reference: Reference) -> None:
        case = prepared.case
        if self.workload.implementations[case.implementation].part:
            if self._own is None:
                self._own = self._computed_here(case.device)
            reference = self._own
        result.check = check(self.workload, case.precision, values, reference, case.implementation)

    def recorded(self, prepared: Prepared, precision: str) -> set[torch.dtype]:
        """Nothing: a further call of one rank alone would wait for the others for ever."""
        del prepared, precision
        return set()

    def forget(self) -> None:
        """Release what only checks need."""
        self._own = self.inputs.joint = None

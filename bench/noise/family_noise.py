"""What is kept of a family's timing for its noise, which is only known when the pilots after it are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult, FamilyResult
from torchduet.bench.host.counters import Telemetry
from torchduet.bench.noise.causes import Figures
from torchduet.bench.noise.drift import drift
from torchduet.bench.run.records import Outcome

NO_GPU: Mapping[str, float] = {}  # one for all: thousands are kept


@dataclass(frozen=True, slots=True)
class Interrupted:
    """How often blocks were interrupted.

    Attributes:
        share: of the blocks; None: not counted here.
        rate: interruptions per second of blocks; None: not counted here.
        loaders: what was timed has DataLoader workers of its own.
        stood_still: seconds for which the process was stopped or the machine suspended in blocks, at the most.
        left_out: blocks that were therefore left out, and taken again.
        kept: blocks that counted all the same.
    """

    share: float | None
    rate: float | None
    loaders: bool
    stood_still: float = 0.0
    left_out: int = 0
    kept: int = 0

    def added_to(self, figures: Figures) -> Figures:
        """The figures with these."""
        return replace(
            figures,
            interrupted=self.share,
            interruptions=self.rate,
            loaders=self.loaders,
            stood_still=self.stood_still,
            left_out=self.left_out,
            kept=self.kept,
        )


@dataclass(slots=True)
class Timed:
    """A family that was timed, from when to when (seconds into the run).

    Attributes:
        drift: how much slower its slowest stretch was than its fastest; None: not known.
        whole: interruptions of the family.
        each: case id → interruptions of that case.
        gpu: reason for lowered clocks → share of the looks at which it held.
        left_open: its verdicts were left open.
        outcomes: case id → what came out for it; not part of the JSON.
    """

    begun: float
    ended: float
    telemetry: Telemetry
    drift: float | None
    whole: Interrupted
    each: Mapping[str, Interrupted]
    gpu: Mapping[str, float]
    left_open: bool = False
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything but the outcomes."""
        return asdict(replace(self, outcomes={}))

    @classmethod
    def from_json(cls, found: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> Timed:
        """What :meth:`to_json` gave."""
        values = {
            "telemetry": Telemetry(**found["telemetry"]),
            "whole": Interrupted(**found["whole"]),
            "each": {case: Interrupted(**one) for case, one in found["each"].items()},
            "outcomes": outcomes,
        }
        return cls(**{**found, **values})


def timed(
    times: tuple[float, float],
    result: FamilyResult,
    telemetry: Telemetry,
    gpu: Mapping[str, float],
    outcomes: Mapping[Case, Outcome],
) -> Timed:
    """What counts for the noise of a family's result."""
    results = result.results
    drifted = None
    if not any(one.meters for one in results):  # what notes phases of its own may do other work each time
        alike = [[one for one in results if one.rests == rests and not one.error] for rests in (False, True)]
        drifts = [drift(one.blocks for one in group if one.blocks) for group in alike]  # they have times of their own
        drifted = max((one for one in drifts if one is not None), default=None)
    by_id = {case.id: outcome for case, outcome in outcomes.items()}
    whole = interruptions(results)
    each = {one.case.id: interruptions([one]) if len(results) > 1 else whole for one in results}
    return Timed(*times, telemetry, drifted, whole, each, gpu or NO_GPU, outcomes=by_id)


def interruptions(results: Sequence[CaseResult]) -> Interrupted:
    """Those of some cases; of cases with loaders of their own only for want of others."""
    counted = [one for one in results if not one.case.workers] or results
    return Interrupted(
        *interrupted(counted),
        loaders=bool(counted[0].case.workers),
        stood_still=sum(one.left_out.seconds for one in results),
        left_out=sum(one.left_out.blocks for one in results),
        kept=sum(one.left_out.kept for one in results),
    )


def interrupted(results: Sequence[CaseResult]) -> tuple[float | None, float | None]:
    """Share of the blocks that were interrupted, and interruptions per second of blocks; None if not counted."""
    counted = [one.interruptions for one in results if one.disturbed is not None and one.interruptions.blocks]
    if not counted:
        return None, None
    share = sum(one.interrupted for one in counted) / sum(one.blocks for one in counted)
    return share, sum(one.switches for one in counted) / max(sum(one.seconds for one in counted), 1e-9)

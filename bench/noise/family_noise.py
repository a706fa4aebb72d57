"""From a family's result to what is kept of its timing for its noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchduet.bench.cases.exchange import CaseResult, FamilyResult
from torchduet.bench.noise.drift import drift
from torchduet.bench.record.telemetry import Interrupted, Telemetry, Timed

NO_GPU: Mapping[str, float] = {}  # one for all: thousands are kept


def noise_of_family(
    times: tuple[float, float],
    result: FamilyResult,
    telemetry: Telemetry,
    gpu: Mapping[str, float],
) -> Timed:
    """What counts for the noise of a family's result."""
    results = result.results
    drifted = None
    if not any(one.meters for one in results):  # what notes phases of its own may do other work each time
        alike = [[one for one in results if one.idle_waiting == rests and not one.error] for rests in (False, True)]
        drifts = [drift(one.blocks for one in group if one.blocks) for group in alike]  # they have times of their own
        drifted = max((one for one in drifts if one is not None), default=None)
    whole = interruptions(results)
    each = {one.case.id: interruptions([one]) if len(results) > 1 else whole for one in results}
    return Timed(*times, telemetry, drifted, whole, each, gpu or NO_GPU)


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
    counted = [one.context_switches for one in results if one.disturbed is not None and one.context_switches.blocks]
    if not counted:
        return None, None
    share = sum(one.interrupted for one in counted) / sum(one.blocks for one in counted)
    return share, sum(one.switches for one in counted) / max(sum(one.seconds for one in counted), 1e-9)

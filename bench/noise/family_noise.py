"""Reduces a family's result to the figures that its noise is graded by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchduet.bench.cases.exchange import CaseResult, FamilyResult
from torchduet.bench.noise.drift import drift
from torchduet.bench.record.devices import numbered, on_host
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed

NO_GPU: Mapping[str, float] = {}  # one object for all: thousands of families refer to it
NO_DEVICES: Mapping[str, str] = {}


def noise_of_family(
    times: tuple[float, float],
    result: FamilyResult,
    telemetry: Telemetry,
    gpu: Mapping[str, float],
    used_by_others: Mapping[str, float] = NO_GPU,
) -> Timed:
    """The figures of a family's result.

    Args:
        times: when its timing began and ended, seconds into the run.
        gpu: reason for lowered clocks → share of the samples in which it held.
        used_by_others: GPU → share of the time in which other processes computed on it.
    """
    results = result.results
    largest_drift = None
    if not any(case.meters for case in results):  # a case with meters may do other work in each call
        # Groups of cases that do not alternate with the others are timed apart, so their drift is measured apart, too.
        apart: dict[tuple[str, bool], list[CaseResult]] = {}
        for case in results:
            if not case.error:
                place = "" if on_host(case.case.device) else case.case.device
                apart.setdefault((place, case.idle_waiting), []).append(case)
        drifts = [drift(case.blocks for case in group if case.blocks) for group in apart.values()]
        largest_drift = max((value for value in drifts if value is not None), default=None)
    of_family = block_switches(results)
    of_cases = {case.case.id: block_switches([case]) if len(results) > 1 else of_family for case in results}
    devices = {case.case.id: numbered(case.case.device) for case in results if not on_host(case.case.device)}
    return Timed(
        *times,
        telemetry,
        largest_drift,
        of_family,
        of_cases,
        gpu or NO_GPU,
        devices=devices or NO_DEVICES,
        used_by_others={device: used_by_others[device] for device in devices.values() if device in used_by_others}
        or NO_GPU,
        threads=threads_at_once(results),
    )


def threads_at_once(results: Sequence[CaseResult]) -> int | None:
    """The most threads of all ranks of a case together, on the CPU; None where no case runs in several processes."""
    known = [result for result in results if result.ranks is not None and on_host(result.case.device)]
    most = max((len(result.ranks.seconds) * result.ranks.threads for result in known if result.ranks), default=0)
    return most if most > 1 else None


def block_switches(results: Sequence[CaseResult]) -> BlockSwitches:
    """Context switches and left-out blocks of some cases; cases with loaders count only if there are no others."""
    counted = [result for result in results if not result.case.workers] or results
    return BlockSwitches(
        *switch_share_and_rate(counted),
        loaders=bool(counted[0].case.workers),
        stood_still=sum(result.left_out.seconds for result in results),
        left_out=sum(result.left_out.blocks for result in results),
        kept=sum(result.left_out.kept for result in results),
    )


def switch_share_and_rate(results: Sequence[CaseResult]) -> tuple[float | None, float | None]:
    """Share of the blocks with a context switch, and context switches per second of blocks; None if not counted."""
    counted = [result for result in results if result.disturbed is not None and result.context_switches.blocks]
    counts = [result.context_switches for result in counted]
    if not counts:
        return None, None
    share = sum(count.interrupted for count in counts) / sum(count.blocks for count in counts)
    return share, sum(count.switches for count in counts) / max(sum(count.seconds for count in counts), 1e-9)

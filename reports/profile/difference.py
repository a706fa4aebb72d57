"""Compares two profiles: how compiling a case, or another run, changed where the time goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torchduet.bench.record.schema import CaseRecord
from torchduet.reports.profile.categories import COMPILED, FUSED, GEMM, PYTHON
from torchduet.reports.profile.device import IDLE, Device
from torchduet.reports.profile.device_words import activities
from torchduet.reports.profile.kernels import short_name
from torchduet.reports.profile.summary import Summary
from torchduet.reports.text import units

WORTH_NAMING = 0.05  # of the longer call
EAGER = "eager"


@dataclass(frozen=True)
class Shift:
    """A category's seconds per call on both sides."""

    category: str
    before: float
    after: float


def shifts(before: Mapping[str, float], after: Mapping[str, float]) -> list[Shift]:
    """Every category of either side, the largest change first."""
    names = dict.fromkeys((*before, *after))
    unsorted = [Shift(name, before.get(name, 0.0), after.get(name, 0.0)) for name in names]
    return sorted(unsorted, key=lambda shift: -abs(shift.after - shift.before))


def sentences(before: Summary, after: Summary, first: str, second: str) -> Iterator[str]:
    """How the second profile differs from the first, in sentences that call both by their names; first on the GPU."""
    of_kernels = list(kernel_sentences(before, after, first, second))
    on_gpu = bool(of_kernels)
    yield from of_kernels
    where = " on the host" if on_gpu else ""
    fused = f", {_number(after.fused)} of them fused by the compiler" if after.fused else ""
    yield (
        f"{second} runs {_number(after.dispatched)} operators and kernels per call{where} instead of the "
        f"{_number(before.dispatched)} of {first}{fused}."
    )
    least = WORTH_NAMING * max(before.seconds, after.seconds)
    of_host = shifts(before.categories, after.categories)
    if large := _large(of_host, least):
        yield f"{'On the host, by' if on_gpu else 'By'} category, under the profiler: {large}."
    if not on_gpu:
        yield from _same_products(of_host, least)
    share_before, share_after = _without_operator(before), _without_operator(after)
    if max(share_before, share_after) >= WORTH_NAMING:
        compiled = ", entering compiled code" if before.share(COMPILED) or after.share(COMPILED) else ""
        change = "fell" if share_after < share_before else "rose"
        yield (
            f"The share in which no operator ran{where} (Python, launching{compiled}) {change} from "
            f"{units.percent(share_before)} to {units.percent(share_after)}: "
            f"{_seconds(share_before * before.seconds)} → {_seconds(share_after * after.seconds)}."
        )
    kernels = [operator.name for operator in after.operators if operator.category == FUSED]
    if kernels and not on_gpu:
        yield f"The longest fused kernel: `{kernels[0]}`."


def kernel_sentences(before: Summary, after: Summary, first: str, second: str) -> Iterator[str]:
    """How the kernels and the idle time of the GPU differ; nothing unless both profiles have a GPU's activity."""
    if before.device is not None and after.device is not None:
        yield from _on_the_gpu(before.device, after.device, first, second)


def _on_the_gpu(before: Device, after: Device, first: str, second: str) -> Iterator[str]:
    yield (
        f"On the GPU, {second} runs {activities(after.launched)} per call instead of the "
        f"{_number(before.launched)} of {first}: it is busy for {_seconds(after.busy)} instead of "
        f"{_seconds(before.busy)}, and idles for {units.percent(after.idle_share)} of a call instead of "
        f"{units.percent(before.idle_share)}."
    )
    least = WORTH_NAMING * max(before.seconds, after.seconds)
    of_gpu = shifts(before.parts, after.parts)
    if large := _large([shift for shift in of_gpu if shift.category not in IDLE], least):
        yield f"By kind of kernel: {large}."
    if large := _large([shift for shift in of_gpu if shift.category in IDLE], least):
        yield f"By what the host does while the GPU idles: {large.replace('idle: ', '')}."
    yield from _same_products(of_gpu, least)
    fused = [kernel for kernel in after.kernels if kernel.category == FUSED]
    if fused:
        yield f"The longest fused kernel: `{short_name(fused[0].name)}`, {_seconds(fused[0].own)}."


def _large(changes: list[Shift], least: float) -> str:
    """The changes of at least ``least`` seconds, in words."""
    return "; ".join(
        f"{shift.category} {_seconds(shift.before)} → {_seconds(shift.after)}"
        for shift in changes
        if abs(shift.after - shift.before) >= least
    )


def _same_products(changes: list[Shift], least: float) -> Iterator[str]:
    gemm = next((shift for shift in changes if shift.category == GEMM and shift.before), None)
    if gemm and abs(gemm.after - gemm.before) < least:
        yield f"The {GEMM} did not change ({_seconds(gemm.before)} and {_seconds(gemm.after)})."


def partner(case: CaseRecord, cases: Mapping[str, CaseRecord]) -> str | None:
    """The id of the eager case that differs from a compiled one in nothing else; None where there is none."""
    if case["mode"] == EAGER:
        return None
    eager = {**case, "mode": EAGER, "id": "", "reference": False}
    return next(
        (name for name, candidate in cases.items() if {**candidate, "id": "", "reference": False} == eager),
        None,
    )


def _without_operator(summary: Summary) -> float:
    """The share of Python and of entering compiled code, which is Python's guards and wrappers."""
    return summary.share(PYTHON) + summary.share(COMPILED)


def _seconds(value: float) -> str:
    return units.seconds(value) if value else "none"


def _number(value: float) -> str:
    return f"{round(value):,}" if value >= 1 or not value else f"{value:.1f}"

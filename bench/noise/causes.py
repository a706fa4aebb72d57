"""From what was measured of the machine to the causes of its noise, in words, each with a grade and what would help.

Pure functions of figures. *Noisy* is what alternation cancels: speed-ups stand, times per call are not to
be held against those of another run. *Disturbed* is what may hit one side harder than the other: intervals
are wider, and verdicts stay open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torchduet.bench.noise.figures import OTHERS, STEAL, STOPPED, Figures
from torchduet.bench.noise.remedies import (
    ELSEWHERE,
    GPU_CLOCKS,
    STEADY_CLOCKS,
    UNSTOPPED,
    Remedy,
    one_less,
    room,
)
from torchduet.bench.record.schema import DISTURBED, GRADES, NOISY, QUIET, Grade

KINDS = ("stood still", "interrupted", "others", "steal", "stopped", "clocks", "throttled", "swapped", "gpu", "moved")

# Each threshold is (noisy, disturbed). "Undisturbed" and "loaded" are what was measured on a VM of two cores while
# nothing else ran, and while others kept 1.4 of its cores busy.
# Share of the blocks, of 0.2 ms where calls are short. Undisturbed up to 1.1 %, loaded 4 % in the median, at most 19 %.
INTERRUPTED = (0.02, 0.04)
# Per second and thread, beside the share: long blocks are all interrupted. Undisturbed up to 22 (58 where blocks of
# 30 ms use all cores), loaded 72 in the median.
INTERRUPTIONS = (40.0, 60.0)
MOVED = (0.25, 0.6)  # of times of fixed work. At one speed they repeat within 20 %; a host at half speed doubles them
CLOCKS = 0.1  # fastest over slowest, less one: both sides of a comparison run at the same clock
LOWERED = 0.05  # share of the looks; the hotter case pays for it as much as the others of its family
SWAPPED = (256, 25_600)  # pages of 4 KiB: 1 MiB is felt, 100 MiB are seconds of a disk


@dataclass(frozen=True)
class Cause:
    """One reason why the machine was not quiet.

    Attributes:
        kind: one of ``KINDS``.
        size: how many times its threshold for *noisy* it reaches.
        words: it in plain words, with its figure.
    """

    kind: str
    grade: Grade
    size: float
    words: str
    remedy: Remedy


def percent(share: float) -> str:
    """``0.124`` → ``12 %``; ``0.042`` → ``4.2 %``."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %".replace(".0 %", " %")


def times(change: float) -> str:
    """``0.35`` → ``35 %``; ``1.9`` → ``a factor of 2.9``."""
    if change < 1:
        return percent(change)
    return f"a factor of {1 + change:.2g}" if change < 9 else f"a factor of {1 + change:,.0f}"


def graded(value: float, thresholds: tuple[float, float]) -> Grade:
    """The grade of a figure that is noise from a threshold on."""
    noisy, disturbed = thresholds
    return DISTURBED if value >= disturbed else NOISY if value >= noisy else QUIET


def causes(figures: Figures) -> list[Cause]:
    """Every cause of noise that the figures show, the worst first."""
    rules = (_stood_still, _interrupted, _others, _steal, _stopped, _clocks, _throttled, _swapped, _gpu, _moved)
    return worst_first(cause for rule in rules if (cause := rule(figures)) is not None)


def worst_first(found: Iterable[Cause]) -> list[Cause]:
    """By grade; of one grade what explains comes before what is explained."""
    return sorted(found, key=lambda cause: (-GRADES.index(cause.grade), KINDS.index(cause.kind)))


def _stood_still(figures: Figures) -> Cause | None:
    """What was timed before and after is whole; its clocks and its heat may have been others afterwards."""
    if not figures.left_out:
        return None
    number = figures.left_out
    what = "1 block was left out and taken again" if number == 1 else f"{number} blocks were left out and taken again"
    words = f"it was stopped, or the machine suspended, for up to {figures.stood_still:.2g} s: {what}"
    if not figures.kept:
        return Cause("stood still", NOISY, float(number), words, UNSTOPPED)
    words += f", and {figures.kept} counted all the same, as it was stopped again and again"
    return Cause("stood still", DISTURBED, float(number), words, UNSTOPPED)


def _interrupted(figures: Figures) -> Cause | None:
    share, rate = figures.interrupted, figures.interruptions
    if share is None or rate is None or figures.loaders:  # loaders' own processes take turns with it: that is the case
        return None
    rate /= figures.threads
    grade = min(graded(share, INTERRUPTED), graded(rate, INTERRUPTIONS), key=GRADES.index)
    if grade == QUIET:
        return None
    others = figures.telemetry.others
    if figures.crowded:
        why = ": more threads than free cores"
    elif others is not None and others >= OTHERS[0]:
        why = ": other processes ran on its cores"
    elif figures.threads >= figures.cores:
        why = ": there are as many threads as cores, and none is left for anything else"
    else:
        why = ""
    words = f"{percent(share)} of the blocks were interrupted{why}"
    remedy = room(figures.threads, figures.cores, others)
    if not figures.crowded and 1 < figures.threads >= figures.cores:
        remedy = one_less(figures.threads)
    return Cause("interrupted", grade, rate / INTERRUPTIONS[0], words, remedy)


def _others(figures: Figures) -> Cause | None:
    others = figures.telemetry.others
    if others is None or others < OTHERS[0]:
        return None
    grade = DISTURBED if figures.crowded and others >= OTHERS[1] else NOISY
    words = f"others kept {others:.1f} of {figures.cores} cores busy"
    return Cause("others", grade, others / OTHERS[0], words, room(figures.threads, figures.cores, others))


def _steal(figures: Figures) -> Cause | None:
    steal = figures.telemetry.steal
    if steal is None or steal < STEAL[0]:
        return None
    words = f"steal {percent(steal)}: the host gave that share of the cores' time to other virtual machines"
    return Cause("steal", graded(steal, STEAL), steal / STEAL[0], words, ELSEWHERE)


def _stopped(figures: Figures) -> Cause | None:
    stopped, quota = figures.telemetry.stopped, figures.telemetry.quota
    if stopped is None or stopped < STOPPED[0]:
        return None
    words = f"the container's quota of CPU time stopped it for {percent(stopped)} of the time"
    remedy = Remedy("quota", "a larger quota of CPU time for the container")
    if quota is not None and 1 <= quota < figures.threads:
        remedy = Remedy("quota", f"use --threads {math.floor(quota)}, as many as the container's quota allows")
    return Cause("stopped", graded(stopped, STOPPED), stopped / STOPPED[0], words, remedy)


def _moved(figures: Figures) -> Cause | None:
    """Times of fixed work that changed, and what that comes from as far as anything here shows it."""
    moved = max(figures.pilots or 0.0, figures.drift or 0.0)
    if moved < MOVED[0]:
        return None
    what = []
    if figures.pilots is not None and figures.pilots >= MOVED[0]:
        what.append(f"the pilots before and after differ by {times(figures.pilots)}")
    if figures.drift is not None and figures.drift >= MOVED[0]:
        what.append(f"times drifted by {times(figures.drift)} from placement to placement")
    words, remedy = " and ".join(what), ELSEWHERE
    clocks, others = _clocks(figures), figures.telemetry.others
    if figures.loaded:
        words = f"{words}, under load"
        if others is not None and others >= OTHERS[0]:
            remedy = room(figures.threads, figures.cores, others)
    elif clocks is not None or figures.telemetry.throttled:
        words, remedy = f"{words}, with the CPU's clocks", STEADY_CLOCKS
    elif others is None:
        words = f"{words}; what that comes from is not known on this system"
    elif figures.telemetry.virtual:
        words = f"{words}, without any load on this machine: other tenants of the host"
    else:
        words = (
            f"{words}, without any load on this machine: its clocks, its temperature, or a host that it is a guest of"
        )
    # Steady times of its own say that the change came before or after: both sides had the same machine.
    steady = figures.drift is not None and figures.drift < MOVED[0]
    return Cause("moved", NOISY if steady else graded(moved, MOVED), moved / MOVED[0], words, remedy)


def _clocks(figures: Figures) -> Cause | None:
    slowest, fastest = figures.telemetry.slowest, figures.telemetry.fastest
    if not slowest or fastest is None or fastest / slowest - 1 < CLOCKS:
        return None
    by = f" (governor {figures.telemetry.governor})" if figures.telemetry.governor else ""
    words = f"the CPU's clocks ran between {slowest / 1e9:.2f} and {fastest / 1e9:.2f} GHz{by}"
    return Cause("clocks", NOISY, (fastest / slowest - 1) / CLOCKS, words, STEADY_CLOCKS)


def _throttled(figures: Figures) -> Cause | None:
    number = figures.telemetry.throttled
    if not number:
        return None
    words = f"the CPU was slowed down for its temperature {number} time{'s' if number > 1 else ''}"
    return Cause("throttled", NOISY, 1.0, words, Remedy("heat", "better cooling, or fewer --threads"))


def _swapped(figures: Figures) -> Cause | None:
    pages = figures.telemetry.swapped
    if pages is None or pages < SWAPPED[0]:
        return None
    words = f"{pages * 4096 / 2**20:.0f} MiB were swapped"
    remedy = Remedy("memory", "close what holds memory")
    return Cause("swapped", graded(pages, SWAPPED), pages / SWAPPED[0], words, remedy)


def _gpu(figures: Figures) -> Cause | None:
    reason, share = max(figures.gpu.items(), key=lambda one: one[1], default=("", 0.0))
    if share < LOWERED:
        return None
    words = f"the GPU lowered its clocks: {reason}, at {percent(share)} of the looks"
    remedy = Remedy("gpu", GPU_CLOCKS.get(reason, "a look at the GPU's power supply"))
    return Cause("gpu", NOISY, share / LOWERED, words, remedy)

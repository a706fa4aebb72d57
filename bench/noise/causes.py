"""From figures of the machine to the causes of its noise, in words, each with a grade and what would help.

Pure functions of figures. *Noisy*: alternation cancels the noise; speed-ups are valid, but times per call cannot be
compared with those of another run. *Disturbed*: the noise may slow one side more than the other; intervals are wider,
and verdicts stay unclear.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torchduet.bench.noise.figures import OTHERS, QUOTA_THROTTLED, STEAL, Figures
from torchduet.bench.noise.remedies import (
    GPU_CLOCKS,
    IDLE_GPU,
    NO_SUSPENSION,
    QUIETER_MACHINE,
    STEADY_CLOCKS,
    STEADY_GPU_CLOCKS,
    Remedy,
    make_room,
    one_thread_fewer,
)
from torchduet.bench.record.schema import DISTURBED, GRADES, NOISY, QUIET, Grade
from torchduet.bench.record.units import TOO_WIDE
from torchduet.bench.record.words.counting import plural

KINDS = (
    "suspended",
    "context switches",
    "others",
    "steal",
    "quota",
    "clocks",
    "heat",
    "swapped",
    "gpu others",
    "gpu",
    "gpu speed",
    "speed",
)

# Each threshold is (noisy, disturbed). "Undisturbed" and "loaded" are measurements on a VM of two cores while
# nothing else ran, and while other processes kept 1.4 of its cores busy.
# Share of the blocks, of 0.2 ms where calls are short. Undisturbed up to 1.1 %, loaded 4 % in the median, at most 19 %.
SWITCHED = (0.02, 0.04)
# Per second and thread, beside the share: each long block has a context switch. Undisturbed up to 22 (58 where blocks
# of 30 ms use all cores), loaded 72 in the median.
SWITCH_RATE = (40.0, 60.0)
SPEED = (0.25, 0.6)  # change of times of fixed work. At one speed they repeat within 20 %; at half speed they double
CLOCKS = 0.1  # fastest over slowest, less one: both sides of a comparison run at the same clock
LOWERED = 0.05  # share of the samples; lowered clocks slow all cases of a family down alike, not only the hottest
# Share of the time in which others computed on the GPU. Two processes take turns on it, and a call waits for the end of
# the other one's turn: at a third of the time neighbouring blocks need not have waited alike. Chosen, not measured yet.
USED_BY_OTHERS = (0.05, 0.3)
SWAPPED = (256, 25_600)  # pages of 4 KiB: 1 MiB is measurable, 100 MiB are seconds of a disk


@dataclass(frozen=True)
class Cause:
    """One reason why the machine was not quiet.

    Attributes:
        kind: one of ``KINDS``.
        size: its figure as a multiple of the threshold for *noisy*.
        words: the cause in plain words, with its figure.
    """

    kind: str
    grade: Grade
    size: float
    words: str
    remedy: Remedy


def percent(share: float) -> str:
    """``0.124`` → ``12 %``; ``0.042`` → ``4.2 %``."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %".replace(".0 %", " %")


def changed(words: str, change: float, what: str, where: str = "") -> str:
    """``times drifted by 35 % from placement to placement``, or what so large a change means.

    Args:
        words: what follows in a sentence is the change: as a share, or from twice as long on as a factor.
        change: how much longer the longest took than the shortest (0.35: 35 %).
        what: one of those that were timed: of over ``TOO_WIDE`` times as long only that is said.
        where: ends the sentence on a smaller change.
    """
    if change >= TOO_WIDE:
        return f"{what} took more than {TOO_WIDE} times as long as another, as the machine stood still meanwhile"
    share = percent(change) if change < 1 else f"a factor of {1 + change:.{2 if change < 9 else 3}g}"
    return " ".join(filter(None, (words, share, where)))


def grade_of(value: float, thresholds: tuple[float, float]) -> Grade:
    """The grade of a figure, by its thresholds for *noisy* and *disturbed*."""
    noisy, disturbed = thresholds
    return DISTURBED if value >= disturbed else NOISY if value >= noisy else QUIET


def causes(figures: Figures) -> list[Cause]:
    """Every cause of noise that the figures show, the worst first."""
    rules = (
        *(_suspended, _context_switches, _others, _steal, _quota, _clocks, _heat, _swapped),
        *(_gpu_others, _gpu, _gpu_speed, _speed),
    )
    return worst_first(cause for rule in rules if (cause := rule(figures)) is not None)


def worst_first(unordered: Iterable[Cause]) -> list[Cause]:
    """By grade; within a grade a cause comes before its consequence."""
    return sorted(unordered, key=lambda cause: (-GRADES.index(cause.grade), KINDS.index(cause.kind)))


def _suspended(figures: Figures) -> Cause | None:
    """Blocks before and after a suspension are valid; the clocks and the temperature may differ between the two."""
    if not figures.left_out:
        return None
    number = figures.left_out
    blocks = "1 block was left out and taken again" if number == 1 else f"{number} blocks were left out and taken again"
    words = f"the process or the machine was suspended for up to {figures.suspended:.2g} s: {blocks}"
    if not figures.kept:
        return Cause("suspended", NOISY, float(number), words, NO_SUSPENSION)
    words += f", and {figures.kept} counted nevertheless, as it was suspended again and again"
    return Cause("suspended", DISTURBED, float(number), words, NO_SUSPENSION)


def _context_switches(figures: Figures) -> Cause | None:
    share, rate = figures.switched, figures.switches_per_second
    if share is None or rate is None or figures.loaders:  # switching to its own loaders is part of such a case
        return None
    rate /= figures.threads
    grade = min(grade_of(share, SWITCHED), grade_of(rate, SWITCH_RATE), key=GRADES.index)
    if grade == QUIET:
        return None
    others = figures.telemetry.others
    if figures.oversubscribed:
        why = ": more threads than free cores"
    elif others is not None and others >= OTHERS[0]:
        why = ": other processes ran on its cores"
    elif figures.threads >= figures.cores:
        why = ": there are as many threads as cores, and none is free for other work"
    else:
        why = ""
    words = f"{percent(share)} of the blocks had a context switch{why}"
    remedy = make_room(figures.threads, figures.cores, others, ranks=figures.ranks)
    if not figures.oversubscribed and 1 < figures.threads >= figures.cores:
        remedy = one_thread_fewer(figures.threads, ranks=figures.ranks)
    return Cause("context switches", grade, rate / SWITCH_RATE[0], words, remedy)


def _others(figures: Figures) -> Cause | None:
    others = figures.telemetry.others
    if others is None or others < OTHERS[0]:
        return None
    grade = DISTURBED if figures.oversubscribed and others >= OTHERS[1] else NOISY
    words = f"other processes kept {others:.1f} of {figures.cores} cores busy"
    return Cause(
        "others",
        grade,
        others / OTHERS[0],
        words,
        make_room(figures.threads, figures.cores, others, ranks=figures.ranks),
    )


def _steal(figures: Figures) -> Cause | None:
    steal = figures.telemetry.steal
    if steal is None or steal < STEAL[0]:
        return None
    words = f"steal {percent(steal)}: the host gave that share of the cores' time to other virtual machines"
    return Cause("steal", grade_of(steal, STEAL), steal / STEAL[0], words, QUIETER_MACHINE)


def _quota(figures: Figures) -> Cause | None:
    throttled, quota = figures.telemetry.stopped, figures.telemetry.quota
    if throttled is None or throttled < QUOTA_THROTTLED[0]:
        return None
    words = f"the container's quota of CPU time throttled it for {percent(throttled)} of the time"
    remedy = Remedy("quota", "a larger quota of CPU time for the container")
    if quota is not None and 1 <= quota < figures.threads:
        remedy = Remedy("quota", f"use --threads {math.floor(quota)}, as many as the container's quota allows")
    return Cause("quota", grade_of(throttled, QUOTA_THROTTLED), throttled / QUOTA_THROTTLED[0], words, remedy)


def _speed(figures: Figures) -> Cause | None:
    """Times of fixed work that changed, with the reason as far as the other figures show it."""
    change = max(figures.pilots or 0.0, figures.drift or 0.0)
    if change < SPEED[0]:
        return None
    changes = []
    if figures.pilots is not None and figures.pilots >= SPEED[0]:
        changes.append(changed("the pilots before and after differ by", figures.pilots, "a pilot"))
    if figures.drift is not None and figures.drift >= SPEED[0]:
        changes.append(changed("times drifted by", figures.drift, "a placement", "from placement to placement"))
    words, remedy = " and ".join(changes), QUIETER_MACHINE
    clocks, others = _clocks(figures), figures.telemetry.others
    if figures.under_load:
        words = f"{words}, under load"
        if others is not None and others >= OTHERS[0]:
            remedy = make_room(figures.threads, figures.cores, others, ranks=figures.ranks)
    elif clocks is not None or figures.telemetry.throttled:
        words, remedy = f"{words}, with the CPU's clocks", STEADY_CLOCKS
    elif others is None:
        words = f"{words}; the reason is not known on this system"
    elif figures.telemetry.virtual:
        words = f"{words}, without any load on this machine: other tenants of the host"
    else:
        words = f"{words}, without any load on this machine: its clocks, its temperature, or its host if it is virtual"
    # If the family's own times are steady, the speed changed before or after: both sides had the same machine.
    steady = figures.drift is not None and figures.drift < SPEED[0]
    return Cause("speed", NOISY if steady else grade_of(change, SPEED), change / SPEED[0], words, remedy)


def _clocks(figures: Figures) -> Cause | None:
    slowest, fastest = figures.telemetry.slowest, figures.telemetry.fastest
    if not slowest or fastest is None or fastest / slowest - 1 < CLOCKS:
        return None
    by = f" (governor {figures.telemetry.governor})" if figures.telemetry.governor else ""
    words = f"the CPU's clocks ran between {slowest / 1e9:.2f} and {fastest / 1e9:.2f} GHz{by}"
    return Cause("clocks", NOISY, (fastest / slowest - 1) / CLOCKS, words, STEADY_CLOCKS)


def _heat(figures: Figures) -> Cause | None:
    number = figures.telemetry.throttled
    if not number:
        return None
    words = f"the CPU was slowed down for its temperature {plural(number, 'time')}"
    return Cause("heat", NOISY, 1.0, words, Remedy("heat", "better cooling, or fewer --threads"))


def _swapped(figures: Figures) -> Cause | None:
    pages = figures.telemetry.swapped
    if pages is None or pages < SWAPPED[0]:
        return None
    words = f"{pages * 4096 / 2**20:.0f} MiB were swapped"
    remedy = Remedy("memory", "close what holds memory")
    return Cause("swapped", grade_of(pages, SWAPPED), pages / SWAPPED[0], words, remedy)


def _gpu(figures: Figures) -> Cause | None:
    reason, share = max(figures.gpu.items(), key=lambda item: item[1], default=("", 0.0))
    if share < LOWERED:
        return None
    words = f"the GPU lowered its clocks: {reason}, in {percent(share)} of the samples"
    remedy = Remedy("gpu", GPU_CLOCKS.get(reason, "a check of the GPU's power supply"))
    return Cause("gpu", NOISY, share / LOWERED, words, remedy)


def _gpu_others(figures: Figures) -> Cause | None:
    device, share = max(figures.used_by_others.items(), key=lambda item: item[1], default=("", 0.0))
    if share < USED_BY_OTHERS[0]:
        return None
    words = f"other processes computed on {device} for {percent(share)} of the time"
    return Cause("gpu others", grade_of(share, USED_BY_OTHERS), share / USED_BY_OTHERS[0], words, IDLE_GPU)


def _gpu_speed(figures: Figures) -> Cause | None:
    """Times of fixed work on the GPU that changed, with the reason as far as the other figures show it."""
    change = figures.gpu_pilots
    if change is None or change < SPEED[0]:
        return None
    words, remedy = changed("the GPU's pilots before and after differ by", change, "a GPU's pilot"), STEADY_GPU_CLOCKS
    if _gpu_others(figures) is not None:
        words, remedy = f"{words}, while other processes used it", IDLE_GPU
    elif (lowered := _gpu(figures)) is not None:
        words, remedy = f"{words}, with its clocks", lowered.remedy
    steady = figures.drift is not None and figures.drift < SPEED[0]  # as in _speed
    return Cause("gpu speed", NOISY if steady else grade_of(change, SPEED), change / SPEED[0], words, remedy)

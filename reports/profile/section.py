"""Gathers the report's section on profiles: the findings of each trace, or why it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torchduet.bench.record.devices import device_kind, on_host
from torchduet.bench.record.duets.sides import sides
from torchduet.bench.record.schema import DuetRecord, Record
from torchduet.reports.profile.balance import Balance, balance, disturbance
from torchduet.reports.profile.balance import sentences as balance_sentences
from torchduet.reports.profile.categories import CATEGORIES, COMPILED, PYTHON
from torchduet.reports.profile.charts import memory_chart
from torchduet.reports.profile.device import IDLE, Device
from torchduet.reports.profile.device_words import answer, headline, no_activity
from torchduet.reports.profile.device_words import sentences as device_sentences
from torchduet.reports.profile.difference import partner, sentences
from torchduet.reports.profile.flame import Frame, frames
from torchduet.reports.profile.kernels import KINDS, short_name
from torchduet.reports.profile.summary import Operator, Summary, summarise
from torchduet.reports.profile.trace import TraceError, read
from torchduet.reports.profile.waiting import in_words as waiting_in_words
from torchduet.reports.profile.waiting import waiting
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.text import units

MAX_OPERATORS = MAX_KERNELS = 12
WORTH_NAMING = 0.01  # of a peak of memory, of a call
TONES = tuple(dict.fromkeys((*CATEGORIES, *KINDS, *IDLE)))  # a part's place selects its colour
RECORDED = ("cuda", "xpu")  # kinds of devices whose activity PyTorch's profiler records


Part = tuple[str, float, float, int]


@dataclass(frozen=True)
class Profile:
    """One case's profile as the page shows it.

    Attributes:
        sentences: its findings; the first one is the answer.
        balance: whether it adds up, in figures; in ``balance_sentences``, in words.
        comparisons: (heading, sentences) for each profile that it is compared with.
        parts: (category, seconds per call, share of the call, tone) of the host, the longest first.
        device_parts: the same by kinds of kernels, then of idle time, of the GPU; empty where the trace has none.
        headline: what takes the most time, and its share; ``second``: the same of what follows, if it is worth naming.
        operators: those with the longest own times; ``more_operators`` others are left out.
        eager_seconds, eager_parts, eager_device_parts: of a compiled case: the same of the eager one; else empty.
        kernels: (short name, whole name, seconds per call, runs per call, kind), the longest first.
    """

    anchor: str
    case: str
    details: str
    summary: Summary
    sentences: tuple[str, ...]
    balance: Balance
    balance_sentences: tuple[str, ...]
    comparisons: tuple[tuple[str, tuple[str, ...]], ...]
    parts: tuple[Part, ...]
    device_parts: tuple[Part, ...]
    headline: str
    second: str
    operators: tuple[Operator, ...]
    more_operators: int
    kernels: tuple[tuple[str, str, float, float, str], ...]
    flame: tuple[Frame, ...]
    memory: Any
    python: Any
    trace: str
    eager_seconds: float = 0.0
    eager_parts: tuple[Part, ...] = ()
    eager_device_parts: tuple[Part, ...] = ()


def section(run: Run) -> dict[str, Any] | None:
    """The profiles of a run, and the traces that cannot be read; None where nothing was profiled."""
    profiled = [(index, record) for index, record in enumerate(run.records) if "profile" in record]
    if not profiled:
        return None
    summaries: dict[str, Summary] = {}
    unreadable: list[tuple[str, str, str]] = []
    for _, record in profiled:
        case, trace = record["case"], record["profile"]["trace"]
        try:
            summaries[case["id"]] = summarise(read(run.folder / trace), case["id"], case["device"])
        except TraceError as error:
            unreadable.append((case["id"], trace, str(error)))
    readable = [(index, record) for index, record in profiled if record["case"]["id"] in summaries]
    cases = {record["case"]["id"]: record["case"] for _, record in readable}
    profiles = []
    for number, (index, record) in enumerate(readable, 1):
        summary = summaries[record["case"]["id"]]
        comparisons = []
        eager = partner(record["case"], cases)
        if eager:
            changes = sentences(summaries[eager], summary, "eager", f"`{record['case']['mode']}`")
            comparisons.append(("Against eager", tuple(changes)))
        if "profile" in record.get("against", {}):
            base, new = both_names(run.about["against"])
            comparisons.append((f"{new} against {base}", tuple(_other_side(run, record, summary, base, new))))
        profile = _profile(record, summary, tuple(comparisons), index, number)
        if eager:
            before = summaries[eager]
            profile = replace(
                profile,
                eager_seconds=before.seconds,
                eager_parts=_parts(before.categories, before.seconds),
                eager_device_parts=_device_parts(before.device) if before.device else (),
            )
        profiles.append(profile)
    return {
        "profiles": profiles,
        "unreadable": unreadable,
        "categories": CATEGORIES,
        "on_gpu": any(profile.device_parts for profile in profiles),
    }


def both_names(duet: DuetRecord) -> tuple[str, str]:
    """What the sides are called whose profiles a record has: its own, and that of ``against``."""
    of = sides(duet)
    return (of.new, of.base) if of.knob else (of.base, of.new)


def _other_side(run: Run, record: Record, summary: Summary, base: str, new: str) -> Iterator[str]:
    """For a duet: how the profile of ``against`` differs from the record's own."""
    case, profile = record["case"], record["against"]["profile"]
    trace = profile["trace"]
    try:
        summary_of_b = summarise(read(run.folder / trace), case["id"], case["device"])
    except TraceError as error:
        yield f"There is no profile of {new} here: {trace} {error}"
    else:
        yield from sentences(summary, summary_of_b, base, new)
        yield from disturbance(profile.get("interrupted", 0.0), f"the profiled calls of {new}")
        yield f"The whole trace of {new}: `{trace}`."


def _profile(
    record: Record, summary: Summary, comparisons: tuple[tuple[str, tuple[str, ...]], ...], index: int, number: int
) -> Profile:
    device = summary.device
    sums = balance(record, summary)
    return Profile(
        anchor=f"profile-{number}",
        case=record["case"]["id"],
        details=anchor(index),
        summary=summary,
        sentences=tuple(_sentences(record, summary)),
        balance=sums,
        balance_sentences=tuple(balance_sentences(sums)),
        comparisons=comparisons,
        parts=_parts(summary.categories, summary.seconds),
        device_parts=_device_parts(device) if device else (),
        headline=headline(device) if device else _share(summary, 0) or "no time",
        second="" if device else _share(summary, 1),
        operators=summary.operators[:MAX_OPERATORS],
        more_operators=max(0, len(summary.operators) - MAX_OPERATORS),
        kernels=tuple(
            (short_name(kernel.name), kernel.name, kernel.own, kernel.calls, kernel.category)
            for kernel in (device.kernels[:MAX_KERNELS] if device else ())
        ),
        flame=tuple(frames(summary.root)),
        memory=memory_chart(summary.memory, f"memory-{number}") if summary.memory else None,
        python=record["profile"].get("python"),
        trace=record["profile"]["trace"],
    )


def _parts(seconds_of: Mapping[str, float], whole: float) -> tuple[Part, ...]:
    return tuple(
        (name, seconds, seconds / whole if whole else 0.0, TONES.index(name))
        for name, seconds in sorted(seconds_of.items(), key=lambda item: -item[1])
        if seconds > 0
    )


def _device_parts(device: Device) -> tuple[Part, ...]:
    parts = _parts(device.parts, device.seconds)
    return (*(part for part in parts if part[0] not in IDLE), *(part for part in parts if part[0] in IDLE))


def _share(summary: Summary, place: int) -> str:
    """The category at this place, the longest first, with its share; empty where it takes next to no time."""
    parts = _parts(summary.categories, summary.seconds)
    if len(parts) <= place or (place and parts[place][2] < WORTH_NAMING):
        return ""
    return f"{units.percent(parts[place][2])} {parts[place][0]}"


def _sentences(record: Record, summary: Summary) -> Iterator[str]:
    """The answer first: what takes the most time, of the GPU where there is one; then the host, waiting and memory."""
    device = summary.device
    if device is not None:
        yield answer(device)
        yield from device_sentences(device, launch_bound=record["timing"].get("launch_bound"))
    elif device_kind(record["case"]["device"]) in RECORDED:
        yield no_activity()
    on_the_host = "On the host, " if device is not None else ""
    first, second, *_ = [*sorted(summary.categories.items(), key=lambda item: -item[1]), ("", 0.0)]
    also = f", {units.percent(summary.share_of(second[1]))} {second[0]}" if second[1] else ""
    longest = next(
        (operator for operator in summary.operators if not operator.named and operator.category != COMPILED), None
    )
    yield (
        f"{on_the_host}{units.percent(summary.share_of(first[1]))} of a call is {first[0]}{also}"
        + (f"; the longest operator is `{longest.name}` with {units.seconds(longest.own)}" if longest else "")
        + "."
    )
    wait = waiting(summary, record["profile"])
    if wait:
        yield waiting_in_words(wait, summary, record["case"].get("workers"))
    if summary.share(PYTHON) > 0.5 and on_host(record["case"]["device"]):
        yield "No operator runs in more than half of a call: that time is Python’s."
    memory = summary.memory
    if memory is not None and memory.peak > 0:
        large = [(name, size) for name, size in memory.holders[:3] if size >= WORTH_NAMING * memory.peak]
        holders = ", ".join(f"`{name}` {units.size(size)}" for name, size in large)
        freed = f", after releasing {units.size(memory.released)} that was held before" if memory.released else ""
        yield f"At its peak a call holds {units.size(memory.peak)} more than before it{freed}" + (
            f": {holders}." if holders else "."
        )

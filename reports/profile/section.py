"""Gathers the report's section on profiles: for each profiled case what its trace says, or why it says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import Record
from torchduet.reports.profile.balance import Balance, balance, disturbance
from torchduet.reports.profile.balance import said as balance_said
from torchduet.reports.profile.categories import CATEGORIES, COMPILED, PYTHON
from torchduet.reports.profile.charts import memory_chart
from torchduet.reports.profile.difference import partner, sentences
from torchduet.reports.profile.flame import Frame, frames
from torchduet.reports.profile.summary import Operator, Summary, summarise
from torchduet.reports.profile.trace import TraceError, read
from torchduet.reports.profile.waiting import said as waiting_said
from torchduet.reports.profile.waiting import waiting
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.text import units

MAX_OPERATORS = 12
WORTH_NAMING = 0.01  # of a peak of memory


@dataclass(frozen=True)
class Profile:
    """One case's profile as the page shows it.

    Attributes:
        says: sentences, the first one the answer.
        balance: whether it adds up; ``balanced`` says so.
        compared: what it is held against, and what became of it.
        parts: (category, seconds per call, share of the call, its tone), the longest first.
        operators: those with the most time of their own; ``others`` of them are left out.
    """

    anchor: str
    case: str
    details: str
    summary: Summary
    says: tuple[str, ...]
    balance: Balance
    balanced: tuple[str, ...]
    compared: tuple[tuple[str, tuple[str, ...]], ...]
    parts: tuple[tuple[str, float, float, int], ...]
    operators: tuple[Operator, ...]
    others: int
    flame: tuple[Frame, ...]
    memory: Any
    python: Any
    trace: str


def section(run: Run) -> dict[str, Any] | None:
    """The profiles of a run, and the traces that cannot be read; None where nothing was profiled."""
    wanted = [(place, record) for place, record in enumerate(run.records) if "profile" in record]
    if not wanted:
        return None
    summaries: dict[str, Summary] = {}
    unreadable: list[tuple[str, str, str]] = []
    for _, record in wanted:
        case, trace = record["case"], record["profile"]["trace"]
        try:
            summaries[case["id"]] = summarise(read(run.folder / trace), case["id"], case["device"])
        except TraceError as error:
            unreadable.append((case["id"], trace, str(error)))
    cases = {record["case"]["id"]: record["case"] for _, record in wanted if record["case"]["id"] in summaries}
    profiles = []
    for number, (place, record) in enumerate((one for one in wanted if one[1]["case"]["id"] in summaries), 1):
        summary = summaries[record["case"]["id"]]
        compared = []
        if other := partner(record["case"], cases):
            said = sentences(summaries[other], summary, "eager", f"`{record['case']['mode']}`")
            compared.append(("Against eager", tuple(said)))
        if "profile" in record.get("against", {}):
            compared.append(("B against A", tuple(_other_side(run, record, summary))))
        profiles.append(_profile(record, summary, tuple(compared), place, number))
    return {"profiles": profiles, "unreadable": unreadable, "categories": CATEGORIES}


def _other_side(run: Run, record: Record, summary: Summary) -> Iterator[str]:
    """Of a duet: what B's profile says beside A's."""
    case, profile = record["case"], record["against"]["profile"]
    trace = profile["trace"]
    try:
        other = summarise(read(run.folder / trace), case["id"], case["device"])
    except TraceError as error:
        yield f"B has no profile here: {trace} {error}"
    else:
        yield from sentences(summary, other, "A", "B")
        yield from disturbance(profile.get("interrupted", 0.0), "B’s profiled calls")
        yield f"B’s whole trace: `{trace}`."


def _profile(
    record: Record, summary: Summary, compared: tuple[tuple[str, tuple[str, ...]], ...], place: int, number: int
) -> Profile:
    parts = sorted(summary.categories.items(), key=lambda item: -item[1])
    adds_up = balance(record, summary)
    return Profile(
        anchor=f"profile-{number}",
        case=record["case"]["id"],
        details=anchor(place),
        summary=summary,
        says=tuple(_says(record, summary)),
        balance=adds_up,
        balanced=tuple(balance_said(adds_up)),
        compared=compared,
        parts=tuple(
            (name, seconds, seconds / summary.seconds if summary.seconds else 0.0, CATEGORIES.index(name))
            for name, seconds in parts
            if seconds > 0
        ),
        operators=summary.operators[:MAX_OPERATORS],
        others=max(0, len(summary.operators) - MAX_OPERATORS),
        flame=tuple(frames(summary.root)),
        memory=memory_chart(summary.memory, f"memory-{number}") if summary.memory else None,
        python=record["profile"].get("python"),
        trace=record["profile"]["trace"],
    )


def _says(record: Record, summary: Summary) -> Iterator[str]:
    """The answer first: what takes the most; then what else a call spends its time and memory on."""
    first, second, *_ = [*sorted(summary.categories.items(), key=lambda item: -item[1]), ("", 0.0)]
    also = f", {units.percent(second[1] / summary.seconds)} {second[0]}" if second[1] else ""
    longest = next((one for one in summary.operators if not one.named and one.category != COMPILED), None)
    yield (
        f"{units.percent(first[1] / summary.seconds)} of a call is {first[0]}{also}"
        + (f"; the longest operator is `{longest.name}` with {units.seconds(longest.own)}" if longest else "")
        + "."
    )
    waits = waiting(summary, record["profile"])
    if waits:
        yield waiting_said(waits, summary, record["case"].get("workers"))
    device = summary.device
    if device is not None:
        bound = record["timing"].get("launch_bound")
        yield f"The GPU idles {units.percent(device.idle_share)} of the time" + (
            "; launching is what limits it." if bound else "."
        )
    if summary.share(PYTHON) > 0.5 and on_host(record["case"]["device"]):
        yield "More than half of a call passes without any operator: what runs then is Python itself."
    held = summary.memory
    if held is not None and held.peak > 0:
        large = [(name, size) for name, size in held.holders[:3] if size >= WORTH_NAMING * held.peak]
        holders = ", ".join(f"`{name}` {units.size(size)}" for name, size in large)
        freed = f", having released {units.size(held.released)} of what was held then" if held.released else ""
        yield f"At its peak a call holds {units.size(held.peak)} more than before it{freed}" + (
            f": {holders}." if holders else "."
        )

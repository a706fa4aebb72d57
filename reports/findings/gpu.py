"""The GPUs of a run: their facts, their state over the run, and the figures of each case that only a GPU has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchduet.bench.record.devices import device_kind, on_host
from torchduet.bench.record.knobs import BY_NAME, IMPLEMENTATION
from torchduet.bench.record.schema import CLOCK_REASONS, GpuRecord, Record
from torchduet.reports.charts.gpu import Panel, timeline
from torchduet.reports.charts.model import Chart
from torchduet.reports.findings import sustained
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.text import units
from torchduet.reports.text.settings import SETTABLE, setting, setting_words, settings

FACTS = {  # fact → its words and unit
    "name": ("model", ""),
    "uuid": ("UUID", ""),
    "driver": ("driver", ""),
    "power_reading": ("power reading", ""),
    "power_limit_w": ("power limit", "W"),
    "default_power_limit_w": ("default power limit", "W"),
    "most_sm_mhz": ("highest SM clock", "MHz"),
    "set_sm_mhz": ("application clock of the SMs", "MHz"),
    "default_sm_mhz": ("default application clock", "MHz"),
    "most_memory_mhz": ("highest memory clock", "MHz"),
    "memory_bytes": ("memory", "B"),
    "ecc": ("ECC", ""),
    "mig": ("MIG", ""),
    "compute_mode": ("compute mode", ""),
    "persistence": ("persistence mode", ""),
    "pcie_generation": ("PCIe generation", ""),
    "pcie_width": ("PCIe lanes", ""),
    "pcie_width_now": ("PCIe lanes in use", ""),
}
PANELS = (("power_w", "Power", "W", "power_limit_w"), ("sm_mhz", "SM clock", "MHz", "most_sm_mhz"))
SET_CLOCKS = 0x02  # NVML's clocks event reason "applications clocks setting", which is no fault
FEW_GAPS = 1.1  # gaps are negligible if the time is at most this many times the device's work


@dataclass(frozen=True)
class Gpu:
    """One GPU: facts and notes in words, and its timeline (None for fewer than two samples)."""

    name: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    chart: Chart | None


@dataclass(frozen=True)
class Row:
    """A case on a GPU, in words; an empty text is unknown."""

    anchor: str
    name: str
    seconds: str
    device: str
    host: str
    limit: str  # what limits it, in words
    memory: str
    reserved: str
    energy: str
    samples: str  # per joule
    headroom: str  # the largest batch that fits
    clock: str  # the range of the SM clock while it was timed
    alone: str  # its time without pause, with the power and the clock


@dataclass(frozen=True)
class Section:
    """The part on GPUs of a run's report."""

    gpus: tuple[Gpu, ...]
    context_bytes: int | None  # of a process; None where it is not known
    rows: tuple[Row, ...]
    crossings: tuple[str, ...]
    sustained: tuple[str, ...]  # which cases take more or less time alone and without pause
    energy: bool
    headroom: bool
    no_energy: str  # why there is none although it was requested
    clocks: bool  # the SM clock was measured while cases were timed

    @property
    def title(self) -> str:
        """The section's title."""
        if not self.gpus and not any(row.limit for row in self.rows):
            return "Energy"
        return ("GPU" if len(self.gpus) < 2 else "GPUs") + (" and energy" if self.energy else "")


def section(run: Run) -> Section | None:
    """The section; None for a run without a GPU and without energies."""
    records = [
        (anchor(index), record)
        for index, record in enumerate(run.records)
        if not on_host(record["case"]["device"]) or "joules" in record.get("energy", {})
    ]
    gpus = run.about.get("gpus", [])
    if not gpus and not records and not any("energy" in record for record in run.records):
        return None
    reasons = [why for record in run.records if (why := record.get("energy", {}).get("why"))]
    rows = tuple(_row(case_anchor, record) for case_anchor, record in records)
    return Section(
        tuple(_gpu(gpu, f"gpu-{index}") for index, gpu in enumerate(gpus)),
        max((record["context_bytes"] for _, record in records if "context_bytes" in record), default=None),
        rows,
        tuple(crossings(run)),
        tuple(sustained.sentences(run)),
        energy=any("joules" in record.get("energy", {}) for _, record in records),
        headroom=any("headroom" in record for _, record in records),
        no_energy=max(set(reasons), key=reasons.count) if reasons else "",
        clocks=any(row.clock for row in rows),
    )


def _gpu(gpu: GpuRecord, prefix: str) -> Gpu:
    facts = gpu["facts"]
    shown = tuple((words, _fact(facts[key], unit)) for key, (words, unit) in FACTS.items() if key in facts)
    shown += tuple(
        (f"{name} reading", f"a new value every {units.seconds(seconds)}, measured")
        for name, seconds in gpu["update_seconds"].items()
    )
    chart = None
    throttling = [_throttling(bits) for bits in gpu["samples"].get("reasons", [None] * len(gpu["at"]))]
    if len(gpu["at"]) >= 2:
        chart = _chart(gpu, [bool(reasons) for reasons in throttling], prefix)
    return Gpu(f"{gpu['device']} {facts.get('name', '')}".strip(), shown, tuple(_notes(gpu, throttling)), chart)


def _fact(value: float | int | str, unit: str) -> str:
    if isinstance(value, str):
        return value
    return units.size(value) if unit == "B" else f"{value:g}\u00a0{unit}".strip()


def _throttling(bits: float | None) -> list[str]:
    """Why a sample's clocks were lowered."""
    return [] if bits is None else [words for words, mask in CLOCK_REASONS.items() if int(bits) & mask]


def _notes(gpu: GpuRecord, throttling: list[list[str]]) -> Iterator[str]:
    if "lost" in gpu:
        yield f"Its readings are missing, or end early: {gpu['lost']}."
    if gpu["slice"]:
        yield "It is a slice of a GPU (MIG): clocks, power and temperature are those of the whole GPU."
    for words in CLOCK_REASONS:
        share = sum(words in reasons for reasons in throttling) / len(throttling) if throttling else 0.0
        if share:
            yield f"It lowered its clocks for {words} in {units.percent(share)} of the samples (shaded)."
    if any(bits is not None and int(bits) & SET_CLOCKS for bits in gpu["samples"].get("reasons", [])):
        yield "Application clocks limit it: that is no fault, and makes times steadier."
    if "clocks" in gpu["facts"]:
        yield f"Clocks: {gpu['facts']['clocks']}."
    if gpu["missing"]:
        reasons = "; ".join(f"{name} ({why})" for name, why in gpu["missing"].items())
        yield f"Not available here: {reasons}."


def _chart(gpu: GpuRecord, throttled: list[bool], prefix: str) -> Chart | None:
    panels = []
    for key, title, unit, limit in PANELS:
        column = gpu["samples"].get(key)
        if column is not None:
            top = gpu["facts"].get(limit)
            if key == "power_w" and "average" in str(gpu["facts"].get("power_reading", "")):
                title = f"{title} ({gpu['facts']['power_reading']})"
            panels.append(Panel(title, unit, column, float(top) if isinstance(top, int | float) else None))
    if "temperature_c" in gpu["samples"]:
        panels.append(Panel("Temperature", "°C", gpu["samples"]["temperature_c"]))
    if not panels:
        return None
    name = str(gpu["facts"].get("name", gpu["device"]))
    return timeline(gpu["at"], panels, throttled, prefix, name)


def _row(case_anchor: str, record: Record) -> Row:
    timing, energy = record["timing"], record.get("energy", {})
    device, host = timing.get("device_seconds"), timing.get("host_seconds")
    joules, samples = energy.get("joules"), record["cost"].get("samples")
    return Row(
        anchor=case_anchor,
        name=record["case"]["id"],
        seconds=units.seconds(timing["seconds"]),
        device=units.seconds(device) if device is not None else "",
        host=units.seconds(host) if host is not None else "",
        limit=_limit(record),
        memory=units.size(record["peak_bytes"]) if "peak_bytes" in record else "",
        reserved=units.size(record["reserved_bytes"]) if "reserved_bytes" in record else "",
        energy=units.quantity(joules, "J") if joules is not None else "",
        samples=f"{samples / joules:,.0f} {record['cost'].get('unit', '')}".strip() if joules and samples else "",
        headroom=_headroom(record),
        clock=_sm_clock(record),
        alone=sustained.shown(record),
    )


def _sm_clock(record: Record) -> str:
    """The range of the SM clock right after the case's blocks, over all visits."""
    ranges = [visit["sm_mhz"] for visit in record["timing"].get("visits", []) if "sm_mhz" in visit]
    if not ranges:
        return ""
    low, high = (f"{value:,.0f}" for value in (min(r["low"] for r in ranges), max(r["high"] for r in ranges)))
    return f"{low} MHz" if low == high else f"{low}–{high} MHz"


def _headroom(record: Record) -> str:
    headroom = record.get("headroom")
    if headroom is None:
        return ""
    return f"{headroom['batch']:,}" if headroom["limit"] == "memory" else f"at least {headroom['batch']:,}"


def _limit(record: Record) -> str:
    """What a call on a GPU waits for."""
    timing = record["timing"]
    if on_host(record["case"]["device"]):
        return ""
    if timing.get("waits"):
        return "the device, within each call"
    if timing.get("launch_bound"):
        return "launching: launch-bound"
    device = timing.get("device_seconds")
    if device is not None and timing["seconds"] > FEW_GAPS * device:
        return "gaps between launches"
    return "the device’s work" if device is not None else ""


def crossings(run: Run) -> Iterator[str]:
    """From which size on the GPU is faster than the CPU: a sentence per workload and setting with several sizes."""
    groups: dict[tuple[str, ...], list[tuple[float, str, str, Record]]] = {}
    for record in run.records:
        for speedup in record["speedups"]:
            numbers = {
                axis: value for axis, value in record["case"]["size"].items() if not isinstance(value, str | bool)
            }
            if speedup["knob"] == "device" and on_host(speedup["baseline"]) and len(numbers) == 1:
                ((axis, size),) = numbers.items()
                case = record["case"]
                texts = tuple(f"{key}={value}" for key, value in case["size"].items() if key != axis)
                key = (f"{case['suite']}.{case['workload']}", axis, *texts)
                key += tuple(settings(record).values())
                groups.setdefault(key, []).append((float(size), axis, speedup["verdict"], record))
    kinds = {device_kind(record["case"]["device"]) for record in run.records if not on_host(record["case"]["device"])}
    for (workload, axis, *_), measured in groups.items():
        if len(measured) < 2:
            continue
        ordered = sorted(measured, key=lambda point: point[0])
        record = ordered[0][3]
        case = record["case"]
        several = len({other["case"]["implementation"] for other in run.records if _same_workload(other, record)}) > 1
        knobs = (*((IMPLEMENTATION,) if several else ()), *(knob for knob in SETTABLE if knob != "device"))
        extras = [*(f"{key}={value}" for key, value in case["size"].items() if key != ordered[0][1])]
        if len(kinds) > 1 or device_kind(case["device"]) != case["device"]:
            extras.append(case["device"])
        words = ", ".join(filter(None, [*(_changed_setting(record, knob) for knob in knobs), *extras]))
        name = f"`{workload}` ({words})" if words else f"`{workload}`"
        wins = [size for size, _, verdict, _ in ordered if verdict == "faster"]
        begin = next((size for size in wins if all(larger in wins for larger, *_ in ordered if larger >= size)), None)
        if begin is None:
            yield f"{name}: the GPU is not clearly faster at the largest size measured, {axis}={_size(ordered[-1][0])}."
        elif begin == ordered[0][0]:
            yield f"{name}: the GPU is faster at every size measured, from {axis}={_size(begin)} on."
        else:
            yield f"{name}: the GPU begins to win between {axis}={_size(_below(ordered, begin))} and {_size(begin)}."


def _size(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:g}"


def _changed_setting(record: Record, knob: str) -> str:
    """A setting in words; empty for an optional knob at its reference."""
    return setting_words(record, knob) if BY_NAME[knob].word(setting(record, knob)) else ""


def _same_workload(record: Record, other: Record) -> bool:
    return (record["case"]["suite"], record["case"]["workload"]) == (other["case"]["suite"], other["case"]["workload"])


def _below(ordered: list[tuple[float, str, str, Record]], size: float) -> float:
    return max(smaller for smaller, *_ in ordered if smaller < size)

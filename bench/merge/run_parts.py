"""What several runs of one machine have in common: sums, unions, the samples of one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from torchduet.bench.record.gpu_samples import MAX_SAMPLES
from torchduet.bench.record.schema import CeilingRecord, GpuRecord, PartRecord, PassingRecord

SUMMED_OPTIONS = ("budget_seconds",)
FIGURES_OF_MACHINE = ("self_check", "reproduction", "duet_check")  # the last ones on this machine, if there are any

Later = Callable[[float], float]  # a moment of one run → the moment in the merged run


def union(items: Iterable[Any]) -> list[Any]:
    """The items in order, equal ones once."""
    kept: list[Any] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return kept


def options(given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all have; the sum of budgets; of others all values, as text."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for of in given for key in of):
        values = [of[key] for of in given if of.get(key) is not None]
        if key in SUMMED_OPTIONS:
            found[key] = sum(value for value in values if isinstance(value, int | float))
        else:
            different = union(values)
            found[key] = (different[0] if different else None) if len(different) < 2 else ", ".join(map(str, different))
    return found


def sums(given: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The sum of each key's values; a missing one counts as 0."""
    return {key: sum(of.get(key, 0.0) for of in given) for key in dict.fromkeys(key for of in given for key in of)}


def passing(given: Sequence[PassingRecord]) -> PassingRecord | None:
    """Suspensions and clock changes of all; None without any record."""
    if not given:
        return None
    return PassingRecord(
        stopped=sum(of["stopped"] for of in given),
        suspended=sum(of["suspended"] for of in given),
        clock_set=[seconds for of in given for seconds in of["clock_set"]],
    )


def gpus(of_runs: Iterable[tuple[Sequence[GpuRecord], Later]]) -> list[GpuRecord]:
    """Each GPU's samples in all runs. Facts that differ, such as its number, are left out; samples are thinned."""
    found: dict[str, list[tuple[GpuRecord, list[float]]]] = {}
    for of_run, later in of_runs:
        for gpu in of_run:
            found.setdefault(gpu["device"], []).append((gpu, [later(moment) for moment in gpu["at"]]))
    return [_gpu(device, of_device) for device, of_device in found.items()]


def _gpu(device: str, of_runs: Sequence[tuple[GpuRecord, Sequence[float]]]) -> GpuRecord:
    first = of_runs[0][0]
    names = dict.fromkeys(name for gpu, _ in of_runs for name in gpu["samples"])
    rows = sorted(
        (
            (moment, tuple(gpu["samples"][name][at] if name in gpu["samples"] else None for name in names))
            for gpu, moments in of_runs
            for at, moment in enumerate(moments)
        ),
        key=lambda row: row[0],
    )
    while len(rows) >= MAX_SAMPLES:
        rows = rows[::2]
    new = {
        **{key: value for gpu, _ in reversed(of_runs) for key, value in gpu.items()},
        "device": device,
        "facts": {
            name: value
            for name, value in first["facts"].items()
            if all(gpu["facts"].get(name) == value for gpu, _ in of_runs)
        },
        "missing": {name: why for gpu, _ in of_runs for name, why in gpu["missing"].items()},
        "at": [moment for moment, _ in rows],
        "samples": {name: [values[at] for _, values in rows] for at, name in enumerate(names)},
    }
    return cast(GpuRecord, new)


def ceilings(given: Iterable[CeilingRecord]) -> list[CeilingRecord]:
    """The best performance of each device in any of the runs."""
    best: dict[str, CeilingRecord] = {}
    for ceiling in given:
        before = best.setdefault(ceiling["device"], ceiling)
        best[ceiling["device"]] = {
            **before,
            "flops_per_second": _greatest(before["flops_per_second"], ceiling["flops_per_second"]),
            "bytes_per_second": _greatest(before["bytes_per_second"], ceiling["bytes_per_second"]),
            "operator_seconds": min(before["operator_seconds"], ceiling["operator_seconds"]),
        }
    return list(best.values())


def _greatest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {key: max(of[key] for of in (one, other) if key in of) for key in {**one, **other}}


def later_in(own: Sequence[PartRecord], parts: Sequence[PartRecord], at: Mapping[str, int]) -> Later:
    """When a moment of a source is in the merged run.

    Args:
        own: the parts of the source, as one after the other.
        parts: of the merged run.
        at: digest of a part → its index among ``parts``.
    """
    begins = [part["begins"] for part in own]
    by = [parts[at[part["digest"]]]["begins"] - part["begins"] for part in own]

    def later(moment: float) -> float:
        return max(0.0, moment + by[max(0, bisect_right(begins, moment) - 1)])

    return later

"""Cases and families: what is selected, how it is named, and what each case is held against.

A value here never learns its results. No torch: the pytest side builds thousands of these.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import CaseRecord
from torchduet.suites.cpus import twice
from torchduet.suites.devices import runs_on
from torchduet.suites.registry import load
from torchduet.suites.suite import Suite
from torchduet.suites.workload import IMPLIED, Implementation, Value, Workload, cores

KNOBS = ("implementation", "device", "mode", "precision", "workers")


@dataclass(frozen=True)
class Case:
    """A workload at one size under one variant: one pytest item, one record in the JSON.

    ``source`` is what the workload is loaded from: a built-in suite's name or a file. ``sole`` says
    that the workload has one implementation, which ids then leave out. ``workers`` is the number of
    DataLoader workers, None for a workload without that knob. ``twin`` numbers
    copies of a case, timed against it to measure the false-alarm rate, and ``slowdown`` is the factor by
    which a copy takes longer, to measure what is found.
    """

    source: str
    suite: str
    workload: str
    about: str
    size: tuple[tuple[str, Value], ...]
    implementation: str
    sole: bool
    device: str
    mode: str
    precision: str
    workers: int | None = None
    twin: int = 0
    slowdown: float = 1.0

    @property
    def original(self) -> Case:
        """The case that a twin is a copy of; a case that is no twin stands for itself."""
        return replace(self, twin=0, slowdown=1.0)

    @property
    def size_label(self) -> str:
        """``"n=1024"``; empty for a workload without axes."""
        return ",".join(f"{axis}={value}" for axis, value in self.size)

    @property
    def family(self) -> str:
        """Name of the family: all cases of one workload at one size, timed together."""
        label = f"[{self.size_label}]" if self.size else ""
        return f"{self.suite}.{self.workload}{label}"

    @property
    def variant(self) -> tuple[str, ...]:
        """The settings that set it apart from its family."""
        own = () if self.sole else (self.implementation,)
        workers = () if self.workers is None else (f"workers{self.workers}",)
        twin = (f"twin{self.twin}",) if self.twin else ()
        slowed = (f"slowed{self.slowdown:g}",) if self.slowdown != 1 else ()
        return (*own, self.device, self.mode, self.precision, *workers, *twin, *slowed)

    @property
    def id(self) -> str:
        """Unique within a run, for people: ``matmul.mm[n=1024] cpu compile fp32``."""
        return " ".join((self.family, *self.variant))

    @property
    def pytest_id(self) -> str:
        """The part between pytest's brackets; ``-k`` takes any of its words."""
        sizes = (f"{axis}{value}" for axis, value in self.size)
        return "-".join((self.workload, *sizes, *self.variant)).replace(" ", "_")

    def params(self) -> dict[str, str]:
        """What pytest-benchmark groups by (``--benchmark-group-by=param:mode``)."""
        return {
            "workload": self.workload,
            "size": self.size_label,
            "implementation": self.implementation,
            "device": self.device,
            "mode": self.mode,
            "precision": self.precision,
            "workers": "" if self.workers is None else str(self.workers),
        }

    def record(self, *, reference: bool) -> CaseRecord:
        """This case as it stands in the JSON."""
        made = CaseRecord(
            id=self.id,
            family=self.family,
            suite=self.suite,
            workload=self.workload,
            about=self.about,
            size=dict(self.size),
            size_label=self.size_label,
            implementation=self.implementation,
            device=self.device,
            mode=self.mode,
            precision=self.precision,
            reference=reference,
        )
        if self.workers is not None:
            made["workers"] = self.workers
        return made


@dataclass(frozen=True)
class Family:
    """Cases timed together, the reference first. ``reported`` are the selected ones.

    The reference is measured even when it was not selected: without it there is no speed-up.
    """

    cases: tuple[Case, ...]
    reported: tuple[Case, ...]

    @property
    def name(self) -> str:
        """The family's name, ``suite.workload[size]``."""
        return self.cases[0].family

    @property
    def reference(self) -> Case:
        """The case that all others are held against."""
        return self.cases[0]

    def comparisons(self, case: Case) -> Iterator[tuple[str, Case]]:
        """What ``case`` is held against: the reference, then each case that differs in one knob.

        Yields (knob, other): ``("reference", …)`` first; then, for every knob that this case has
        turned away from the reference's setting, the case with that one knob turned back, if it is
        in the family. A twin is held against the case that it is a copy of, and nothing else.
        """
        if case == self.reference:
            return
        if case.twin:
            yield "twin", case.original
            return
        yield "reference", self.reference
        for knob in KNOBS:
            baseline = getattr(self.reference, knob)
            if getattr(case, knob) != baseline:
                other = replace(case, **{knob: baseline})
                if other in self.cases:
                    yield knob, other


def reference_of(workload: Workload, case: Case, devices: Sequence[str]) -> Case:
    """The family's reference: the first implementation, on the CPU if it runs there, eager, fp32."""
    usable = [device for device in devices if runs_on(workload.devices, device)] or [case.device]
    device = next(filter(on_host, usable), usable[0])
    return replace(
        case.original,
        implementation=next(iter(workload.implementations)),
        device=device,
        mode="eager",
        precision="fp32",
        workers=None if workload.workers is None else min(worker_counts(workload, "full")),
    )


def worker_counts(workload: Workload, tier: str) -> list[int]:
    """The workload's numbers of DataLoader workers on this machine at a tier, ascending."""
    if workload.workers is None:
        return []
    here = {"cores": cores(), "2x cores": twice(cores())}
    return sorted({count if isinstance(count, int) else here[count] for count in workload.workers.up_to(tier)})


def cases_of(
    source: str,
    suite: Suite,
    *,
    tier: str,
    devices: Sequence[str],
    modes: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    workers: Sequence[int] | None = None,
) -> Iterator[tuple[Case, Case]]:
    """Every case of a suite at a tier, each with its family's reference.

    A mode or precision that was asked for by name is included at any tier, where the workload has
    it at all; with None the tier decides. Any number of workers may be asked for.
    """

    def chosen(axis_values: Sequence[Value], by_tier: Sequence[Value], asked: Sequence[str] | None) -> list[str]:
        if asked is None:
            return [str(value) for value in by_tier]
        return [value for value in asked if value in axis_values]

    for workload in suite.workloads.values():
        sole = len(workload.implementations) == 1
        every_mode = [*map(str, workload.modes.up_to("full"))]
        if "compile" in every_mode:
            every_mode += [mode for mode in IMPLIED if mode not in every_mode]
        modes_here = chosen(every_mode, workload.modes.up_to(tier), modes)
        precisions_here = chosen(workload.precisions.up_to("full"), workload.precisions.up_to(tier), precisions)
        devices_here = [device for device in devices if runs_on(workload.devices, device)]
        counts: Sequence[int | None] = [None]
        if workload.workers is not None:
            counts = workers or worker_counts(workload, tier)
        for size in workload.sizes(tier):
            for device, (name, one), precision, mode, count in itertools.product(
                devices_here, workload.implementations.items(), precisions_here, modes_here, counts
            ):
                if not _has(one, device, mode, precision):
                    continue
                case = Case(
                    source=source,
                    suite=suite.name,
                    workload=workload.name,
                    about=workload.about,
                    size=tuple(size.items()),
                    implementation=name,
                    sole=sole,
                    device=device,
                    mode=mode,
                    precision=precision,
                    workers=count,
                )
                yield case, reference_of(workload, case, devices)


def _has(implementation: Implementation, device: str, mode: str, precision: str) -> bool:
    """Whether an implementation has a variant that its workload has."""
    if implementation.devices is not None and not runs_on(implementation.devices, device):
        return False
    limits = (
        (implementation.modes, "compile" if mode in IMPLIED and mode not in (implementation.modes or ()) else mode),
        (implementation.precisions, precision),
    )
    return all(limit is None or value in limit for limit, value in limits)


def group(selected: Iterable[tuple[Case, Case]]) -> list[Family]:
    """Families of the selected (case, reference) pairs, in order of first appearance."""
    cases: dict[str, list[Case]] = {}
    references: dict[str, Case] = {}
    for case, reference in selected:
        cases.setdefault(case.family, []).append(case)
        references.setdefault(case.family, reference)
    return [
        Family(
            cases=(references[name], *(case for case in members if case != references[name])),
            reported=tuple(members),
        )
        for name, members in cases.items()
    ]


def workload_of(case: Case) -> Workload:
    """The workload a case was made from.

    Raises:
        LookupError: its suite has no such workload any more.
    """
    for suite in load(case.source):
        if suite.name == case.suite and case.workload in suite.workloads:
            return suite.workloads[case.workload]
    raise LookupError(f"{case.id}: {case.source} no longer has this workload")

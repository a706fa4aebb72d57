"""Cases and families: their settings, their names, and the comparisons between them.

They contain no results. No torch: the pytest process builds thousands of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from torchduet.bench.cases.knobs import Asked, Setting, check_declared, reference_settings, usable, variants
from torchduet.bench.record.contract import as_size
from torchduet.bench.record.knobs import BY_NAME, IMPLEMENTATION, KNOBS
from torchduet.bench.record.knobs import COMMUNICATION as COMMUNICATION
from torchduet.bench.record.knobs import PART as PART
from torchduet.bench.record.schema import CaseRecord
from torchduet.suites.registry import is_given, load
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Value, Workload

Role = Literal["", "alone", "part"]


@dataclass(frozen=True)
class Case:
    """A workload at one size under one variant: one pytest item, one record in the JSON.

    Attributes:
        source: the origin of the workload: a built-in suite's name or a file.
        single_implementation: the workload has one implementation, which ids then leave out.
        workers: number of DataLoader workers; None for a workload without that knob.
        ranks: number of processes that form a process group; None for a workload without that knob.
        copy_number: numbers the copies of a case, which are timed against it; 0 for the case itself. Identical copies
            measure the false-alarm rate.
        slowdown: factor by which a copy takes longer, to measure which slowdowns are detected.
        other_settings: settings other than the reference's, of knobs without a field here.
        role: of a workload with ranks: ``"alone"`` runs without a process group, ``"part"`` computes what belongs to
            its rank only, without communication; anything else is ``""``.
    """

    source: str
    suite: str
    workload: str
    about: str
    size: tuple[tuple[str, Value], ...]
    implementation: str
    single_implementation: bool
    device: str
    mode: str
    precision: str
    workers: int | None = None
    ranks: int | None = None
    copy_number: int = 0
    slowdown: float = 1.0
    other_settings: tuple[tuple[str, str], ...] = ()
    role: Role = field(default="", compare=False)

    def setting(self, knob: str) -> Setting:
        """The setting of a knob, by its name; None where the workload does not have it."""
        if knob in _FIELDS:
            setting: Setting = getattr(self, knob)
            return setting
        return dict(self.other_settings).get(knob, BY_NAME[knob].reference)

    def with_settings(self, settings: Mapping[str, Setting]) -> Case:
        """The same case with these settings, and its own for the other knobs."""
        own: dict[str, Any] = {name: setting for name, setting in settings.items() if name in _FIELDS}
        others = dict(self.other_settings) | {name: str(settings[name]) for name in settings if name not in own}
        other_settings = tuple(
            (knob.name, others[knob.name]) for knob in KNOBS if others.get(knob.name, knob.absent) != knob.absent
        )
        return replace(self, **own, other_settings=other_settings)

    @property
    def original(self) -> Case:
        """The case of which this one is a copy; the case itself if it is not a copy."""
        return replace(self, copy_number=0, slowdown=1.0)

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
        """The settings that distinguish it within its family."""
        words = (
            knob.word(self._text(knob.name))
            for knob in KNOBS
            if not (knob.name == IMPLEMENTATION and self.single_implementation)
        )
        copy = (f"twin{self.copy_number}",) if self.copy_number else ()
        slowed = (f"slowed{self.slowdown:g}",) if self.slowdown != 1 else ()
        return (*filter(None, words), *copy, *slowed)

    def _text(self, knob: str) -> str:
        setting = self.setting(knob)
        return "" if setting is None else str(setting)

    @property
    def id(self) -> str:
        """Its name for people, unique within a run: ``matmul.mm[n=1024] cpu compile fp32``."""
        return " ".join((self.family, *self.variant))

    @property
    def pytest_id(self) -> str:
        """The part between pytest's brackets; ``-k`` accepts any of its words."""
        sizes = (f"{axis}{value}" for axis, value in self.size)
        return "-".join((self.workload, *sizes, *self.variant)).replace(" ", "_")

    def params(self) -> dict[str, str]:
        """The parameters by which pytest-benchmark groups (``--benchmark-group-by=param:mode``)."""
        return {
            "workload": self.workload,
            "size": self.size_label,
            **{knob.name: self._text(knob.name) for knob in KNOBS},
        }

    def record(self, *, reference: bool) -> CaseRecord:
        """This case in the JSON."""
        record = CaseRecord(
            id=self.id,
            family=self.family,
            suite=self.suite,
            workload=self.workload,
            about=self.about or "",
            size={axis: as_size(value) for axis, value in self.size},
            size_label=self.size_label,
            implementation=self.implementation,
            device=self.device,
            mode=self.mode,
            precision=self.precision,
            reference=reference,
            source="" if is_given(self.source) else self.source,
        )
        if self.workers is not None:
            record["workers"] = self.workers
        if self.ranks is not None:
            record["ranks"] = self.ranks
        if self.role:
            record["role"] = self.role
        if self.other_settings:
            record["settings"] = dict(self.other_settings)
        return record


_FIELDS = frozenset(field.name for field in fields(Case)) & BY_NAME.keys()


@dataclass(frozen=True)
class Family:
    """Cases timed together, the reference first. ``reported`` are the selected cases.

    The reference is measured even if it was not selected: without it there is no speed-up.
    """

    cases: tuple[Case, ...]
    reported: tuple[Case, ...]

    @property
    def name(self) -> str:
        """The family's name, ``suite.workload[size]``."""
        return self.cases[0].family

    @property
    def reference(self) -> Case:
        """The case with which all others are compared."""
        return self.cases[0]

    def comparisons(self, case: Case) -> Iterator[tuple[str, Case]]:
        """The cases with which ``case`` is compared: the reference, then each case that differs in one knob.

        Yields (knob, case): ``("reference", …)`` first; then, for every knob that differs from the reference's
        setting, the case with only that knob at the reference's setting, if it is in the family, and the one with the
        other setting that the knob names, such as autocast for a pure precision. A copy is compared
        with its original only: ``("twin", …)``. A case that communicates is compared with the one of the same settings
        that does not: ``("communication", …)``; the latter computes something else, and is compared with its like only.
        """
        if case == self.reference:
            return
        if case.copy_number:
            yield "twin", case.original
            return
        if case.role != PART:
            yield "reference", self.reference
        if not case.role:
            without = (other for other in self.cases if other.role == PART and not other.copy_number)
            yield from ((COMMUNICATION, other) for other in without if _alike(case, other))
        for knob in KNOBS:
            own, baseline = case.setting(knob.name), self.reference.setting(knob.name)
            if own == baseline or (knob.name == IMPLEMENTATION and case.role == PART):
                continue
            other = knob.also_against.get(str(own), baseline)
            for setting in dict.fromkeys((baseline, other)):
                neighbour = case.with_settings({knob.name: setting})
                if neighbour in self.cases:
                    yield knob.name, neighbour


def _alike(case: Case, other: Case) -> bool:
    """Whether two cases differ in their implementation only."""
    return case.with_settings({IMPLEMENTATION: other.implementation}) == other


def cases_of(
    source: str,
    suite: Suite,
    *,
    tier: str,
    devices: Sequence[str],
    asked: Asked | None = None,
) -> Iterator[tuple[Case, Case]]:
    """Every case of a suite at a tier, each with its family's reference.

    Args:
        asked: knob → the settings that were asked for by name: they are included at any tier, if the workload has
            them; for other knobs the tier decides. Any number of workers can be asked for.

    Raises:
        SuiteError: a workload declares a knob or a setting that does not exist.
    """
    requested = {**(asked or {}), "device": devices}
    for workload in suite.workloads.values():
        check_declared(workload)
        unset = Case(
            source=source,
            suite=suite.name,
            workload=workload.name,
            about=workload.about,
            size=(),
            implementation="",
            single_implementation=len(workload.implementations) == 1,
            device="",
            mode="",
            precision="",
        )
        combinations = list(variants(workload, tier, requested))
        for size, measuring in workload.sizes_on(tier, usable(workload, devices)) if combinations else ():
            sized = replace(unset, size=tuple(size.items()))
            reference = sized.with_settings(reference_settings(workload, measuring))
            reference = replace(reference, role=_role(workload, reference.implementation))
            for settings in combinations:
                if settings["device"] in measuring:
                    case = sized.with_settings(settings)
                    yield replace(case, role=_role(workload, case.implementation)), reference


def _role(workload: Workload, implementation: str) -> Role:
    of = workload.implementations[implementation]
    return "alone" if of.alone else PART if of.part else ""


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
    """The workload of a case.

    Raises:
        LookupError: its suite no longer has the workload.
    """
    for suite in load(case.source):
        if suite.name == case.suite and case.workload in suite.workloads:
            return suite.workloads[case.workload]
    raise LookupError(f"{case.id}: {case.source} no longer has this workload")

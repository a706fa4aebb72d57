"""Finds for every case how much the machine itself may have changed between two runs, from pilots or what stands in.

Of cases whose verdict is withheld nothing is concluded on others: they stand in for no pilot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from statistics import median

import numpy as np

from torchduet.bench.record.devices import concerns, on_host
from torchduet.bench.record.schema import Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.shifts.leave_out import ranked
from torchduet.reports.shifts.movement import (
    Movement,
    PilotsBeside,
    by_pilots,
    by_visits,
    levels,
    pilots_around,
    pilots_beside,
    stand_in,
)
from torchduet.reports.shifts.neighbours import NEIGHBOURS
from torchduet.reports.shifts.question import Question, centre
from torchduet.reports.shifts.visits import visits_of_families

REFERENCE, FAMILY = "its reference", "what was timed together with it"


class Guards:
    """The pilots of two runs.

    Attributes:
        levels: kind of pilot → its movement, the median over the families that both runs measured.

    Args:
        another_machine: the runs were made on different machines or settings. The difference in the pilots' level is
            then part of the question; only their scatter about it is attributed to the machine.
    """

    def __init__(self, base: Run, new: Run, *, another_machine: bool) -> None:
        visits = visits_of_families(base), visits_of_families(new)
        self._visited = all(visits)
        self._base, self._new = (_pilots(*side) for side in zip((base, new), visits, strict=True))
        self._another_machine = another_machine
        self.levels: Mapping[str, float] = levels(self._base, self._new)

    def of_families(self, families: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Movement]:
        """(Family, device) → the machine's movement by the pilots beside it; empty where a run has none.

        For a family's cases on a GPU, the pilots on that GPU count, and those of the CPU, which launches the kernels;
        for the others those of the CPU alone.
        """
        level = self.levels if self._another_machine else {}
        movement_of = by_visits if self._visited else by_pilots
        movements = {}
        for family, device in families:
            base, new = (_concerning(device, side.get(family, ())) for side in (self._base, self._new))
            if (movement := movement_of(base, new, level)) is not None:
                movements[family, device] = movement
        return movements

    def levels_on(self, devices: Collection[str]) -> dict[str, float]:
        """Of ``levels``, those of the pilots that concern cases on these devices."""
        return {kind: level for kind, level in self.levels.items() if any(concerns(kind, device) for device in devices)}

    def with_their_devices(
        self, movements: Mapping[str, Movement], questions: Mapping[str, Question], devices: Mapping[str, str]
    ) -> dict[str, Movement]:
        """The movements of cases on GPUs, extended by the median shift of all other families on the same GPU.

        A shift that all families of a GPU share may come from its clocks, which change within seconds; not every run
        has pilots on the GPU.

        Args:
            movements: case → what its pilots show.
            devices: case → its device.
        """
        if self._another_machine:
            return {}
        families: dict[str, dict[str, list[float]]] = {}
        for case, question in questions.items():
            if (device := devices[case]) and not on_host(device) and not question.withheld:
                families.setdefault(device, {}).setdefault(question.unit, []).append(question.shift.point)
        extended = {}
        for device, shifts in families.items():
            indices = {unit: index for index, unit in enumerate(shifts)}
            middles = ranked(np.array([median(values) for values in shifts.values()]))
            for case, movement in movements.items():
                own = [indices[unit]] if (unit := questions[case].unit) in indices else []
                if devices[case] == device and len(indices) > len(own):
                    common = middles.without(own).median()
                    extended[case] = movement.extended_to(common, f"all other families on {device} in the median")
        return extended


def _concerning(device: str, pilots: Sequence[Mapping[str, float]]) -> Sequence[Mapping[str, float]]:
    """The pilots without the kinds that say nothing on a device."""
    return [{kind: seconds for kind, seconds in pilot.items() if concerns(kind, device)} for pilot in pilots]


def _pilots(run: Run, visits: Mapping[str, Sequence[float]]) -> PilotsBeside:
    pilots = run.about.get("pilots", [])
    return pilots_around(pilots, visits) if visits else pilots_beside(pilots)


def stand_ins(
    cases: Sequence[str],
    questions: Mapping[str, Question],
    records: Mapping[str, Record],
    neighbours: Mapping[str, float] | None,
) -> Iterator[tuple[str, Movement | None]]:
    """For each of these cases, the movement that stands in for the one by pilots.

    Args:
        questions: of all cases that both runs measured.
        records: of the base.
        neighbours: case → the shift of what was timed right before and after it, where nothing is timed in alternation.
    """
    counted = {case: question for case, question in questions.items() if not question.withheld}
    common = centre(list(counted.values()))
    if neighbours is not None:
        for case in cases:
            yield case, stand_in(neighbours.get(case), common, NEIGHBOURS)
        return
    groups: dict[tuple[str, str], dict[str, int]] = {}  # family and device → case → its index there
    for case in counted if cases else ():
        members = groups.setdefault(_group(records[case]), {})
        members[case] = len(members)
    shifts = {
        group: ranked(np.array([counted[case].shift.point for case in members])) for group, members in groups.items()
    }
    for case in cases:
        speedups = records[case]["speedups"]
        reference = next((speedup["against"] for speedup in speedups if speedup["knob"] == "reference"), "")
        if reference in counted and records[reference]["case"]["device"] == records[case]["case"]["device"]:
            yield case, stand_in(counted[reference].shift.point, common, REFERENCE)
            continue
        group = _group(records[case])
        members = groups.get(group, {})
        rest = shifts[group].without([members[case]] if case in members else []) if members else ()
        yield case, stand_in(rest.median() if rest else None, common, FAMILY)


def _group(record: Record) -> tuple[str, str]:
    return record["case"]["family"], record["case"]["device"]

"""A claim: a statement of a tutorial with the comparisons of cases that decide it.

This module imports neither PyTorch nor the engine nor the reports: cases are matched by their names and settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torchduet.suites.cpus import twice
from torchduet.suites.devices import is_host

Setting = str | int

ANY = "any"  # any setting, if both sides have the same
CORES, TWICE_CORES = "cores", "2x cores"  # numbers of workers that depend on the machine
SEVERAL = "several"  # any number of ranks above 1

EXPECTATIONS = ("faster", "slower", "not slower", "less", "more")
TIME, MEMORY, FIRST_CALL = "time", "peak_bytes", "first_call"


@dataclass(frozen=True)
class Variant:
    """A case by its names and settings, which comparisons are matched against.

    Attributes:
        settings: knob → setting; None for a knob that the workload does not have.
        plain: knob → the setting that a comparison means unless it names another.
    """

    suite: str
    workload: str
    size: Mapping[str, float | str]
    settings: Mapping[str, Setting | None]
    plain: Mapping[str, Setting]


@dataclass(frozen=True)
class Comparison:
    """Pairs of cases of one workload and size that differ only in the settings named here.

    Attributes:
        case, baseline: knob → setting of each side. Knobs that neither names are the same on both
            sides: plain (eager, fp32 and so on), and any device, implementation and number of workers.
        size: axis → value, for the axes that the claim states; such cases have the size of the claim
            in every tier.
    """

    suite: str
    workload: str
    case: Mapping[str, Setting]
    baseline: Mapping[str, Setting]
    size: Mapping[str, float | str] = field(default_factory=dict)

    def side(self, variant: Variant, cores: int) -> str:
        """``"case"`` or ``"baseline"`` if the variant is a side of this comparison, else ``""``."""
        if (variant.suite, variant.workload) != (self.suite, self.workload):
            return ""
        if any(variant.size.get(axis) != value for axis, value in self.size.items()):
            return ""
        for name, settings in (("case", self.case), ("baseline", self.baseline)):
            wanted = {**variant.plain, **settings}
            if all(_matches(variant.settings.get(knob), value, cores) for knob, value in wanted.items()):
                return name
        return ""

    def accelerators(self) -> tuple[str, ...]:
        """The kinds of devices beside the CPU that the comparison needs."""
        kinds = (settings.get("device", ANY) for settings in (self.case, self.baseline))
        return tuple(dict.fromkeys(str(kind) for kind in kinds if kind != ANY and not is_host(str(kind))))

    @property
    def several_ranks(self) -> bool:
        """Whether a side needs more than one rank."""
        return any(settings.get("ranks") == SEVERAL for settings in (self.case, self.baseline))

    def pairs(self, case: Variant, baseline: Variant) -> bool:
        """Whether two sides make a pair: one size, and the same settings of every knob that is not compared."""
        compared = {
            knob for knob in {*self.case, *self.baseline} if self.case.get(knob, ANY) != self.baseline.get(knob, ANY)
        }
        return dict(case.size) == dict(baseline.size) and all(
            setting == baseline.settings.get(knob) for knob, setting in case.settings.items() if knob not in compared
        )


def _matches(value: object, wanted: Setting, cores: int) -> bool:
    if wanted == ANY:
        return True
    if wanted == SEVERAL:
        return isinstance(value, int) and value > 1
    if wanted in (CORES, TWICE_CORES):
        # Files of earlier versions have twice the cores on large machines, too.
        return value in ((cores,) if wanted == CORES else (twice(cores), 2 * cores))
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted or value.split(":")[0] == wanted  # cuda:1 matches cuda
    return value == wanted


@dataclass(frozen=True)
class Claim:
    """A statement, its source and figure, and the comparisons that decide it.

    Attributes:
        key: short, of letters, digits and hyphens.
        source: the title of the text that makes it.
        figure: the figure of the source, empty if it gives none.
        expects: the case compared with the baseline: "faster", "slower" or "not slower" in time, "less" or
            "more" of anything else.
        threshold: the least factor, if the claim means more than a visible difference.
        measure: "time", "peak_bytes", "first_call" (seconds until the first result), or the name of a meter.
        judged_on: a kind of device: where a run has comparisons on one, those on others do not count.
        any_of: whether one comparison that agrees is enough ("can be"); otherwise all must agree.
        notes: what a reader of the verdict should consider.
    """

    key: str
    statement: str
    source: str
    comparisons: tuple[Comparison, ...]
    figure: str = ""
    expects: str = "faster"
    threshold: float = 1.0
    measure: str = TIME
    judged_on: str = ""
    any_of: bool = False
    notes: str = ""

    def __post_init__(self) -> None:
        if self.expects not in EXPECTATIONS:
            raise ValueError(f"claim {self.key}: expects {self.expects!r}; known are {', '.join(EXPECTATIONS)}")
        if not self.comparisons:
            raise ValueError(f"claim {self.key}: no comparisons")

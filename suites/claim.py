"""What a claim is: a statement of a tutorial, tied to the cases whose comparison decides it.

Nothing here knows the engine, the reports or PyTorch; cases are matched by what they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torchduet.suites.cpus import twice
from torchduet.suites.devices import is_host

Setting = str | int

ANY = "any"  # whatever the setting is, as long as both sides share it
CORES, TWICE_CORES = "cores", "2x cores"  # numbers of workers that depend on the machine

EXPECTATIONS = ("faster", "slower", "not slower", "less", "more")
TIME, MEMORY = "time", "peak_bytes"


@dataclass(frozen=True)
class Variant:
    """A case as it is called: what a comparison is matched against.

    Attributes:
        settings: knob → setting; None for a knob that the workload does not have.
        plain: knob → the setting that is meant unless a comparison says otherwise.
    """

    suite: str
    workload: str
    size: Mapping[str, Setting]
    settings: Mapping[str, Setting | None]
    plain: Mapping[str, Setting]


@dataclass(frozen=True)
class Comparison:
    """Pairs of cases of one workload and size that differ in nothing but what is named here.

    Attributes:
        case, baseline: knob → setting of either side. Knobs named by neither are the same on both
            sides: plain (eager, fp32 and so on), and any device, implementation and number of workers.
        size: axis → value, for as many axes as the claim states; such cases are of the claim's own
            size, whatever the tier.
    """

    suite: str
    workload: str
    case: Mapping[str, Setting]
    baseline: Mapping[str, Setting]
    size: Mapping[str, Setting] = field(default_factory=dict)

    def side(self, variant: Variant, cores: int) -> str:
        """``"case"`` or ``"baseline"`` where the variant is a side of this comparison, else ``""``."""
        if (variant.suite, variant.workload) != (self.suite, self.workload):
            return ""
        if any(variant.size.get(axis) != value for axis, value in self.size.items()):
            return ""
        for name, settings in (("case", self.case), ("baseline", self.baseline)):
            wanted = {**variant.plain, **settings}
            if all(_is(variant.settings.get(knob), value, cores) for knob, value in wanted.items()):
                return name
        return ""

    def accelerators(self) -> tuple[str, ...]:
        """The kinds of devices beside the CPU that it needs."""
        named = (settings.get("device", ANY) for settings in (self.case, self.baseline))
        return tuple(dict.fromkeys(str(kind) for kind in named if kind != ANY and not is_host(str(kind))))

    def pairs(self, case: Variant, baseline: Variant) -> bool:
        """Whether two sides belong together: one size, and the same in every knob that is not compared."""
        compared = {
            knob for knob in {*self.case, *self.baseline} if self.case.get(knob, ANY) != self.baseline.get(knob, ANY)
        }
        return dict(case.size) == dict(baseline.size) and all(
            setting == baseline.settings.get(knob) for knob, setting in case.settings.items() if knob not in compared
        )


def _is(value: object, wanted: Setting, cores: int) -> bool:
    if wanted == ANY:
        return True
    if wanted in (CORES, TWICE_CORES):
        # Files from before have twice the cores on large machines, too.
        return value in ((cores,) if wanted == CORES else (twice(cores), 2 * cores))
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted or value.split(":")[0] == wanted  # cuda:1 is a cuda
    return value == wanted


@dataclass(frozen=True)
class Claim:
    """A statement, who makes it with which figure, and what decides it.

    Attributes:
        key: short, of letters, digits and hyphens.
        source: who says so, by its title.
        figure: the source's own figure, empty where it gives none.
        expects: what it says of the case against the baseline: "faster", "slower" or "not slower" in
            time, "less" or "more" of anything else.
        threshold: by how many times at least, where the claim means more than a difference that can be seen.
        measure: "time", "peak_bytes", or the name of a meter.
        any_of: one comparison that agrees is enough ("can be"); otherwise all must.
        notes: what to bear in mind when reading the verdict.
    """

    key: str
    statement: str
    source: str
    comparisons: tuple[Comparison, ...]
    figure: str = ""
    expects: str = "faster"
    threshold: float = 1.0
    measure: str = TIME
    any_of: bool = False
    notes: str = ""

    def __post_init__(self) -> None:
        if self.expects not in EXPECTATIONS:
            raise ValueError(f"claim {self.key}: expects {self.expects!r}; known are {', '.join(EXPECTATIONS)}")
        if not self.comparisons:
            raise ValueError(f"claim {self.key}: no comparisons")

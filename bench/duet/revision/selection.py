"""``--only-changed``: the workloads that a change can reach, and some that it cannot, as controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.cases.case import Case, workload_of
from torchduet.bench.duet.revision.reach import Reach
from torchduet.suites.files.loading import load_module

MAX_CONTROLS = 2  # families


@dataclass(frozen=True)
class Chosen:
    """What of a selection is measured.

    Attributes:
        reached: the cases whose workload reaches a changed file.
        controls: cases of other families, which the change cannot reach.
    """

    reached: tuple[Case, ...]
    controls: tuple[Case, ...]


def choose(cases: Sequence[Case], changed: Sequence[str], top: Path) -> Chosen:
    """Choose the cases whose workloads reach a changed file, and the first families of the others as controls.

    Args:
        cases: of suites of the user.
        changed: files that differ between the sides, from the top of the repository.
    """
    reaches: dict[str, Reach] = {}
    touched: dict[tuple[str, str, str], bool] = {}
    for case in cases:
        key = (case.source, case.suite, case.workload)
        if key not in touched:
            reach = reaches.setdefault(case.source, Reach(load_module(Path(case.source).resolve()), top))
            touched[key] = is_touched(reach.of(workload_of(case)), changed)
    reached = [case for case in cases if touched[case.source, case.suite, case.workload]]
    others: Mapping[str, None] = dict.fromkeys(case.family for case in cases if case not in set(reached))
    controls = set(list(others)[:MAX_CONTROLS])
    return Chosen(tuple(reached), tuple(case for case in cases if case.family in controls))


def is_touched(files: set[str], changed: Sequence[str]) -> bool:
    """Whether a change reaches these files.

    A changed file that is no Python file, such as a kernel or a table, reaches every Python file of its folder and of
    the folders below and above it within the outermost package.
    """
    for name in changed:
        if name in files:
            return True
        if Path(name).suffix not in (".py", ".pyi") and any(_beside(name, file) for file in files):
            return True
    return False


def _beside(name: str, file: str) -> bool:
    """Whether a file that is not Python lies in the same package folder as a Python file, or in one around or in it."""
    folder, other = Path(name).parent, Path(file).parent
    return folder != Path() and (
        folder == other or folder in other.parents or (other in folder.parents and other != Path())
    )

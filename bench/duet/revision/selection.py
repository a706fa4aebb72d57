"""``--only-changed``: the workloads that a change can reach, and some that it cannot, as controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.cases.case import Case, workload_of
from torchduet.bench.duet.revision.reach import Reach
from torchduet.suites.files.loading import load_module

MAX_CONTROLS = 2  # families
DOCUMENTS = (".md", ".rst", ".html", ".css", ".svg", ".png", ".jpg", ".gif", ".pdf", ".ipynb", "")


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
            if case.source not in reaches:
                reaches[case.source] = Reach(load_module(Path(case.source).resolve()), top)
            reach = reaches[case.source]
            files = reach.of(workload_of(case))
            touched[key] = reach.unknown or is_touched(files, changed)
    reached = [case for case in cases if touched[case.source, case.suite, case.workload]]
    others: Mapping[str, None] = dict.fromkeys(case.family for case in cases if case not in set(reached))
    controls = set(list(others)[:MAX_CONTROLS])
    return Chosen(tuple(reached), tuple(case for case in cases if case.family in controls))


def is_touched(files: set[str], changed: Sequence[str]) -> bool:
    """Whether a change reaches these files.

    A changed submodule reaches its files. A changed file that is neither Python nor read by people alone, such as a
    kernel, a table or the project's settings, may be part of any package: it reaches every workload that imports a
    module of the repository beside its suite.
    """
    packages = len(files) > 1
    for name in changed:
        if name in files or any(file.startswith(f"{name}/") for file in files):
            return True
        if packages and Path(name).suffix not in (".py", ".pyi") and not _is_for_people(name):
            return True
    return False


def _is_for_people(name: str) -> bool:
    """Whether a file is documentation, a picture, or a setting of a tool that runs nothing of the package."""
    path = Path(name)
    return (
        path.suffix.lower() in DOCUMENTS
        or path.name.startswith(".")
        or path.name in ("LICENSE", "CODEOWNERS")
        or path.parts[0] in ("docs", "doc")
        or path.parts[0].startswith(".")
    )

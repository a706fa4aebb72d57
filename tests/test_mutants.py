"""What ``nox -s mutants`` rests on: its lists name what exists, and a fault takes effect without a written file."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tests.mutants.living import ROOT, NotApplied, functions, put_in
from tests.mutants.operators import mutants, mutated, sample
from torchduet.reports.compare import verdicts

HERE = Path(__file__).parent / "mutants"
HOLM = "reports/compare/verdicts.py"


def lines(name: str) -> list[str]:
    return [line for line in (HERE / name).read_text("utf-8").splitlines() if line and not line.startswith("#")]


def test_modules_and_tests_that_are_listed_exist() -> None:
    for name in (*lines("modules.txt"), *lines("tests.txt")):
        assert (ROOT / name).is_file(), name
    assert len(lines("modules.txt")) >= 29


def test_faults_that_are_listed_as_equivalent_exist_and_have_a_reason() -> None:
    known = {
        mutant.name
        for path in {line.split(" ")[0] for line in lines("equivalent.txt")}
        for mutant in mutants(path, (ROOT / path).read_text("utf-8"))
    }
    for line in lines("equivalent.txt"):
        name, mark, reason = line.partition("  # ")
        assert name in known, name
        assert mark, name
        assert reason, name


SOURCE = """
LIMIT = 3

def clamp(value: int, most: int = 5) -> int:
    '''The 1 in here is text.'''
    if value < LIMIT and not value == most:
        return min(value, most)
    return [one for one in (value, -most) if one > 0][0]
"""


def test_each_fault_has_a_name_of_its_own_and_changes_the_module() -> None:
    found = mutants("m.py", SOURCE)
    names = [mutant.name for mutant in found]
    assert len(set(names)) == len(names)
    assert {
        "m.py module: 3 -> 4",
        "m.py clamp: 5 -> 6",
        "m.py clamp: value < LIMIT -> value >= LIMIT",
        "m.py clamp: value < LIMIT and (not value == most) -> value < LIMIT or not value == most",
        "m.py clamp: not value == most -> value == most",
        "m.py clamp: min(value, most) -> max(value, most)",
        "m.py clamp: return min(value, most) -> return None",
        "m.py clamp: -most -> most",
        "m.py clamp: if one > 0 -> all",
    } <= set(names)
    assert not any("text" in name or "int" in name for name in names)
    for mutant in found:
        assert ast.unparse(mutated(SOURCE, mutant.index)) != ast.unparse(ast.parse(SOURCE)), mutant.name


def test_what_an_import_runs_is_told_from_what_a_call_runs() -> None:
    source = (
        "LIMIT = 3\nclass Block:\n    paused: float = 0.5\n    def double(self, by: int = 2):\n        return by * 7\n"
    )
    found = {mutant.before: mutant.at_import for mutant in mutants("m.py", source)}
    assert found == {"3": True, "0.5": True, "2": True, "return by * 7": False, "by * 7": False, "7": False}


def test_a_sample_does_not_depend_on_other_lines_of_its_module() -> None:
    def drawn(source: str) -> set[str]:
        return {mutant.name for mutant in sample(mutants("m.py", source), 7, 5)}

    assert len(drawn(SOURCE)) == 5
    assert drawn(SOURCE) == drawn("import math\n\n" + SOURCE)
    assert len({frozenset(mutant.name for mutant in sample(mutants("m.py", SOURCE), seed, 5)) for seed in range(9)}) > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="faults are put into forks")
def test_a_fault_takes_effect_in_the_fork_that_it_is_put_into_and_nowhere_else() -> None:
    source = (ROOT / HOLM).read_text("utf-8")
    every = mutants(HOLM, source)
    fault = next(one for one in every if one.name.endswith("holm: len(ordered) - number -> len(ordered) + number"))
    constant = next(one for one in every if one.name.endswith("module: 0.05 -> 0.1"))
    chances = [0.01, 0.015, 0.02, 0.04]
    for mutant, expected in ((fault, {0.01}), (constant, 0.1)):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                put_in(HOLM, source, mutated(source, mutant.index), functions())
                found = verdicts.holm(chances) if mutant is fault else verdicts.FAMILY_WISE
                status = int(found != expected)
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, mutant.name
    assert verdicts.holm(chances) == set(chances)
    assert verdicts.FAMILY_WISE == 0.05
    assert (ROOT / HOLM).read_text("utf-8") == source
    with pytest.raises(NotApplied):
        put_in(HOLM, source, ast.parse(source), {})

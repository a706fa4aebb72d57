"""The page ``docs/suite-files.md``: its blocks are a suite that passes its checks; its tables are complete and true."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.docs.markdown import blocks, text_of
from torchduet.bench.timing.callables import SPECIAL
from torchduet.suites.authoring.details import RULES
from torchduet.suites.suite import Details, Suite
from torchduet.suites.workload import Cost, Implementation, SuiteError, Workload

PAGE = text_of("docs/suite-files.md")
BLOCKS = [block for block in blocks() if block.page == "docs/suite-files.md" and block.kind == "python"]
REFERENCE = "\n\n".join(block.text for block in BLOCKS if not block.file)
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Workload)}
NONE = dataclasses.MISSING


def section(title: str) -> str:
    """A section of the page, without those below it."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The rows of the tables of a section, without their heads."""
    lines = [line for line in section(title).splitlines() if re.match(r"\| `", line)]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run of the page's files prints that checks every case, eagerly, and times nothing."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "reference.py").write_text(REFERENCE, "utf-8")
    suites = ["--suite", "reference.py"]
    for block in BLOCKS:
        if block.file:
            (folder / block.file).write_text(block.text, "utf-8")
            suites += ["--suite", block.file]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torchduet", "run", *suites, "--mode", "eager"),
            *("--benchmark-disable", "--threads", "1", "-v"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_workload_of_the_page_passes_its_check(checked: str) -> None:
    scope: dict[str, Any] = {"__name__": "reference"}
    exec(compile(REFERENCE, "suite-files.md", "exec"), scope)
    names = [f"reference-{name}-" for name in scope["suite"].workloads]
    assert len(names) > 15
    for name in (*names, "mine-scaled_sum-", "my_model-mine_train-", "my_model-mine_infer-"):
        assert f"[{name}" in checked, name
    assert "needs a_library_of_mine: pip install a-library-of-mine" in checked
    assert "failed" not in checked.splitlines()[-1]


def test_the_reference_uses_every_keyword_but_those_of_several_processes() -> None:
    of_ranks = {"ranks", "shard", "joint", "alone", "part", "message", "bus", "bind"}  # docs/several-processes.md
    names = {*Details.__annotations__, *(f.name for type_ in (Implementation, Cost) for f in dataclasses.fields(type_))}
    unused = {name for name in names - of_ranks - {"function", "about", "precisions"} if f"{name}=" not in REFERENCE}
    assert unused == set()
    assert SPECIAL - {name for name in SPECIAL if re.search(rf"def \w+\([^)]*\b{name}\b", REFERENCE)} == set()


def test_the_table_has_every_keyword_with_its_default() -> None:
    table = {row[0].strip("`="): row for row in rows("Keywords of a workload")}
    assert set(table) == {"inputs", *Details.__annotations__} == {"inputs", *RULES}
    for name, row in table.items():
        default = DEFAULTS.get(name, NONE)
        if isinstance(default, bool):
            assert row[1] == f"`{default}`", name
        elif isinstance(default, tuple) and default:
            assert row[1] == ", ".join(f"`{value}`" for value in default), name
        else:
            assert row[1] not in ("`True`", "`False`"), name
    defaults = inspect.getsource(Suite.compare)
    for name in ("modes", "precisions"):
        (stated,) = re.findall(rf'details\.get\("{name}", \(([^)]*)\)\)', defaults)
        assert re.findall(r"\w+", stated) == re.findall(r"`([\w-]+)`", table[name][1].partition(" (")[0])


@pytest.mark.parametrize(
    ("title", "type_"), [("Ways to compute: `Implementation`", Implementation), ("Cost", Cost)], ids=["way", "cost"]
)
def test_a_table_has_every_field_with_its_default(title: str, type_: type) -> None:
    table = {row[0].strip("`"): row[1] for row in rows(title)}
    fields = {field.name: field.default for field in dataclasses.fields(type_)}
    assert set(table) == set(fields)
    for name, default in fields.items():
        if isinstance(default, bool):
            assert table[name] == f"`{default}`"
        elif isinstance(default, str):
            assert table[name] == f'`"{default}"`'
        else:
            assert (table[name] == "required") == (default is NONE)


def test_the_table_has_every_argument_of_a_model() -> None:
    taken = [
        name
        for name, parameter in inspect.signature(Suite.model).parameters.items()
        if name not in ("self", "name") and parameter.kind is not parameter.VAR_KEYWORD
    ]
    assert [row[0].strip("`") for row in rows("What registers workloads") if "(" not in row[0]][-5:] == taken


def test_the_table_has_every_parameter_that_is_given() -> None:
    named = {name for row in rows("What a function may ask for") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {*SPECIAL, "rank", "ranks", "device"}


def numbers(device: object, n: int) -> tuple[int, ...]:
    """Inputs of any workload."""
    del device
    return (n,)


MISTAKES = rows("Mistakes, and what they say")


@pytest.mark.parametrize(("written", "said"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_says_what_the_page_says(written: str, said: str) -> None:
    details: dict[str, Any] = eval(f"dict({written.strip('`')})", {"Cost": Cost})
    if "axes" not in details and "axis" not in details and "n" not in details:
        details["axes"] = {"n": [32]}
    with pytest.raises(SuiteError) as raised:
        Suite("mine").compare("f", {"one": abs, "two": lambda n: n}, inputs=numbers, **details)
    assert said.strip("`") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_keyword_has_a_mistake() -> None:
    named = {match[1] for row in MISTAKES if (match := re.match(r"`(\w+)=", row[0]))}
    assert set(RULES) - named == set()

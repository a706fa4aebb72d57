"""The page ``docs/knobs.md``: its commands name options, settings and cases that there are, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from torchduet.bench.cases.case import cases_of
from torchduet.bench.duet.knobs.settings import SETTINGS, setting
from torchduet.bench.duet.sides import variable
from torchduet.bench.plan.case_globs import matches
from torchduet.suites.registry import load

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "knobs.md").read_text("utf-8")
(EXAMPLE,) = re.findall(r"```python\n(# my_forks\.py\n.*?)```", PAGE, re.S)
BLOCKS = [
    block.replace("\\\n", " ")
    for block in re.findall(r"```console\n(.*?)```", re.sub(r"```python\n.*?```", "", PAGE, flags=re.S), re.S)
]
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


def test_readme_links_it_and_it_names_every_setting() -> None:
    assert "(docs/knobs.md)" in (ROOT / "README.md").read_text("utf-8")
    for name in SETTINGS:
        assert f"--against-setting {name}=" in PAGE


def test_every_variable_and_setting_of_a_command_can_be_used() -> None:
    options = "\n".join([*COMMANDS, *re.findall(r"`--against[^`]+`", PAGE)])
    given = re.findall(r"--against-(env|setting) ([^ `\n]+)", options)
    assert len(given) > 10
    for kind, text in given:
        (setting if kind == "setting" else variable)(text)


def test_every_case_of_a_command_exists() -> None:
    assert len(BLOCKS) > 3
    for block in BLOCKS:
        for line in block.splitlines():
            device = "cuda" if "--device cuda" in block else "cpu"
            tier = "full" if "--tier full" in line else "default" if "--tier default" in block else "quick"
            for glob in re.findall(r"--case (\S+)", line.replace("'", "").replace('"', "")):
                name = glob.partition(".")[0]
                (suite,) = load(name)
                ids = [case.id for case, _ in cases_of(name, suite, tier=tier, devices=[device])]
                assert any(matches(glob, one) for one in ids), f"{glob} in tier {tier} on {device}"


@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.\w+` is deprecated:DeprecationWarning")
def test_the_example_has_forks_that_agree_with_the_same_without(tmp_path: Path) -> None:
    (tmp_path / "my_forks.py").write_text(EXAMPLE, "utf-8")
    (suite,) = load(str(tmp_path / "my_forks.py"))
    inputs = suite.workloads["no_fork"].inputs(torch.device("cpu"), n=8)
    forked = suite.workloads["two_forks"].implementations["forked"].function(*inputs)
    torch.testing.assert_close(forked, suite.workloads["no_fork"].implementations["plain"].function(*inputs))
    assert set(suite.workloads) == {"two_forks", "four_forks", "no_fork"}

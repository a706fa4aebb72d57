"""A project of its own with the built wheel beside it: its tests pass, and fail once its layer has become slower."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import test_wheel

ROOT = Path(__file__).parents[2]
wheel = test_wheel.wheel


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project: installing it leaves files behind."""
    copy = tmp_path_factory.mktemp("projects") / "layers"
    return shutil.copytree(ROOT / "tests" / "own_project", copy, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture(scope="module")
def python(wheel: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel and the project in it."""
    found = test_wheel.environment(tmp_path_factory.mktemp("environment"))
    install = (sys.executable, "-m", "pip", "--python", found, "install", "--no-deps", "--no-index")
    test_wheel.run((*install, "--no-build-isolation", wheel, project), ROOT)
    return found


def pytest_in(folder: Path, python: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    hidden = ("PYTHONPATH", "PYTEST_", "COVERAGE_")
    lent = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return subprocess.run(
        [python, "-m", "pytest", "-p", "no:hypothesispytest", *arguments],
        cwd=folder,
        env={**lent, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_project_with_a_layer_of_its_own(python: Path, project: Path) -> None:
    done = pytest_in(project, python, "--duet-json", "duets.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_speed.test_norm_is_not_slower_than_at_first  now " in done.stdout
    document = json.loads((project / "duets.json").read_text("utf-8"))
    (visits,) = {len(each["extra_info"]["torchduet"]["timing"]["visits"]) for each in document["benchmarks"]}
    assert visits > 1
    render = [python.with_name("torchduet"), "render", "duets.json", "-o", "report.html"]
    test_wheel.run(render, project)

    # Where noise withholds the verdict, a duet is not sure, and fails by this option alone.
    slower = pytest_in(project, python, "--duet-unclear", "fail", LAYERS_EXTRA_PASSES="3")
    assert slower.returncode == pytest.ExitCode.TESTS_FAILED, slower.stdout + slower.stderr
    (line,) = [line for line in slower.stdout.splitlines() if line.startswith("E ")]
    sentence = r"now (?:takes|may take) [\d.]+ times as long as first \([\d.]+ to [\d.]+, 99 %\); allowed are 1.2"
    assert re.fullmatch(r"E +AssertionError: " + sentence, line)
    assert "1 failed, 2 passed" in slower.stdout
    assert "comparison.py" not in slower.stdout  # the line of the test is shown, and none of ours

"""What is refused before anything is measured."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchduet import bench
from torchduet.bench.plan import preflight
from torchduet.bench.plan.preflight import check_test_files
from torchduet.suites.registry import names
from torchduet.suites.workload import SuiteError

ROOT = Path(__file__).parents[2]
assert bench.__file__ is not None
BENCH = Path(bench.__file__).parent


def test_every_built_in_suite_has_its_test_function() -> None:
    check_test_files(BENCH)
    for name in names():
        tree = ast.parse((BENCH / f"test_{name}.py").read_text("utf-8"))
        assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == [f"test_{name}"]


def test_a_suite_without_its_test_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "names", lambda: ("old", "new"))
    (tmp_path / "test_old.py").touch()
    with pytest.raises(SuiteError, match=r"suite new: pytest collects it from .*test_new\.py, which does not exist"):
        check_test_files(tmp_path)


def test_pytest_refuses_it_in_one_line(tmp_path: Path) -> None:
    """A registered suite that nobody collects: what ``pytest bench/`` says."""
    (tmp_path / "registered.py").write_text(
        "from torchduet.suites import registry\nregistry.BUILT_IN = (*registry.BUILT_IN, 'forgotten')\n"
    )
    command = [sys.executable, "-m", "pytest", str(BENCH), "-p", "registered", "--collect-only", "-q"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "suite forgotten: pytest collects it from bench/test_forgotten.py" in done.stderr

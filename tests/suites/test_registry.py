"""Files of workloads that are refused, and what their authors are told."""

import sys
from pathlib import Path

import pytest

import torchduet
from torchduet.suites.registry import PUBLIC, load
from torchduet.suites.workload import SuiteError

REST = "suite = Suite('mine')\n@suite.workload(inputs=lambda device: ())\ndef nothing():\n    'nothing'\n"


@pytest.fixture(params=["no such package", "a package of the user's", "the clone as the working directory"])
def around(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``suites`` is where the file is loaded."""
    here = tmp_path
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "suites").is_dir()])
    if "user's" in request.param:
        (tmp_path / "suites").mkdir()
        (tmp_path / "suites" / "__init__.py").write_text("class Suite: ...\n")
    elif "clone" in request.param:
        here = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.delitem(sys.modules, "suites", raising=False)


@pytest.mark.usefixtures("around")
@pytest.mark.parametrize(
    ("former", "names"),
    [
        ("from suites import Suite", "Suite"),
        ("from suites import Axis, Suite as Suite", "Axis, Suite"),
        ("if True:\n    from suites.suite import Suite", "Suite"),
    ],
)
def test_the_former_import_is_refused_with_the_line_that_replaces_it(tmp_path: Path, former: str, names: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"import torch\n{former}\n{REST}")
    with pytest.raises(SuiteError) as error:
        load(str(file))
    message = str(error.value)
    assert message.startswith(f"--suite {file}:{3 if 'if' in former else 2}: ")
    assert message.endswith(f": from torchduet import {names}")
    assert "\n" not in message


def test_a_users_package_of_that_name_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "__init__.py").write_text("from torchduet import Suite\ndef make(): return Suite('mine')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "suites", raising=False)
    file = tmp_path / "mine.py"
    file.write_text("from suites import make\n" + REST.replace("Suite('mine')", "make()"))
    assert [suite.name for suite in load(str(file))] == ["mine"]
    monkeypatch.delitem(sys.modules, "suites")


def test_the_public_names_are_those_of_the_package() -> None:
    """Those that a file of workloads may have taken from the former package ``suites``."""
    assert set(torchduet.__all__) >= PUBLIC
    assert all(getattr(torchduet, name) is getattr(torchduet.suites, name) for name in PUBLIC)


def test_a_file_that_cannot_be_parsed_is_named_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from torchduet import Suite\nfrom suites import (\n")
    with pytest.raises(SuiteError, match=r"mine\.py:2: SyntaxError"):
        load(str(file))


@pytest.mark.parametrize(
    ("former", "line"),
    [
        ("import suites\nmine = suites.Suite('mine')\n", 2),
        ("import suites.suite as s\n\nmine = s.Suite('mine')\n", 3),
        ("import suites.workload\nsize = suites.workload.Axis([1])\n", 2),
    ],
)
def test_so_is_what_is_reached_through_the_former_package(tmp_path: Path, former: str, line: int) -> None:
    file = tmp_path / "mine.py"
    file.write_text(former)
    with pytest.raises(SuiteError, match=rf"mine\.py:{line}: import these names from torchduet: from torchduet "):
        load(str(file))


def test_a_users_own_package_of_that_name_may_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suites.py").write_text("LARGE = 1000\n")
    file = tmp_path / "mine.py"
    file.write_text("import suites\nfrom torchduet import Suite\nsuite = Suite('mine')\nsize = suites.LARGE\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "suites", raising=False)
    assert [suite.name for suite in load(str(file))] == ["mine"]

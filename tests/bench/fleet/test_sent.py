"""What is sent to the machines of a fleet: this package in one piece, and the folder of the suite files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from torchduet.bench.fleet.sent import SentError, package, suite_folder
from torchduet.bench.run.resume import sources


def test_the_package_is_sent_in_one_piece_and_is_the_one_that_is_imported_there(tmp_path: Path) -> None:
    sent = package(tmp_path)
    assert not list(sent.rglob("__pycache__"))
    code = (
        "import torchduet, torchduet.bench.fleet.messages, torchduet.reports, torchduet.suites.registry; "
        "from torchduet.bench.run.resume import sources; "
        "print(torchduet.__file__, torchduet.bench.__file__, torchduet.reports.__file__, sources(()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    names = ("__init__.py", "bench/__init__.py", "reports/__init__.py")
    assert ran.stdout == f"{' '.join(str(sent / name) for name in names)} {sources(())}\n"


def test_built_in_suites_need_no_folder() -> None:
    assert suite_folder(["matmul", "mlp"]) == (None, ["matmul", "mlp"])


def test_a_file_is_named_from_its_project_which_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "bench").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path / "project" / "bench")
    (tmp_path / "project" / "bench" / "layers.py").write_text("")
    assert suite_folder(["matmul", "layers.py"]) == (tmp_path / "project", ["matmul", "bench/layers.py"])


def test_files_of_two_folders_are_sent_with_the_folder_of_both(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    files = [str(tmp_path / "a" / "one.py"), str(tmp_path / "b" / "two.py")]
    assert suite_folder(files) == (tmp_path, ["a/one.py", "b/two.py"])


@pytest.mark.parametrize("folder", ["/", "home"])
def test_neither_everything_nor_a_home_folder_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    file = Path("/suite.py") if folder == "/" else tmp_path / "suite.py"
    with pytest.raises(SentError, match=r"would be sent to every machine; put the suite files into a folder"):
        suite_folder([str(file)])

"""The built wheel, installed into an empty environment and used from a project with folders of the same names."""

import json
import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

import pytest

from torchduet import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("torchduet", "bench", "suites", "reports")
SUITE = """\
import torch

from torchduet import Suite

suite = Suite("mine")


@suite.workload(inputs=lambda device, n: (torch.randn(n, device=device),), axes={"n": [100]}, modes=("eager",))
def double(x):
    '''2x'''
    return x * 2
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as setuptools builds it, of a copy: building leaves files behind."""
    pytest.importorskip("setuptools", "77", reason="a wheel is built by setuptools 77 or newer")
    return build_wheel(copy_of_sources(tmp_path_factory), tmp_path_factory.mktemp("wheel"))


def copy_of_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that packages are built from."""
    copy = tmp_path_factory.mktemp("source")
    for folder in (*SOURCES, "tests", "docs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    return copy


def build_wheel(source: Path, out: Path) -> Path:
    """The wheel of a folder or of a source distribution."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "-w", out)
    run([sys.executable, "-m", "pip", "wheel", *options, source], out)
    (built,) = out.glob("*.whl")
    return built


@dataclass(frozen=True)
class Project:
    """A user's folder, and the environment in which they work."""

    folder: Path
    python: Path

    def run(self, *command: str | Path, below: str = "") -> str:
        """Run a command of the environment, or ``python``, in the folder or one below it; what it printed."""
        program, *arguments = command
        return run([self.python.with_name(str(program)), *arguments], self.folder / below)


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder with packages ``bench``, ``suites`` and ``reports`` and with pytest options of its own."""
    python = environment(tmp_path_factory.mktemp("with"))
    run([sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel], ROOT)
    folder = tmp_path_factory.mktemp("project")
    for name in ("bench", "suites", "reports", "tests"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ImportError('the user’s own {name}')\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--only-in-this-project"\n')
    (folder / "conftest.py").write_text("raise ImportError('for the user’s own tests')\n", encoding="utf-8")
    (folder / "mine.py").write_text(SUITE, encoding="utf-8")
    return Project(folder, python)


def environment(folder: Path) -> Path:
    """A new virtual environment with nothing but what ours has beside Torchduet; its interpreter."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (own,) = folder.glob("**/site-packages")
    # Paths in a .pth file come behind the environment's own, and files in them that would install an editable
    # Torchduet are not read.
    outer = [path for path in (*site.getsitepackages(), *sys.path) if path.endswith(("site-packages", "dist-packages"))]
    (own / "outer.pth").write_text("".join(f"{path}\n" for path in dict.fromkeys(outer)), encoding="utf-8")
    return python


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command that must succeed, without what PYTHONPATH lends to these tests; what it printed."""
    hidden = ("PYTHONPATH", "PYTEST_", "COVERAGE_")
    lent = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=lent, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_has_every_module_and_template_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert {name.partition("/")[0] for name in names - metadata} == {"torchduet"}
    there = {
        (path if folder == "torchduet" else Path("torchduet") / path).as_posix()
        for folder in SOURCES
        for path in (file.relative_to(ROOT) for file in (ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".j2", ".js", ".css", ".typed")
    }
    assert names - metadata == there  # a folder that pyproject.toml does not list is missing here


def test_a_wheel_is_small(wheel: Path) -> None:
    """It holds sources alone: no module has more than 300 lines, and there are some 900 of them."""
    assert wheel.stat().st_size < 2_000_000
    with zipfile.ZipFile(wheel) as file:
        assert [entry.filename for entry in file.infolist() if entry.file_size > 100_000] == []


def test_a_source_distribution_is_complete_and_builds_the_same_wheel(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("sdist")
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(out)!r})"
    run([sys.executable, "-c", code], copy_of_sources(tmp_path_factory))
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CHANGELOG.md", "noxfile.py", "docs/method.md", "tests/conftest.py", "tests/reports/sample.py"} <= members
    assert contents(build_wheel(sdist, tmp_path_factory.mktemp("again"))) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    """Name of every file in a wheel → its bytes; the list of files is as unordered as the file system."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_an_index_has_all_it_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        shown = message_from_string(archive.read(name).decode("utf-8"))
    assert shown["Description-Content-Type"] == "text/markdown"
    assert shown["Author"] or shown["Author-Email"]
    assert shown["Keywords"]
    assert {text.partition(",")[0] for text in shown.get_all("Project-URL", [])} >= {"Homepage", "Issues"}
    links = re.findall(r"\]\(([^)\s]+)\)", shown.get_payload())
    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []  # nothing is beside the page there
    files = [link.partition("#")[0].partition("/blob/main/")[2] for link in links if "/blob/main/" in link]
    assert all((ROOT / file).is_file() for file in files)
    pictures = re.findall(r'src(?:set)?="([^"]+)"', shown.get_payload())
    assert len(pictures) == 2
    for address in pictures:
        assert (ROOT / address.removeprefix("https://raw.githubusercontent.com/torchduet/torchduet/main/")).is_file()
        assert address.startswith("https://raw.githubusercontent.com/")


def test_a_page_says_what_each_extra_is_for() -> None:
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert [name for name in extras if f"\n| `{name}` | " not in page] == []


def test_the_version_stands_in_one_place(wheel: Path) -> None:
    assert wheel.name.startswith(f"torchduet-{__version__}-")
    stated = re.compile(rf"""["']{re.escape(__version__)}["']""")
    files = [ROOT / "pyproject.toml", *(file for folder in SOURCES for file in (ROOT / folder).rglob("*.py"))]
    assert [file for file in files if stated.search(file.read_text("utf-8"))] == [ROOT / "torchduet" / "__init__.py"]


def test_what_is_imported_is_what_was_installed(project: Project) -> None:
    code = "import torchduet; from torchduet import Suite; print(torchduet.__file__, Suite.__module__)"
    file, module = project.run("python", "-c", code).split()
    assert Path(file).is_relative_to(project.python.parents[1])
    assert module == "torchduet.suites.suite"


def test_the_command_is_installed(project: Project) -> None:
    assert project.run("torchduet", "--version") == f"torchduet {__version__}\n"
    assert "render" in project.run("torchduet", "--help")
    assert "--against-env" in project.run("torchduet", "run", "--help")


def test_a_user_measures_and_renders_without_a_clone(project: Project) -> None:
    options = ("--suite", "mine.py", "--threads", "1", "--budget", "1s", "--benchmark-json", "run.json")
    project.run("torchduet", "run", *options)
    (benchmark,) = json.loads((project.folder / "run.json").read_text("utf-8"))["benchmarks"]
    assert benchmark["fullname"] == "bench/test_user.py::test_user[mine-double-n100-cpu-eager-fp32]"  # as in a clone
    project.run("torchduet", "render", "run.json", "-o", "report.html")
    assert "mine.double" in (project.folder / "report.html").read_text("utf-8")
    assert not list(project.python.parents[1].glob("**/.pytest_cache"))


def test_paths_are_relative_to_the_users_folder(project: Project) -> None:
    (project.folder / "results").mkdir()
    options = ("--suite", "../mine.py", "--threads", "1", "--budget", "1s", "--benchmark-json", "second.json")
    project.run("python", "-m", "torchduet", "run", *options, below="results")
    assert [path.name for path in (project.folder / "results").glob("*.json")] == ["second.json"]


def test_built_in_suites_are_selected_as_in_a_clone(project: Project) -> None:
    listed = project.run("torchduet", "run", "--collect-only", "-q", "-k", "test_matmul and n256")
    assert "bench/test_matmul.py::test_matmul[" in listed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a duet needs fork")
def test_the_other_side_of_a_duet_needs_nothing_of_ours(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = environment(tmp_path_factory.mktemp("without"))
    options = ("--suite", "mine.py", "--threads", "1", "--budget", "3s", "--against", str(other))
    assert "B against A" in project.run("torchduet", "run", *options)


def test_other_tools_find_the_installed_cases(project: Project) -> None:
    code = (
        "from pathlib import Path; from torchduet.bench.peers.tools.trial import Trial\n"
        "trial = Trial(Path(), Path('settings.json'), threads=1, seconds=1.0)\n"
        "print(trial.python('-c', 'from torchduet.bench import peers; print(peers.__file__)').stdout)"
    )
    assert Path(project.run("python", "-c", code).strip()).is_relative_to(project.python.parents[1])

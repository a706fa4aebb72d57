"""What to install for an extra: by the folder that Torchduet was installed from, else by the packages' names."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from torchduet.suites import extras
from torchduet.suites.extras import install, source_folder, upgrade

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
METADATA = """\
Metadata-Version: 2.4
Name: torchduet
Version: 0.1.0
Requires-Dist: torch>=2.9
Requires-Dist: numpy (>=1.26)
Requires-Dist: pyarrow>=17; extra == "history"
Requires-Dist: ruptures>=1.1.9; (python_version >= "3.11") and extra == "history"
Requires-Dist: onnx>=1.17; extra == 'export'
Requires-Dist: torchduet[export,history]; extra == "all"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The metadata of an installation of Torchduet, the only one that is found."""
    folder = tmp_path / "site-packages" / "torchduet-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(METADATA)
    monkeypatch.setattr("sys.path", [str(folder.parent)])
    monkeypatch.setattr(extras, "HERE", folder.parent / "torchduet" / "suites")
    return folder


def test_from_an_index_it_is_the_packages(installed: Path) -> None:
    del installed
    assert install("history") == "pip install pyarrow ruptures"
    assert install("all") == "pip install onnx pyarrow ruptures"
    assert install("") == "pip install torch numpy"
    assert upgrade() == "pip install -U torchduet"


def test_from_a_wheels_file_it_is_the_packages(installed: Path) -> None:
    wheel = {"url": (installed / "torchduet-0.1.0-py3-none-any.whl").as_uri(), "archive_info": {}}
    (installed / "direct_url.json").write_text(json.dumps(wheel))
    assert install("history") == "pip install pyarrow ruptures"


@pytest.mark.parametrize("editable", [True, False])
@pytest.mark.parametrize("name", ["clone", "a clone"])
def test_from_a_folder_it_is_that_folder(installed: Path, tmp_path: Path, name: str, editable: bool) -> None:
    clone = tmp_path / name
    url = {"url": clone.as_uri(), "dir_info": {"editable": editable} if editable else {}}
    (installed / "direct_url.json").write_text(json.dumps(url))
    assert install("history") == "pip install pyarrow ruptures"  # the folder is gone
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    assert install("history") == f"pip install -e '{clone}[history]'"
    assert str(clone) in upgrade()


def test_without_metadata_it_is_what_the_caller_misses(installed: Path) -> None:
    (installed / "METADATA").unlink()
    installed.rmdir()
    assert install("export", "onnxruntime") == "pip install onnxruntime"
    assert install("export") == "pip install 'torchduet[export]'"


def test_a_clone_that_is_used_as_it_is_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    assert source_folder() == ROOT


def test_every_extra_that_is_named_exists() -> None:
    extras, named = set(PROJECT["optional-dependencies"]), set()
    for folder in ("bench", "reports", "suites"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            assert "torchduet[" not in text, f"{path}: hints come from torchduet.suites.extras.install"
            named |= {name for _, _, name in re.findall(r"""\b(install|require)\((["'])([\w-]+)\2""", text)}
    assert named <= extras
    assert named >= {"data", "export", "history", "logging", "parquet", "peers", "profile-python"}


def test_all_has_every_extra_for_users() -> None:
    of = PROJECT["optional-dependencies"]
    (everything,) = of["all"]
    listed = set(everything.removeprefix("torchduet[").removesuffix("]").split(","))
    assert listed == set(of) - {
        "all",
        "test",
        "lint",
        "peers",
        "docs",
        "fleet",  # 240 MB
        "torchao",
    }  # transformers imports torchao wherever it is

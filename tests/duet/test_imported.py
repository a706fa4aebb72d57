"""What each side has imported: the files of its own, or one line that says which module is not, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.duet.repositories import LAYER, Made, project, repository, run_there, write
from torchduet.bench.plan.options import OptionError

REFUSED = (
    "from torchduet.bench.duet.revision.imported import own_imports, refused_imports; "
    "print(refused_imports() or own_imports())"
)
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
EXTENSION = """
#include <Python.h>
static PyObject *side(PyObject *self, PyObject *none) {{ return PyUnicode_FromString("{side}"); }}
static PyMethodDef methods[] = {{{{"side", side, METH_NOARGS, ""}}, {{NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "_C", NULL, -1, methods}};
PyMODINIT_FUNC PyInit__C(void) {{ return PyModule_Create(&module); }}
"""
SETUP = """from setuptools import Extension, setup
part = Extension("mypkg._C", ["src/mypkg/_C.c"])
setup(name="mypkg", packages=["mypkg"], package_dir={"": "src"}, ext_modules=[part])
"""


def there(made: Made, folder: Path, imports: str, **options: bool) -> str:
    """What the revision's side says of what it has imported."""
    return run_there(made.against("main", folder, **options), sys.executable, f"{imports}; {REFUSED}")


def mine(made: Made, folder: Path, imports: str, path: Path, **options: bool) -> str:
    """The same of the side of the files as they are."""
    found = made.against("main", folder, **options)
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}; {REFUSED}"],
        env={**os.environ, **found.environment_of_mine, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A repository whose package is on PYTHONPATH."""
    found = repository(tmp_path / "project")
    monkeypatch.setenv("PYTHONPATH", str(found.top / "src"))
    return found


def test_each_side_names_the_files_that_it_has_imported(made: Made, tmp_path: Path) -> None:
    files = "{'mypkg': 'src/mypkg/__init__.py'}"
    assert there(made, tmp_path / "there", "import mypkg.layers") == files
    assert mine(made, tmp_path / "again", "import mypkg.layers", made.top / "src") == files


def test_a_module_loaded_by_its_path_is_refused_by_name(made: Made, tmp_path: Path) -> None:
    file = made.top / "src" / "mypkg" / "layers.py"
    loads = (
        "import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('by_path', {str(file)!r}); "
        "module = sys.modules['by_path'] = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)"
    )
    assert there(made, tmp_path / "there", loads) == (
        "by_path was imported from the files as they are (src/mypkg/layers.py), so both sides would time the same "
        "code; import it by its name, not by its path or when the interpreter starts"
    )


@pytest.mark.parametrize("guard", ["{}", "\ntry:\n    {}\nexcept ImportError:\n    _C = None\n"])
def test_a_compiled_part_of_the_working_tree_is_refused_even_if_the_package_does_without(
    guard: str, made: Made, tmp_path: Path
) -> None:
    made.git("checkout", "main")
    made.write({f"src/mypkg/_C{SUFFIX}": "", "src/mypkg/layers.py": guard.format("from mypkg import _C")})
    made.commit("uses a compiled part, which git ignores")
    imports = "\ntry:\n    import mypkg.layers\nexcept ImportError:\n    pass\n"
    assert there(made, tmp_path / "there", imports.rstrip() + "\n0") == (
        f"mypkg._C is compiled (src/mypkg/_C{SUFFIX}) and not part of the revision; --build builds it at that revision "
        "for this side"
    )


def test_a_compiled_part_that_is_installed_elsewhere_is_refused(made: Made, tmp_path: Path) -> None:
    write(tmp_path / "installed", {"mypkg/_C.py": ""})
    extends = f"import mypkg; mypkg.__path__.append({str(tmp_path / 'installed' / 'mypkg')!r}); import mypkg._C"
    found = there(made, tmp_path / "there", extends)
    assert found.startswith(f"mypkg._C comes from {tmp_path / 'installed' / 'mypkg' / '_C.py'}, which both sides share")


def test_an_installed_copy_is_not_taken_for_the_repository(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "site", {"mypkg/__init__.py": "", "mypkg/layers.py": LAYER.format(side="mine", rounds=20)})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    copy = tmp_path / "site" / "mypkg" / "__init__.py"
    found = there(made, tmp_path / "there", "import mypkg.layers")
    assert found.startswith(f"mypkg is imported from {copy}, an installed copy, and not from ")
    assert "so both sides would time the same code: pip install -e . (or --build" in found
    found = mine(made, tmp_path / "again", "import mypkg.layers", tmp_path / "site")
    assert found.endswith(": pip install -e . (or --build, which times the copy as it is installed)")


def test_a_project_within_the_repository_is_not_taken_from_an_installed_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(tmp_path / "project", "packages/one/src/mypkg")
    made.git("checkout", "main")
    made.write({"packages/one/pyproject.toml": "", "third_party/other/__init__.py": ""})
    made.commit("a project of several")
    write(tmp_path / "site", {"mypkg/__init__.py": "", "mypkg/layers.py": "", "other/__init__.py": ""})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    assert "an installed copy, and not from" in there(made, tmp_path / "there", "import mypkg.layers")
    assert there(made, tmp_path / "again", "import other") == "{}"


@pytest.mark.parametrize(
    ("source", "package"),
    [("code/inner", "mypkg"), ("packages/one/src/acme/one", "acme.one")],
    ids=["mapped", "namespace"],
)
def test_a_copy_of_any_layout_is_refused(
    source: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(tmp_path / "project", source, package)
    text = LAYER.format(side="mine", rounds=20) + f"TEXT = {'long ' * 50!r}\n"
    made.write({f"{source}/layers.py": text})
    inside = package.replace(".", "/")
    write(tmp_path / "site", {f"{inside}/__init__.py": "", f"{inside}/layers.py": text})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    found = there(made, tmp_path / "there", f"import {package}.layers")
    assert found.startswith(f"{package}")
    assert "an installed copy, and not from" in found


def test_a_copy_is_known_by_the_record_of_its_installation(made: Made, tmp_path: Path) -> None:
    top = made.top
    site = tmp_path / "site"
    info = "other-1.dist-info"
    write(
        site,
        {
            "my_single.py": "X = 1\n",
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: other\nVersion: 1\n",
            f"{info}/RECORD": "my_single.py,,\n",
            f"{info}/direct_url.json": f'{{"url": "file://{top}", "dir_info": {{}}}}',
        },
    )
    found = mine(made, tmp_path / "there", "import my_single", site)
    assert found.startswith(
        f"my_single is imported from {site / 'my_single.py'}, an installed copy of {top}: pip install"
    )


def test_a_library_beside_a_package_is_refused_and_one_elsewhere_is_not(made: Made, tmp_path: Path) -> None:
    made.write({"src/mypkg/libfast.so": "", "tools/libother.so": ""})
    found = there(made, tmp_path / "there", "import mypkg.layers")
    assert found.startswith(
        "mypkg has a compiled part that git ignores (src/mypkg/libfast.so), which the revision lacks"
    )
    (made.top / "src/mypkg/libfast.so").unlink()
    assert there(made, tmp_path / "again", "import mypkg.layers") == "{'mypkg': 'src/mypkg/__init__.py'}"


def test_a_compiled_module_at_the_top_is_refused(made: Made, tmp_path: Path) -> None:
    made.write({f"src/my_ext{SUFFIX}": ""})
    guarded = "\ntry:\n    import my_ext\nexcept ImportError:\n    pass\n0"
    found = there(made, tmp_path / "there", guarded)
    assert found.startswith(f"my_ext is compiled (src/my_ext{SUFFIX}) and not part of the revision; --build")


def test_what_git_ignores_or_is_another_repository_is_shared(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.write({".gitignore": "generated/\n", "generated/made_by_build.py": "", "dep/nested/__init__.py": ""})
    subprocess.run(["git", "init", "-q", str(made.top / "dep")], check=True)
    folders = [made.top / "src", made.top / "generated", made.top / "dep"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    assert there(made, tmp_path / "there", "import mypkg, made_by_build, nested") == (
        "{'made_by_build': 'generated, which both sides share', 'mypkg': 'src/mypkg/__init__.py', "
        "'nested': 'dep, which both sides share'}"
    )


def test_an_installed_copy_that_is_out_of_date_is_refused_with_build(made: Made, tmp_path: Path) -> None:
    project(made, '[tool.setuptools.packages.find]\nwhere = ["src"]\n')
    write(tmp_path / "site", {"mypkg/__init__.py": "", "mypkg/layers.py": LAYER.format(side="mine", rounds=20)})
    assert mine(made, tmp_path / "there", "import mypkg", tmp_path / "site", built=True) == "{}"
    made.write({"src/mypkg/layers.py": LAYER.format(side="mine", rounds=21)})
    found = mine(made, tmp_path / "again", "import mypkg", tmp_path / "site", built=True)
    assert found.endswith("which differs from it in layers.py: pip install . again")


def test_a_compiled_package_is_built_at_the_revision(made: Made, tmp_path: Path) -> None:
    made.git("checkout", "main")
    made.write({"setup.py": SETUP, "src/mypkg/_C.c": EXTENSION.format(side="base")})
    made.commit("with a compiled part")
    made.git("checkout", "-b", "compiled")
    made.write({"src/mypkg/_C.c": EXTENSION.format(side="mine")})
    made.commit("changed")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=made.top, check=True, capture_output=True
    )
    found = made.against("main", tmp_path / "there", built=True)
    assert run_there(found, sys.executable, "from mypkg import _C; print(_C.side())") == "base"
    assert run_there(found, sys.executable, f"from mypkg import _C; {REFUSED}") == (
        "{'mypkg': 'built: mypkg/__init__.py'}"
    )
    assert mine(made, tmp_path / "again", "from mypkg import _C; print(_C.side())", made.top / "src").startswith("mine")


def test_a_build_that_fails_is_one_clear_line(made: Made, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"^--against-rev main --build: there is no pyproject.toml or setup.py above "
    ):
        made.against("main", tmp_path / "there", built=True)
    made.git("checkout", "main")
    made.write({"setup.py": "raise SystemExit('error: no compiler for this')\n"})
    made.commit("cannot be built")
    message = r"^--against-rev main --build: the package at that revision cannot be built: [^\n]*$"
    with pytest.raises(OptionError, match=message):
        made.against("main", tmp_path / "again", built=True)

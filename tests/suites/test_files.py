"""Files of users are imported as scripts are: with modules beside them, in child processes, and without harm."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from torchduet import SuiteError
from torchduet.suites.files import loading
from torchduet.suites.registry import load

ROOT = Path(__file__).parents[2]
HEAD = "from torchduet import Suite\nsuite = Suite('mine')\n"
# A file whose function sends objects of its own class, and of one beside it, to a process of each start method.
SPAWNING = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from torchduet import Suite
{imports}

suite = Suite("mine")


class Row:
    def __init__(self, number):
        self.number = number


def double(row):
    return Row(2 * row.number)


@suite.workload(inputs=lambda device: (21,))
def doubled(number):
    "{imports}"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context({method!r})) as pool:
        own = list(pool.map(double, [Row(number)]))[0].number
        return own, {call}


if __name__ == "__main__":
    raise SystemExit("the guarded part ran")
"""
CALL = """
import sys
from torchduet.suites.registry import load
if __name__ == "__main__":
    sys.argv[1:] = ["--budget", "10s"]  # as in a run of pytest
    (suite,) = load({path!r})
    print(suite.workloads["doubled"].implementations["doubled"].function(21))
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)
    yield
    loading.forget_all()
    for name in sys.modules.keys() - before.keys():
        if "torchduet.suites.files." in name or not getattr(sys.modules[name], "__file__", "").startswith(sys.prefix):
            del sys.modules[name]


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(source: Path) -> set[str]:
    return {name for suite in load(str(source)) for name in suite.workloads}


LAYERS = {"layers.py": "def scale(row):\n    return 10 * row\n"}
PLACES = {
    "beside it": ("bench/s.py", "from layers import scale", {"bench/layers.py": LAYERS["layers.py"]}),
    "in the root of its project": (
        "bench/s.py",
        "from layers import scale",
        {"layers.py": LAYERS["layers.py"], "pyproject.toml": ""},
    ),
    "in src": (
        "bench/deep/s.py",
        "from mine.layers import scale",
        {"src/mine/__init__.py": "", "src/mine/layers.py": LAYERS["layers.py"], "setup.py": ""},
    ),
    "in its package": (
        "mine/s.py",
        "from .layers import scale",
        {"mine/__init__.py": "", "mine/layers.py": LAYERS["layers.py"]},
    ),
}


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("stem", ["s", "my-suite 2.0"])
def test_child_processes_import_the_file_and_the_modules_that_it_imports(
    tmp_path: Path, place: str, method: str, stem: str
) -> None:
    file, imports, others = PLACES[place]
    path = tmp_path / Path(file).with_name(f"{stem}.py")
    write(tmp_path, others)
    write(tmp_path, {str(path): SPAWNING.format(imports=imports, method=method, call="pool.submit(scale, 3).result()")})
    script = tmp_path / "elsewhere" / "call.py"
    write(tmp_path, {str(script): CALL.format(path=str(path))})
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "(42, 30)\n", done.stderr


def test_two_files_each_have_their_own_modules(tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = (
            "from layers import NAME\nfrom parts.more import MORE\n"
            + HEAD
            + "def f():\n    from late import NAME as late\n    return NAME + MORE + late\n"
            "suite.workload(inputs=lambda device: (), about=NAME)(f)\n"
        )
        files = {
            "s.py": text,
            "layers.py": f"NAME = {name!r}\n",
            "late.py": f"NAME = {name!r}\n",
            "parts/__init__.py": "",
            "parts/more.py": f"MORE = '-{name}-'\n",
        }
        write(tmp_path / name, files)
    for name in ("one", "two", "one", "two"):
        (suite,) = load(str(tmp_path / name / "s.py"))
        assert suite.workloads["f"].about == name
        assert suite.workloads["f"].implementations["f"].function() == f"{name}-{name}-{name}"


def test_files_of_one_project_share_its_modules(tmp_path: Path) -> None:
    text = "import model\n" + HEAD + "model.USERS.append(__file__)\n"
    write(tmp_path, {"pyproject.toml": "", "model.py": "USERS = []\n", "a/s.py": text, "b/t.py": text})
    load(str(tmp_path / "a/s.py"))
    load(str(tmp_path / "b/t.py"))
    assert len(sys.modules["model"].USERS) == 2


def test_what_is_found_again_is_not_imported_twice(tmp_path: Path) -> None:
    code = "import torchduet\n" + HEAD + "suite.about = str(id(torchduet))\n"
    inside = ROOT / "tests" / "bench" / "workloads" / "small.py"  # the project's root has torchduet itself
    write(tmp_path, {"s.py": code, "one/small.py": HEAD})
    before = sys.modules["torchduet"]
    assert [suite.name for suite in load(str(inside))] == ["small"]
    assert [suite.name for suite in load(str(tmp_path / "one/small.py"))] == ["mine"]
    assert load(str(tmp_path / "s.py"))[0].about == str(id(before))


def test_a_module_of_another_file_is_not_found(tmp_path: Path) -> None:
    write(tmp_path, {"one/s.py": HEAD + "import layers\n", "one/layers.py": "", "two/s.py": HEAD + "import layers\n"})
    load(str(tmp_path / "one/s.py"))
    with pytest.raises(SuiteError, match=r"two/s\.py:3: ModuleNotFoundError: No module named 'layers'"):
        load(str(tmp_path / "two/s.py"))


def test_nothing_of_the_standard_library_and_of_torch_is_hidden(tmp_path: Path) -> None:
    code = (
        "import random, logging, numpy\n"
        + HEAD
        + "assert random.random() and logging.INFO and numpy.ones(1).sum() == 1\n"
    )
    hiding = "raise RuntimeError('hides a package')\n"
    write(tmp_path, {"s.py": code, "random.py": hiding, "logging.py": hiding, "numpy.py": hiding, "torch.py": hiding})
    call = f"from torchduet.suites.registry import load\nprint(load({str(tmp_path / 's.py')!r})[0].name)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", call],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "mine\n", done.stderr


def test_a_file_may_have_the_name_of_an_installed_package(tmp_path: Path) -> None:
    write(tmp_path, {"pluggy.py": "import pluggy\n" + HEAD + "pluggy.PluginManager('x')\n"})
    assert [suite.name for suite in load(str(tmp_path / "pluggy.py"))] == ["mine"]


def test_a_module_that_adds_workloads_to_the_file_adds_them_to_the_suite_that_is_measured(tmp_path: Path) -> None:
    more = "from s import suite\nsuite.compare('more', {'f': abs}, inputs=lambda device: (1,))\n"
    write(tmp_path, {"s.py": HEAD + "import more\n", "more.py": more})
    assert names(tmp_path / "s.py") == {"more"}


GUARD = r"put that under if __name__ == '__main__':$"
ENDING = {
    "import sys\nsys.exit('no data')": rf"s\.py:2: it ends the program .* \(sys\.exit\('no data'\)\); {GUARD}",
    "raise SystemExit": rf"s\.py:1: it ends the program .*sys\.exit\(None\)\); {GUARD}",
    "import argparse\np = argparse.ArgumentParser()\np.add_argument('--n', required=True)\np.parse_args()": (
        rf"s\.py:4: it ends the program .*error: the following arguments are required: --n\); {GUARD}"
    ),
    "import os\nos._exit(3)": rf"s\.py:2: it ends the program when it is imported \(os\._exit\(3\)\); {GUARD}",
    "import os, sys\nos.execl(sys.executable, 'python')": rf"s\.py:2: it ends the program .*os\.execv\(.*; {GUARD}",
    "n = int(input('n? '))": rf"s\.py:1: it reads the keyboard when it is imported \(EOF.*\); {GUARD}",
    "class Stop(BaseException): ...\nraise Stop('now')": r"s\.py:2: Stop: now$",
    "import pytest\npytest.skip('not here', allow_module_level=True)": r"s\.py:2: Skipped: not here$",
    "raise ValueError('a\\nb\\n\\nc')": r"s\.py:1: ValueError: a b c$",
    "raise ValueError": r"s\.py:1: ValueError$",
    "import no_such_package": r"s\.py:1: ModuleNotFoundError: .*; if it is a package, install it in the environment",
    "from .layers import x": r"s\.py:1: ImportError: .*write from layers import",
    "import wrong": r"s\.py:1: SyntaxError: .* \(wrong\.py:2\)$",
    "import failing": r"s\.py:1: KeyError: 'x' \(failing\.py:2\)$",
    "from circular import a": r"s\.py:1: ImportError: .*circular import.*; move what both files need into a third one",
    "": "no Suite in it",
    "x = (": r"s\.py:1: SyntaxError: ",
    "\\0": "SyntaxError|ValueError",
    "x = " + "(" * 500 + ")" * 500: r"s\.py:1: SyntaxError|MemoryError|RecursionError",
}


@pytest.mark.parametrize("text", ENDING, ids=range(len(ENDING)))
def test_a_file_that_cannot_be_imported_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    others = {"wrong.py": "\nx = =\n", "failing.py": "\n{}['x']\n", "circular.py": "from other import b\na = 1\n"}
    write(tmp_path, others | {"other.py": "from circular import a\nb = 1\n", "s.py": text.replace("\\0", "\0")})
    with pytest.raises(SuiteError, match=ENDING[text]) as error:
        load(str(tmp_path / "s.py"))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"--suite {tmp_path / 's.py'}")


def test_a_file_sees_its_own_path_as_the_only_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest", "--budget", "10s"])
    code = HEAD + "import argparse, sys\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=8)\n"
    write(tmp_path, {"s.py": code + "suite.about = f'{p.parse_args().n} {sys.argv}'\n"})
    path = tmp_path / "s.py"
    assert load(str(path))[0].about == f"8 {[str(path)]}"
    assert sys.argv == ["pytest", "--budget", "10s"]


def test_an_import_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    import multiprocessing
    import warnings

    multiprocessing.set_start_method("spawn", force=True)
    try:
        code = "import multiprocessing, sys, warnings\nmultiprocessing.set_start_method('fork')\n"
        code += "warnings.simplefilter('error')\n"
        write(tmp_path, {"s.py": HEAD + code + "sys.stderr = sys.argv = sys.stdin = None\n"})
        before = (sys.stderr, sys.argv, sys.stdin, os._exit, list(warnings.filters))
        load(str(tmp_path / "s.py"))
        assert before == (sys.stderr, sys.argv, sys.stdin, os._exit, list(warnings.filters))
        assert multiprocessing.get_start_method() == "fork"
    finally:
        multiprocessing.set_start_method(None, force=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s.ipynb", r"is a notebook; write a Python file of its cells: jupyter nbconvert --to script"),
        ("s.txt", r"its name must end in \.py"),
        ("folder", "is a folder"),
        ("none.py", "does not exist"),
        ("pipe.py", "is no file"),
        ("x" * 300 + ".py", "it cannot be read: File name too long"),
    ],
)
def test_what_is_no_python_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, {"s.ipynb": "{}", "s.txt": "", "folder/s.py": ""})
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(SuiteError, match=message):
        load(str(tmp_path / name))
    if "." in name:
        there = contextlib.chdir(tmp_path)
        with there, pytest.raises(SuiteError, match=message if name != "s.txt" else "no such suite"):
            load(name)

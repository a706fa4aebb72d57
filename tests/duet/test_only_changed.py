"""``--only-changed``: which workloads a change can reach."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.duet.repositories import repository
from torchduet.bench.cases.case import cases_of
from torchduet.bench.duet.revision.reach import Reach
from torchduet.bench.duet.revision.selection import Chosen, choose, is_touched
from torchduet.suites.files.loading import forget_all, load_module
from torchduet.suites.files.search_path import place
from torchduet.suites.registry import load

PACKAGE = {
    "src/reached/__init__.py": "",
    "src/reached/layers.py": "from reached.kernels import scale\n\n\ndef net(x):\n    return scale(x)\n",
    "src/reached/kernels.py": "def scale(x):\n    from . import deep\n    return deep.times(x)\n",
    "src/reached/deep/__init__.py": "def times(x):\n    return 2 * x\n",
    "src/reached/losses.py": ("import torch\n\n\nclass Loss:\n    def __call__(self, x):\n        return x.sum()\n"),
    "src/reached/tables.py": "def table():\n    return [1.0, 2.0]\n",
    "src/reached/lazy.py": "def later(x):\n    return x + 1\n",
    "src/reached/model.py": (
        "import torch\n\n\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        return x\n"
    ),
    "src/reached/plugin.py": "REGISTRY = []\n",
    "src/reached/hooks.py": "def install():\n    pass\n",
    "src/reached/decorators.py": "def twice(f):\n    return lambda x: f(f(x))\n",
    "src/reached/latin.py": "# -*- coding: latin-1 -*-\nNAME = 'x'\n",
    "src/reached/shapes.py": ("def vector(device, n):\n    import torch\n    return (torch.ones(n, device=device),)\n"),
    "bench/suite.py": '''"""Workloads, each of which reaches another module."""

import functools
import importlib

import torch

import reached.losses
import reached.plugin as registered_by_its_import
import reached.shapes
from reached import decorators, hooks, layers, tables
from reached.model import Model
from torchduet import Suite

suite = Suite("reaching", "Workloads that reach different modules")
VALUES = tables.table()
loss = reached.losses.Loss()
hooks.install()


def vector(device, n):
    return (torch.ones(n, device=device),)


def helped(x):
    return helper(x)


def helper(x):
    return layers.net(x)


def scaled(x):
    return x * VALUES[0]


def lazily(x):
    from reached import lazy

    return lazy.later(x)


def model(device, n):
    return (torch.nn.Sequential(Model()), torch.ones(n, device=device))


def apply(model, x):
    return model(x)


class Own:
    def __call__(self, x):
        return loss(x)


def add(x, y):
    return x + y


AXES = {"n": [4]}
suite.compare("direct", {"f": layers.net}, inputs=vector, axes=AXES)
suite.compare("helped", {"f": helped}, inputs=vector, axes=AXES)
suite.compare("by_value", {"f": scaled}, inputs=vector, axes=AXES)
suite.compare("by_object", {"f": Own()}, inputs=vector, axes=AXES)
suite.compare("lazily", {"f": lazily}, inputs=vector, axes=AXES)
suite.compare("partial", {"f": functools.partial(add, y=1.0)}, inputs=vector, axes=AXES)
suite.compare("lambda", {"f": lambda x: layers.net(x)}, inputs=vector, axes=AXES)
suite.compare("inputs", {"f": torch.relu}, inputs=reached.shapes.vector, axes=AXES)
suite.compare("model", {"f": apply}, inputs=model, axes=AXES)
@decorators.twice
def decorated(x):
    return layers.net(x)


class Table:
    table = {"net": layers.net}

    def __call__(self, x):
        return self.table["net"](x)


def named(x):
    return importlib.import_module("reached.lazy").later(x)


def operator(x):
    return torch.ops.aten.add(x, x)


def unread(x):
    import reached.latin

    return x if reached.latin.NAME else None


suite.compare("decorated", {"f": decorated}, inputs=vector, axes=AXES)
suite.compare("table", {"f": Table()}, inputs=vector, axes=AXES)
suite.compare("named", {"f": named}, inputs=vector, axes=AXES)
suite.compare("operator", {"f": operator}, inputs=vector, axes=AXES)
suite.compare("unread", {"f": unread}, inputs=vector, axes=AXES)
suite.compare("none", {"f": torch.relu}, inputs=vector, axes=AXES)
''',
}
# What is imported for its effect alone, or is called at the import.
OF_ALL = {"src/reached/plugin.py", "src/reached/hooks.py"}
DEEP = {"src/reached/kernels.py", "src/reached/deep/__init__.py", "src/reached/layers.py"}


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with a package of several modules."""
    made = repository(tmp_path_factory.mktemp("only") / "project")
    made.write(PACKAGE)
    yield made.top
    forget_all()
    place((), made.top)  # its folders leave sys.path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(made.top)):
            del sys.modules[name]


def reached(top: Path, name: str) -> set[str]:
    """The files of the package that a workload reaches, besides its first."""
    file = top / "bench" / "suite.py"
    (suite,) = load(str(file))
    found = Reach(load_module(file), top).of(suite.workloads[name])
    return {name for name in found if name.startswith("src/")} - {"src/reached/__init__.py"}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("direct", DEEP),
        ("helped", DEEP),
        ("lambda", DEEP),
        ("by_value", {"src/reached/tables.py"}),
        ("by_object", {"src/reached/losses.py"}),
        ("lazily", {"src/reached/lazy.py"}),
        ("partial", set()),
        ("inputs", {"src/reached/shapes.py"}),
        ("model", {"src/reached/model.py"}),
        ("decorated", DEEP | {"src/reached/decorators.py"}),
        ("table", DEEP),
        ("named", {"src/reached/lazy.py"}),
        ("operator", set()),
        ("unread", {"src/reached/latin.py"}),
        ("none", set()),
    ],
)
def test_a_workload_reaches_what_its_functions_name(name: str, files: set[str], top: Path) -> None:
    assert reached(top, name) >= files
    assert reached(top, name) - files == OF_ALL - files


MODEL_IMPORTS = ("from reached.model import Model", "import reached.model")


@pytest.mark.parametrize("given", ["Model", "reached.model.Model", "lambda: Model()"])
def test_a_model_that_is_given_by_its_class_reaches_its_file(given: str, top: Path) -> None:
    file = top / "bench" / f"model_{len(given)}.py"
    file.write_text(
        f"import torch\nfrom torchduet import Suite\n{MODEL_IMPORTS[given.startswith('reached')]}\n"
        "suite = Suite('modelled', 'x')\n"
        "def data(batch):\n    return torch.ones(batch, 2), torch.ones(batch, 2)\n"
        f"suite.model('block', {given}, data, axes={{'batch': [4]}}, loss=torch.nn.functional.mse_loss)\n"
        "suite.compare('none', {'f': torch.relu}, inputs=lambda device, n: (torch.ones(n),), axes={'n': [4]})\n"
    )
    (suite,) = load(str(file))
    pairs = cases_of(str(file), suite, tier="quick", devices=["cpu"])
    found = choose([case for case, _ in pairs], ["src/reached/model.py"], top)
    assert {case.workload for case in found.reached} >= {"block_infer"}
    assert "none" not in {case.workload for case in found.reached}


def test_a_compiled_function_is_taken_for_changed(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(top)  # where the file of a module of torch.ops, which has a name only, would be looked for
    file = top / "bench" / "compiled.py"
    file.write_text(
        "import torch\nfrom reached import layers\nfrom torchduet import Suite\nsuite = Suite('scripted', 'x')\n"
        "def vector(device, n):\n    return (torch.ones(n, device=device),)\n"
        "@torch.jit.script\ndef f(x: torch.Tensor) -> torch.Tensor:\n    return x + 1\n"
        "suite.compare('f', {'f': f}, inputs=vector, axes={'n': [4]})\n"
    )
    (suite,) = load(str(file))
    found = choose([case for case, _ in cases_of(str(file), suite, tier="quick", devices=["cpu"])], ["x.py"], top)
    assert {case.workload for case in found.reached} == {"f"}


def chosen(top: Path, *changed: str) -> Chosen:
    (suite,) = load(str(top / "bench" / "suite.py"))
    pairs = cases_of(str(top / "bench" / "suite.py"), suite, tier="quick", devices=["cpu"])
    return choose([case for case, _ in pairs], changed, top)


def test_the_others_are_controls(top: Path) -> None:
    found = chosen(top, "src/reached/deep/__init__.py")
    assert {case.workload for case in found.reached} == {"direct", "helped", "lambda", "decorated", "table"}
    assert {case.workload for case in found.controls} == {"by_value", "by_object"}


def test_a_changed_suite_touches_all_of_its_workloads(top: Path) -> None:
    found = chosen(top, "bench/suite.py")
    assert len({case.workload for case in found.reached}) == 15
    assert found.controls == ()


def test_a_change_that_nothing_imports_leaves_controls_alone(top: Path) -> None:
    found = chosen(top, "README.md", "src/reached/unused.py")
    assert found.reached == ()
    assert len({case.family for case in found.controls}) == 2


@pytest.mark.parametrize(
    ("changed", "files", "touched"),
    [
        ("src/pkg/a.py", {"src/pkg/a.py"}, True),
        ("src/pkg/b.py", {"src/pkg/a.py"}, False),
        ("csrc/add.cu", {"bench/suite.py", "src/pkg/__init__.py"}, True),
        ("data/table.json", {"bench/suite.py", "src/pkg/sub/a.py"}, True),
        ("pyproject.toml", {"bench/suite.py", "src/pkg/a.py"}, True),
        ("pyproject.toml", {"bench/suite.py"}, False),
        ("vendored", {"bench/suite.py", "vendored/a.py"}, True),
        ("README.md", {"bench/suite.py", "src/pkg/a.py"}, False),
        ("docs/conf.toml", {"bench/suite.py", "src/pkg/a.py"}, False),
        (".github/workflows/ci.yml", {"bench/suite.py", "src/pkg/a.py"}, False),
    ],
)
def test_a_file_that_is_not_python_touches_whatever_imports_the_package(
    changed: str, files: set[str], *, touched: bool
) -> None:
    assert is_touched(files, [changed]) is touched

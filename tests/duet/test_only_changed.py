"""``--only-changed``: which workloads a change can reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.duet.repositories import repository
from torchduet.bench.cases.case import cases_of
from torchduet.bench.duet.revision.reach import Reach
from torchduet.bench.duet.revision.selection import Chosen, choose, is_touched
from torchduet.suites.files.loading import forget_all, load_module
from torchduet.suites.registry import load

PACKAGE = {
    "src/reached/__init__.py": "",
    "src/reached/layers.py": "from reached.kernels import scale\n\n\ndef net(x):\n    return scale(x)\n",
    "src/reached/kernels.py": "def scale(x):\n    from . import deep\n    return deep.times(x)\n",
    "src/reached/deep/__init__.py": "def times(x):\n    return 2 * x\n",
    "src/reached/losses.py": "class Loss:\n    def __call__(self, x):\n        return x.sum()\n",
    "src/reached/tables.py": "def table():\n    return [1.0, 2.0]\n",
    "src/reached/lazy.py": "def later(x):\n    return x + 1\n",
    "src/reached/model.py": (
        "import torch\n\n\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        return x\n"
    ),
    "src/reached/shapes.py": ("def vector(device, n):\n    import torch\n    return (torch.ones(n, device=device),)\n"),
    "bench/suite.py": '''"""Workloads, each of which reaches another module."""

import functools

import torch

import reached.losses
import reached.shapes
from reached import layers, tables
from reached.model import Model
from torchduet import Suite

suite = Suite("reaching", "Workloads that reach different modules")
VALUES = tables.table()
loss = reached.losses.Loss()


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
suite.compare("none", {"f": torch.relu}, inputs=vector, axes=AXES)
''',
}
DEEP = {"src/reached/kernels.py", "src/reached/deep/__init__.py", "src/reached/layers.py"}


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with a package of several modules."""
    made = repository(tmp_path_factory.mktemp("only") / "project")
    made.write(PACKAGE)
    yield made.top
    forget_all()


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
        ("none", set()),
    ],
)
def test_a_workload_reaches_what_its_functions_name(name: str, files: set[str], top: Path) -> None:
    assert reached(top, name) >= files
    # ``import reached.losses`` makes it an attribute of the package, which a workload that names it may use.
    assert reached(top, name) - files <= {"src/reached/losses.py", "src/reached/shapes.py"}


def chosen(top: Path, *changed: str) -> Chosen:
    (suite,) = load(str(top / "bench" / "suite.py"))
    pairs = cases_of(str(top / "bench" / "suite.py"), suite, tier="quick", devices=["cpu"])
    return choose([case for case, _ in pairs], changed, top)


def test_the_others_are_controls(top: Path) -> None:
    found = chosen(top, "src/reached/deep/__init__.py")
    assert {case.workload for case in found.reached} == {"direct", "helped", "lambda"}
    assert {case.workload for case in found.controls} == {"by_value", "by_object"}


def test_a_changed_suite_touches_all_of_its_workloads(top: Path) -> None:
    found = chosen(top, "bench/suite.py")
    assert len({case.workload for case in found.reached}) == 10
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
        ("src/pkg/kernels/add.cu", {"src/pkg/__init__.py"}, True),
        ("src/pkg/table.json", {"src/pkg/sub/a.py"}, True),
        ("README.md", {"src/pkg/a.py"}, False),
        ("docs/index.md", {"src/pkg/a.py"}, False),
    ],
)
def test_a_file_that_is_not_python_touches_the_package_around_it(
    changed: str, files: set[str], *, touched: bool
) -> None:
    assert is_touched(files, [changed]) is touched

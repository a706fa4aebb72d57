"""The layout: which package may import which, read from the import statements of every module, lazy ones included."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "torchduet": "torchduet",
    "torchduet.bench": "bench",
    "torchduet.suites": "suites",
    "torchduet.reports": "reports",
}
MAX_LINES = 300
MAX_MODULES = 21

# From the bottom to the top: a package imports only packages that stand above its own line here.
BENCH_LAYERS = (
    "files",  # reports read and write by it, too
    "record",  # reports read it, too
    "host",
    "cases",
    "received",  # what processes that run the user's code send
    "plan",
    "inputs",
    "state",
    "timing",
    "passes",
    "ranks",
    "workers",
    "noise",
    "run",
    "merge",
    "library",
    "duet",
    "plugin",
    "fleet",
    "selfcheck",
    "peers",
)
REPORTS_LAYERS = (
    "text",
    "read",
    "tables",
    "charts",
    "findings",
    "profile",
    "html",
    "markdown",
    "shifts",
    "compare",
    "history",
    "machines",
    "commands",
)
TORCH = (
    "bench.inputs",
    "bench.state",
    "bench.timing",
    "bench.passes",
    "bench.ranks",
    "bench.workers",
    "bench.library",
    "bench.duet",
    "bench.peers",
    "bench.selfcheck",
    "suites",
    "timer",
)
FACE = "torchduet"  # imports what its names stand for when they are used; bench imports it to know where it lies
TORCH_LAZILY = ("bench.host.machine", "bench.conftest", "bench.plugin")
READ_BY_REPORTS = (
    "torchduet.bench.files",
    "torchduet.bench.record",
    "torchduet.bench.host.without_main",
    "torchduet.bench.noise.causes",
    "torchduet.bench.noise.figures",
    "torchduet.bench.noise.grades",
    "torchduet.bench.noise.withheld",
    "torchduet.suites.claim",
    "torchduet.suites.cpus",
    "torchduet.suites.extras",
    "torchduet.suites.free_memory",
)


@cache
def modules() -> Mapping[str, Path]:
    """Name of every module that is installed → its file."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that one imports anywhere in its file, ours by their full names.

    A string that is the name of one of our modules counts: it is given to something that imports it later.
    """
    return frozenset(_imports(ast.walk(ast.parse(modules()[module].read_text("utf-8"))))) - {module}


def _imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules() else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in modules():
            yield node.value


def ours(module: str) -> frozenset[str]:
    """What it imports of ours."""
    return frozenset(name for name in imports(module) if name in modules())


def package_of(module: str) -> str:
    """``bench.timing``, ``reports.html``, ``suites``; a module that lies in a top folder is its own."""
    parts = module.split(".")[1:]
    return "suites" if parts[:1] == ["suites"] else ".".join(parts[:2])


def cycles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node, by Tarjan's algorithm (1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == order[node]:
            place = stack.index(node)
            if len(stack) - place > 1:
                found.append(sorted(stack[place:]))
            del stack[place:]

    for node in graph:
        if node not in order:
            visit(node)
    return found


def test_a_cycle_would_be_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert sorted(cycles({node: frozenset(others) for node, others in graph.items()})) == [["b", "c"], ["d", "e"]]
    assert cycles({"a": frozenset("b"), "b": frozenset()}) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert cycles({module: ours(module) for module in modules() if module != FACE}) == []


def test_no_package_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    for module in modules():
        if module == FACE:
            continue
        graph.setdefault(package_of(module), set()).update(
            package_of(other) for other in ours(module) if package_of(other) != package_of(module)
        )
    assert cycles({package: frozenset(others) for package, others in graph.items()}) == []


@pytest.mark.parametrize(("top", "layers"), [("bench", BENCH_LAYERS), ("reports", REPORTS_LAYERS)])
def test_a_package_imports_only_what_lies_below_it(top: str, layers: tuple[str, ...]) -> None:
    folders = {path.name for path in (ROOT / top).iterdir() if (path / "__init__.py").exists()}
    assert folders == set(layers)
    height = {f"{top}.{name}": place for place, name in enumerate(layers)}
    upward = [
        f"{module} imports {other}"
        for module in modules()
        for other in ours(module)
        if height.get(package_of(module), len(layers)) < height.get(package_of(other), -1)
    ]
    assert upward == []


def test_suites_import_nothing_of_ours() -> None:
    assert [
        f"{module} imports {other}"
        for module in modules()
        if module.startswith("torchduet.suites")
        for other in ours(module)
        if not other.startswith("torchduet.suites")
    ] == []


def test_reports_read_the_record_and_never_import_torch() -> None:
    foreign = [
        f"{module} imports {other}"
        for module in modules()
        if module.startswith("torchduet.reports")
        for other in imports(module)
        if other.split(".")[0] == "torch"
        or (
            other in modules()
            and not other.startswith(("torchduet.reports", *READ_BY_REPORTS))
            and other != "torchduet"
        )
    ]
    assert foreign == []


def test_bench_does_not_import_reports() -> None:
    assert [
        f"{module} imports {other}"
        for module in modules()
        if module.startswith("torchduet.bench")
        for other in ours(module)
        if other.startswith("torchduet.reports")
    ] == []


def test_torch_is_imported_only_where_something_is_computed() -> None:
    for module in modules():
        tree = ast.parse(modules()[module].read_text("utf-8"))
        name = module.removeprefix("torchduet.")
        at_once = any(_is_torch(node) for node in tree.body)
        anywhere = any(_is_torch(node) for node in ast.walk(tree))
        assert not at_once or name.startswith(TORCH), f"{module} imports torch at once"
        assert not anywhere or name.startswith((*TORCH, *TORCH_LAZILY)), f"{module} imports torch"


def _is_torch(node: ast.AST) -> bool:
    names = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
    names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    return any(name.split(".")[0] == "torch" for name in names)


def test_modules_and_packages_can_be_read_in_one_sitting() -> None:
    lines = {module: len(path.read_text("utf-8").splitlines()) for module, path in modules().items()}
    assert {module: number for module, number in lines.items() if number > MAX_LINES} == {}
    sizes: dict[Path, int] = {}
    for path in modules().values():
        if path.name != "__init__.py" and "test_" not in path.name:
            sizes[path.parent] = sizes.get(path.parent, 0) + 1
    assert {str(folder): number for folder, number in sizes.items() if number > MAX_MODULES} == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [
        module for module, path in modules().items() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ] == []


def test_the_plugin_does_not_import_torch() -> None:
    """Else its import would come before the start of the fork server, which imports torch meanwhile: seconds."""
    code = "import sys, torchduet.bench.conftest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0

"""Loads suites: the built-in ones by name, a file of the user by path."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable
from pathlib import Path

from torchduet.suites.files.loading import is_loaded, load_module
from torchduet.suites.suite import Suite
from torchduet.suites.workload import SuiteError

BUILT_IN = (
    "tensor_ops",
    "matmul",
    "einsum",
    "autograd",
    "mlp",
    "optim",
    "dataloader",
    "convnet",
    "attention",
    "export",
    "training",
    "logging",
    "transformers",
    "vision",
    "recurrent",
    "generative",
    "speech",
    "distributed",
    "compiling",
)

# What most users decide by comes first: steps of training, then what they consist of, then what surrounds them.
RELEVANCE = (
    *("mlp", "matmul", "attention", "transformers", "distributed", "convnet", "vision", "training", "optim"),
    *("tensor_ops", "compiling", "einsum", "recurrent", "autograd", "dataloader", "generative", "speech", "export"),
    "logging",
)

# What a suite's workloads import beside torch, seconds of it: processes from which workers are forked import it once.
_MODELS = "transformers.models"
LIBRARIES = {
    "transformers": (
        *(f"{_MODELS}.{name}.modeling_{name}" for name in ("distilbert", "bert", "gpt2", "llama")),
        *("transformers.generation.utils", "transformers.cache_utils", "tokenizers"),
    ),
    "vision": tuple(f"{_MODELS}.{name}.modeling_{name}" for name in ("vit", "yolos")),
    "distributed": (
        *("torch.distributed.fsdp", "torch.distributed.tensor.parallel", "torch.nn.parallel", "torch.distributed.rpc"),
        *("torch.distributed.algorithms.ddp_comm_hooks.default_hooks", "torch._dynamo"),  # optimisers import the latter
    ),
    "speech": (f"{_MODELS}.wav2vec2.modeling_wav2vec2",),
}

FORMER = "suites"  # what torchduet.suites was called
PUBLIC = frozenset({"Axis", "Cost", "Implementation", "Meter", "Suite", "SuiteError", "Unavailable"})  # of `torchduet`


_given: dict[str, list[Suite]] = {}


def give(source: str, suites: list[Suite]) -> None:
    """Let ``load(source)`` return these suites in this process: a program's own, which are in no file."""
    _given[source] = suites


def withdraw(source: str) -> None:
    """Undo :func:`give`."""
    _given.pop(source, None)


def is_given(source: str) -> bool:
    """Whether a source is a program's own, in this process."""
    return source in _given


def names() -> tuple[str, ...]:
    """The built-in suites, in the order in which they are listed."""
    return BUILT_IN


def libraries(sources: Iterable[str]) -> tuple[str, ...]:
    """The modules of other packages that these suites import, of those that are built in."""
    return tuple(dict.fromkeys(name for source in sources for name in LIBRARIES.get(source, ())))


def relevance(source: str) -> int:
    """The rank of a suite where the time may be too short for all; 0 for a user's own, which comes first."""
    return 1 + RELEVANCE.index(source) if source in RELEVANCE else 0


def load(source: str) -> list[Suite]:
    """The suites of a built-in name, of a Python file, whose code is run once per process, or of :func:`give`.

    Raises:
        SuiteError: an unknown name or an unusable file; the message says why.
    """
    if source in _given:
        return _given[source]
    if source in BUILT_IN:
        return [importlib.import_module(f"torchduet.suites.{source}").suite]
    if not (source.endswith((".py", ".ipynb")) or "/" in source or "\\" in source):
        raise SuiteError(
            f"--suite {source}: no such suite; the built-in ones are {', '.join(BUILT_IN)}, "
            "and a file's name ends in .py"
        )
    try:
        return list(_load_file(Path(source).resolve()))
    except OSError as error:
        raise SuiteError(f"--suite {source}: it cannot be read: {error.strerror or error}") from None


def _load_file(path: Path) -> list[Suite]:
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is no file" if path.exists() else "does not exist"
        raise SuiteError(f"--suite {path}: {problem}; name a Python file of workloads")
    if path.suffix == ".ipynb":
        raise SuiteError(
            f"--suite {path}: is a notebook; write a Python file of its cells: jupyter nbconvert --to script"
        )
    if path.suffix != ".py":
        raise SuiteError(f"--suite {path}: is not a Python file; its name must end in .py")
    if not is_loaded(path):
        _refuse_former_import(path)
    suites: dict[str, Suite] = {}
    for suite in list(vars(load_module(path)).values()):
        if isinstance(suite, Suite):
            if suites.get(suite.name, suite) is not suite:
                raise SuiteError(f"--suite {path}: two suites are named {suite.name!r}; rename one")
            suites[suite.name] = suite
    if not suites:
        raise SuiteError(f"--suite {path}: no Suite in it; start it with: suite = Suite('mine')")
    return list(suites.values())


def _refuse_former_import(path: Path) -> None:
    """Refuse ``from suites import Suite`` and ``suites.Suite``.

    It does not matter whether ``suites`` is missing, the user's own, or the folder of a clone.

    In a clone the import works, but loads modules a second time under another name.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # running the file raises the error with its line
    packages: set[str] = set()  # names in the file that stand for the package or a module of it
    public: dict[str, int] = {}  # name that torchduet has → the line that takes it from suites
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and _is_former(node.module or ""):
            public |= {alias.name: node.lineno for alias in node.names if alias.name in PUBLIC}
        elif isinstance(node, ast.Import):
            packages |= {alias.asname or FORMER for alias in node.names if _is_former(alias.name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in PUBLIC and _root(node) in packages:
            public.setdefault(node.attr, node.lineno)
    if public:
        raise SuiteError(
            f"--suite {path}:{min(public.values())}: import these names from torchduet: "
            f"from torchduet import {', '.join(public)}"
        )


def _is_former(module: str) -> bool:
    return module.partition(".")[0] == FORMER


def _root(node: ast.expr) -> str | None:
    """``"suites"`` of ``suites.suite.Suite``; None where it begins with no name."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None

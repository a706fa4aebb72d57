"""Takes functions to fresh processes: those of a package by import, others by their code (cloudpickle)."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch

from torchduet.bench.host.error_words import one_line
from torchduet.bench.inputs.captured import is_installed
from torchduet.bench.inputs.graph import tensors_in, walk
from torchduet.bench.inputs.memory import has_storage
from torchduet.bench.library import process_state
from torchduet.bench.library.described import Described

KNOWN = ("torch", "numpy", "torchduet", "__main__", "__mp_main__")  # imported by every fork server, or by none
MAX_BYTES = 512 << 20  # of inputs and captured tensors: every fresh process reads a copy


class NotShippedError(Exception):
    """The functions cannot be taken to another process; the message says why."""


def write(described: Described, path: Path) -> None:
    """Write the functions, what they read and their inputs to a file.

    Raises:
        NotShippedError: they cannot be pickled, or their tensors are too large.
    """
    held = filter(has_storage, tensors_in([*(described.inputs or ()), *described.captured.values]))
    size = sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in held}.values())
    if size > MAX_BYTES:
        raise NotShippedError(
            f"the inputs have {size / 2**20:.0f} MiB, of at most {MAX_BYTES >> 20}; give a function that makes them: "
            "inputs="
        )
    try:
        places = "\0".join(entry or str(Path.cwd()) for entry in sys.path)
        path.with_suffix(".path").write_text(places, "utf-8", "surrogateescape")
        path.with_suffix(".state").write_bytes(pickle.dumps(process_state.taken()))
        _save(described, path)
    except Exception as error:
        path.unlink(missing_ok=True)
        raise NotShippedError(_reason(error)) from error


def _save(described: Described, path: Path) -> None:
    """Save the functions with the code of their own modules; if that fails, with as little of it as possible."""
    import cloudpickle

    own = [module for name in _names(described) if (module := sys.modules.get(name)) and not is_installed(module)]
    own = [module for module in own if module.__name__ != "__main__"]  # which is always taken along
    try:
        with _by_value(own):
            torch.save(replace(described), path, pickle_module=cloudpickle)
    except Exception:
        least = [module for module in own if not _is_found_again(module)]
        if len(least) == len(own):
            raise
        with _by_value(least):
            torch.save(replace(described), path, pickle_module=cloudpickle)


def _reason(error: Exception) -> str:
    text = one_line(error)
    return f"they cannot be pickled ({text})" if "pickle" not in text else text


def read(path: Path) -> Described:
    """The functions and their inputs, in a process that has not seen them; it imports from where the other one did.

    Raises:
        Exception: whatever an import raises.
    """
    for entry in path.with_suffix(".path").read_text("utf-8", "surrogateescape").split("\0"):
        if entry not in sys.path:
            sys.path.append(entry)
    described = torch.load(path, weights_only=False)
    if refused := process_state.enter(pickle.loads(path.with_suffix(".state").read_bytes())):
        raise NotShippedError(f"a fresh process cannot be given {', '.join(refused)} as it is here")
    assert isinstance(described, Described)
    return described


def modules_of(described: Described) -> frozenset[str]:
    """The installed modules that another process imports for the functions and inputs, as far as not all do."""
    return frozenset(
        name
        for name in _names(described)
        if name in sys.modules
        and name.partition(".")[0] not in (*KNOWN, *sys.stdlib_module_names)
        and is_installed(sys.modules[name])
        and getattr(sys.modules[name], "__file__", None)
    )


def _names(described: Described) -> set[str]:
    """The names of the modules of all functions, of what they read and of what the inputs hold."""
    functions = [*(function.original for function in described.functions.values()), *described.captured.functions]
    called = [*functions, described.make]
    held = walk(*called, *(described.inputs or ()), *described.captured.values)
    return {name for value in (*called, *held) for name in _modules_of(value)} | described.captured.modules


@contextmanager
def _by_value(modules: Sequence[ModuleType]) -> Iterator[None]:
    """Within the context cloudpickle takes along the code of these modules, with the globals that it reads.

    Another import of them would not have what the program has set since. Installed packages are imported.
    """
    import cloudpickle

    registered: list[ModuleType] = []
    try:
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _modules_of(value: Any) -> Iterator[str]:
    while isinstance(value, partial | MethodType):
        value = value.func if isinstance(value, partial) else value.__func__
    of = value if isinstance(value, FunctionType | type) else type(value)
    yield str(getattr(of, "__module__", ""))


def _is_found_again(module: ModuleType) -> bool:
    if type(getattr(module, "__loader__", None)).__name__ == "AssertionRewritingHook":
        return False  # pytest's
    name = module.__name__
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    if "." in name:
        return True
    file = getattr(module, "__file__", None)
    return file is None or spec.origin == file

"""torch.compile for one case: separate code objects, and a cold cache."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from torchduet.bench.host.temporary import HEADERS

TORCH = str(Path(torch.__file__).parent)
BENCH = str(Path(__file__).parents[1])  # the folder of torchduet.bench


def own_code(function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """The function with a code object of its own, which has this name if one is given.

    Dynamo keeps compiled code per code object: cases of one function would otherwise test each other's guards on every
    call.
    """
    if not isinstance(function, types.FunctionType):

        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return own_code(call, name)
    code = function.__code__.replace(co_name=name or function.__code__.co_name)
    clone = types.FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    clone.__kwdefaults__ = function.__kwdefaults__
    return clone


class Uncompiling:
    """Removes torch.compile from functions and objects whose author compiled them already.

    Attributes:
        found: whether there was anything compiled.
    """

    def __init__(self) -> None:
        self.found = False
        self._seen: dict[int, Any] = {}  # keeps what was seen alive, so that no id is used again

    def __call__(self, value: Any) -> Any:
        """``value`` without torch.compile: the original of a compiled function or module.

        Lists, dictionaries, modules and other objects that contain one are changed in place, as other inputs may share
        them; a tuple becomes a new one.
        """
        original = self._original(value)
        if original is not value:
            self.found = True
            return self(original)
        if isinstance(value, functools.partial):
            return self._partial(value)
        if isinstance(value, types.MethodType):
            function = self(value.__func__)
            self(value.__self__)
            return value if function is value.__func__ else types.MethodType(function, value.__self__)
        if isinstance(value, tuple):
            items = [self(item) for item in value]
            if all(new is old for new, old in zip(items, value, strict=True)):
                return value
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if id(value) not in self._seen and not isinstance(value, _LEAVES):
            self._seen[id(value)] = value
            self._within(value)
        return value

    @staticmethod
    def _original(value: Any) -> Any:
        """The module or function that torch.compile was given; ``value`` itself if it is not compiled."""
        if isinstance(value, torch.nn.Module):
            return vars(value).get("_modules", {}).get("_orig_mod", value) if _is_optimized(value) else value
        # Functions that compilation leaves out (torch.compiler.disable) have the attribute, too, and so do wrappers
        # made with functools.wraps, which copies it.
        if isinstance(value, types.FunctionType) and value.__code__.co_filename.startswith(TORCH):
            attributes = vars(value)
            if not attributes.get("_torchdynamo_disable"):
                return attributes.get("_torchdynamo_orig_callable", value)
        return value

    def _partial(self, value: functools.partial[Any]) -> functools.partial[Any]:
        function = self(value.func)
        arguments, keywords = self(value.args), self(value.keywords)
        if function is value.func and arguments is value.args:
            return value
        return functools.partial(function, *arguments, **keywords)

    def _within(self, value: Any) -> None:
        """Replace what is compiled among the items and attributes of an object, and the methods of its class."""
        if isinstance(value, list):
            value[:] = map(self, value)
        elif isinstance(value, dict):
            self._replace(value, value.__setitem__)
        elif hasattr(value, "__dict__"):
            if vars(value).get("_compiled_call_impl") is not None:  # by nn.Module.compile
                self.found, value._compiled_call_impl = True, None
            self._replace(vars(value), vars(value).__setitem__)
            for kind in type(value).__mro__:
                if id(kind) not in self._seen and not kind.__module__.startswith(("torch.", "builtins")):
                    self._seen[id(kind)] = kind
                    compiled = {
                        name: new for name, item in vars(kind).items() if (new := self._original(item)) is not item
                    }
                    for name, original in compiled.items():
                        _compiled_in_classes.append((kind, name, vars(kind)[name]))
                        setattr(kind, name, self(original))
                    self.found = self.found or bool(compiled)

    def _replace(self, values: dict[Any, Any], replace: Callable[[Any, Any], None]) -> None:
        for name, item in list(values.items()):
            new = self(item)
            if new is not item:
                replace(name, new)


_compiled_in_classes: list[tuple[type, str, Any]] = []  # what Uncompiling has replaced in this process


def put_back_classes() -> None:
    """Let classes have the compiled methods again that :class:`Uncompiling` has replaced in this process."""
    while _compiled_in_classes:
        kind, name, method = _compiled_in_classes.pop()
        setattr(kind, name, method)


_LEAVES = (str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, types.FunctionType, torch.Tensor)


def _is_optimized(module: torch.nn.Module) -> bool:
    frames = sys.modules.get("torch._dynamo.eval_frame")  # else nothing has been compiled yet
    return frames is not None and isinstance(module, frames.OptimizedModule)


class CompiledModel:
    """A stand-in for a module: a call runs the compiled forward, and all attributes are the module's own.

    Each module of a case has another ``number``: Dynamo takes the sizes of functions of one name for changing ones.
    """

    def __init__(self, model: torch.nn.Module, number: int = 0) -> None:
        def forward(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            return module(*args, **kwargs)

        self._model = model
        self._compiled = torch.compile(own_code(forward, f"forward_{number}" if number else ""))

    def of(self, model: torch.nn.Module) -> CompiledModel:
        """A stand-in for another module of the same class, which runs the same compiled code."""
        other = CompiledModel.__new__(CompiledModel)
        other._model, other._compiled = model, self._compiled
        return other

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module's output, from compiled code."""
        return self._compiled(self._model, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._model, name)
        if name not in ("train", "eval", "to", "requires_grad_"):
            return attribute

        def chained(*args: Any, **kwargs: Any) -> CompiledModel:
            attribute(*args, **kwargs)
            return self

        return chained


def cold_cache(parent: Path) -> None:
    """From now on this process compiles into a new, empty cache below ``parent``.

    Code that was compiled before stays loaded. The probe of the CPU's vector instructions is made before any worker
    starts, and is not repeated.
    """
    compile_into(Path(tempfile.mkdtemp(prefix="inductor-", dir=parent)))


def compile_into(folder: Path) -> None:
    """From now on this process compiles into this cache and reads from it."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")
    from torch._inductor.utils import clear_caches

    clear_caches()
    forget_sizes()
    if headers := os.environ.get(HEADERS):
        keep_headers_in(Path(headers))


def forget_sizes() -> None:
    """Let Dynamo forget the sizes that earlier cases have given to functions of the same file, line and name.

    It would take a size or a stride that differs from theirs for one that changes from call to call, such as those of
    the same model in another memory format, and compile slower code for any size. A user's program has one of them.
    """
    pgo = sys.modules.get("torch._dynamo.pgo")
    if pgo is not None and hasattr(pgo, "reset_code_state"):
        pgo.reset_code_state()


def keep_headers_in(folder: Path) -> None:
    """From now on this process precompiles C++ headers into this folder, and reads them from it.

    Inductor has one folder for all programs of a user, whose name in the shared temporary folder another user could
    take first; ``TORCHINDUCTOR_CACHE_DIR`` does not move it.
    """
    from torch._inductor import codecache

    if str(folder) == getattr(codecache, "_HEADER_DIR", str(folder)):  # or this version has none
        return
    _headers.setdefault("folders", (codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR))
    _move_headers(codecache, (str(folder), str(folder / "locks")))


def _move_headers(codecache: Any, folders: tuple[str, str]) -> None:
    codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR = folders
    function = _headers.get("function", codecache._precompile_header)
    function.cache_clear()  # what it has kept are paths in the other folder


def load_without_headers() -> None:
    """From now on this process does not precompile C++ headers: in a later visit all code is compiled already.

    Inductor preprocesses the header, in a process of its own (0.3 s), before it looks whether the code is compiled.
    Code that is not is compiled all the same, without a precompiled header.
    """
    from torch._inductor import codecache

    if hasattr(codecache, "_precompile_header"):
        _headers.setdefault("function", codecache._precompile_header)
        setattr(codecache, "_precompile_header", lambda *_, **__: "")  # noqa: B010 - it has another type


_headers: dict[str, Any] = {}


def precompile_headers_again() -> None:
    """Undo :func:`load_without_headers` and :func:`keep_headers_in`."""
    if "function" in _headers:
        from torch._inductor import codecache

        setattr(codecache, "_precompile_header", _headers.pop("function"))  # noqa: B010 - it has another type
    if "folders" in _headers:
        from torch._inductor import codecache

        _move_headers(codecache, _headers.pop("folders"))

"""Entries: Python's and NumPy's switches, such as garbage collection, tracing, warnings and logging. No torch."""

from __future__ import annotations

import decimal
import faulthandler
import gc
import logging
import multiprocessing
import signal
import sys
import tempfile
import threading
import tracemalloc
import warnings
from collections.abc import Iterator
from typing import Any

from torchduet.bench.state.entry import Entry, on_or_off

DEFAULT_RECURSION, INDUCTOR_RECURSION = 1000, 2000
DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")  # of a decimal.Context
TIMERS = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
# PyTorch's DataLoader sets SIGCHLD's once, and counts on it. The last two cannot be set.
LEFT_ALONE = frozenset({"SIGCHLD", "SIGCLD", "SIGKILL", "SIGSTOP"})


def entries() -> Iterator[Entry]:
    """All of them."""
    yield from _garbage_collection()
    yield from _tracing()
    yield from _limits()
    yield from _surroundings()
    yield from _signals()
    yield from _numpy()


def _garbage_collection() -> Iterator[Entry]:
    yield Entry(
        "garbage collection",
        gc.isenabled,
        lambda value: gc.enable() if value else gc.disable(),
        on_or_off,
        fast=True,
    )
    yield Entry("thresholds of garbage collection", gc.get_threshold, lambda value: gc.set_threshold(*value))
    yield Entry("debugging of garbage collection", gc.get_debug, gc.set_debug)
    yield Entry("callbacks of garbage collection", lambda: tuple(gc.callbacks), _set_gc_callbacks, _number)


def _set_gc_callbacks(value: tuple[Any, ...]) -> None:
    gc.callbacks[:] = value


def _number(value: Any) -> str:
    return str(len(value)) if value else "none"


def _set_or_not(value: Any) -> str:
    return "off" if value is None else "on"


def _tracing() -> Iterator[Entry]:
    yield Entry("sys.settrace", sys.gettrace, sys.settrace, _set_or_not, fast=True)
    yield Entry("sys.setprofile", sys.getprofile, sys.setprofile, _set_or_not, fast=True)
    yield Entry("threading.settrace", threading.gettrace, threading.settrace, _set_or_not)
    yield Entry("threading.setprofile", threading.getprofile, threading.setprofile, _set_or_not)
    yield Entry("tracemalloc", tracemalloc.is_tracing, _set_tracemalloc, on_or_off)
    yield Entry(
        "tracking of coroutines' origins",
        sys.get_coroutine_origin_tracking_depth,
        sys.set_coroutine_origin_tracking_depth,
    )
    monitoring: Any = getattr(sys, "monitoring", None)  # Python 3.12
    if monitoring is not None:
        for tool in range(6):
            yield Entry(
                f"sys.monitoring (tool {tool})",
                lambda tool=tool: (monitoring.get_tool(tool), _events(monitoring, tool)),  # type: ignore[misc]
                lambda value, tool=tool: _set_monitoring(monitoring, tool, value),  # type: ignore[misc]
                lambda value: value[0] or "off",
            )


def _events(monitoring: Any, tool: int) -> int:
    return int(monitoring.get_events(tool)) if monitoring.get_tool(tool) else 0


def _set_monitoring(monitoring: Any, tool: int, value: tuple[str | None, int]) -> None:
    name, events = value
    if monitoring.get_tool(tool) not in (None, name):
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    if name is not None:
        if monitoring.get_tool(tool) is None:
            monitoring.use_tool_id(tool, name)
        monitoring.set_events(tool, events)


def _set_tracemalloc(value: bool) -> None:
    (tracemalloc.start if value else tracemalloc.stop)()


def _limits() -> Iterator[Entry]:
    yield Entry("recursion limit", _recursion_limit, sys.setrecursionlimit)
    yield Entry("switch interval of threads", sys.getswitchinterval, sys.setswitchinterval)
    yield Entry("limit of digits", sys.get_int_max_str_digits, sys.set_int_max_str_digits)
    yield Entry("stack size of threads", threading.stack_size, threading.stack_size)
    yield Entry("decimal context", _decimal_context, _set_decimal_context, lambda value: f"{value[0]} digits")


def _recursion_limit() -> int:
    """Python's default and what inductor raises it to, whenever it compiles, count as one value."""
    limit = sys.getrecursionlimit()
    return INDUCTOR_RECURSION if DEFAULT_RECURSION <= limit <= INDUCTOR_RECURSION else limit


def _decimal_context() -> tuple[Any, ...]:
    context = decimal.getcontext()
    traps = tuple(signal for signal, trapped in context.traps.items() if trapped)
    return (*(getattr(context, name) for name in DECIMAL), traps)


def _set_decimal_context(value: tuple[Any, ...]) -> None:
    *parts, traps = value
    decimal.setcontext(decimal.Context(**dict(zip(DECIMAL, parts, strict=True)), traps=list(traps)))


def _surroundings() -> Iterator[Entry]:
    yield Entry("warnings filters", lambda: tuple(warnings.filters), _set_warnings, lambda value: f"{len(value)}")
    yield Entry("root logger", _logging, _set_logging, lambda value: f"level {logging.getLevelName(value[0])}")
    for name in ("stdout", "stderr"):
        yield Entry(
            f"sys.{name}",
            lambda name=name: getattr(sys, name),  # type: ignore[misc]
            lambda value, name=name: setattr(sys, name, value),  # type: ignore[misc]
            lambda value: type(value).__name__,
        )
    yield Entry("folder of temporary files", lambda: tempfile.tempdir, _set_tempdir)
    yield Entry("faulthandler", faulthandler.is_enabled, _set_faulthandler, on_or_off)
    yield Entry(
        "start method of multiprocessing",
        # The first of all methods is the default, which is set when it is first used.
        lambda: multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0],
        lambda value: multiprocessing.set_start_method(value, force=True),
    )


def _set_warnings(value: tuple[Any, ...]) -> None:
    warnings.filters[:] = value  # type: ignore[index]
    getattr(warnings, "_filters_mutated", getattr(warnings, "_filters_mutated_lock_held", int))()


def _logging() -> tuple[Any, ...]:
    root = logging.getLogger()
    return root.level, root.manager.disable, root.disabled, tuple(root.handlers), tuple(root.filters)


def _set_logging(value: tuple[Any, ...]) -> None:
    root = logging.getLogger()
    level, disable, root.disabled, handlers, filters = value
    root.setLevel(level)
    logging.disable(disable)
    root.handlers[:], root.filters[:] = handlers, filters


def _set_tempdir(value: str | None) -> None:
    tempfile.tempdir = value


def _set_faulthandler(value: bool) -> None:
    if value:
        faulthandler.enable(file=sys.stderr, all_threads=False)
    else:
        faulthandler.disable()


def _signals() -> Iterator[Entry]:
    handled = [number for number in signal.Signals if number.name not in LEFT_ALONE]

    def handlers() -> tuple[Any, ...]:
        return tuple(signal.getsignal(number) for number in handled)

    def set_handlers(value: tuple[Any, ...]) -> None:
        for number, handler in zip(handled, value, strict=True):
            # None: it was not set from Python, and cannot be set from it.
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    if threading.current_thread() is threading.main_thread():  # no other thread may set one
        yield Entry("signal handlers", handlers, set_handlers, _handled)
        if hasattr(signal, "setitimer"):
            for name in TIMERS:
                timer = getattr(signal, name)
                # Of a timer that runs the time that is left differs at each reading: only its interval is compared.
                yield Entry(
                    f"timer {name}",
                    lambda timer=timer: signal.getitimer(timer)[0] > 0,  # type: ignore[misc]
                    lambda value, timer=timer: None if value else signal.setitimer(timer, 0),  # type: ignore[misc]
                    on_or_off,
                )


def _handled(value: tuple[Any, ...]) -> str:
    return f"{sum(callable(handler) for handler in value)} set"


def _numpy() -> Iterator[Entry]:
    yield Entry("NumPy's handling of errors", lambda: _of_numpy("geterr", {}), _set_numpy_errors, differing=_errors)
    yield Entry(
        "NumPy's size of buffers",
        lambda: _of_numpy("getbufsize", 8192),
        lambda value: sys.modules["numpy"].setbufsize(value),
    )


def _of_numpy(getter: str, default: Any) -> Any:
    """From NumPy once it is imported."""
    numpy: Any = sys.modules.get("numpy")
    return default if not hasattr(numpy, getter) else getattr(numpy, getter)()


def _set_numpy_errors(value: dict[str, str]) -> None:
    sys.modules["numpy"].seterr(**value)


def _errors(before: dict[str, str], after: dict[str, str]) -> str:
    return ", ".join(f"{kind}: {before.get(kind)} → {after[kind]}" for kind in after if after[kind] != before.get(kind))

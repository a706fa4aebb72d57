"""The surroundings in which a user's file is imported: those of a script without arguments and without a keyboard."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn, TextIO

ENDS = ("_exit", "abort", "execv", "execve")  # functions of os that end the program, or replace it
MAX_PRINTED = 20_000  # characters that a file can print while it is imported
MAX_TAIL = 4096  # characters that are kept of its last output

_tail = ""


class EndsProgramError(BaseException):
    """A file calls a function that would end this program; the message names the call."""


class ImportTooLongError(BaseException):
    """The import of a file takes longer than it may; the message says how long."""


@contextmanager
def as_script(path: str) -> Iterator[None]:
    """Within the context, a file can be run without harm to this process.

    ``sys.argv`` has its path alone, so that argparse takes its defaults; ``input()`` raises EOFError; what would end
    the process without a trace raises :class:`EndsProgramError`; a start method can be set although this process has
    one, as in a script. Filters of warnings are put back afterwards.
    """
    with ExitStack() as stack:
        stack.enter_context(_value(sys, "argv", [path]))
        stack.enter_context(_value(sys, "stdin", stack.enter_context(open(os.devnull, encoding="utf-8"))))  # noqa: PTH123
        stack.enter_context(_output_limited())
        stack.enter_context(_start_method_open())
        stack.enter_context(warnings.catch_warnings())
        importing = [True]
        stack.callback(importing.clear)
        for name in ENDS:
            stack.enter_context(_value(os, name, _refused(name, getattr(os, name), importing)))
        yield


def last_error_line() -> str:
    """The last line that the file that was run last has printed to stderr; empty if there is none."""
    return next((line.strip() for line in reversed(_tail.splitlines()) if line.strip()), "")


class _Limited:
    """Passes on the beginning of what is written, and keeps its end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.left: float = MAX_PRINTED
        self.tail = ""

    def write(self, text: str) -> int:
        self.tail = (self.tail + text[-MAX_TAIL:])[-MAX_TAIL:]
        if self.left > 0:
            self._stream.write(text if len(text) <= self.left else text[: int(self.left)] + " …\n")
        self.left -= len(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _output_limited() -> Iterator[None]:
    """``sys.stdout`` and ``sys.stderr`` pass on so many characters; loggers that keep one have all of it afterwards."""
    global _tail
    limited: list[Any] = [_Limited(sys.stdout), _Limited(sys.stderr)]
    try:
        with _value(sys, "stdout", limited[0]), _value(sys, "stderr", limited[1]):
            yield
    finally:
        _tail = limited[1].tail
        for stream in limited:
            stream.left = math.inf


@contextmanager
def _value(owner: Any, name: str, value: Any) -> Iterator[None]:
    """``owner.name`` is ``value`` within the context."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _start_method_open() -> Iterator[None]:
    """``multiprocessing.set_start_method`` can be called within the context, although this process has set a method."""
    multiprocessing = sys.modules.get("multiprocessing")
    before = multiprocessing.get_start_method(allow_none=True) if multiprocessing else None
    if multiprocessing is None or before is None:
        yield
        return
    multiprocessing.set_start_method(None, force=True)
    try:
        yield
    finally:
        if multiprocessing.get_start_method(allow_none=True) is None:
            multiprocessing.set_start_method(before, force=True)


def _refused(name: str, original: Callable[..., Any], importing: list[bool]) -> Callable[..., Any]:
    """In place of a function that ends this process.

    A child that the file has forked may call it, and so may the file's own functions after the import.

    Args:
        importing: empty after the import.
    """
    process = os.getpid()

    def ends(*arguments: Any) -> NoReturn:
        if os.getpid() != process or not importing:
            original(*arguments)
        shown = ", ".join(map(repr, arguments))
        raise EndsProgramError(f"os.{name}({shown[:100]})")

    return ends

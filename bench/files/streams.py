"""Standard streams that are closed, full or no longer read: what is printed there is lost, and nothing else is."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, TextIO

_of_run: list[Forgiving | None] = [None]  # the standard output of :func:`forgive`


class Forgiving:
    """A text stream that drops what cannot be written, from the first error on; otherwise the stream it is made of.

    Args:
        stream: None: the process has none, and everything is dropped.
        name: of the stream, for the line on standard error; empty: no line.
        strict: raise other errors than that the reader of a pipe has ended, which has all that it wants.

    Attributes:
        lost: why nothing is written any more; None while everything is.
    """

    def __init__(self, stream: TextIO | None, name: str = "", *, strict: bool = False) -> None:
        self._stream = open(os.devnull, "w", encoding="utf-8") if stream is None else stream  # noqa: SIM115, PTH123
        self._name, self._strict = name, strict
        self.lost: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text; flushed after each line, so that an error is noticed at once."""
        if self.lost is None:
            try:
                self._stream.write(text)
                if "\n" in text:
                    self._stream.flush()
            except UnicodeError:
                raise
            except (OSError, ValueError) as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        if self.lost is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        self.lost = error
        discard(self._stream)
        if self._strict and not isinstance(error, BrokenPipeError):
            raise OSError(getattr(error, "errno", None) or errno.EIO, _reason(error), "standard output")
        if self._name:
            why = "its reader has ended" if isinstance(error, BrokenPipeError) else _reason(error)
            note(f"torchduet: {self._name} is lost from here on ({why}); the run continues")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def forgiving(stream: TextIO | None, name: str = "") -> Any:
    """The stream as one that drops what cannot be written."""
    return stream if isinstance(stream, Forgiving) else Forgiving(stream, name)


def forgive() -> None:
    """Make both of this process's streams forgiving, for a run whose result is a file."""
    open_missing()
    sys.stderr = forgiving(sys.stderr)
    sys.stdout = _of_run[0] = forgiving(sys.stdout, "standard output")


def output_is_lost() -> bool:
    """Whether some of what this run printed could not be written, although somebody may want to read it."""
    lost = None if _of_run[0] is None else _of_run[0].lost
    return lost is not None and not isinstance(lost, BrokenPipeError)


def open_missing() -> None:
    """Open the null device in place of closed standard streams: else the next file that is opened has their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one


def discard(stream: TextIO) -> None:
    """Redirect a stream to the null device, so that buffered text does not raise again at exit."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)
        stream.flush()


def note(line: str) -> None:
    """Print a line on standard error if there is one; an error there cannot be reported anywhere."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)

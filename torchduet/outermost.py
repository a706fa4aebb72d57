"""The outermost handler of every command: an exit code that does not lie, and one line instead of a traceback.

1 stays what a command itself says with it ("slower", a case that failed). What the user can mend ends with 2, a fault
of Torchduet with 70 (``EX_SOFTWARE`` of BSD's sysexits.h), Ctrl-C with 130.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

from torchduet.bench.files.streams import Forgiving, forgiving, note, open_missing
from torchduet.bench.host.error_words import printable

UNUSABLE, FAULT, INTERRUPTED = 2, 70, 130
ISSUES = "https://github.com/torchduet/torchduet/issues"
MAX_LETTERS = 300  # of an error's own words in a line


def guarded(command: Callable[[], int]) -> int:
    """Run a command; returns its exit code, or the one for what ended it.

    ``SystemExit`` passes, as argparse raises it, unless what was printed before cannot be written.
    """
    open_missing()
    streams = sys.stdout, sys.stderr
    sys.stderr = forgiving(sys.stderr)
    output = None if sys.stdout is None else Forgiving(sys.stdout, strict=True)
    sys.stdout = cast(TextIO, output)
    try:
        code = command()
        if output is not None:
            output.flush()
        return code
    except SystemExit:
        if output is None or output.lost is None or isinstance(output.lost, BrokenPipeError):
            raise
        note("error: standard output cannot be written")  # argparse does not say so
        return UNUSABLE
    except KeyboardInterrupt:
        note("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last handler of all)
        if (words := mendable(error)) is not None:
            note(f"error: {words}")
            return UNUSABLE
        note(f"error: a fault of ours ({_words(error)}): {_report(error)}")
        return FAULT
    finally:
        sys.stdout, sys.stderr = streams


def mendable(error: Exception) -> str | None:
    """What the user can mend, in one line; None for a fault of ours."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; read fewer or smaller files, or raise the limit (ulimit -v)"
    if isinstance(error, OSError) and error.strerror is not None:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _line(f"{place}{error.strerror}")
    if isinstance(error, ModuleNotFoundError) and (name := error.name) and name.partition(".")[0] != "torchduet":
        return f"{name} is not installed in this environment: {Path(sys.executable).name} -m pip install {name}"
    return None


def _report(error: Exception) -> str:
    """Write the traceback to a new file that only this user can read; returns what to do with it, in words."""
    from torchduet import __version__

    text = "".join(traceback.format_exception(error))
    about = f"torchduet {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv!a}\n\n"
    for folder in (None, os.curdir):  # None: the temporary folder
        with contextlib.suppress(OSError, ValueError):
            handle, name = tempfile.mkstemp(prefix="torchduet-fault-", suffix=".txt", dir=folder, text=True)
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123 (a handle)
                file.write(about + text)
            return f"please report it with the file {Path(name).absolute()} at {ISSUES}"
    return f"please report it at {ISSUES}; its traceback could not be written to a file: {_line(text[-2000:])}"


def _words(error: Exception) -> str:
    return _line(f"{type(error).__name__}: {error}")[:MAX_LETTERS]


def _line(text: str) -> str:
    """One line without control characters."""
    return printable(" ".join(text.split()))

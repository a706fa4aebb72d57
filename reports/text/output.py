"""Writes a command's output: either all of it or none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from torchduet.bench.files.atomic import own_descriptor, write_atomically
from torchduet.bench.files.places import try_place, write_elsewhere
from torchduet.bench.files.streams import discard


class OutputError(Exception):
    """A path that cannot be written to; the message is one line: where, why, what to do."""


def refuse_overwrite(output: str | Path, source: str | Path) -> None:
    """Check that writing ``output`` would not replace an input file, however either path is spelled.

    Raises:
        OutputError: both paths name the same file, also through a link.
    """
    try:
        same = Path(output).is_file() and Path(output).samefile(source)
    except (OSError, ValueError):
        same = False
    if same:
        raise OutputError(f"{output}: is the run's own file, which would be lost; choose another file with -o")


def check_places(
    outputs: Mapping[str, str | None], sources: Iterable[str | Path], example: str = "report.html"
) -> None:
    """Check before the work begins that each output can be written, by writing there, and that none is an input.

    Args:
        outputs: option → path; None: it is not given; ``-``: standard output.
        example: a name for the error where a path is a folder.

    Raises:
        OutputError: one cannot be written, is an input's own file, or is given twice.
    """
    options: dict[Path, str] = {}
    inputs = list(sources)
    for option, path in outputs.items():
        if path is None or path == "-":
            continue
        for source in inputs:
            refuse_overwrite(path, source)
        with _as_output_error(Path(path), example):
            place = Path(path).absolute()
        if place in options:
            raise OutputError(f"{path}: is given for both {options[place]} and {option}; choose two files")
        options[place] = option
    for place, option in options.items():
        with _as_output_error(Path(str(outputs[option])), example):
            try_place(place)


def write(content: str | bytes, path: str | Path, example: str = "report.html") -> None:
    """Write bytes, or text as UTF-8, to ``path``; an existing file is replaced only when all of it is on disk.

    A link is followed; a device or a pipe is written to, never replaced. What cannot be written there is written to
    the working folder, else to the temporary one.

    Raises:
        OutputError: it could not be written to ``path``; the message says where it is instead.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        with _as_output_error(path, example), contextlib.suppress(BrokenPipeError):
            write_atomically(data, path)  # the reader of a pipe that has ended has all that it wants
    except OutputError as error:
        elsewhere = write_elsewhere(data, path)
        raise OutputError(f"{error}; it is in {elsewhere} instead") if elsewhere else error from None


def attempt(text: str, path: str) -> OutputError | None:
    """Write a text, or print it for ``-``; returns why it could not be done: other outputs are still written."""
    try:
        if path == "-":
            write_stdout(text)
        else:
            write(text, path)
    except OutputError as error:
        return error
    return None


@contextlib.contextmanager
def _as_output_error(path: Path, example: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except IsADirectoryError:
        raise OutputError(f"{path}: is a directory; name a file in it, e.g. -o {path / example}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not path.parent.is_dir():
            raise OutputError(
                f"{path}: there is no folder {path.parent}; create it, or choose another with -o"
            ) from None
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason}; choose another path with -o") from None


def is_stdout(path: str) -> bool:
    """Whether an output is standard output, so that nothing else is to be printed: ``-`` or ``/dev/stdout``."""
    return path == "-" or own_descriptor(Path(path)) == 1


def write_stdout(text: str) -> None:
    """Print text unchanged, without a newline at its end.

    Raises:
        OutputError: standard output cannot be written, e.g. because its disk is full.
    """
    if sys.stdout is None:  # closed when the process began
        if text:
            raise OutputError("standard output cannot be written: it is closed")
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has ended: it has all it wants
        discard(sys.stdout)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        discard(sys.stdout)
        raise OutputError(f"standard output cannot be written: {reason}") from None

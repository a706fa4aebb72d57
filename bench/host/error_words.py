"""Says what an error is in one line."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line of an error's text, with single spaces; empty if it has none."""
    return " ".join(str(error).split("\n")[0].split())


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text."""
    message = first_line(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__

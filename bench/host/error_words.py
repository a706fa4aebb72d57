"""Says what an error is in one line."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text whose control characters and direction marks are written as escapes, so that none reaches a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, with single spaces and no control characters; empty if it has none."""
    return printable(" ".join(str(error).split("\n")[0].split()))


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text."""
    message = first_line(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__

"""Escapes names from a file for the terminal, Markdown and HTML."""

from __future__ import annotations

import re

MAX_LETTERS = 300  # of a name in a list of names

# C0 and C1 controls, direction marks and overrides, line and paragraph separators, and other invisible characters.
_UNSEEN = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
)
HIDDEN = re.compile(f"[{_UNSEEN}]")
HIDDEN_OR_BREAKING = re.compile(f"[{_UNSEEN}\\n\\r\\t]")


def cell(text: str) -> str:
    """Text that cannot end its cell of a Markdown table, start HTML or control a terminal."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\s]+", " ", text).strip()
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def plain(text: str) -> str:
    """A line without characters that control a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def short(name: str) -> str:
    """A name of at most 300 letters; a longer name is shortened to its two ends."""
    half = MAX_LETTERS // 2
    return name if len(name) <= MAX_LETTERS else f"{name[:half]}…{name[-half:]}"


def visible(text: str, *, spaces: bool = True) -> str:
    """Text whose control characters and direction marks are written as escapes: ``\\x1b``, ``\\u202e``.

    Args:
        spaces: keep line breaks and tabs, which HTML shows as blanks.
    """
    pattern = HIDDEN if spaces else HIDDEN_OR_BREAKING
    return pattern.sub(lambda match: ascii(match.group())[1:-1], text)

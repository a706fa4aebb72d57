"""Escapes names from a file for the terminal, Markdown and HTML."""

from __future__ import annotations

import re
import unicodedata

MAX_LETTERS = 300  # of a name in a list of names
MAX_SPAN = 100  # letters of a code span in Markdown
MAX_BACKTICKS = 8  # in a row in a code span: parsers do not read a fence of more than 80
MAX_ACCENTS = 2  # combining marks on one letter: with more they cover the lines around it

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


def code_span(text: str, *, letters: int = MAX_SPAN, table: bool = False) -> str:
    """Text as an inline code span of Markdown, which holds all of it and nothing else.

    In a code span GitHub and GitLab read no Markdown, HTML, mention, reference to an issue or a commit, address or
    emoji. Characters that cannot be seen are left out, and a long text is shortened to its two ends.

    Args:
        letters: of the text that are shown at most.
        table: the span is in a cell of a table, where ``|`` is escaped even in code spans.
    """
    shown = _seen(text) or "(empty)"
    if len(shown) > letters:
        shown = f"{shown[: letters // 2].rstrip()}…{shown[len(shown) - (letters - 1) // 2 :].lstrip()}"
    shown = re.sub(f"`{{{MAX_BACKTICKS + 1},}}", "`" * MAX_BACKTICKS, shown)
    if table:  # parsers differ in how they read a backslash before an escaped |
        shown = shown.replace("\\|", "\\¦").replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if {shown[0], shown[-1]} & {"`", "$"} else ""  # $` begins a formula on GitHub
    return f"{fence}{pad}{shown}{pad}{fence}"


def _seen(text: str) -> str:
    """A line of the characters that can be seen, blanks joined, with few accents on each letter."""
    line = " ".join(text.split())  # also at separators of lines and paragraphs
    kept: list[str] = []
    accents = 0
    for letter in line:
        category = unicodedata.category(letter)
        accents = accents + 1 if category in ("Mn", "Me") else 0
        if category[0] != "C" and accents <= MAX_ACCENTS:
            kept.append(letter)
    return " ".join("".join(kept).split())


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

"""Escapes names from a file for the terminal, Markdown and HTML."""

from __future__ import annotations

import re
import unicodedata

MAX_LETTERS = 300  # of a name in a list of names
MAX_SPAN = 100  # letters of a code span in Markdown
MAX_BACKTICKS = 8  # in a row in a code span: parsers do not read a fence of more than 80
MAX_INLINE = 1000  # letters of a line or a cell of Markdown
MAX_ACCENTS = 2  # combining marks on one letter: with more they cover the lines around it

# C0 and C1 controls, direction marks and overrides, line and paragraph separators, and other invisible characters.
_UNSEEN = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
)
HIDDEN = re.compile(f"[{_UNSEEN}]")
HIDDEN_OR_BREAKING = re.compile(f"[{_UNSEEN}\\n\\r\\t]")

EMPTY_CHARACTER = "&#8203;"  # has no width; GitHub and GitLab find references only after they have read Markdown
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
PUNCTUATION = frozenset("\\`*_[]|#!~$")
# What Markdown gives a meaning; an underscore within a word has none. Then what begins an address or a reference.
_SPECIAL = re.compile(
    r"[\\`*\[\]|<>@#!~$&%]|_(?<![^\W_]_)|_(?![^\W_])|:(?=//)|(?<=\bwww)\.|(?<=\bmailto):|(?<=\bxmpp):|(?<=\bgh)-(?=\d)",
    re.IGNORECASE,
)
_REFERRING = re.compile(r"[:.$-]|[@#!~&%](?=[\w\"'])")
# What begins a list, underlines a heading, or is an order to GitLab.
_BLOCK = re.compile(r"^(\d{0,9})([-+=.)](?=\s|[-+=]|$)|/(?<!\d/))")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def inline(text: str, *, table: bool = False) -> str:
    """Text as it stands, on one line of Markdown: nothing in it is read as Markdown or HTML.

    Text between backticks becomes a code span. All other characters that Markdown, GitHub or GitLab give a meaning are
    escaped; a character without width after ``@`` and ``#``, and in addresses, leaves no mention, reference or link.
    Characters that cannot be seen are left out; of more than 1,000 letters the two ends are shown.

    Args:
        table: the text is in a cell of a table.
    """
    line = _seen(text)
    if len(line) > MAX_INLINE:
        line = f"{line[: MAX_INLINE // 2]}…{line[-MAX_INLINE // 2 :]}"
    pieces = _CODE.split(line)  # outside and within backticks in turn
    escaped = [
        code_span(piece, letters=MAX_INLINE, table=table) if index % 2 else _escaped(piece)
        for index, piece in enumerate(pieces)
    ]
    return _BLOCK.sub(lambda match: f"{match[1]}\\{match[2]}", "".join(escaped))


def cell(text: str) -> str:
    """Text for a cell of a Markdown table: as :func:`inline`."""
    return inline(text, table=True)


def _escaped(text: str) -> str:
    """Text outside of code spans, each of its special characters escaped."""

    def escape(match: re.Match[str]) -> str:
        sign = match[0]
        shown = ENTITIES.get(sign) or (f"\\{sign}" if sign in PUNCTUATION else sign)
        return shown + EMPTY_CHARACTER if _REFERRING.match(text, match.start()) else shown

    return _SPECIAL.sub(escape, text)


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

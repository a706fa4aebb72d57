"""Takes the text of ``%duet`` and ``%%duet`` apart: the sides to time, their names, and what is run before."""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_NAME = 48  # letters of a side's name that is made of its text
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
LABEL = re.compile(r"([^\W\d][\w .+-]{0,200}?)\s{0,20}:(?!=)\s*(?=\S)")
_CONTINUED = re.compile(r"(\s|(else|elif|except|finally)\b|[)\]}])")  # how a line begins that belongs to the one before


class SidesError(ValueError):
    """The text cannot be compared; the message says why, in one line."""


@dataclass(frozen=True)
class Side:
    """Statements that are timed together.

    Attributes:
        name: in tables.
        text: as it was written.
        body: its statements.
    """

    name: str
    text: str
    body: Sequence[ast.stmt]


@dataclass(frozen=True)
class Sides:
    """What is timed, and what is run once before: statements and definitions."""

    setup: Sequence[ast.stmt]
    sides: Sequence[Side]


def of_line(line: str) -> Sides:
    """``f(x) | g(x)``: the sides stand between ``|``, outside of brackets and lambdas; ``name: f(x)`` names one.

    Raises:
        SyntaxError: an expression cannot be parsed.
        SidesError: there are fewer than two expressions, or one that cannot be timed.
    """
    return _sides([], [_labelled(piece) for piece in split(line)], "%duet f(x) | g(x)")


def of_cell(cell: str) -> Sides:
    """A side per statement, or per part under a line ``---`` or ``--- name``; the part ``--- setup`` is run before.

    Raises:
        SyntaxError: a statement cannot be parsed.
        SidesError: there are fewer than two sides, or one that cannot be timed.
    """
    parts = list(_parts(cell))
    usage = "a line for each side, or parts between lines of ---"
    if len(parts) == 1 and parts[0][0] is None:
        return _sides([], [_labelled(text) for text in statements(cell)], usage)
    setup = [text for name, text in parts if name == "setup"]
    return _sides(setup, [(name or "", text) for name, text in parts if name != "setup" and text.strip()], usage)


def split(line: str) -> list[str]:
    """The text between the separators; comments are left out.

    Raises:
        SyntaxError: a bracket or a string is not closed.
    """
    pieces, begun, depth, in_lambda = [], 0, 0, False
    end = len(line)
    try:
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            at = sum(len(text) for text in line.splitlines(keepends=True)[: token.start[0] - 1]) + token.start[1]
            if token.type == tokenize.OP and token.string in "([{":
                depth += 1
            elif token.type == tokenize.OP and token.string in ")]}":
                depth -= 1
            elif token.type == tokenize.NAME and token.string == "lambda" and depth == 0:
                in_lambda = True
            elif token.type == tokenize.COMMENT:
                end = at
            elif token.type == tokenize.OP and token.string == "|" and depth == 0 and not in_lambda:
                pieces.append(line[begun:at])
                begun = at + 1
    except (tokenize.TokenError, IndentationError):
        raise SyntaxError("a bracket or a string is not closed", ("<duet>", 1, 0, line)) from None
    return [piece.strip() for piece in [*pieces, line[begun:end]]]


def statements(cell: str) -> Iterator[str]:
    """The statements of a cell, each with its label, if it has one."""
    lines: list[str] = []
    given = cell.splitlines()
    for number, line in enumerate(given):
        if not lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        lines.append(line)
        text = "\n".join(lines)
        following = next((each for each in given[number + 1 :] if each.strip()), "")
        if not _CONTINUED.match(following) and _is_whole(_labelled(text)[1]):
            yield text
            lines = []
    if any(line.strip() for line in lines):
        yield "\n".join(lines)


def _is_whole(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _parts(cell: str) -> Iterator[tuple[str | None, str]]:
    """(the name in a heading, the text below it); None above the first heading."""
    name: str | None = None
    lines: list[str] = []
    for line in cell.splitlines():
        if line.startswith("---"):
            if name is not None or any(each.strip() for each in lines):
                yield name, "\n".join(lines)
            name, lines = line.lstrip("-").strip(" \t").rstrip("-").rstrip(" \t"), []
        else:
            lines.append(line)
    yield name, "\n".join(lines)


def _labelled(text: str) -> tuple[str, str]:
    """``name: statement`` → the two; without a label the name is empty."""
    found = LABEL.match(text)
    if found is None or keyword.iskeyword(found[1].split()[0]) or found[1].split()[0] in ("match", "case"):
        return "", text
    return found[1].strip(), text[found.end() :]


def _sides(setup: Sequence[str], given: Sequence[tuple[str, str]], usage: str) -> Sides:
    before = [statement for text in setup for statement in _parsed(text)]
    sides: list[Side] = []
    for label, text in given:
        if not text.strip():
            raise SidesError(f"a side is empty; write {usage}")
        body = _parsed(text)
        before += [statement for statement in body if isinstance(statement, DEFINITIONS)]
        timed = [statement for statement in body if not isinstance(statement, DEFINITIONS)]
        if timed:
            _check(timed)
            written = (ast.get_source_segment(text.strip("\n"), each) or ast.unparse(each) for each in timed)
            sides.append(Side(label or _short("; ".join(written)), text, timed))
    if len(sides) < 2:
        only = f"there is only {sides[0].text.strip()!r}" if sides else "there is nothing"
        raise SidesError(
            f"{only} to time, and two are compared: write {usage}; in an expression put (a | b) in parentheses"
        )
    return Sides(before, [Side(name, side.text, side.body) for name, side in zip(_unique(sides), sides, strict=True)])


def _parsed(text: str) -> list[ast.stmt]:
    return ast.parse(text.strip("\n"), "<duet>").body


def _check(body: Sequence[ast.stmt]) -> None:
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await | ast.AsyncFor | ast.AsyncWith):
            raise SidesError(f"{_short(ast.unparse(node))!r} cannot be timed: a side is called like a plain function")
        if isinstance(node, ast.Global | ast.Nonlocal):
            raise SidesError(f"{ast.unparse(node)!r} cannot be timed: what a side assigns stays within it")
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)


def _short(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    half = MAX_NAME // 2
    return text if len(text) <= MAX_NAME else f"{text[: half - 1]}…{text[-half:]}"


def _unique(sides: Sequence[Side]) -> Iterator[str]:
    taken: set[str] = set()
    for side in sides:
        name, number = side.name, 1
        while name in taken:
            number += 1
            name = f"{side.name} ({number})"
        taken.add(name)
        yield name

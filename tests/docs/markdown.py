"""All fenced blocks and commands of README, CONTRIBUTING and ``docs/``, as the tests of this folder read them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
KINDS = ("python", "console", "sh", "bash", "yaml", "toml", "ipython", "text")
OURS = ("torchduet", "pytest", "nox")
SUBSHELL = re.compile(r"\$\([^)]*\)|\$\{?\w+\}?")
INLINE = re.compile(rf"(?:\.venv/bin/)?(?:{'|'.join(OURS)}|pip install|python -m|git) ")
NOT_A_COMMAND = ("…", "<(", "WHEEL", "REV", "FILE", "PYTHON")  # stand for something that the reader puts there


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: its file, from the root.
        line: of its first line, from 1.
        kind: the word behind the fence; without one it holds commands.
    """

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The name in its first line, ``# my_suite.py``; empty if it has none."""
        found = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return found[1] if found else ""


@dataclass(frozen=True)
class Command:
    """One command of a page: the words of a shell, without variables in front, redirections and comments."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where} {' '.join(self.words)}"


@cache
def pages() -> tuple[str, ...]:
    """The Markdown files that readers are sent to, from the root."""
    documents = sorted((ROOT / "docs").rglob("*.md"))
    return ("README.md", "CONTRIBUTING.md", *(path.relative_to(ROOT).as_posix() for path in documents))


@cache
def text_of(page: str) -> str:
    """What a page says."""
    return (ROOT / page).read_text("utf-8")


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every page."""
    return tuple(
        Block(page, token.map[0] + 2, token.info.strip() or "console", token.content)
        for page in pages()
        for token in MarkdownIt().parse(text_of(page))
        if token.type == "fence" and token.map
    )


def commands_of(script: str, where: str) -> Iterator[Command]:
    """The commands of a shell script, split at ``&&``, ``||``, ``;`` and ``|``; what a shell puts in is ``VALUE``."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(SUBSHELL.sub("VALUE", line), posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in ("&&", "||", ";", "|"):
                yield from _command(words, where)
                words = []
            else:
                words.append(word)


def _command(words: list[str], where: str) -> Iterator[Command]:
    ends = [index for index, word in enumerate(words) if set(word) <= {">", "<", "&"}]
    words = words[: ends[0]] if ends else words
    while words and re.fullmatch(r"[A-Z_]+=.*|export|sudo|srun|eval", words[0]):
        words = words[1:]
    if words[:2] == ["bash", "-c"]:
        yield from commands_of(words[2], where)
    elif words:
        yield Command(where, tuple(words))


@cache
def commands() -> tuple[Command, ...]:
    """Every command of every page: of its blocks, and in its text in backticks."""
    found = [
        command
        for block in blocks()
        if block.kind in ("console", "sh", "bash")
        for command in commands_of(block.text, str(block))
    ]
    for page in pages():
        for token in MarkdownIt("commonmark").enable("table").parse(text_of(page)):
            for child in token.children or ():
                is_one = child.type == "code_inline" and INLINE.match(child.content)
                if is_one and not any(word in child.content for word in NOT_A_COMMAND):
                    found += commands_of(child.content, page)
    return tuple(dict.fromkeys(found))


def ours(command: Command) -> tuple[str, tuple[str, ...]] | None:
    """Our program that a command starts, directly or by ``-m``, and its arguments; None: it starts none of ours."""
    words = command.words
    for index, word in enumerate(words):
        if (word in OURS and words[index - 1] == "-m") or (index == 0 and Path(word).name in OURS):
            return Path(word).name, words[index + 1 :]
    return None

"""The two sides of a duet, from the options: interpreter, environment and git revision of each."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchduet.bench.duet.knobs.in_force import written
from torchduet.bench.duet.knobs.settings import settings
from torchduet.bench.duet.knobs.variables import check_variables
from torchduet.bench.duet.revision.revision import Revision, revision
from torchduet.bench.plan.options import OptionError

THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Side:
    """One side: the interpreter that runs the cases, and where their workloads come from.

    Attributes:
        python: the interpreter's path.
        env: environment variables set on this side alone.
        rev: the git revision of the user's files, in words; None: the files as they are.
        sources: source of a suite → the file that replaces it on this side, if any.
        folder: the working directory; None: this process's.
        commit: hash of the commit that its files are from, or are based on.
        uncommitted: how many files differ from it; None where that is not known.
        state: a digest of these files.
        own: environment variables that let this side import its own files.
        settings: settings of PyTorch that this side alone has, see :mod:`torchduet.bench.duet.knobs.settings`.
    """

    python: str
    env: tuple[tuple[str, str], ...] = ()
    rev: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    folder: str | None = None
    commit: str | None = field(default=None, compare=False)
    uncommitted: int | None = field(default=None, compare=False)
    state: str | None = field(default=None, compare=False)
    own: Mapping[str, str] = field(default_factory=dict, compare=False)
    settings: tuple[tuple[str, str], ...] = ()

    def environment(self, common: Mapping[str, str]) -> dict[str, str]:
        """The environment of this side's processes."""
        return {**os.environ, **common, **self.own, **dict(self.env), **written(self.env, self.settings)}

    def threads(self, default: int) -> int:
        """Intra-op threads: as its own environment sets them, else ``default``."""
        return int(dict(self.env).get(THREADS, default))

    def words(self, torch: str, other: Side, other_torch: str) -> str:
        """How it differs from the other side, in a few words: ``torch 2.12.0``."""
        parts = [f"torch {torch}"] if torch != other_torch else []
        mine, theirs = (*self.env, *self.settings), (*other.env, *other.settings)
        parts += [f"{name}={value}" for name, value in mine]
        if theirs and not mine:
            parts.append("without " + " ".join(name for name, _ in theirs))
        if self.rev or other.rev:
            parts.append(self._as_they_are() if self.rev is None else self.revision)
        if not parts and self.python != other.python:
            parts.append(self.python)
        return ", ".join(parts) or "the same interpreter"

    @property
    def revision(self) -> str:
        """The revision with its commit: ``main, 1a2b3c4``."""
        return f"{self.rev}, {self.commit[:7]}" if self.commit else str(self.rev)

    def _as_they_are(self) -> str:
        """``your files at 5d6e7f8 with 3 changed``."""
        at = f" at {self.commit[:7]}" if self.commit else ""
        return f"your files{at}{f' with {self.uncommitted} changed' if self.uncommitted else ''}"


@dataclass(frozen=True)
class Sides:
    """Both sides of a duet: the one that the options name, which is the base, and this interpreter as it is.

    Attributes:
        revision: if the base is a git revision.
    """

    base: Side
    mine: Side
    revision: Revision | None = None

    @property
    def both(self) -> tuple[Side, Side]:
        """A and B."""
        return self.base, self.mine


def sides(
    python: str | None,
    env: Sequence[str] | None,
    rev: str | None,
    suites: Sequence[str] | None,
    folder: Path,
    *,
    given: Sequence[str] = (),
    exact: bool = False,
    built: bool = False,
) -> Sides:
    """Both sides: the one that is named, and this interpreter as it is.

    Args:
        folder: where the files of a revision are written.
        given: settings of PyTorch, ``NAME=VALUE``.
        exact: compare with the revision itself, not with its merge base with HEAD.
        built: build the package of the revision.

    Raises:
        OptionError: the interpreter, the variable, the setting or the revision cannot be used.
    """
    if not hasattr(os, "fork"):
        raise OptionError("--against: needs fork, which this system does not have")
    base = sys.executable if python is None else interpreter(python)
    variables, own = tuple(variable(text) for text in env or ()), settings(given)
    check_variables(variables, os.environ)
    if rev is None:
        return Sides(Side(base, variables, settings=own), Side(sys.executable))
    found = revision(rev, suites or (), folder, exact=exact, built=built, python=base)
    return Sides(
        Side(
            base,
            variables,
            found.base.name,
            found.sources,
            found.working,
            found.base.commit,
            own=found.environment,
            settings=own,
        ),
        Side(
            sys.executable,
            commit=found.head,
            uncommitted=len(found.uncommitted),
            state=found.state,
            own=found.environment_of_mine,
        ),
        found,
    )


def interpreter(python: str) -> str:
    """The path of an interpreter given as a path or as a command.

    Raises:
        OptionError: there is no such interpreter.
    """
    if not python.strip():
        raise OptionError("--against '': give the path of a Python that has torch, e.g. ../other/.venv/bin/python")
    path = Path(python).expanduser()
    if path.is_dir():
        raise OptionError(
            f"--against {python}: is a folder; name the interpreter in it, e.g. {path / 'bin' / 'python'}"
        )
    executable = shutil.which(str(path))
    if executable is None:
        problem = "is not executable" if path.is_file() else "there is no such interpreter"
        raise OptionError(f"--against {python}: {problem}; give the path of a Python that has torch")
    absolute = Path(executable).absolute()  # not resolved: a virtual environment's python is a link
    return sys.executable if _is_ours(absolute) else str(absolute)


def _is_ours(python: Path) -> bool:
    """Whether a path is that of this interpreter, in other words: ``../env/bin/python3`` for ``/a/env/bin/python``."""
    ours = Path(sys.executable)
    return python.parent.resolve() == ours.parent.resolve() and python.resolve() == ours.resolve()


def variable(text: str) -> tuple[str, str]:
    """The name and the value of ``NAME=VALUE``.

    Raises:
        OptionError: the text has another form.
    """
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise OptionError(f"--against-env {text!r}: use NAME=VALUE, e.g. OMP_NUM_THREADS=1")
    if name == THREADS and not re.fullmatch(r"[1-9]\d{0,3}", value):
        raise OptionError(f"--against-env {text!r}: use a whole number from 1 to 9999")
    return name, value

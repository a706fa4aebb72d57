"""The two sides of a duet, from the options: interpreter, environment and git revision of each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from torchduet.bench.plan.options import OptionError
from torchduet.suites.registry import BUILT_IN

THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Side:
    """One side: the interpreter that runs the cases, and where their workloads come from.

    Attributes:
        python: the interpreter's path.
        env: environment variables set on this side alone.
        rev: the git revision of the user's suites; None: the files as they are.
        commit: that revision's hash.
        sources: source of a suite → the file that replaces it on this side, if any.
        folder: the working directory; None: this process's.
    """

    python: str
    env: tuple[tuple[str, str], ...] = ()
    rev: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    folder: str | None = None
    commit: str | None = field(default=None, compare=False)

    def environment(self, common: Mapping[str, str]) -> dict[str, str]:
        """The environment of this side's processes."""
        return {**os.environ, **common, **dict(self.env)}

    def threads(self, default: int) -> int:
        """Intra-op threads: as its own environment sets them, else ``default``."""
        return int(dict(self.env).get(THREADS, default))

    def words(self, torch: str, other: Side, other_torch: str) -> str:
        """How it differs from the other side, in a few words: ``torch 2.12.0``."""
        parts = [f"torch {torch}"] if torch != other_torch else []
        parts += [f"{name}={value}" for name, value in self.env]
        if other.env and not self.env:
            parts.append("without " + " ".join(name for name, _ in other.env))
        if self.rev or other.rev:
            parts.append(self.rev or "the files as they are")
        if not parts and self.python != other.python:
            parts.append(self.python)
        return ", ".join(parts) or "the same interpreter"


def sides(
    python: str | None, env: Sequence[str] | None, rev: str | None, suites: Sequence[str] | None, folder: Path
) -> tuple[Side, Side]:
    """Both sides: this interpreter as it is, and the one that it is compared with.

    Args:
        folder: where the files of a revision are written.

    Raises:
        OptionError: the interpreter, the variable or the revision cannot be used.
    """
    if not hasattr(os, "fork"):
        raise OptionError("--against: needs fork, which this system does not have")
    base = Side(sys.executable)
    other = sys.executable if python is None else interpreter(python)
    variables = tuple(variable(text) for text in env or ())
    if rev is None:
        return base, Side(other, variables)
    sources, top, commit = revision(rev, suites or (), folder)
    return base, Side(other, variables, rev, sources, top, commit)


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
    return str(Path(executable).absolute())  # not resolved: a virtual environment's python is a link


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


def revision(rev: str, suites: Sequence[str], folder: Path) -> tuple[dict[str, str], str, str]:
    """Write the repository as of ``rev`` into ``folder``.

    Returns (source → its file, the working directory) there, and the hash of the commit.

    Nothing is checked out: the files and the index of the user do not change.

    Raises:
        OptionError: no suite in a file, no repository, no such revision, or no such file in it.
    """
    if not rev.strip():
        raise OptionError("--against-rev '': name a git revision, e.g. HEAD~1, a branch or a tag")
    option = f"--against-rev {rev}"
    files = [source for source in suites if source not in BUILT_IN]
    if not files:
        raise OptionError(f"{option}: needs --suite FILE, a file of workloads in a git repository")
    near = Path(files[0]).resolve().parent
    if not near.is_dir():
        raise OptionError(f"--suite {files[0]}: there is no folder {near}")
    outside = f"{near} is not in a git repository; --suite FILE must name a file in one"
    top = Path(_git(option, outside, near, "rev-parse", "--show-toplevel").decode(errors="replace").strip())
    unknown = f"the repository {top} has no such revision; git log --oneline --all lists those that it has"
    named = _git(option, unknown, top, "rev-parse", "--verify", "--end-of-options", f"{rev}^{{commit}}")
    commit = named.decode(errors="replace").strip()
    unreadable = f"git cannot read the files of {commit[:12]} in {top}; git fsck says what is damaged or missing"
    archived_files = _git(option, unreadable, top, "archive", "--format=tar", commit)
    with tarfile.open(fileobj=BytesIO(archived_files)) as archive:
        # Python has filters since 3.11.4; an archive that git makes of the user's own repository is safe without.
        safety: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safety)
    sources = {}
    for source in files:
        path = Path(source).resolve()
        if not path.is_relative_to(top):
            raise OptionError(f"{option}: {source} is not in the repository {top}")
        archived = folder / path.relative_to(top)
        if not archived.is_file():
            raise OptionError(f"{option}: {path.relative_to(top)} is not in that revision; name one that has it")
        sources[source] = str(archived)
    working = Path.cwd()
    return sources, str(folder / working.relative_to(top) if working.is_relative_to(top) else working), commit


def _git(option: str, problem: str, folder: Path, *arguments: str) -> bytes:
    """What git prints.

    Args:
        problem: what it means, in our words, if git refuses.

    Raises:
        OptionError: git refuses, or is not installed.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    except FileNotFoundError:
        raise OptionError(f"{option}: git is not installed") from None
    except subprocess.CalledProcessError as error:
        if b"dubious ownership" in error.stderr:
            problem = f"{folder} is of another user: git config --global --add safe.directory {folder}"
        raise OptionError(f"{option}: {problem}") from None

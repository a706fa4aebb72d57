"""Reads a git repository. Nothing of it is run: no hook, filter, file system monitor or submodule command."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torchduet.bench.host.child_processes import completed
from torchduet.bench.plan.options import OptionError
from torchduet.bench.received.cleaned import cleaned_text

# A hook that calls this program sets some of these for the repository of the hook.
LOCAL = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_CONFIG"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE"),
    *("GIT_EXTERNAL_DIFF", "GIT_TRACE"),
)
SAFE = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.sparseCheckout=false"),
    *("-c", "submodule.recurse=false"),
)
SHALLOW = (
    "this clone is shallow: git fetch --unshallow (GitHub: fetch-depth: 0 for actions/checkout; GitLab: GIT_DEPTH: 0)"
)


HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class GitError(Exception):
    """Git refuses; the message is its last line."""


@dataclass(frozen=True)
class Repository:
    """A repository with its working tree.

    Attributes:
        top: the folder of the working tree, without links.
        option: the option that needs it, for messages.
    """

    top: Path
    option: str = field(compare=False)

    def git(self, *arguments: str, env: Mapping[str, str] | None = None, entered: bytes | None = None) -> bytes:
        """What git prints.

        Args:
            env: environment variables in addition.
            entered: its standard input.

        Raises:
            GitError: it refuses.
            OptionError: it is not installed.
        """
        return git(self.option, self.top, *arguments, env=env, entered=entered)

    def line(self, *arguments: str) -> str:
        """What git prints, as one line.

        Raises:
            GitError: it refuses.
        """
        return self.git(*arguments).decode(errors="surrogateescape").strip("\n")

    def names(self, *arguments: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The names that git prints with ``-z``.

        Raises:
            GitError: it refuses.
        """
        printed = self.git(*arguments, env=env).decode(errors="surrogateescape")
        return [name for name in printed.split("\0") if name]

    @cached_property
    def git_folder(self) -> str:
        """The folder of git's own files."""
        return self.line("rev-parse", "--absolute-git-dir")

    @cached_property
    def filters_off(self) -> dict[str, str]:
        """Environment that switches off every filter that the configuration defines, such as that of Git LFS."""
        try:
            names = self.names("config", "-z", "--name-only", "--get-regexp", r"^filter\.")
        except GitError:
            return {}  # there is none
        drivers = dict.fromkeys(name.removeprefix("filter.").rpartition(".")[0] for name in names)
        values = (("smudge", ""), ("process", ""), ("clean", ""), ("required", "false"))
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        off = [(f"filter.{driver}.{key}", value) for driver in drivers for key, value in values]
        found = {"GIT_CONFIG_COUNT": str(first + len(off))}
        for number, (key, value) in enumerate(off, first):  # not by -c: a name may have an equals sign
            found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return found

    def is_shallow(self) -> bool:
        """Whether the clone lacks older commits."""
        return self.line("rev-parse", "--is-shallow-repository") == "true"

    def commit(self, rev: str) -> str | None:
        """The hash of the commit that a revision names; None if there is none."""
        try:
            found = self.line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
        except GitError:
            return None
        return found if HASH.fullmatch(found) else None

    def uncommitted(self) -> list[str]:
        """The files under git that differ from the commit that is checked out; of a renamed one both names."""
        return self.differing("HEAD") if self.commit("HEAD") else []

    def untracked(self) -> list[str]:
        """The files that git neither has nor ignores."""
        return self.names("ls-files", "-z", "--others", "--exclude-standard")

    def differing(self, commit: str) -> list[str]:
        """The files under git that differ between a commit and the working tree."""
        plain = ("--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none")
        return self.names("diff", "--name-only", "-z", *plain, commit, "--", env=self.filters_off)

    def outside(self) -> list[str]:
        """Folders of the working tree that are no part of the repository: what git ignores, and other repositories."""
        ignored = self.names("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
        return [name.rstrip("/") for name in (*ignored, *self.untracked()) if name.endswith("/")]


def git(
    option: str, folder: Path, *arguments: str, env: Mapping[str, str] | None = None, entered: bytes | None = None
) -> bytes:
    """What git prints when it is run in a folder.

    Raises:
        GitError: it refuses.
        OptionError: it is not installed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in LOCAL}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", **(env or {})}
    command = ["git", "-C", str(folder), *SAFE, *arguments]
    try:
        done: subprocess.CompletedProcess[bytes] = completed(command, env=environment, input=entered or b"")
        done.check_returncode()
    except FileNotFoundError:
        raise OptionError(f"{option}: git is not installed") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(cleaned_text(lines[-1]) if lines else f"exit code {error.returncode}") from None
    return done.stdout


def repository_of(option: str, folder: Path, what: str) -> Repository:
    """The repository whose working tree a folder is in.

    Args:
        what: the file or folder that must be in one, for the message.

    Raises:
        OptionError: it is in none, or git does not read it.
    """
    try:
        top = git(option, folder, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").strip("\n")
    except GitError as error:
        if "dubious ownership" in str(error) or "safe.directory" in str(error):
            advice = re.search(r"safe\.directory (\S.*)$", str(error))
            named = advice[1] if advice else str(folder)
            raise OptionError(
                f"{option}: {named} is of another user: git config --global --add safe.directory {named}"
            ) from None
        raise OptionError(
            f"{option}: {what} is not in a git repository; --suite FILE must name a file in one"
        ) from None
    return Repository(Path(top), option)


@dataclass(frozen=True)
class Base:
    """The commit that a revision stands for.

    Attributes:
        rev: as the user wrote it.
        commit: its hash.
        merge_base: whether that is where the files as they are branched off, and not the revision itself.
        note: what the user should know of the choice; empty if there is nothing.
    """

    rev: str
    commit: str
    merge_base: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """``main`` or ``main at the merge base``."""
        return f"{self.rev}{' at the merge base' if self.merge_base else ''}"

    @property
    def label(self) -> str:
        """``main, 1a2b3c4`` or ``main at the merge base, 1a2b3c4``."""
        return f"{self.name}, {self.commit[:7]}"


def base_of(repository: Repository, rev: str, *, exact: bool) -> Base:
    """The commit to compare with: the merge base of a revision and the commit that is checked out.

    A branch that only the remote ``origin`` has is found by its short name, as CI clones have it.

    Args:
        exact: the revision itself, in place of the merge base.

    Raises:
        OptionError: there is no such revision, or no merge base in a shallow clone.
    """
    option = repository.option
    if rev.startswith("-"):
        raise OptionError(f"{option}: a revision cannot begin with a dash")
    if not rev.isprintable():
        raise OptionError(f"--against-rev {rev!r}: a revision has no line breaks or control characters")
    commit = repository.commit(rev) or repository.commit(f"refs/remotes/origin/{rev}")
    if commit is None:
        hint = SHALLOW if repository.is_shallow() else "git log --oneline --all lists those that it has"
        raise OptionError(f"{option}: the repository {repository.top} has no such revision; {hint}")
    head = repository.commit("HEAD")
    if exact or head is None:
        return Base(rev, commit)
    try:
        common = repository.line("merge-base", commit, head)
    except GitError:
        if repository.is_shallow():
            raise OptionError(f"{option}: no merge base with HEAD; {SHALLOW}") from None
        return Base(rev, commit, note=f"{rev} and HEAD have no common commit, so {rev} itself is the base")
    return Base(rev, common, merge_base=common != commit)


def blobs(repository: Repository, commit: str) -> Sequence[tuple[str, str, str]]:
    """Mode, hash and name of every file of a commit; mode 160000 is a submodule.

    Raises:
        GitError: they cannot be read.
    """
    found = []
    for entry in repository.names("ls-tree", "-r", "-z", "--full-tree", commit):
        facts, _, name = entry.partition("\t")
        mode, _, digest = facts.split(" ")
        found.append((mode, digest, name))
    return found

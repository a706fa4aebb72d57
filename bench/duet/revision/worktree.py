"""Writes the files of a commit into a folder; the user's files, index and references do not change.

Git's own check-out writes them, with an index of its own: attributes such as line endings count, filters do not.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchduet.bench.duet.revision.repository import GitError, Repository, blobs
from torchduet.bench.plan.options import OptionError
from torchduet.suites.files.search_path import REVISION_MARK

SUBMODULE = "160000"
COMPILED = (".so", ".pyd", ".dylib")
METADATA = ".egg-info"  # of an editable installation of the older kind: importlib.metadata reads it
SHOWN = 3  # names in a sentence
MAX_POINTER = 1024  # bytes of a pointer of Git LFS
PARTIAL = "this is a partial clone, which fetches files when they are needed: git fetch --refetch"


@dataclass
class Worktree:
    """The files of a commit in a folder.

    Attributes:
        generated: Python files that git ignores, which are copied from the working tree.
        compiled: libraries that git ignores, which are not; from the top, as ``pkg/_C.cpython-311.so``.
        notes: what the folder lacks or has in addition, in words.
    """

    folder: Path
    generated: list[str] = field(default_factory=list)
    compiled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write(repository: Repository, commit: str, folder: Path) -> Worktree:
    """Write the files of a commit, those of its submodules included, and what a build has generated beside them.

    Raises:
        OptionError: git cannot read the commit, or the folder cannot be written.
    """
    made = Worktree(folder)
    _check_out(repository, commit, made, Path())
    (folder / REVISION_MARK).touch()
    for name in ignored(repository):
        path = Path(name)
        if path.suffix in COMPILED:
            made.compiled.append(name)
        elif path.parent.suffix == METADATA:
            (folder / path.parent).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(repository.top / name, folder / name)
        elif path.suffix in (".py", ".pyi") and not (folder / name).exists() and (folder / name).parent.is_dir():
            shutil.copyfile(repository.top / name, folder / name)
            made.generated.append(name)
    if made.generated:
        made.notes.append(f"generated files, which git ignores, are copied from yours: {several(made.generated)}")
    return made


def _check_out(repository: Repository, commit: str, made: Worktree, inner: Path) -> None:
    """Write the files of a commit into the folder ``inner`` of the worktree."""
    folder = made.folder / inner
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="torchduet-index-") as own:
        env = {
            "GIT_DIR": repository.git_folder,
            "GIT_WORK_TREE": str(folder),
            "GIT_INDEX_FILE": str(Path(own) / "index"),
        }
        inside = Repository(folder, repository.option)
        try:
            inside.git("read-tree", commit, env=env)
            written = {**env, **repository.filters_off}
            inside.git("checkout-index", "--all", "--force", "--quiet", env=written)
            files = blobs(repository, commit)
            filtered = _filtered(inside, [(digest, name) for mode, digest, name in files if mode != SUBMODULE], env)
        except GitError as error:
            raise OptionError(
                f"{repository.option}: git cannot write the files of {commit[:12]} ({error}); "
                f"{PARTIAL if _is_partial(repository) else 'git fsck says what is damaged or missing'}"
            ) from None
    _unfiltered(repository, filtered, made, inner)
    for mode, digest, name in files:
        if mode == SUBMODULE:
            _submodule(repository, digest, name, made, inner / name)


def _filtered(inside: Repository, files: Sequence[tuple[str, str]], env: dict[str, str]) -> list[tuple[str, str]]:
    """Hash and name of the files that a filter makes from what git stores, such as those of Git LFS."""
    if not files or not any(name.rpartition("/")[2] == ".gitattributes" for _, name in files):
        return []
    entered = b"".join(os.fsencode(name) + b"\0" for _, name in files)
    parts = inside.git("check-attr", "-z", "--stdin", "filter", env=env, entered=entered).split(b"\0")
    values = dict(zip(map(os.fsdecode, parts[0::3]), parts[2::3], strict=False))
    return [(digest, name) for digest, name in files if values.get(name, b"") not in (b"", b"unspecified", b"unset")]


def _unfiltered(repository: Repository, filtered: Sequence[tuple[str, str]], made: Worktree, inner: Path) -> None:
    """Take files whose filter is not run from the working tree, where they are the same there."""
    if not filtered:
        return
    staged = {}
    for entry in repository.names("ls-files", "-s", "-z"):
        facts, _, name = entry.partition("\t")
        staged[name] = facts.split(" ")[1]
    changed = set(repository.uncommitted())
    lacking = []
    for digest, name in filtered:
        same = (staged.get(name) == digest and name not in changed) or _is_content_of(
            made.folder / inner / name, repository.top / name
        )
        if same and (repository.top / name).is_file():
            shutil.copyfile(repository.top / name, made.folder / inner / name)
        else:
            lacking.append(str(inner / name))
    if lacking:
        made.notes.append(
            f"files that a filter of git makes (such as Git LFS) are as git stores them: {several(lacking)}"
        )


def _is_content_of(pointer: Path, file: Path) -> bool:
    """Whether a file has the content that a pointer of Git LFS names."""
    if not file.is_file() or pointer.stat().st_size > MAX_POINTER:
        return False
    found = re.search(rb"^oid sha256:([0-9a-f]{64})$", pointer.read_bytes(), re.M)
    if found is None:
        return False
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == found[1].decode()


def _is_partial(repository: Repository) -> bool:
    """Whether the clone lacks files that it fetches when they are needed."""
    try:
        return bool(repository.names("config", "-z", "--name-only", "--get-regexp", r"^remote\..*\.promisor$"))
    except GitError:
        return False


def _submodule(repository: Repository, commit: str, name: str, made: Worktree, inner: Path) -> None:
    """Write a submodule's files if the clone has that commit of it."""
    own = Repository(repository.top / name, repository.option)
    try:
        if (own.top / ".git").exists() and own.commit(commit) == commit:
            _check_out(own, commit, made, inner)
            return
    except GitError:
        pass  # not a repository that git reads
    made.notes.append(
        f"the submodule {inner} is empty there: the clone lacks its commit {commit[:7]}; git submodule update --init"
    )


def ignored(repository: Repository) -> Iterator[str]:
    """Names of files that git ignores, in folders that it does not ignore, and in ignored parts of packages."""
    try:
        names = repository.names("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    except GitError:
        return
    for name in names:
        path = repository.top / name
        if not name.endswith("/"):
            if path.is_file():  # and no link to nothing
                yield name
        elif _is_part(path) or path.suffix == METADATA:
            for inner in sorted(path.rglob("*")):
                if inner.is_file() and "__pycache__" not in inner.parts:
                    yield str(inner.relative_to(repository.top))


def _is_part(folder: Path) -> bool:
    """Whether an ignored folder is part of a package, and not an environment or a cache."""
    return (
        folder.name != "__pycache__"
        and (folder.parent / "__init__.py").is_file()
        and (folder / "__init__.py").is_file()
    )


def several(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"

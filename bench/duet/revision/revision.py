"""The side of a duet that is a git revision: which commit, its files, and how its interpreters import them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torchduet.bench.duet.revision import reroot
from torchduet.bench.duet.revision.build import build, project_of
from torchduet.bench.duet.revision.layout import FOLDERS, modules_of
from torchduet.bench.duet.revision.repository import Base, GitError, Repository, base_of, blobs, repository_of
from torchduet.bench.duet.revision.reroot import VARIABLE, Reroot
from torchduet.bench.duet.revision.worktree import several, write
from torchduet.bench.plan.options import OptionError
from torchduet.suites.registry import BUILT_IN

MAX_LETTERS = 4000  # of an error that is looked into
ADVICE = (
    "Import it within the functions of the workloads that need it: these fail on the base, and all others are compared"
)
SITE = '''"""Lets this interpreter import the files of another revision; made by Torchduet for one duet."""

import os

import torchduet_revision

if torchduet_revision.start() is not None:
    torchduet_revision.chain(os.path.dirname(os.path.abspath(__file__)))
'''


@dataclass(frozen=True)
class Revision:
    """What a duet against a git revision is made of.

    Attributes:
        base: the commit that is compared with.
        head: the hash of the commit that the files as they are are based on; None in a repository without one.
        uncommitted: files that differ from it.
        files: how the revision's side imports.
        mine: how the side of the files as they are imports.
        sources: source of a suite → its file in the revision.
        working: the working directory there.
        environment, environment_of_mine: environment variables of either side.
        changed: files that differ between the two sides, from the top: those under git, and new Python files.
        untracked: new files, of any kind.
        state: a digest of the uncommitted files, by which a resumed run tells that they have changed.
        notes: what the user should know, in words.
    """

    base: Base
    head: str | None
    uncommitted: tuple[str, ...]
    files: Reroot
    mine: Reroot
    sources: dict[str, str]
    working: str
    environment: dict[str, str]
    environment_of_mine: dict[str, str]
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    state: str
    notes: tuple[str, ...]


def revision(
    rev: str, suites: Sequence[str], folder: Path, *, exact: bool = False, built: bool = False, python: str = ""
) -> Revision:
    """Write the files of a revision into a folder, and find out how its side imports them.

    Nothing is checked out: the files and the index of the user do not change.

    Args:
        suites: as given to ``--suite``.
        folder: an empty folder, or one that does not exist.
        exact: compare with the revision itself, not with its merge base with HEAD.
        built: build the package of the revision.
        python: the interpreter that builds it.

    Raises:
        OptionError: no suite in a file, no repository, no such revision, or files that cannot be used.
    """
    if not rev.strip():
        raise OptionError("--against-rev '': name a git revision, e.g. HEAD~1, a branch or a tag")
    option = f"--against-rev {rev}"
    suite_files = [source for source in suites if source not in BUILT_IN]
    if not suite_files:
        raise OptionError(f"{option}: needs --suite FILE, a file of workloads in a git repository")
    near = Path(suite_files[0]).resolve().parent
    if not near.is_dir():
        raise OptionError(f"--suite {suite_files[0]}: there is no folder {near}")
    repository = repository_of(option, near, str(near))
    _check_temporary(option, repository.top, folder)
    try:
        base = base_of(repository, rev, exact=exact)
        return _written(repository, base, suite_files, folder, built=built, python=python)
    except GitError as error:
        raise OptionError(f"{option}: git cannot read {repository.top}: {error}") from None
    except OSError as error:
        raise OptionError(
            f"{option}: the files of the revision cannot be written: {error.strerror or error}: {error.filename}"
        ) from None


def _check_temporary(option: str, top: Path, folder: Path) -> None:
    """Refuse a temporary folder that the revision's files cannot lie in."""
    temporary = folder.resolve()
    if os.pathsep in str(temporary):
        raise OptionError(f"{option}: the temporary folder has {os.pathsep!r} in its name; set TMPDIR to another")
    if top in temporary.parents:
        raise OptionError(f"{option}: the temporary folder lies in the repository; set TMPDIR to another")


def _written(
    repository: Repository, base: Base, suites: Sequence[str], folder: Path, *, built: bool, python: str
) -> Revision:
    there = folder / "files" / repository.top.name  # of that name: the top may be a package itself
    untracked = repository.untracked()
    new_modules = [name for name in untracked if name.endswith(".py")]
    uncommitted = [*repository.uncommitted(), *new_modules]
    changed = list(dict.fromkeys([*repository.differing(base.commit), *new_modules]))
    worktree = write(repository, base.commit, there)
    sources, notes = _sources(repository, base, suites, there, changed)
    notes = [*filter(None, [base.note]), *worktree.notes, *notes]
    if not changed:
        notes.append(f"your files are those of {base.label}: both sides are the same code")
    boot = _boot(folder / "boot")
    top = str(repository.top)
    target = folder / "built"
    if built:
        project = project_of(repository.option, Path(next(iter(sources.values()))), there)
        build(repository.option, python, project, target)
    built_in = str(target) if built else ""
    there_are = [name for _, _, name in blobs(repository, base.commit)]
    here_are = [*repository.names("ls-files", "-z"), *new_modules]
    files, mine = (
        Reroot(top, root, built_in, modules_of(names), [name for name in names if name.endswith(".py")])
        for root, names in ((str(there), there_are), (top, here_are))
    )
    files.shared = repository.outside()
    files.compiled = [] if built else worktree.compiled
    return Revision(
        base=base,
        head=repository.commit("HEAD"),
        uncommitted=tuple(uncommitted),
        files=files,
        mine=mine,
        sources=sources,
        working=_working(files),
        environment=_environment(files, boot, folder / "extensions"),
        environment_of_mine=described(mine, boot),
        changed=tuple(changed),
        untracked=tuple(untracked),
        state=_state(repository.top, [*uncommitted, *untracked]),
        notes=tuple(notes),
    )


def _state(top: Path, names: Sequence[str]) -> str:
    """A digest of files; one that is gone counts as such."""
    digest = hashlib.sha256()
    for name in sorted(set(names)):
        path = top / name
        if path.suffix == ".py" and path.is_file():
            digest.update(path.read_bytes())
        about = path.stat() if path.exists() else None
        at = (about.st_size, about.st_mtime_ns) if about is not None and path.suffix != ".py" else about is None
        digest.update(f"{name}\0{at}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _working(files: Reroot) -> str:
    """The working directory in the revision; its root where it lacks that folder."""
    here = str(Path.cwd())
    moved = files.moved(here)
    return moved if moved == here or Path(moved).is_dir() else files.folder


def _sources(
    repository: Repository, base: Base, suites: Sequence[str], there: Path, changed: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Each suite's file in the revision, and notes; one that it lacks is copied there."""
    sources, notes = {}, []
    for source in suites:
        path = Path(source).resolve()
        if not path.is_relative_to(repository.top):
            raise OptionError(f"{repository.option}: {source} is not in the repository {repository.top}")
        name = path.relative_to(repository.top)
        if not path.is_file():
            what = "is a folder; name a file in it" if path.is_dir() else "there is no such file"
            raise OptionError(f"--suite {source}: {what}")
        if not (there / name).is_file():
            copied = _copied_suite(repository, path, there)
            notes.append(f"{copied} is not in {base.label}: yours measures both sides")
        elif str(name) in changed:
            notes.append(f"{name} itself differs between the sides: a difference may come from there")
        sources[source] = str(there / name)
    return sources, notes


def _copied_suite(repository: Repository, path: Path, there: Path) -> str:
    """Copy a suite that the revision lacks; of a folder that it lacks all, unless that is a package of yours.

    Other modules of yours would be found by the revision's package, which does without them.
    """
    name = path.relative_to(repository.top)
    alone = (there / name).parent.exists() or (path.parent / "__init__.py").exists() or path.parent.name in FOLDERS
    others = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", str(name.parent))
    for inner in [str(name), *([] if alone else repository.names(*others))]:
        if (repository.top / inner).is_file() and not (there / inner).exists():
            (there / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(repository.top / inner, there / inner)
    return str(name) if alone else f"the folder {name.parent}"


def _boot(folder: Path) -> Path:
    """The folder that comes first in PYTHONPATH."""
    folder.mkdir(parents=True)
    shutil.copyfile(Path(reroot.__file__), folder / "torchduet_revision.py")
    (folder / "sitecustomize.py").write_text(SITE, "utf-8")
    return folder


def _environment(files: Reroot, boot: Path, extensions: Path) -> dict[str, str]:
    """PYTHONPATH with its folders moved; extensions that PyTorch compiles on the way go into a folder of their own."""
    before = os.environ.get("PYTHONPATH")
    entries = [files.moved_folder(str(Path(entry).absolute())) for entry in before.split(os.pathsep)] if before else []
    return {
        "PYTHONPATH": os.pathsep.join([str(boot), *entries]),
        "TORCH_EXTENSIONS_DIR": str(extensions),
        **described(files, boot),
    }


def described(how: Reroot, folder: Path) -> dict[str, str]:
    """The environment variable that names the file from which a process learns what it may import.

    Args:
        folder: where the file is written.
    """
    file = folder / f"imports-{len(list(folder.glob('imports-*')))}.json"
    file.write_text(json.dumps({name: value for name, value in asdict(how).items() if name != "refused"}), "utf-8")
    return {VARIABLE: str(file)}


def summary(found: Revision) -> str:
    """What differs between the sides, in a line for the terminal."""
    if not found.changed:
        return ""
    number = len(found.changed)
    return f"{number} file{'s differ' if number > 1 else ' differs'} between the sides: {several(found.changed)}"


def new_module(problem: str, revision: Revision) -> str | None:
    """What to do where the base lacks a module that the files as they are have; None for any other problem."""
    problem = problem[:MAX_LETTERS]
    found = re.match(r"(?P<place>[^\n]*?:\d+): .*No module named '(?P<name>[\w.]+)'", problem) or re.match(
        r"(?P<place>[^\n]*?:\d+): .*cannot import name '(?P<part>\w+)' from '(?P<name>[\w.]+)'", problem
    )
    if found is None:
        return None
    name = ".".join(filter(None, (found["name"], found.groupdict().get("part"))))
    path = name.replace(".", "/")
    endings = (f"/{path}.py", f"/{path}/__init__.py")
    if not any(f"/{file}".endswith(endings) for file in revision.mine.python_files):
        part = found.groupdict().get("part")
        return f"{found['place']}: {part} is new: the base's {found['name']} has none. {ADVICE}" if part else None
    return f"{found['place']}: {name} is new: the base has no such module. {ADVICE}"

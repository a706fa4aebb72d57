"""Writes ``docs/examples/`` and the README's pictures: ``python -m tests.docs.examples``, or ``nox -s examples``.

Everything is measured on this machine, which should be idle: some eight minutes in all. What is measured is kept in
``build/examples/``, so that a later call only renders the pages anew, as after a change of a page; ``--again`` measures
it again, and a call that was cut short is continued by the next. Names choose examples:
``python -m tests.docs.examples run profile``. A page replaces the earlier one only if it could be written, is small
enough, and names no folder of this machine: those of the interpreter and of the clone are shown as ``~/…``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
IMAGES = ROOT / "docs" / "images"
PROJECT = Path(__file__).parent / "project"
MAX_TOGETHER = 3_000_000  # bytes of all examples
MAX_PICTURE = 100_000  # bytes of each picture
SCREEN = {"width": 1280, "height": 760}
COLOURS = 96  # of a picture
OF_THIS_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users|private|usr/bin)/[\w./-]*")
COMMITS = 10
SLOWER_FROM = 7  # the commit, counted from 1, that makes `net` slower
BEFORE, AFTER = "normalised(x) @ weight", "normalised(normalised(normalised(x))) @ weight"
ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A. Author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_COMMITTER_NAME": "A. Author",
    "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class ExampleError(Exception):
    """An example that cannot be made; the message says why."""


@dataclass(frozen=True)
class Example:
    """A page, how its files are measured, and how it is rendered.

    Attributes:
        measure: (folder for the files, project) → writes the files.
        files: what must then be there.
        render: arguments of ``torchduet`` before ``-o``, in that folder.
    """

    measure: Callable[[Path, Path], None]
    files: tuple[str, ...]
    render: tuple[str, ...]


def torchduet(folder: Path, *arguments: str, ends: tuple[int, ...] = (0,)) -> None:
    """Run a command of this interpreter's Torchduet in a folder.

    Raises:
        ExampleError: it ends with another exit code.
    """
    environment = {**os.environ, **ENVIRONMENT, "TORCHDUET_LOCK": str(folder / "run.lock")}
    done = subprocess.run([sys.executable, "-m", "torchduet", *arguments], cwd=folder, env=environment, check=False)
    if done.returncode not in ends:
        raise ExampleError(f"torchduet {' '.join(arguments)} ended with exit code {done.returncode}")


def git(folder: Path, *arguments: str, day: int = 1) -> None:
    """Run git in a folder; a commit is of that day, so that the same commits have the same names in every call."""
    date = f"2026-11-{day:02}T12:00:00Z"
    subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *arguments],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def commit(project: Path, number: int) -> None:
    """Commit the project's files as they are at a commit, from 1."""
    text = (PROJECT / "layers.py").read_text("utf-8")
    assert BEFORE in text
    (project / "layers.py").write_text(text.replace(BEFORE, AFTER) if number >= SLOWER_FROM else text, "utf-8")
    (project / "NEWS").write_text(f"{number}\n", "utf-8")
    git(project, "add", "-A")
    what = "Normalise three times" if number == SLOWER_FROM else f"Change {number}"
    git(project, "commit", "-q", "-m", what, day=number)


def fresh_project(folder: Path) -> Path:
    """The project with its first commit, in a new folder."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n*.lock\n*.json*\n", "utf-8")
    git(folder, "init", "-q")
    commit(folder, 1)
    return folder


def measure_run(folder: Path, project: Path) -> None:
    torchduet(project, "run", "--threads", "1", "--benchmark-json", str(folder / "run.json"))


def measure_profile(folder: Path, project: Path) -> None:
    options = ("--suite", "mlp", "--threads", "1", "--budget", "20s", "--profile=slowest:2")
    torchduet(project, "run", *options, "--benchmark-json", str(folder / "profile.json"))


def measure_duet(folder: Path, project: Path) -> None:
    git(project, "checkout", "-q", "-B", "main")
    git(project, "checkout", "-q", "-b", "my-change")
    commit(project, SLOWER_FROM)
    options = ("--budget", "75s", "--json", str(folder / "duet.json"))
    torchduet(project, "against", "main", *options, "--", "--suite", "suite.py", "--threads", "1")


def measure_history(folder: Path, project: Path) -> None:
    """A run after each commit, unless it is there; those before and after the change are those of the comparison."""
    (folder / "history").mkdir(exist_ok=True)
    for number in range(1, COMMITS + 1):
        if number > 1:
            commit(project, number)
        file = folder / "history" / f"{number:02}.json"
        if not file.is_file():
            options = ("--suite", "suite.py", "--threads", "1", "--budget", "10s")
            torchduet(project, "run", *options, "--benchmark-json", str(file))


RUNS = tuple(f"history/{number:02}.json" for number in range(1, COMMITS + 1))
EXAMPLES_OF: Mapping[str, Example] = {
    "run": Example(measure_run, ("run.json",), ("render", "run.json")),
    "profile": Example(measure_profile, ("profile.json",), ("render", "profile.json")),
    "duet": Example(measure_duet, ("duet.json",), ("render", "duet.json")),
    "history": Example(measure_history, RUNS, ("history", "history")),
    "comparison": Example(
        measure_history, RUNS, ("compare", f"history/{SLOWER_FROM - 1:02}.json", f"history/{SLOWER_FROM:02}.json")
    ),
}


def measured(name: str, kept: Path, again: bool) -> None:
    """Measure what of an example is not kept, or all of it; a file is there when it is whole."""
    example = EXAMPLES_OF[name]
    if again:
        for file in example.files:
            (kept / file).unlink(missing_ok=True)
    if not all((kept / file).is_file() for file in example.files):
        with tempfile.TemporaryDirectory() as folder:
            example.measure(kept, fresh_project(Path(folder) / "project"))


def rendered(name: str, kept: Path) -> str:
    """The page of an example.

    Raises:
        ExampleError: it cannot be rendered, or names something of this machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / f"{name}.html"
        torchduet(kept, *EXAMPLES_OF[name].render, "-o", str(page))
        text = page.read_text("utf-8")
    for path, shown in ((sys.prefix, "~/.venv"), (str(ROOT), "~/torchduet")):
        text = text.replace(path, shown)
    if found := OF_THIS_MACHINE.search(text):
        raise ExampleError(f"{name}: the page names {found[0]}; examples are for readers on other machines")
    return text


def write_pictures(page: Path) -> None:
    """Write the first screen of a page in both colour schemes.

    Raises:
        ExampleError: there is no browser, or a picture is too large.
    """
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUM, FLAGS

    if CHROMIUM is None:
        raise ExampleError("the pictures need a Chromium: install it, or leave them out with --no-pictures")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme in ("light", "dark"):
            shown = browser.new_page(viewport=SCREEN, color_scheme=scheme)  # type: ignore[arg-type]
            shown.goto(page.as_uri())
            file = Path(folder) / f"report-{scheme}.png"
            shown.screenshot(path=file)
            with Image.open(file) as picture:
                picture.convert("RGB").quantize(COLOURS).save(file, optimize=True)
            if (size := file.stat().st_size) > MAX_PICTURE:
                raise ExampleError(f"{file.name}: {size:,} bytes; at most {MAX_PICTURE:,}")
            shutil.copy(file, IMAGES)
        browser.close()


def main() -> int:
    """Make the examples that are named; all without names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="EXAMPLE", help=f"any of {', '.join(EXAMPLES_OF)} (default: all)")
    parser.add_argument("--again", action="store_true", help="measure again what is kept")
    parser.add_argument("--no-pictures", action="store_true", help="leave the README's pictures as they are")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in EXAMPLES_OF]:
        parser.error(f"{unknown[0]}: choose from {', '.join(EXAMPLES_OF)}")
    names = options.names or list(EXAMPLES_OF)
    kept = ROOT / "build" / "examples"
    kept.mkdir(parents=True, exist_ok=True)
    try:
        files: set[tuple[str, ...]] = set()  # measured in this call, once for examples that share them
        for name in names:
            measured(name, kept, options.again and EXAMPLES_OF[name].files not in files)
            files.add(EXAMPLES_OF[name].files)
        pages = {name: rendered(name, kept) for name in names}
        others = [path for path in EXAMPLES.glob("*.html") if path.stem not in pages]
        together = sum(path.stat().st_size for path in others) + sum(len(text.encode()) for text in pages.values())
        if together > MAX_TOGETHER:
            raise ExampleError(f"the examples have {together:,} bytes together; at most {MAX_TOGETHER:,}")
        for name, text in pages.items():
            (EXAMPLES / f"{name}.html").write_text(text, "utf-8")
        if "run" in names and not options.no_pictures:
            write_pictures(EXAMPLES / "run.html")
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({name: len(text.encode()) for name, text in pages.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

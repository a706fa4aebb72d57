"""Builds the package at a revision into a folder of its own, for packages with compiled parts (``--build``)."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from torchduet.bench.files.regular import read_text
from torchduet.bench.host.child_processes import completed
from torchduet.bench.plan.options import OptionError
from torchduet.bench.received.cleaned import cleaned_text

PROJECT = ("pyproject.toml", "setup.py")
DEFAULT_REQUIRES = ("setuptools",)
# The revision's files are no repository, from which these tools would take the version.
VERSION = dict.fromkeys(("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION"), "0")


def project_of(option: str, suite: Path, top: Path) -> Path:
    """The nearest folder above a suite that has a ``pyproject.toml`` or a ``setup.py``.

    Raises:
        OptionError: there is none in the revision.
    """
    for folder in (suite.parent, *suite.parent.parents):
        if any((folder / name).is_file() for name in PROJECT):
            return folder
        if folder == top:
            break
    raise OptionError(f"{option} --build: there is no pyproject.toml or setup.py above {suite.relative_to(top)}")


def build(option: str, python: str, project: Path, target: Path) -> None:
    """Install a project, without its dependencies, into a folder. It runs the project's own build.

    What the build needs is taken from this environment where all of it is installed, so that an extension of PyTorch
    is built with the PyTorch that will load it; else pip gets it for the build alone.

    Raises:
        OptionError: it cannot be built; the message has the last line of the output.
    """
    isolation = () if missing_requirement(project) else ("--no-build-isolation",)
    command = [*_installer(option, python), "--no-deps", *isolation, "--target", str(target), str(project)]
    done = completed(command, text=True, errors="replace", env={**VERSION, **os.environ})
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines or [f"exit code {done.returncode}"]
        reason = cleaned_text(errors[-1], 300)
        raise OptionError(f"{option} --build: the package at that revision cannot be built: {reason}")


def _installer(option: str, python: str) -> list[str]:
    pip = completed([python, "-m", "pip", "--version"])
    if pip.returncode == 0:
        return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", python]
    raise OptionError(f"{option} --build: needs pip or uv: {python} -m ensurepip")


def missing_requirement(project: Path) -> str | None:
    """The first package that a project's build needs and this environment lacks; None if it has all."""
    for text in _requires(project):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return text
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            if not requirement.specifier.contains(version(requirement.name), prereleases=True):
                return text
        except PackageNotFoundError:
            return text
    return None


def _requires(project: Path) -> Iterator[str]:
    try:
        text = read_text(project / "pyproject.toml")
        requires = tomllib.loads(text).get("build-system", {}).get("requires", DEFAULT_REQUIRES)
    except (OSError, ValueError, AttributeError, RecursionError):
        requires = DEFAULT_REQUIRES
    yield from (text for text in requires if isinstance(text, str))

"""Small git repositories with a package, for tests of duets against a revision."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.duet.revision.revision import Revision, revision

SUITE = '''"""Workloads of the package."""

import torch

from torchduet import Suite
from {package} import layers

suite = Suite("layers", "Layers of the package")


def vector(device: torch.device, n: int) -> tuple[torch.Tensor]:
    return (torch.ones(n, device=device),)


suite.compare("net", {{"net": layers.net}}, inputs=vector, axes={{"n": [4000]}})
'''
LAYER = "SIDE = {side!r}\n\n\ndef net(x):\n    for _ in range({rounds}):\n        x = x * 1.0001\n    return x\n"


@dataclass(frozen=True)
class Made:
    """A repository.

    Attributes:
        package: the import name of its package.
        source: the package's folder, from the top.
        suite: the file of its workloads.
    """

    top: Path
    package: str
    source: str
    suite: Path

    def git(self, *arguments: str) -> str:
        return git(self.top, *arguments)

    def write(self, files: Mapping[str, str]) -> None:
        write(self.top, files)

    def commit(self, words: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--allow-empty", "-m", words)
        return self.git("rev-parse", "HEAD").strip()

    def against(self, rev: str, folder: Path, **options: bool) -> Revision:
        """The revision as a side of a duet."""
        return revision(rev, [str(self.suite)], folder, python=sys.executable, **options)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write(top: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, "utf-8")


def repository(
    top: Path, source: str = "src/mypkg", package: str = "mypkg", rounds: tuple[int, int] = (20, 20)
) -> Made:
    """A repository whose branch ``topic`` changes one module of a package.

    Args:
        source: the package's folder.
        rounds: of the loop in ``layers.net``, on ``main`` and on the branch.
    """
    top.mkdir(parents=True)
    git(top, "init", "--initial-branch", "main")
    made = Made(top.resolve(), package, source, top.resolve() / "bench" / "layers.py")
    made.write(
        {
            f"{source}/__init__.py": "",
            f"{source}/layers.py": LAYER.format(side="base", rounds=rounds[0]),
            "bench/layers.py": SUITE.format(package=package),
            ".gitignore": "*.so\n_version.py\n*.egg-info/\nbuild/\n__pycache__/\n",
        }
    )
    made.commit("base")
    made.git("checkout", "-b", "topic")
    made.write({f"{source}/layers.py": LAYER.format(side="mine", rounds=rounds[1])})
    made.commit("mine")
    return made


def project(made: Made, options: str) -> None:
    """Add a ``pyproject.toml`` for setuptools to both commits."""
    text = f"""[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "acme-mypkg"
version = "1"

{options}
"""
    made.git("checkout", "main")
    made.write({"pyproject.toml": text})
    made.commit("project")
    made.git("checkout", "topic")
    made.git("rebase", "main")


def environment_with(folder: Path, made: Made, settings: str = "None") -> str:
    """The interpreter of an environment in which the package is installed from its folder, as ``pip install -e`` does.

    Args:
        settings: of the build, such as ``{"editable_mode": "strict"}``.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    wheels = folder / "wheels"
    wheels.mkdir()
    code = f"from setuptools import build_meta; build_meta.build_editable({str(wheels)!r}, {settings})"
    subprocess.run([sys.executable, "-c", code], cwd=made.top, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return str(folder / "bin" / "python")


def run_there(found: Revision, python: str, code: str, env: Mapping[str, str] | None = None) -> str:
    """What a program prints on the side of the revision, or its error."""
    done = subprocess.run(
        [python, "-c", code],
        cwd=found.working,
        env={**os.environ, **(env or {}), **found.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

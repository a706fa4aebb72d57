"""How to install the packages of an extra, for the way in which Torchduet is installed here."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from torchduet.suites.workload import Unavailable

NAME = __name__.partition(".")[0]
HERE = Path(__file__).resolve().parent  # in a clone `suites`, else `torchduet/suites` among the installed packages


def install(extra: str, missing: str = "") -> str:
    """The command that installs what an extra needs.

    From a local folder it is the extra of that folder, since an index may have no Torchduet, or another one. Otherwise
    it is the packages by name.

    Args:
        extra: its name; empty: the packages that Torchduet always needs.
        missing: the packages, if the installed metadata do not list them.
    """
    if (folder := source_folder()) is not None:
        return f"pip install -e {shlex.quote(f'{folder}[{extra}]' if extra else str(folder))}"
    return f"pip install {' '.join(packages(extra)) or missing or shlex.quote(f'{NAME}[{extra}]')}"


def require(extra: str, *packages: str) -> None:
    """Import packages that come with an extra.

    Raises:
        Unavailable: one of them is not installed, or its import fails; the message has the command that installs it.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise Unavailable(f"{error.name or package} is not installed: {install(extra, package)}") from error
        except ImportError as error:
            reason = " ".join(str(error).split())[:200]
            raise Unavailable(f"{package} cannot be imported: {reason}") from error


def upgrade() -> str:
    """What installs a newer Torchduet."""
    if (folder := source_folder()) is not None:
        return f"git -C {shlex.quote(str(folder))} pull && {install('')}"
    return f"pip install -U {NAME}"


def packages(extra: str) -> list[str]:
    """The names of the packages of an extra, from the installed metadata; an extra may consist of others."""
    names: dict[str, None] = {}
    for requirement in _requirements():
        match = re.fullmatch(r"""([\w.-]+)(?:\[([^]]*)\])?[^;]*(?:;.*\bextra *== *["']([\w-]+)["'].*)?""", requirement)
        if match is None or (match[3] or "") != extra:
            continue
        if match[1] == NAME:
            others = [name.strip() for name in (match[2] or "").split(",")]
            names |= dict.fromkeys(package for name in others for package in packages(name))
        else:
            names[match[1]] = None
    return list(names)


def source_folder() -> Path | None:
    """The folder that Torchduet was installed from, or the clone that is used as it is; None if there is neither.

    The file ``direct_url.json`` of PEP 610 names it.
    """
    for distribution in _distributions():
        with_source = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlsplit(with_source.get("url", ""))
        if "dir_info" in with_source and url.scheme == "file":
            folder = Path(url2pathname(url.path))
            if (folder / "pyproject.toml").is_file():
                return folder
    clone = HERE.parent
    return clone if (clone / "pyproject.toml").is_file() else None


def _requirements() -> list[str]:
    return next((distribution.requires for distribution in _distributions() if distribution.requires), [])


def _distributions() -> Iterator[metadata.Distribution]:
    """Torchduet's metadata: among the packages of this interpreter, or beside the package, if another one lends it."""
    folders = [str(HERE.parent), str(HERE.parents[1])]
    return iter(metadata.distributions(name=NAME, path=[*sys.path, *folders]))

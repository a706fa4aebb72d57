"""The user's folder for what runs learn of the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from torchduet.bench.files.places import home


def cache_folder() -> Path:
    """The user's folder for files that programs can make again; below ``/`` for a user without a home folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home() / "AppData" / "Local")) / "torchduet"
    if sys.platform == "darwin":
        return home() / "Library" / "Caches" / "torchduet"
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "torchduet"

"""The user's folder for what runs learn of the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The user's folder for files that programs can make again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "torchduet"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "torchduet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torchduet"

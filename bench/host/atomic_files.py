"""Files that are whole or as they were before."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_json(value: Any, path: Path) -> None:
    """Write ``value`` as JSON, replacing what was there only once all of it is on disk.

    Raises:
        OSError: it cannot be written; what the file held before stands, and nothing is left beside it.
    """
    write_whole(json.dumps(value, indent=1).encode(), path)


def write_whole(content: bytes, path: Path) -> None:
    """Write a file, replacing what was there only once all of it is on disk; where there is a link, its target.

    What is no plain file, such as a pipe or ``/dev/stdout``, is written to as it is.

    Raises:
        OSError: it cannot be written; what the file held before stands, and nothing is left beside it.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)  # mkstemp's is for its owner alone
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

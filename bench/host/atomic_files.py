"""Writes a file completely or not at all: a failure leaves the file as it was before."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from torchduet.bench.record.strict_json import strict


def write_json(value: Any, path: Path) -> None:
    """Write ``value`` as JSON, NaN and infinity as null; the file is replaced only once all of it is on disk.

    Raises:
        OSError: the file cannot be written; its earlier content stays, and no temporary file is left.
    """
    write_atomically(json.dumps(strict(value), indent=1, allow_nan=False).encode(), path)


def write_atomically(content: bytes, path: Path) -> None:
    """Write a file; it is replaced only once all of it is on disk. A link's target is written, not the link.

    A path that is no regular file, such as a pipe or ``/dev/stdout``, is written to directly.

    Raises:
        OSError: the file cannot be written; its earlier content stays, and no temporary file is left.
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
        Path(name).chmod(mode)  # mkstemp gives access to the owner only
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

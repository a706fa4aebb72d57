"""Writes a value as a JSON file, completely or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torchduet.bench.files.atomic import write_atomically
from torchduet.bench.record.strict_json import strict


def write_json(value: Any, path: Path) -> None:
    """Write ``value`` as JSON, NaN and infinity as null; the file is replaced only once all of it is on disk.

    Raises:
        OSError: the file cannot be written; its earlier content stays, and no temporary file is left.
    """
    write_atomically(encoded(value), path)


def encoded(value: Any) -> bytes:
    """``value`` as :func:`write_json` writes it."""
    return json.dumps(strict(value), indent=1, allow_nan=False).encode()

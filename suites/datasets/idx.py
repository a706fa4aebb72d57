"""Reads the IDX format, in which MNIST and similar data sets are distributed: unsigned bytes with a header of sizes.

Format: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, then each size as a
big-endian 32-bit number, then the values (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

MAX_ITEMS = 1_000_000
UNSIGNED_BYTE = 8


class IdxError(ValueError):
    """A file that is not the expected IDX file; the message says why."""


def read(path: Path, item: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The values of an IDX file, gzipped or not: shape [n, *item].

    A header that claims more than a million items is refused before memory is allocated.

    Raises:
        IdxError: truncated, too long, not unsigned bytes, or items of another shape.
        OSError: the file cannot be read.
    """
    dimensions = 1 + len(item)
    try:
        with cast(Any, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)):
                raise IdxError(f"is not an IDX file of unsigned bytes in {dimensions} dimension(s)")
            if len(header) < 4 + 4 * dimensions:
                raise IdxError("is truncated within its header")
            count, *sizes = struct.unpack(f">{dimensions}I", header[4:])
            if tuple(sizes) != item:
                raise IdxError(f"has items of {_by(sizes)}; {_by(item)} is needed")
            if not 0 < count <= MAX_ITEMS:
                raise IdxError(f"claims {count} items; 1 to {MAX_ITEMS} are read")
            size = count * math.prod(item)
            body = file.read(size)
            if len(body) < size:
                raise IdxError(f"is truncated: {len(body)} of {size} bytes of values")
            if file.read(1):
                raise IdxError(f"has more than the {count} items that its header claims")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise IdxError(f"is not a whole gzip file ({error})") from None
    return np.frombuffer(body, np.uint8).reshape(count, *item)


def _by(sizes: Any) -> str:
    return "×".join(map(str, sizes)) or "one value"

"""Reads what a worker sends, and is not held up or broken by what is no message."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from multiprocessing.connection import Connection, wait
from typing import Any

MAX_BYTES = 2**28  # of a message: a hundred times what the largest family takes
CHUNK = 2**20


class GarbageError(Exception):
    """What came is no message; the text says why."""


class Inbox:
    """The receiving end of a worker's pipe.

    ``Connection.recv`` waits for the rest of a message that a worker began and never ended, and takes any
    number for its length.

    Args:
        connection: multiprocessing's, whose framing it reads: the length in four bytes, then a pickle.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held = bytearray()

    def receive(self, seconds: float) -> Any:
        """The next message, None if there is none within so many seconds.

        Raises:
            EOFError: the worker has closed its end.
            GarbageError: what it sent is no message.
        """
        message = self._next()
        if message is not None or not wait([self._connection], seconds):
            return message
        if sys.platform == "win32":  # no plain file descriptor
            return self._received()
        chunk = os.read(self._connection.fileno(), CHUNK)
        if not chunk:
            if self._held:
                raise GarbageError(f"the first {len(self._held)} bytes of one")
            raise EOFError
        self._held += chunk
        return self._next()

    def _received(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, BrokenPipeError):
            raise EOFError from None
        except Exception as error:  # noqa: BLE001 - whatever unpickling raises
            raise GarbageError(f"a pickle that ends in {type(error).__name__}: {error}") from None

    def _next(self) -> Any:
        """The message at the head of what has come, None if it is not complete."""
        if len(self._held) < 4:
            return None
        start, (length,) = 4, struct.unpack_from("!i", self._held)
        if length == -1:  # longer than 2 GiB: never ours
            length = MAX_BYTES + 1
        if not 0 < length <= MAX_BYTES:
            raise GarbageError(f"what begins with {bytes(self._held[:16])!r}")
        if len(self._held) < start + length:
            return None
        body = bytes(self._held[start : start + length])
        del self._held[: start + length]
        try:
            return pickle.loads(body)  # from a process that runs the user's own code
        except Exception as error:  # noqa: BLE001 - whatever unpickling raises
            raise GarbageError(f"a pickle that ends in {type(error).__name__}: {error}") from None

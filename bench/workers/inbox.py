"""Receives a worker's messages; anything else neither blocks nor breaks it."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from multiprocessing.connection import Connection, wait
from typing import Any

MAX_BYTES = 2**28  # of a message: a hundred times that of the largest family
CHUNK = 2**20


class GarbageError(Exception):
    """The data received are not a message; the text says why."""


class Inbox:
    """The receiving end of a worker's pipe.

    ``Connection.recv`` would wait for the rest of a message that a worker began and never ended, and would accept any
    length.

    Args:
        connection: of multiprocessing, whose framing it reads: the length in four bytes, then a pickle.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def receive(self, seconds: float) -> Any:
        """The next message, None if there is none within ``seconds``.

        Raises:
            EOFError: the worker has closed its end.
            GarbageError: the worker sent something other than a message.
        """
        message = self._next()
        if message is not None or not wait([self._connection], seconds):
            return message
        if sys.platform == "win32":  # no plain file descriptor
            return self._received()
        chunk = os.read(self._connection.fileno(), CHUNK)
        if not chunk:
            if self._buffer:
                raise GarbageError(f"only its first {len(self._buffer)} bytes arrived")
            raise EOFError
        self._buffer += chunk
        return self._next()

    def _received(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, BrokenPipeError):
            raise EOFError from None
        except Exception as error:  # noqa: BLE001 - whatever unpickling raises
            raise GarbageError(f"a pickle that ends in {type(error).__name__}: {error}") from None

    def _next(self) -> Any:
        """The message at the start of the buffer, None if it is not complete."""
        if len(self._buffer) < 4:
            return None
        start, (length,) = 4, struct.unpack_from("!i", self._buffer)
        if length == -1:  # longer than 2 GiB: no worker sends that
            length = MAX_BYTES + 1
        if not 0 < length <= MAX_BYTES:
            raise GarbageError(f"it begins with {bytes(self._buffer[:16])!r}")
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        try:
            return pickle.loads(body)  # from a process that runs the user's own code
        except Exception as error:  # noqa: BLE001 - whatever unpickling raises
            raise GarbageError(f"a pickle that ends in {type(error).__name__}: {error}") from None

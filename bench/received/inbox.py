"""Receives a worker's messages; anything else neither blocks nor breaks it, and no code of it runs."""

from __future__ import annotations

import os
import struct
import sys
from multiprocessing.connection import Connection, wait

from torchduet.bench.cases.exchange import Answer, Progress
from torchduet.bench.received.answers import Codec
from torchduet.bench.received.cleaned import GarbageError

MAX_BYTES = 2**25  # of a message: ten times that of the largest family
CHUNK = 2**20


class Inbox:
    """The receiving end of a worker's pipe.

    ``Connection.recv`` would wait for the rest of a message that a worker began and never ended, would accept any
    length, and would run what a pickle tells it to.

    Args:
        connection: of multiprocessing, whose framing it reads: the length in four bytes, then the message.
        codec: decodes messages.
    """

    def __init__(self, connection: Connection, codec: Codec) -> None:
        self._connection, self._codec = connection, codec
        self._buffer = bytearray()

    def receive(self, seconds: float) -> Progress | Answer | None:
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

    def _received(self) -> Progress | Answer:
        try:
            body = self._connection.recv_bytes(MAX_BYTES)
        except (EOFError, BrokenPipeError):
            raise EOFError from None
        except OSError as error:
            raise GarbageError(f"it is too long or incomplete: {error}") from None
        return self._codec.decoded(body)

    def _next(self) -> Progress | Answer | None:
        """The message at the start of the buffer, None if it is not complete."""
        if len(self._buffer) < 4:
            return None
        start, (length,) = 4, struct.unpack_from("!i", self._buffer)
        if not 0 < length <= MAX_BYTES:  # −1: longer than 2 GiB
            raise GarbageError(f"it begins with {bytes(self._buffer[:16])!r}")
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return self._codec.decoded(body)

"""The messages between the controller and the two sides: JSON objects, one per line, over a socket.

The controller is the process that runs pytest. Messages have plain values only, so that the sides may have
any Python and any torch. The standard library is all that is needed.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
from collections.abc import Mapping, Sequence
from typing import Any

VERSION = 1
MAX_BYTES = 1 << 16  # of one read
MAX_DESCRIPTORS = 4

Message = dict[str, Any]


class SilentError(Exception):
    """No message arrived within the time allowed."""


class Channel:
    """One end of a connection: sends and receives messages, and open files along with them."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self.descriptors: list[int] = []  # received with the messages so far

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message, and these open files with it.

        Raises:
            OSError: the other end is closed.
        """
        line = json.dumps(message).encode() + b"\n"
        if descriptors:
            sent = socket.send_fds(self._socket, [line], descriptors)
            line = line[sent:]
        self._socket.sendall(line)

    def fileno(self) -> int:
        """The connection's file descriptor, for :func:`select.select`."""
        return self._socket.fileno()

    def waiting(self) -> bool:
        """Whether a whole message has been read from the connection and not yet received."""
        return b"\n" in self._buffer

    def receive(self, seconds: float | None = None) -> Message | None:
        """The next message; None when the other end is closed.

        Raises:
            SilentError: no message arrived within ``seconds``.
        """
        while not self.waiting():
            if seconds is not None and not select.select([self._socket], [], [], seconds)[0]:
                raise SilentError
            try:
                data = self._receive()
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: Message = json.loads(line)
        return message

    def _receive(self) -> bytes:
        ancillary_bytes = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
        data, ancillary, _, _ = self._socket.recvmsg(MAX_BYTES, ancillary_bytes)
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
                for descriptor in received:
                    os.set_inheritable(descriptor, False)  # programs that this process runs must not keep it open
                self.descriptors += received
        return data

    def close(self) -> None:
        """Close this end; the other end then receives None."""
        self._socket.close()

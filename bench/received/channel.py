"""The messages between the controller and the two sides of a duet: JSON objects, one per line, over a socket.

The controller is the process that runs pytest. Messages have plain values only, so that the sides may have
any Python and any torch. The standard library is all that is needed. The controller holds what it receives against
:mod:`torchduet.bench.received.sides`.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from torchduet.bench.received.cleaned import GarbageError
from torchduet.bench.record.strict_json import dumps

VERSION = 1
MAX_BYTES = 1 << 16  # of one read
MAX_LINE = 1 << 24  # of a message
MAX_DESCRIPTORS = 4
LOOK_SECONDS = 2.0

Message = dict[str, Any]


class SilentError(Exception):
    """No message arrived within the time allowed."""


class Channel:
    """One end of a connection: sends and receives messages, and open files along with them.

    Args:
        takes_files: whether open files that the other end sends are kept.

    Attributes:
        descriptors: of the open files that were received with the messages so far.
    """

    def __init__(self, connection: socket.socket, *, takes_files: bool = False) -> None:
        self._socket, self._takes_files = connection, takes_files
        self._buffer, self._searched = bytearray(), 0  # bytes in which there is no end of a line
        self.descriptors: list[int] = []

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message, and these open files with it.

        Raises:
            OSError: the other end is closed.
        """
        line = dumps(message).encode() + b"\n"
        if descriptors:
            sent = socket.send_fds(self._socket, [line], descriptors)
            line = line[sent:]
        self._socket.sendall(line)

    def fileno(self) -> int:
        """The connection's file descriptor, for :func:`select.select`."""
        return self._socket.fileno()

    def waiting(self) -> bool:
        """Whether a whole message has been read from the connection and not yet received."""
        return self._end() >= 0

    def has_unread(self) -> bool:
        """Whether the other end has sent anything that was not received."""
        if self._buffer:
            return True
        with contextlib.suppress(OSError):
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        return False

    def receive(self, seconds: float | None = None) -> Message | None:
        """The next message; None when the other end is closed. For messages of a process that is trusted.

        Raises:
            SilentError: no message arrived within ``seconds``.
            GarbageError: what arrived is no message.
        """
        line = self.receive_line(seconds)
        try:
            message: Message | None = None if line is None else json.loads(line)
        except (ValueError, RecursionError) as error:
            raise GarbageError(str(error)) from None
        return message

    def receive_line(
        self, seconds: float | None = None, meanwhile: Callable[[], object] = lambda: None
    ) -> bytes | None:
        """The next message as it was sent; None when the other end is closed.

        Args:
            meanwhile: called now and then while nothing arrives.

        Raises:
            SilentError: no message arrived within ``seconds``.
            GarbageError: what arrived is longer than any message.
        """
        deadline = None if seconds is None else monotonic() + seconds
        while (end := self._end()) < 0:
            if len(self._buffer) > MAX_LINE:
                raise GarbageError(f"more than {MAX_LINE >> 20} MiB without the end of a line")
            if deadline is not None:
                left = max(0.0, deadline - monotonic())
                if not select.select([self._socket], [], [], min(left, LOOK_SECONDS))[0]:
                    if left <= LOOK_SECONDS:
                        raise SilentError
                    meanwhile()
                    continue
            try:
                data = self._receive()
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def _end(self) -> int:
        """Where the first line ends; −1 if none does."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
        return end

    def _receive(self) -> bytes:
        if not self._takes_files:
            return self._socket.recv(MAX_BYTES)  # the system closes any that come along
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

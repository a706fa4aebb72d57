"""What may lie in place of a file: a pipe that nobody writes, a socket, a device, a folder, a loop of links."""

from __future__ import annotations

import os
import socket
from pathlib import Path

NO_FILES = {"pipe": "a pipe", "socket": "a socket", "device": "a device"}


def put(kind: str, path: Path) -> None:
    """Put something of this kind at ``path``; a device is a link to one that gives zeros without end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        there = os.open(path.parent, os.O_RDONLY)
        try:
            socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{there}/{path.name}")  # a socket's path is short
        finally:
            os.close(there)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link loop":
        path.symlink_to(path.name)
    elif kind == "dangling link":
        path.symlink_to("nowhere/else.json")
    else:
        raise ValueError(kind)

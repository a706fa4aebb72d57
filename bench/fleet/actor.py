"""What runs in Ray on each node of a fleet: it starts the process that measures, and passes orders and replies on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torchduet.bench.fleet.child import Child
from torchduet.bench.fleet.messages import order_of

REPLY_SECONDS = 20.0  # that an actor waits for a reply before it answers that there is none
# Variables that Ray sets in an actor's process, which are not the machine's own.
SET_BY_RAY = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


class NodeActor:
    """Runs on a node: starts the process that measures, and passes orders and replies on.

    Args:
        has_files: whether this process's working folder is that of the suite files. They are copied: Ray replaces the
            folder when another of its nodes on the same machine gets it, too.
    """

    def __init__(self, has_files: bool) -> None:
        self._child = Child(environment_of_node(), files=working_folder() if has_files else None)

    def send(self, order: bytes) -> None:
        """Pass an order on."""
        self._child.send(order_of(order))

    def replies(self, first: int) -> tuple[int, list[bytes]]:
        """The replies from number ``first`` on; see :meth:`torchduet.bench.fleet.child.Child.replies`."""
        return self._child.replies(first, REPLY_SECONDS)

    def end(self) -> None:
        """End the process."""
        self._child.end()


def working_folder() -> Path:
    """The working folder's path, even while Ray replaces the folder, as it does for another of its nodes here."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.readlink("/proc/self/cwd").removesuffix(" (deleted)"))  # noqa: PTH115 - the text is needed


def environment_of_node(own: Mapping[str, str] | None = None, parent: Path | None = None) -> dict[str, str]:
    """This process's variables, but those that Ray has set as they are on the node.

    Args:
        own: the variables of this process.
        parent: file with those of the process of Ray that has started it.
    """
    variables = dict(os.environ if own is None else own)
    path = parent or Path(f"/proc/{os.getppid()}/environ")
    try:
        of_node = dict(part.split("=", 1) for part in os.fsdecode(path.read_bytes()).split("\0") if "=" in part)
    except OSError:  # another system: what Ray has set is not known from what the user has set
        of_node = {}
    for name in SET_BY_RAY:
        variables.pop(name, None)
        if name in of_node:
            variables[name] = of_node[name]
    return variables

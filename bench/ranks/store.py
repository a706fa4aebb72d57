"""The store by which processes that were started together exchange messages: PyTorch's TCPStore, with plain errors."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import torch.distributed as dist

from torchduet.bench.host.launch.variables import ADDRESS, PORT, Launched, LaunchError

VARIABLE = "TORCHDUET_STORE"  # tells workers where the store of the run is
CONNECT_SECONDS = 60.0  # until the process that hosts the store has started
ANSWER_SECONDS = 15.0  # for an answer of the store itself
RETRY_SECONDS = 0.2
LOG_LEVEL = "TORCH_CPP_LOG_LEVEL"  # else PyTorch prints a warning for each wait that ends without a message


class Store:
    """A connection to the store; every process has its own.

    Args:
        prefix: of every key.

    Each method raises ConnectionError where the store is gone.
    """

    def __init__(self, raw: Any, prefix: str) -> None:
        self.raw, self.prefix = raw, prefix
        raw.set_timeout(timedelta(seconds=ANSWER_SECONDS))

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}"

    def set(self, key: str, data: bytes) -> None:
        """Set a key."""
        self._asked("set", self._key(key), data)

    def get(self, key: str) -> bytes:
        """The value of a key that is there."""
        return bytes(self._asked("get", self._key(key)))

    def take(self, key: str) -> bytes:
        """The value of a key that is there; the key is deleted."""
        data = self.get(key)
        self.delete(key)
        return data

    def delete(self, key: str) -> None:
        """Delete a key, if it is there."""
        self._asked("delete_key", self._key(key))

    def add(self, key: str, number: int) -> int:
        """Add to a counter; returns what it is then."""
        return int(self._asked("add", self._key(key), number))

    def has(self, key: str) -> bool:
        """Whether a key is there."""
        return bool(self._asked("check", [self._key(key)]))

    def wait(self, keys: Sequence[str], seconds: float) -> bool:
        """Wait until all keys are there; whether they are, in time. The thread sleeps meanwhile."""
        limit = timedelta(seconds=max(seconds, 0.001))
        try:
            self.raw.wait([self._key(key) for key in keys], limit)
        except dist.DistStoreError:
            return False
        except RuntimeError as error:
            raise ConnectionError(_words(error)) from None
        return True

    def many(self, keys: Sequence[str]) -> list[bytes]:
        """The values of keys that are there."""
        return [bytes(data) for data in self._asked("multi_get", [self._key(key) for key in keys])]

    def delete_all(self, beginning: str) -> None:
        """Delete all keys that begin so, where this PyTorch can list keys."""
        if hasattr(self.raw, "list_keys"):
            for key in self._asked("list_keys"):
                if key.startswith(self._key(beginning)):
                    self._asked("delete_key", key)

    def _asked(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self.raw, method)(*arguments)
        except RuntimeError as error:
            raise ConnectionError(_words(error)) from None


def _words(error: Exception) -> str:
    first = str(error).split("\n", 1)[0]
    return f"the store of the processes that were started together is gone: {first}"


def prefix_of(launched: Launched) -> str:
    """The beginning of all keys of a run."""
    return f"torchduet/{launched.attempt}"


def opened(launched: Launched) -> Store:
    """The store of these processes; the one with rank 0 makes it where no agent of torchrun has.

    Raises:
        LaunchError: it cannot be made, or not be reached.
    """
    if not dist.is_available():
        raise LaunchError("this PyTorch was built without torch.distributed (USE_DISTRIBUTED=0): start one process")
    hosts = launched.rank == 0 and not launched.agent_hosts
    try:
        if hosts:
            raw = _joined(launched.address, launched.port, hosts=True)
        else:
            _await(launched.address, launched.port)
            raw = _joined(launched.address, launched.port, hosts=False)
    except (OSError, RuntimeError) as error:
        what = "make" if hosts else "reach"
        first = str(error).split("\n", 1)[0]
        raise LaunchError(
            f"{ADDRESS}={launched.address} {PORT}={launched.port}: cannot {what} the store there: {first}"
        ) from None
    return Store(raw, prefix_of(launched))


def _joined(address: str, port: int, *, hosts: bool) -> Any:
    kind: Any = getattr(dist, "TCPStore")  # noqa: B009 - not there in a build without torch.distributed
    return kind(address, port, is_master=hosts, wait_for_workers=False, timeout=timedelta(seconds=ANSWER_SECONDS))


def _await(address: str, port: int) -> None:
    """Wait until something listens there: PyTorch's own attempts print a stack for each that fails."""
    end = monotonic() + CONNECT_SECONDS
    while True:
        try:
            socket.create_connection((address, port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            if monotonic() > end:
                raise OSError(f"no answer within {CONNECT_SECONDS:.0f} s ({error})") from None
            sleep(RETRY_SECONDS)
        else:
            return


def described(launched: Launched) -> str:
    """Where the store is, for the environment of other processes of the run."""
    return json.dumps([launched.address, launched.port, prefix_of(launched)])


def again() -> Store:
    """Another connection to the run's store, in a process that was started with :data:`VARIABLE`.

    Raises:
        ConnectionError: it is gone.
    """
    address, port, prefix = json.loads(os.environ[VARIABLE])
    try:
        return Store(_joined(address, port, hosts=False), prefix)
    except RuntimeError as error:
        raise ConnectionError(_words(error)) from None

"""Whether the head of a cluster answers, found out without Ray.

Ray's own calls wait for a head that is gone, and after a minute Ray ends the process that has made them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic

from torchduet.bench.fleet.nodes import ClusterError

CONNECT_SECONDS = 5.0
GONE_SECONDS = 15.0  # that the head may not answer until the cluster counts as gone: well below Ray's minute


class Head:
    """The head of a cluster.

    Args:
        address: ``HOST:PORT``.
        now: seconds of a clock.

    Attributes:
        gone: whether it has not answered for so long that the cluster counts as gone.
    """

    def __init__(self, address: str, now: Callable[[], float] = monotonic) -> None:
        self._address, self._now = address, now
        self._silent_since: float | None = None
        self.gone = False

    def answers(self) -> bool:
        """Whether it answers now.

        Raises:
            ClusterError: it has not for some time.
        """
        try:
            _connect(self._address)
        except OSError as error:
            self._silent_since = self._now() if self._silent_since is None else self._silent_since
            if self._now() - self._silent_since < GONE_SECONDS:
                return False
            self.gone = True
            why = f"its head {self._address} does not answer ({error.strerror or error})"
            raise ClusterError(f"the cluster cannot be reached any more: {why}") from None
        self._silent_since = None
        return True


def check_address(address: str) -> None:
    """Check that something answers at the address of a cluster.

    Raises:
        ClusterError: it is no address, or nothing does.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ClusterError(f"--address {address}: use auto, or HOST:PORT of the cluster, such as 10.0.0.5:6379")
    try:
        _connect(address)
    except OSError as error:
        raise ClusterError(
            f"--address {address}: nothing answers there ({error.strerror or error}): start a cluster with "
            "ray start --head, or name its address"
        ) from None


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()

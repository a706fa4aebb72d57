"""The head of a cluster: one that does not answer for a moment is waited for, one that is gone ends the fleet."""

from __future__ import annotations

import socket

import pytest

from torchduet.bench.fleet.head import GONE_SECONDS, Head, check_address
from torchduet.bench.fleet.nodes import ClusterError


def test_a_head_that_is_gone_for_long_ends_the_fleet_and_one_that_comes_back_does_not() -> None:
    clock = [0.0]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        address = f"127.0.0.1:{port}"
        head = Head(address, lambda: clock[0])
        assert head.answers()
        check_address(address)
    assert not head.answers()
    clock[0] += GONE_SECONDS - 1
    assert not head.answers()
    with socket.create_server(("127.0.0.1", port), reuse_port=False):
        assert head.answers()
    clock[0] += GONE_SECONDS
    assert not head.answers(), "it was silent for a moment only"
    assert not head.gone
    clock[0] += GONE_SECONDS
    with pytest.raises(ClusterError, match=f"its head {address} does not answer"):
        head.answers()
    assert head.gone


@pytest.mark.parametrize("address", ["here", "here:", ":6379", "here:0", "here:65536", "here:abc"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match="use auto, or HOST:PORT of the cluster"):
        check_address(address)

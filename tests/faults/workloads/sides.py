"""Workloads that send the controller of a duet what no side should, on the side whose environment has SIDED."""

import json
import os
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from torchduet import Suite
from torchduet.bench.duet.worker import _serve
from torchduet.bench.received.channel import Channel

suite = Suite("sides", "What a side can send")
OTHER = bool(os.environ.get("SIDED"))


def channel(name: str = "channel") -> Channel:
    """This worker's end of the connection to the controller, or to its ``peer``."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not _serve.__code__:
        frame = frame.f_back
    assert frame is not None
    found: Channel = frame.f_locals[name]
    return found


def sends(*lines: bytes, to: str = "channel") -> Callable[[], None]:
    """Sends these lines once."""

    def fault() -> None:
        for line in lines:
            channel(to)._socket.sendall(line)

    return fault


def endless() -> None:
    while True:
        sends(b"x" * 2**20)()


def closes() -> None:
    os.close(channel().fileno())
    time.sleep(3600)


def prints() -> None:
    print('{"cases": [], "fatal": "printed"}', flush=True)
    os.write(2, b"\x1b[2J not for a terminal\n")


def message(**values: Any) -> bytes:
    return json.dumps(values).encode() + b"\n"


RESULT = {"error": None, "skip": None, "clock": "c", "check": None, "first_call": None, "compile": None, "notes": []}
FAULTS: dict[str, Callable[[], None]] = {  # in the first call
    "junk": sends(b"hello\n"),
    "escapes": sends(message(fatal="\x1b]0;title\x07 gone")),
    "missing_keys": sends(message(cases=[{}], seconds={})),
    "unchecked": sends(message(cases=[RESULT], seconds={})),
    "too_many": sends(message(cases=[RESULT, RESULT], seconds={})),
    "too_few": sends(message(cases=[], seconds={})),
    "endless": endless,
    "closes": closes,
    "prints": prints,
}
LATER: dict[str, Callable[[], None]] = {  # while the sides take their turns
    "nan": sends(message(blocks=[float("nan")], errors={}, left_out={})),
    "negative": sends(message(blocks=[-1.0], errors={}, left_out={})),
    "another_case": sends(message(blocks=[], errors={"7": "why"}, left_out={})),
    "few_blocks": sends(message(blocks=[], errors={}, left_out={})),
    "no_blocks": sends(message(errors={})),
    "twice": sends(message(lost=False, blocks=[], errors={}, left_out={}) * 2),
    "no_token": sends(b"token\n", to="peer"),
    "token_without_end": sends(message(token=[-5, 0, False, None, []]), to="peer"),
}


def in_a_turn() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "_advance":
        frame = frame.f_back
    return frame is not None


def add(name: str, fault: Callable[[], None], *, later: bool) -> None:
    done: list[bool] = []

    def faulty(x: torch.Tensor) -> torch.Tensor:
        if OTHER and x.dtype == torch.float32 and not done and (not later or in_a_turn()):
            done.append(True)
            fault()
        return x + 1

    faulty.__name__ = name
    faulty.__doc__ = name
    suite.workload(inputs=lambda device: (torch.ones(50_000, device=device),), modes=["eager"])(faulty)


for name, fault in FAULTS.items():
    add(name, fault, later=False)
for name, fault in LATER.items():
    add(name, fault, later=True)

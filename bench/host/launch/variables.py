"""Recognises that ``torchrun``, or a script that sets the same variables, has started this process as one of several.

The variables are those of PyTorch's ``env://`` initialisation and of ``torchrun`` (torch.distributed.run, "Environment
Variables"). This leaves the connection between the processes to :mod:`torchduet.bench.ranks`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

RANK, WORLD = "RANK", "WORLD_SIZE"
ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"
NEEDED = (RANK, WORLD, ADDRESS, PORT)
LOCAL_RANK, LOCAL_WORLD = "LOCAL_RANK", "LOCAL_WORLD_SIZE"
NODE = "GROUP_RANK"
AGENT_STORE = "TORCHELASTIC_USE_AGENT_STORE"
RUN_ID, ATTEMPT = "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"
THREADS = "OMP_NUM_THREADS"
WHAT_TO_DO = "start every process with torchrun, or unset RANK and WORLD_SIZE to measure on this machine alone"

# What a library would take for the order to form a process group, in a worker that measures one process.
OF_ONE_PROCESS = (
    *NEEDED,
    LOCAL_RANK,
    LOCAL_WORLD,
    NODE,
    AGENT_STORE,
    RUN_ID,
    ATTEMPT,
    "GROUP_WORLD_SIZE",
    "ROLE_NAME",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "TORCHELASTIC_MAX_RESTARTS",
    "TORCHELASTIC_ERROR_FILE",
)


class LaunchError(Exception):
    """The variables contradict each other, or the processes that they announce cannot be used; one line."""


@dataclass(frozen=True)
class Launched:
    """One of several processes that were started together.

    Attributes:
        rank: its number.
        world: how many there are.
        local_rank: its number on its machine; None: it is not given.
        node: number of its machine; empty: it is not given.
        address, port: of the store by which they find each other.
        agent_hosts: torchrun hosts the store; else the process with rank 0 does.
        torchrun: it has started them.
        attempt: how often torchrun has started them again.
    """

    rank: int
    world: int
    local_rank: int | None
    node: str
    address: str
    port: int
    agent_hosts: bool = False
    torchrun: bool = False
    attempt: int = 0


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """What the variables say; None where this process was started alone.

    ``RANK`` and ``WORLD_SIZE`` decide: addresses without them may be left by other tools.

    Raises:
        LaunchError: a variable is missing, or contradicts another.
    """
    if not (environment.get(RANK) or environment.get(WORLD)):
        return None
    missing = [name for name in NEEDED if not environment.get(name)]
    if missing:
        present = next(name for name in (RANK, WORLD) if environment.get(name))
        verb = "is" if len(missing) == 1 else "are"
        raise LaunchError(f"{present} is set, and {', '.join(missing)} {verb} not: {WHAT_TO_DO}")
    rank, world, port = (_number(environment, name) for name in (RANK, WORLD, PORT))
    local_rank, local_world = (
        _number(environment, name) if environment.get(name) else None for name in (LOCAL_RANK, LOCAL_WORLD)
    )
    for name, value, of, most in (
        (RANK, rank, WORLD, world),
        (LOCAL_RANK, local_rank, LOCAL_WORLD, local_world),
        (LOCAL_RANK, local_rank, WORLD, world),
        (LOCAL_WORLD, local_world, WORLD, world + 1),
    ):
        if value is not None and most is not None and value >= most:
            raise LaunchError(f"{name}={value} and {of}={environment[of]} contradict each other; {WHAT_TO_DO}")
    if not 1 <= port <= 65535:
        raise LaunchError(f"{PORT}={port}: use a port from 1 to 65535")
    return Launched(
        rank=rank,
        world=world,
        local_rank=local_rank,
        node=environment.get(NODE, "").strip(),
        address=environment[ADDRESS],
        port=port,
        agent_hosts=environment.get(AGENT_STORE) == str(True),
        torchrun=bool(environment.get(RUN_ID)),
        attempt=_number(environment, ATTEMPT) if environment.get(ATTEMPT) else 0,
    )


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name].strip()
    if not re.fullmatch(r"\d{1,9}", text):
        raise LaunchError(f"{name}={environment[name]}: use a whole number; {WHAT_TO_DO}")
    return int(text)


def set_by_torchrun(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The names of variables that must not reach a worker that measures one process.

    torchrun sets ``OMP_NUM_THREADS=1`` where a machine has several processes; ``--threads`` decides that here.
    """
    names = [name for name in OF_ONE_PROCESS if name in environment]
    if environment.get(RUN_ID) and environment.get(LOCAL_WORLD) != "1" and environment.get(THREADS) == "1":
        names.append(THREADS)
    return names

"""One rank: a process that joins a process group, prepares its cases, and does what the family's worker tells it."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import traceback
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Protocol

import msgspec
import torch

import torchduet
from torchduet.bench.host import suspension
from torchduet.bench.host.child_processes import end_with_parent, write_output_to
from torchduet.bench.host.error_words import one_line
from torchduet.bench.ranks import group
from torchduet.bench.ranks.messages import Did, Do, Order, decode, encode
from torchduet.bench.ranks.stages import RankStages
from torchduet.bench.state.at_start import begin
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.failures import describe
from torchduet.suites.registry import load
from torchduet.suites.workload import Unavailable

DUMP = getattr(signal, "SIGUSR2", None)  # writes the stack of a rank that does not answer
LINES = 8  # of a rank's output, in a reason


def write_stack(process: BaseProcess) -> None:
    """Let a rank's process write its stack to its output."""
    if DUMP is not None and process.pid is not None and process.is_alive():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, DUMP)


class Link(Protocol):
    """One end of the connection between a rank and the family's worker."""

    def send_bytes(self, data: bytes, /) -> None:
        """Send a message.

        Raises:
            OSError: the other end is closed.
        """

    def recv_bytes(self) -> bytes:
        """Wait for the next message.

        Raises:
            EOFError: the other end is closed.
        """


def versions() -> list[str]:
    """What has to be the same in all ranks: versions of Python, PyTorch and Torchduet."""
    return [f"Python {sys.version.split()[0]}", f"PyTorch {torch.__version__}", f"Torchduet {torchduet.__version__}"]


def serve(link: Link, order: Order, rank: int, log: str, *, local_rank: int | None = None, local: bool = True) -> None:
    """The whole life of a rank.

    Args:
        log: file for its output; empty: it keeps the process's own.
        local_rank: its number on its machine; None: all ranks are on this one.
        local: all ranks are on this machine.
    """
    end_with_parent()
    if log:
        write_output_to(log)
        faulthandler.enable(file=sys.stderr, all_threads=False)
    if DUMP is not None:
        faulthandler.register(DUMP, file=sys.stderr, all_threads=False)
    suspension.listen()
    number = 0
    try:
        with group.left_at_the_end():
            device = group.own_device(order.cases[0].device, rank if local_rank is None else local_rank)
            do = decode(link.recv_bytes(), Do)
            number = do.number
            begin(order.threads, order.folder, order.data)
            load(order.cases[0].source)
            joined = group.join(
                device, rank, order.ranks, store=order.store, prefix=order.prefix, timeout=order.timeout, local=local
            )
            link.send_bytes(encode(Did(number=number, result={"versions": versions(), "backend": joined.backend})))
            _obey(link, RankStages(on_device(order, device), rank, joined))
    except (EOFError, ConnectionError):
        pass  # the family's worker has ended
    except Exception as error:  # noqa: BLE001 - sent as the reason
        if not isinstance(error, OSError):  # which says enough
            traceback.print_exc()
        with contextlib.suppress(OSError):
            link.send_bytes(encode(Did(number=number, error=one_line(error))))


def on_device(order: Order, device: str) -> Order:
    """The order for a rank whose cases run on this device."""
    return msgspec.structs.replace(order, cases=[replace(case, device=device) for case in order.cases])


def _obey(link: Link, stages: RankStages) -> None:
    """Do what each message says, and answer it."""
    with contextlib.ExitStack() as prepared:
        timing = False
        while (do := decode(link.recv_bytes(), Do)).what != "end":
            if do.what != "prepare" and not timing:  # recompilation is forbidden from now on
                prepared.enter_context(undisturbed())
                timing = True
            try:
                did = getattr(stages, do.what)(do)
            except Unavailable as reason:
                did = Did(number=do.number, skip=str(reason))
            except Exception as error:  # noqa: BLE001 - becomes the reason of a case, or of the family
                traceback.print_exc()
                did = Did(number=do.number, error=describe(error, stages.order.cases[do.case].source))
            link.send_bytes(encode(did))
    link.send_bytes(encode(Did(number=do.number)))

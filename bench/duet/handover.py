"""One side's part in the turns of a placement: it takes its own blocks, and hands over to the other side.

Both sides get the same list of turns. The side that comes next holds the *token*: a message with all that its block
depends on. The other side waits for the token, asleep or stopped. No third process runs meanwhile.
"""

from __future__ import annotations

import select
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from time import monotonic

from torchduet.bench.duet import process_groups
from torchduet.bench.duet.cores import keep
from torchduet.bench.host.suspension import MAX_RETAKES
from torchduet.bench.received.channel import Channel, Message
from torchduet.bench.received.cleaned import GarbageError

TakeBlock = Callable[[int], Message]  # case → seconds, cpu, paused; or error

IS_WAITING = {"waiting": True}  # the answer to ``waiting``: this side holds no token


class LostError(Exception):
    """The other side has ended."""


@dataclass
class Token:
    """What the next block depends on.

    Attributes:
        block: its number: turn n has the blocks 2n, by the side that comes first in it, and 2n + 1.
        attempt: how often this turn was taken before.
        paused: whether a side was suspended during this turn.
        cpu: the core on which the first block of this placement ran; None before that, or if it is unknown.
        failed: the cases that have failed.
    """

    block: int = 0
    attempt: int = 0
    paused: bool = False
    cpu: int | None = None
    failed: tuple[int, ...] = ()

    def next_turn(self) -> None:
        """Go on to the next turn."""
        self.block, self.attempt, self.paused = 2 * (self.block // 2 + 1), 0, False


class Turns:
    """The turns of one placement, as one side takes part in them.

    Args:
        order: the controller's message: ``side`` is this one (0 or 1); ``peer`` the other side's process group;
            ``stops`` whether it is stopped while this one acts; ``turns`` a list of (case, side that comes first);
            ``timed`` the cases that have blocks of earlier placements; ``seconds`` after which only the others
            are timed; ``cores`` of which both sides use the one on which the first block runs, none: they use any.
        take_block: times a block here.
    """

    def __init__(self, order: Message, peer: Channel, controller: Channel, take_block: TakeBlock) -> None:
        self._side, self._group, self._stops = order["side"], order["peer"], order["stops"]
        self._turns: Sequence[tuple[int, int]] = order["turns"]
        self._timed, self._cores = set(order["timed"]), order["cores"]
        self._deadline = monotonic() + order["seconds"]
        self._peer, self._controller, self._take_block = peer, controller, take_block
        self._token, self._pinned = Token(), False
        self._blocks: list[float | None] = [None] * len(self._turns)
        self._errors: dict[str, str] = {}
        self._left_out: Counter[str] = Counter()

    def take(self) -> Message:
        """Take part until the last turn is over; returns this side's blocks by turn, errors and left out turns by case.

        If the other side has ended, the answer is ``lost``.
        """
        token, holds = self._token, self._is_next()
        try:
            while not self._is_over():
                if not holds:
                    self._receive()
                    holds = True
                    continue
                while self._is_next():
                    self._advance(token)
                self._hand_over()
                holds = False
        except LostError:
            return {"lost": True}
        except GarbageError as error:
            print(f"the other side sent something that is not a message ({error})", file=sys.stderr)
            return {"lost": True}
        finally:
            if self._pinned:
                keep(0, self._cores)
        return {"blocks": self._blocks, "errors": self._errors, "left_out": self._left_out}

    def _is_over(self) -> bool:
        return self._token.block >= 2 * len(self._turns)

    def _is_next(self) -> bool:
        """Whether this side takes the next block."""
        block = self._token.block
        return not self._is_over() and self._turns[block // 2][1] ^ (block % 2) == self._side

    def _advance(self, token: Token) -> None:
        """Take the next block, or leave its turn out."""
        number = token.block // 2
        case, _ = self._turns[number]
        begins = token.block % 2 == 0
        late = begins and case in self._timed and monotonic() > self._deadline  # other load slowed the machine
        if late or case in token.failed:
            token.next_turn()
            return
        if self._cores and token.cpu is not None and not self._pinned:
            keep(0, [token.cpu])  # both sides use the same core, so that other load disturbs both
            self._pinned = True
        answer = self._take_block(case)
        if "error" in answer:
            self._errors[str(case)] = answer["error"]
            token.failed += (case,)
            token.next_turn()
            return
        self._blocks[number] = answer["seconds"]
        self._timed.add(case)
        token.paused = token.paused or answer["paused"] > 0
        token.cpu = answer["cpu"] if token.cpu is None else token.cpu
        if begins:
            token.block += 1
            return
        self._left_out[str(case)] += token.paused
        if token.paused and token.attempt < MAX_RETAKES:
            token.block, token.attempt, token.paused = 2 * number, token.attempt + 1, False
        else:
            token.next_turn()

    def _hand_over(self) -> None:
        if self._stops:
            process_groups.resume(self._group)
        try:
            self._peer.send({"token": astuple(self._token)})
        except OSError:
            raise LostError from None

    def _receive(self) -> None:
        """Wait for the token; the controller may ask meanwhile whether this side waits."""
        while not self._peer.waiting():
            ready, _, _ = select.select([self._peer, self._controller], [], [])
            if self._controller in ready:
                if self._controller.receive() is None:
                    raise ConnectionError("the controller has ended")
                self._controller.send(IS_WAITING)
            if self._peer in ready:
                break
        self._take_over(self._peer.receive())
        if self._stops and not self._is_over():
            process_groups.stop(self._group)

    def _take_over(self, message: Message | None) -> None:
        """Go on from where the other side was.

        Raises:
            LostError: it has ended.
            GarbageError: it sent something other than a token that could follow.
        """
        if message is None:
            raise LostError
        values = message.get("token") if isinstance(message, dict) else None
        if not (isinstance(values, list) and len(values) == 5 and isinstance(values[4], list)):
            raise GarbageError("it is no token")
        block, attempt, paused, cpu, failed = values
        whole = [block, attempt, *failed, *([] if cpu is None else [cpu])]
        if not (all(type(number) is int and number >= 0 for number in whole) and type(paused) is bool):
            raise GarbageError("it is no token")
        token = self._token
        if not (token.block - 1 <= block <= 2 * len(self._turns) and attempt <= MAX_RETAKES):
            raise GarbageError(f"its token is of block {block}, after block {token.block}")
        token.block, token.attempt, token.paused, token.cpu, token.failed = block, attempt, paused, cpu, tuple(failed)

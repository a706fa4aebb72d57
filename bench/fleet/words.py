"""What a fleet says of itself: its progress in one line, why it waits, and errors of its cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from torchduet.bench.fleet.kinds import listed
from torchduet.bench.fleet.member import Member
from torchduet.bench.fleet.queue import Queue
from torchduet.bench.record.units import duration

MAX_SHOWN = 2  # machines whose own words are shown


class Telling:
    """Tells people how a fleet goes on: its progress, and once, in a line that remains, that no machine can measure.

    Args:
        say: writes a line to the terminal.
        show: draws the progress line.
    """

    def __init__(self, say: Callable[[str], None], show: Callable[[str], None]) -> None:
        self._say, self._show = say, show
        self._said = False

    def tell(
        self,
        members: Collection[Member],
        queue: Queue,
        waiting: Mapping[str, str],
        seconds_to_wait: float | None,
        nobody: str,
    ) -> None:
        """Tell it; see :func:`progress`."""
        if nobody and seconds_to_wait is not None and not self._said:
            self._said = True
            self._say(f"waiting for a machine, at most {duration(seconds_to_wait)} more (--wait): {nobody}")
        elif not nobody:
            self._said = False
        self._show(progress(members, queue, waiting, seconds_to_wait, nobody))


def progress(
    members: Collection[Member], queue: Queue, waiting: Mapping[str, str], seconds_to_wait: float | None, nobody: str
) -> str:
    """One line for all machines: ``[37/120 families] · 3 machines · 8 of 60 comparisons not precise · …``.

    Args:
        waiting: machines that cannot be used yet: host → why.
        seconds_to_wait: for how much longer a machine is waited for; None while there is one.
        nobody: why the cluster has no machine; empty if it has.
    """
    numbers = [queue.number(kind) for kind in queue.kinds()]
    measuring = [member for member in members if member.queued]
    parts = [f"[{sum(done for done, _ in numbers)}/{sum(of for _, of in numbers)} families]"] if numbers else []
    parts.append(f"{len(measuring)} machine{'' if len(measuring) == 1 else 's'}")
    if comparisons := sum(member.comparisons for member in measuring):
        parts.append(f"{sum(member.unclear for member in measuring)} of {comparisons} comparisons not precise")
    if seconds_to_wait is not None:
        number = sum(map(len, queue.unreached().values()))
        what = f"{number} families wait for a machine" if number else "waiting for machines"
        parts.append(f"{what}, at most {duration(seconds_to_wait)} more (--wait){f': {nobody}' if nobody else ''}")
    if waiting:
        parts.append(listed([f"{host} {why}" for host, why in waiting.items()], 3))
    shown = [member for member in members if member.showing and member.active and member.log is not None]
    return " · ".join(parts + [f"{member.host}: {member.showing}" for member in shown[:MAX_SHOWN]])


def no_machine(address: str) -> str:
    """Why a cluster without any machine to measure on is of no use, and what to do.

    Args:
        address: of its head, ``HOST:PORT``.
    """
    return f"the cluster has no machine with CPUs: ray start --address {address} on another machine"


def unattended(seconds: float, waiting: Mapping[str, str], nobody: str) -> str:
    """Why a fleet ends before it has begun.

    Args:
        seconds: for which a machine was waited for.
        waiting: machines that cannot be used yet: host → why.
        nobody: why the cluster has no machine; empty if it has.
    """
    why = "; ".join(f"{host} {why}" for host, why in waiting.items()) or nobody or "none is left that could"
    return f"no machine took part within {duration(seconds)} (--wait): {why}"


def first_line(error: BaseException) -> str:
    """The first line of an error of Ray, which can have a hundred."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "creation task" in lines[0]:  # the first line names the actor, the last one the cause
        lines = lines[-1:]
    return lines[0][:300].rstrip(".") if lines else type(error).__name__

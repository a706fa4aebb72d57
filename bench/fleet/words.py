"""The progress of a fleet in one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torchduet.bench.fleet.kinds import listed
from torchduet.bench.fleet.member import Member
from torchduet.bench.fleet.queue import Queue
from torchduet.bench.record.units import duration

MAX_SHOWN = 2  # machines whose own words are shown


def progress(
    members: Collection[Member], queue: Queue, waiting: Mapping[str, str], seconds_to_wait: float | None
) -> str:
    """One line for all machines: ``[37/120 families] · 3 machines · 8 of 60 comparisons not precise · …``.

    Args:
        waiting: machines that cannot be used yet: host → why.
        seconds_to_wait: for how much longer a machine is waited for; None while there is one.
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
        parts.append(f"{what}, at most {duration(seconds_to_wait)} more (--wait)")
    if waiting:
        parts.append(listed([f"{host} {why}" for host, why in waiting.items()], 3))
    shown = [member for member in members if member.showing and member.active and member.log is not None]
    return " · ".join(parts + [f"{member.host}: {member.showing}" for member in shown[:MAX_SHOWN]])


def nobody(seconds: float, waiting: Mapping[str, str]) -> str:
    """Why a fleet ends before it has begun.

    Args:
        seconds: for which a machine was waited for.
        waiting: machines that cannot be used yet: host → why.
    """
    why = "; ".join(f"{host} {why}" for host, why in waiting.items()) or "the cluster has no machine with CPUs"
    return f"no machine took part within {duration(seconds)} (--wait): {why}"

"""The checked-in list of workloads, ``workloads.txt``: no workload may vanish unnoticed.

``python -m tests.suites.workloads``, from the repository's root, writes it anew from the suites.
"""

from collections.abc import Iterator
from pathlib import Path

from torchduet.suites.registry import load, names
from torchduet.suites.workload import TIERS, Axis, Implementation, Workload

LIST = Path(__file__).with_suffix(".txt")


def lines() -> Iterator[str]:
    """The list as the suites have it: each workload, its implementations, and from which tier on it runs with what."""
    for suite in names():
        for workload in load(suite)[0].workloads.values():
            yield from described(workload)


def described(workload: Workload) -> Iterator[str]:
    """The lines of one workload."""
    implementations = (f"{name}{limits(one)}" for name, one in workload.implementations.items())
    yield f"{workload.suite}.{workload.name}: {', '.join(implementations)}"
    for axis, values in workload.axes.items():
        yield f"  {axis}: {by_tier(values)}"
    yield f"  modes: {by_tier(workload.modes)}"
    yield f"  precisions: {by_tier(workload.precisions)}"
    yield f"  devices: {', '.join(workload.devices)}"
    if workload.workers:
        yield f"  workers: {by_tier(workload.workers)}"
    if workload.ranks:
        yield f"  ranks: {by_tier(workload.ranks)}"
    for knob, settings in workload.knobs.items():
        yield f"  {knob}: {by_tier(settings)}"


def limits(one: Implementation) -> str:
    """The variants that an implementation is restricted to, and its role among ranks, in parentheses."""
    limited = [value for values in (one.modes, one.precisions, one.devices) for value in values or ()]
    limited += [role for role in ("alone", "part") if getattr(one, role)]
    return f" ({', '.join(limited)})" if limited else ""


def by_tier(axis: Axis) -> str:
    """``"quick 100; default 1000"``, and ``"; on cuda: quick 4096"``."""
    values = ((tier, getattr(axis, tier)) for tier in TIERS)
    on = (f"on {kind}: {by_tier(own)}" for kind, own in axis.on.items())
    return "; ".join([*(f"{tier} {', '.join(map(str, here))}" for tier, here in values if here), *on])


if __name__ == "__main__":
    LIST.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")

"""Checks what a workload says of its processes: their numbers, and the functions that divide its inputs."""

from __future__ import annotations

from torchduet.suites.workload import SuiteError, Workload

NEEDS_RANKS = "ranks=[1, 2, …] declares the numbers of processes"


def check_ranks(workload: Workload, where: str) -> None:
    """Refuse declarations that do not fit together.

    Raises:
        SuiteError: names the keyword.
    """
    for name, implementation in workload.implementations.items():
        for flag, value in (("alone", implementation.alone), ("part", implementation.part)):
            if not isinstance(value, bool):
                raise SuiteError(f"{where}: Implementation {name!r} has {flag}={value!r:.40}; give True or False")
        if implementation.alone and implementation.part:
            raise SuiteError(f"{where}: Implementation {name!r} is both alone=True and part=True; choose one")
    if workload.ranks is None:
        _refuse_without_ranks(workload, where)
        return
    counts = workload.ranks.everywhere()
    for count in counts:
        if type(count) is not int or count < 1:
            raise SuiteError(f"{where}: ranks has {count!r}; use whole numbers from 1")
    if "ranks" in workload.axes or "rank" in workload.axes:
        raise SuiteError(f"{where}: an axis has the name of a parameter of ranks=; rename it")
    first, *others = workload.implementations
    in_groups = [name for name in workload.implementations if workload.in_ranks(name)]
    if not in_groups:
        raise SuiteError(f"{where}: every implementation is alone=True; leave ranks= out")
    for name in others:
        if workload.implementations[name].alone and not workload.implementations[first].alone:
            raise SuiteError(f"{where}: {name!r} is alone=True; list it first, as the others are compared with it")
    if workload.implementations[first].alone and 1 not in counts:
        raise SuiteError(f"{where}: {first!r} is alone=True, and ranks= lacks 1, with which it is compared")
    if workload.joint is None and not workload.implementations[first].alone:
        raise SuiteError(
            f"{where}: nothing says what a rank's result must be: make the first implementation alone=True, or "
            "give joint=, which computes it in one process"
        )
    if workload.captured or workload.fresh:
        raise SuiteError(f"{where}: ranks= cannot be combined with fresh=True")


def _refuse_without_ranks(workload: Workload, where: str) -> None:
    for keyword in ("shard", "joint"):
        if getattr(workload, keyword) is not None:
            raise SuiteError(f"{where}: {keyword}= is given without ranks=; {NEEDS_RANKS}")
    for name, implementation in workload.implementations.items():
        if implementation.alone or implementation.part:
            which = "alone" if implementation.alone else "part"
            raise SuiteError(f"{where}: Implementation {name!r} has {which}=True without ranks=; {NEEDS_RANKS}")

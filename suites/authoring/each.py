"""Checks ``each=``: the argument whose items a workload visits one by one."""

from __future__ import annotations

from torchduet.suites.authoring.signatures import parameters_of
from torchduet.suites.workload import SuiteError, Workload


def check_each(workload: Workload, where: str) -> None:
    """Refuse an ``each=`` that names no argument, or that cannot be combined with the other details.

    Raises:
        SuiteError: names the workload, and says what to do.
    """
    if not workload.each:
        return
    if workload.ranks is not None:
        raise SuiteError(f"{where}: each= cannot be combined with ranks=; give each size as an axis")
    places = set()
    for name, implementation in workload.implementations.items():
        if implementation.setup:
            raise SuiteError(f"{where}: each= cannot be combined with setup=True, as {name!r} has it")
        parameters = [parameter.name for parameter in parameters_of(implementation.function) or ()]
        if workload.each not in parameters:
            raise SuiteError(
                f"{where}: each= names {workload.each!r}, which is no argument of {name!r}; "
                f"its arguments are {', '.join(parameters) or 'unknown'}"
            )
        places.add(parameters.index(workload.each))
    if len(places) > 1:
        raise SuiteError(f"{where}: each= needs {workload.each!r} at the same position in every implementation")

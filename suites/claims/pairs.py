"""The pairs of cases that most claims compare."""

from __future__ import annotations

from collections.abc import Iterable

from torchduet.suites.claim import Comparison, Setting


def implementations(
    suite: str, workload: str, case: str, *baselines: str, **settings: Setting
) -> tuple[Comparison, ...]:
    """One implementation against each of the others, under the same settings."""
    return tuple(
        Comparison(suite, workload, {"implementation": case, **settings}, {"implementation": baseline, **settings})
        for baseline in baselines
    )


def compiled(suite: str, workloads: Iterable[str], mode: str, **settings: Setting) -> tuple[Comparison, ...]:
    """A compiled mode against eager."""
    return tuple(
        Comparison(suite, workload, {"mode": mode, **settings}, {"mode": "eager", **settings}) for workload in workloads
    )

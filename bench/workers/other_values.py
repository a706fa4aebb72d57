"""Holds implementations against each other with other values of their inputs, which may show what these hide.

The weights of a fresh module are ones, a mask has no zeros: a function that leaves the weights out returns the right
result for such inputs. What is found is a note and no error: other values may not be valid inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.host.error_words import one_line
from torchduet.bench.inputs.graph import walk
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.state.own_state import restored
from torchduet.bench.timing.checking.changed import change_values
from torchduet.bench.timing.checking.results import Results, observed
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import Workload

SEED = 11
MIN_ERROR, TIMES_ALLOWED = 0.01, 30.0  # relative errors that are named: well beyond what rounding explains


def note_differences(
    workload: Workload, runs: Sequence[TimedCase], placements: Placements, results: Sequence[CaseResult]
) -> None:
    """Add a note to each case whose result differs from that of the first implementation for other values.

    All numbers of the inputs are multiplied by one factor, which keeps what is sorted, symmetric or definite.

    Args:
        runs: cases on one device; those in eager mode and fp32 are looked at.
        results: those of the same cases.
    """
    if not (workload.check and workload.deterministic) or workload.fresh or len(workload.implementations) < 2:
        return
    plain = {
        run.prepared.case.implementation: (run, result)
        for run, result in zip(runs, results, strict=True)
        if run.error is None and _is_plain(workload, run.prepared.case) and not _has_loader(run)
    }
    first = next(iter(workload.implementations))
    if first not in plain:
        return
    expected = _with_other_values(workload, plain[first][0], placements)
    for name, (run, result) in plain.items():
        if name != first and expected:
            error = _worst(_with_other_values(workload, run, placements), expected)
            allowed = (result.check["tolerance"] if result.check else None) or 0.0
            if error > max(MIN_ERROR, TIMES_ALLOWED * allowed):
                result.notes.append(
                    f"with other values of the inputs its result differs from that of {first} (relative error "
                    f"{error:.2g}): these inputs, such as weights of ones, may hide a mistake"
                )


def _is_plain(workload: Workload, case: Case) -> bool:
    """Whether it is timed as it is written, and holds no values of its own, as what a setup has made may do."""
    as_written = case.mode == "eager" and case.precision == "fp32" and not case.other_settings
    return as_written and case.original == case and not workload.implementations[case.implementation].setup


def _has_loader(run: TimedCase) -> bool:
    """Whether processes of a loader may hold copies of the data."""
    return any(isinstance(value, DataLoader) for value in walk(*run.prepared.inputs))


def _with_other_values(workload: Workload, run: TimedCase, placements: Placements) -> Results:
    """A case's result with changed inputs, which are restored; empty where it raises."""
    placements.restore()
    try:
        change_values(run.prepared.inputs, SEED, common=True, numbers=False, left=placements.made_by_calls)
        with restored(), run.unmetered(), run.in_its_state():
            value = run.prepared.call(*run.prepared.args)
            run.clock.synchronize()
            return observed(workload, run.prepared.inputs, value)
    except Exception as error:  # noqa: BLE001 - such values are not its inputs
        print(f"{run.prepared.case.id}: with other values it raised {one_line(error)}")
        return {}
    finally:
        placements.restore()


def _worst(own: Results, expected: Results) -> float:
    """The greatest relative error (Frobenius) over the floating-point tensors that both have; 0 without any."""
    worst = 0.0
    for path, part in own.items():
        other = expected.get(path)
        one, two = part.value, None if other is None else other.value
        if not isinstance(one, torch.Tensor) or not isinstance(two, torch.Tensor):
            continue
        if one.shape != two.shape or not one.is_floating_point() or not two.is_floating_point():
            continue
        one, two = one.detach().to("cpu", torch.float64), two.detach().to("cpu", torch.float64)
        scale = float(torch.linalg.vector_norm(two))
        error = float(torch.linalg.vector_norm(one - two))
        if scale > 0 and error == error:
            worst = max(worst, error / scale)
    return worst

"""The profiles of a duet: after all timing, cases are called again under torch.profiler, first on A, then on B."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import SEED
from torchduet.bench.duet.pairs import Failure, Ledger, PairError, prepare, turn_of
from torchduet.bench.duet.processes import SideError
from torchduet.bench.duet.stages import Duet
from torchduet.bench.record.schema import ProfileRecord, Record
from torchduet.bench.run.profile_selection import Profiling, no_match, selected
from torchduet.suites.workload import COMPILED

SIDES = ("-A", "-B")  # at the end of a trace's folder

Both = list[ProfileRecord]  # of A, of B


def profile_both(
    duet: Duet,
    profiling: Profiling,
    families: Sequence[Family],
    records: Mapping[Case, Record],
    words: Callable[[Failure], str],
    show: Callable[[str], None],
) -> tuple[dict[Case, Both], list[str]]:
    """Profile what was chosen: both sides' profiles, and warnings about what could not be."""
    parts = selected(profiling.what, families, records)
    profiles: dict[Case, Both] = {}
    warnings = [] if parts else [no_match(profiling.what)]
    for family, own, place in parts:
        show(f"{place} {family.name}, both sides")
        found, failures = _family(duet, profiling, own)
        profiles |= {case: list(map(profiling.named, both)) for case, both in found.items()}
        warnings += [f"{case.id} has no profile: {words(failure)}" for case, failure in failures.items()]
    return profiles, warnings


def _family(duet: Duet, profiling: Profiling, cases: Sequence[Case]) -> tuple[dict[Case, Both], dict[Case, Failure]]:
    ledger = Ledger(tuple(cases))
    found: dict[Case, Both] = {}
    try:
        with duet.to_profile(cases, compiler=any(case.mode in COMPILED for case in cases)) as (pair, orders):
            prepare(pair, orders, ledger, random.Random(SEED), first=False)
            for case in ledger.live():
                both = []
                for side, suffix in enumerate(SIDES):
                    folder = profiling.folder_of(case, suffix)
                    message = {"do": "profile", "case": cases.index(case), "folder": folder}
                    answer = turn_of(pair, side, {**message, "extras": asdict(profiling.extras)})
                    if "error" in answer:
                        ledger.fail(case, Failure(side, answer["error"]))
                        break
                    both.append(answer["profile"])
                else:
                    found[case] = both
    except PairError as error:
        for case in (one for one in ledger.live() if one not in found):
            ledger.fail(case, Failure(error.side, f"the worker {error}"))
    except SideError as error:
        for case in (one for one in ledger.live() if one not in found):
            ledger.fail(case, Failure(None, str(error)))
    return found, ledger.failures

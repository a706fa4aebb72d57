"""Profiles of a duet: after all timing, cases are called again under torch.profiler, first on A, then on B."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import SEED
from torchduet.bench.duet.duet import Duet
from torchduet.bench.duet.pairs import Failure, Ledger, PairError, prepare, turn_of
from torchduet.bench.duet.processes import SideError
from torchduet.bench.received.sides import Profile
from torchduet.bench.record.schema import ProfileRecord, Record
from torchduet.bench.run.profile_selection import Profiling, no_match, selected
from torchduet.suites.workload import COMPILED

SIDES = ("-A", "-B")  # at the end of a trace's folder

SideProfiles = list[ProfileRecord]  # of A, of B


def profile_both(
    duet: Duet,
    profiling: Profiling,
    families: Sequence[Family],
    records: Mapping[Case, Record],
    words: Callable[[Failure], str],
    show: Callable[[str], None],
) -> tuple[dict[Case, SideProfiles], list[str]]:
    """Profile the selected cases; returns the profiles of both sides, and warnings about cases without one."""
    parts = selected(profiling.what, families, records)
    profiles: dict[Case, SideProfiles] = {}
    warnings = [] if parts else [no_match(profiling.what)]
    for family, cases, position in parts:
        show(f"{position} {family.name}, both sides")
        measured, failures = _family(duet, profiling, cases)
        profiles |= {case: list(map(profiling.named, sides)) for case, sides in measured.items()}
        warnings += [f"{case.id} has no profile: {words(failure)}" for case, failure in failures.items()]
    return profiles, warnings


def _family(
    duet: Duet, profiling: Profiling, cases: Sequence[Case]
) -> tuple[dict[Case, SideProfiles], dict[Case, Failure]]:
    ledger = Ledger(tuple(cases))
    profiles: dict[Case, SideProfiles] = {}
    try:
        with duet.to_profile(cases, compiler=any(case.mode in COMPILED for case in cases)) as (pair, orders):
            prepare(pair, orders, ledger, random.Random(SEED), first=False)
            for case in ledger.live():
                sides = []
                for side, suffix in enumerate(SIDES):
                    folder = profiling.folder_of(case, suffix)
                    message = {"do": "profile", "case": cases.index(case), "folder": folder}
                    answer = turn_of(pair, side, {**message, "extras": asdict(profiling.extras)}, Profile)
                    if "profile" not in answer:
                        ledger.fail(case, Failure(side, answer.get("error", "it sent no profile")))
                        break
                    sides.append(answer["profile"])
                else:
                    profiles[case] = sides
    except PairError as error:
        for case in (case for case in ledger.live() if case not in profiles):
            ledger.fail(case, Failure(error.side, f"the worker {error}"))
    except SideError as error:
        for case in (case for case in ledger.live() if case not in profiles):
            ledger.fail(case, Failure(None, str(error)))
    return profiles, ledger.failures

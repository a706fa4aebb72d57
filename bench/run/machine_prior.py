"""Keeps how much visits differed in the last runs on this machine, for runs of a few families.

Every run of enough families adds its priors to a file in the user's cache folder, beside the figures of ``--aa``. A
later run on the same machine, with the same PyTorch and number of threads, gets one prior combined of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, get_args

import msgspec

from torchduet.bench.files.regular import read_text
from torchduet.bench.host.atomic_files import write_json
from torchduet.bench.host.cache_folder import cache_folder
from torchduet.bench.record.distributions.polygamma import digamma, trigamma, trigamma_inverse
from torchduet.bench.record.moderation import Prior, Visits, fit
from torchduet.bench.record.schema import PriorRecord, Record
from torchduet.bench.record.schema.bounds import MIN
from torchduet.bench.record.schema.words import PriorOf
from torchduet.bench.record.visits.intervals import comparisons_of, prior_record
from torchduet.bench.run.machine_figures import SAME

FILE = "machine_priors.json"
ORDER: tuple[PriorOf, ...] = get_args(PriorOf)
MIN_FAMILIES, MIN_VISITS = 10, 3  # of a run whose priors are kept
MAX_RUNS = 10  # kept for one machine, PyTorch and number of threads
BETWEEN_RUNS = math.log(2) ** 2  # variance of log(s0²) from run to run, assumed as if one more run had shown it
LEAST_DEVIATION = 1e-4  # a run without any deviation between visits counts as one with this


class RunPriors(TypedDict):
    """The priors of one run, with what identifies its machine."""

    measured: str
    cpu: str | None
    cores: int | None
    torch: str | None
    gpu: str | None
    threads: int
    priors: list[PriorRecord]


def kept(of: PriorOf, comparisons: Sequence[tuple[str, Visits]]) -> PriorRecord | None:
    """What later runs learn from these comparisons: None with fewer than ten families with three visits."""
    enough = [(family, visits) for family, visits in comparisons if len(visits.values) >= MIN_VISITS]
    prior = fit(enough) if len({family for family, _ in enough}) >= MIN_FAMILIES else None
    return None if prior is None else prior_record(of, prior)


def save(
    priors: Sequence[PriorRecord],
    *,
    measured: str,
    machine: Mapping[str, Any],
    threads: int,
    folder: Path | None = None,
) -> Path | None:
    """Add a run's priors to those of earlier runs, completely or not at all; returns the file, None without priors.

    Raises:
        OSError: it cannot be written.
    """
    if not priors:
        return None
    folder = folder or cache_folder()
    path = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    facts = {name: machine.get(name) for name in SAME}
    run = RunPriors(measured=measured, threads=threads, priors=list(priors), **facts)  # type: ignore[typeddict-item]
    try:
        earlier = _read(path)
    except (ValueError, RecursionError):
        earlier = []  # a damaged file is replaced
    same = [entry for entry in earlier if _same(entry, machine, threads)][: MAX_RUNS - 1]
    write_json([run, *same, *(entry for entry in earlier if not _same(entry, machine, threads))], path)
    return path


def machine_prior(of: PriorOf, machine: Mapping[str, Any], threads: int, folder: Path | None = None) -> Prior | None:
    """What the last runs on this machine taught, with this PyTorch and number of threads; None without any.

    Raises:
        ValueError: the file cannot be read; the message names it.
    """
    path = (folder or cache_folder()) / FILE
    try:
        runs = [entry for entry in _read(path) if _same(entry, machine, threads)]
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}; remove it: later runs write it again") from None
    return combined([prior for run in runs for prior in run["priors"] if prior["of"] == of])


def combined(priors: Sequence[PriorRecord]) -> Prior | None:
    """One prior for another run, from those of several: the moments of log variances, as they add up.

    The log of a family's variance has the mean log(s0²·d0/2) − ψ(d0/2) and the variance ψ′(d0/2) within a run, and s0²
    differs from run to run: by as much as it did, with ``BETWEEN_RUNS`` counted as one more run, since a single run
    does not show it. Each run weighs the same.
    """
    if not priors:
        return None
    halves = [math.inf if prior["degrees"] is None else prior["degrees"] / 2 for prior in priors]
    scales = [2 * math.log(max(prior["deviation"], LEAST_DEVIATION)) for prior in priors]
    middles = [scale + _bias(half) for scale, half in zip(scales, halves, strict=True)]
    middle, number = math.fsum(middles) / len(middles), len(priors)
    between = (math.fsum((value - middle) ** 2 for value in middles) + BETWEEN_RUNS) / number
    within = math.fsum(0.0 if math.isinf(half) else trigamma(half) for half in halves) / number
    half = trigamma_inverse(within + between)
    deviation = math.exp((middle - _bias(half)) / 2)
    return Prior(deviation, 2 * half, max(prior["families"] for prior in priors), "machine")


def _bias(half_degrees: float) -> float:
    """The mean log variance of families, less log(s0²)."""
    return 0.0 if math.isinf(half_degrees) else math.log(half_degrees) - digamma(half_degrees)


def _same(run: RunPriors, machine: Mapping[str, Any], threads: int) -> bool:
    return run["threads"] == threads and all(run.get(name) == machine.get(name) for name in SAME)


def _read(path: Path) -> list[RunPriors]:
    """The runs in the file, the latest first; none without a file.

    Raises:
        ValueError: it is not a file that this module writes.
    """
    try:
        runs = msgspec.convert(json.loads(read_text(path)), list[RunPriors])
    except (FileNotFoundError, NotADirectoryError):
        return []
    except msgspec.ValidationError as error:
        raise ValueError(f"not a list of priors: {error}") from None
    for prior in (prior for run in runs for prior in run["priors"]):
        degrees = 1.0 if prior["degrees"] is None else prior["degrees"]
        if not 0 <= prior["deviation"] < 1 / MIN or not MIN < degrees < 1 / MIN:
            raise ValueError(f"a prior with the deviation {prior['deviation']} and {prior['degrees']} degrees")
    return runs


def machine_priors(machine: Mapping[str, Any], threads: int, warnings: list[str]) -> dict[PriorOf, Prior]:
    """All priors that earlier runs left; adds a warning if they cannot be read."""
    found: dict[PriorOf, Prior] = {}
    try:
        for of in ORDER:
            if (prior := machine_prior(of, machine, threads)) is not None:
                found[of] = prior
    except ValueError as error:
        warnings.append(str(error))
    return found


def save_run(
    records: Iterable[Record], *, measured: str, machine: Mapping[str, Any], threads: int, warnings: list[str]
) -> None:
    """Keep what a finished run taught; adds a warning if that cannot be written."""
    visited = [record for record in records if "visits" in record["timing"]]
    found = [prior for of, named in comparisons_of(visited).items() if (prior := kept(of, named)) is not None]
    try:
        save(found, measured=measured, machine=machine, threads=threads)
    except OSError as error:
        warnings.append(f"what this run taught of the machine is not kept for later runs: {error}")

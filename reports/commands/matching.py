"""Chooses which machines of merged files are compared: the one that the base and a new run have in common."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.read.pytest_benchmark import load_all_of_any
from torchduet.reports.read.run_file import Run, RunFileError
from torchduet.reports.read.several import chosen, in_words, machine_of


class NoCommonMachine(Exception):
    """Files of several machines of which it is not clear which are to be compared; the message is one line."""


def matched(paths: Sequence[str], machine: str | None) -> tuple[list[Run], list[str]]:
    """The run of each file that is compared, and a note on each machine that is not.

    Args:
        paths: the base first.
        machine: the key or a part of the name of the one that is meant, in files of several.

    Raises:
        RunFileError: a file cannot be used; the message is one line.
        NoCommonMachine: the base has no machine, or several, in common with another file that holds several.
    """
    files = [load_all_of_any(path) for path in paths]
    if machine is None:
        machine = _common(paths, files)
    if machine is None:
        return [runs[0] for runs in files], []
    found, notes = list[Run](), list[str]()
    for path, runs in zip(paths, files, strict=True):
        if len(runs) == 1:
            found.append(runs[0])
            continue
        try:
            found.append(chosen(runs, machine))
        except ContractError as error:
            raise RunFileError(f"{path}: {error}") from None
        others = [run for run in runs if run is not found[-1]]
        more = "1 more machine" if len(others) == 1 else f"{len(others)} more machines"
        notes.append(
            f"{path}: holds {more}, which {'is' if len(others) == 1 else 'are'} not compared: {in_words(others)}"
        )
    return found, notes


def _common(paths: Sequence[str], files: Sequence[Sequence[Run]]) -> str | None:
    """The key of the one machine that all files have; None if each has one only, whichever that is."""
    several = [at for at, runs in enumerate(files) if len(runs) > 1]
    if not several:
        return None
    keys = [[machine_of(run).key for run in runs] for runs in files]
    common = [key for key in keys[0] if all(key in others for others in keys)]
    if len(common) == 1:
        return common[0]
    path, runs = paths[several[0]], files[several[0]]
    if common:
        which = in_words([run for run in files[0] if machine_of(run).key in common])
        raise NoCommonMachine(
            f"{path}: {len(common)} machines are in all files; choose one with --machine KEY: {which}"
        )
    raise NoCommonMachine(
        f"{path}: holds {len(runs)} machines, none of which is in all files; times of different machines are compared "
        f"only if you name one of them with --machine KEY: {in_words(runs)}"
    )

"""Writes what a fleet has measured: a run file for each machine, and the one that holds all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from torchduet.bench.files.atomic import write_atomically
from torchduet.bench.files.places import write_elsewhere
from torchduet.bench.fleet.journal import FleetJournal, Log
from torchduet.bench.fleet.kinds import name_of
from torchduet.bench.fleet.result import Result
from torchduet.bench.host.atomic_files import encoded
from torchduet.bench.library.run_file import document
from torchduet.bench.record.contract import readable_run
from torchduet.bench.record.journal_events import RunLog
from torchduet.bench.record.schema import KEY, Record

MACHINES, MERGED, PAGE = "machines", "merged.json", "report.html"
JOURNAL = "fleet.journal"


class Results:
    """The files of a fleet, in its folder.

    Args:
        run_of: makes the file of a run of its log, for machines that are gone.
        commit: of the folder in which the fleet was started: that of each machine has none.

    Attributes:
        problems: why files could not be written, and where they are instead.
        failed: how many cases have failed.
    """

    def __init__(self, folder: Path, run_of: Callable[[RunLog], dict[str, Any]], commit: Mapping[str, Any]) -> None:
        self.folder, self._run_of, self._commit = folder, run_of, dict(commit)
        self._paths: dict[int, Path] = {}
        self._held: dict[int, dict[str, Any]] = {}  # that the disk did not take
        self.problems: list[str] = []
        self.failed = 0

    def keep(self, log: Log, run: dict[str, Any]) -> None:
        """Write the file of a machine; where that fails it stays in memory until the end."""
        run["commit_info"] = self._commit
        path = self._path(log)
        try:
            path.parent.mkdir(exist_ok=True)
            write_atomically(encoded(run), path)
        except OSError:
            self._held[log.number] = run

    def finish(
        self,
        journal: FleetJournal,
        result: Result,
        each: str,
        merge: Callable[[Sequence[Path], Path], None],
    ) -> Path | None:
        """Write the files of machines that are gone, and the merged one; returns its path, None if there is none.

        Args:
            merge: makes one file of several.

        Raises:
            JournalError: the log of a machine cannot be read.
            MergeError: the files cannot be merged; each of them is written.
        """
        for log in journal.logs.values():
            if log.number not in self._paths and (gone := self._of_log(journal, log)) is not None:
                self.keep(log, gone)
        kinds_of = {number: name_of(journal.logs[number].planned, each) for number in self._paths}
        written: list[Path] = []
        for number, path in self._paths.items():
            held = self._held.pop(number, None)
            run = held or _read(path)  # one at a time: those of many machines need not fit into memory
            kind = kinds_of[number]
            first = next(other for other, of in kinds_of.items() if of == kind)
            changed = _complete(run, result, kind, is_first=number == first)
            where = self._write(encoded(run), path) if changed or held else path
            written += [where] if where is not None else []
            self.failed += len(run[KEY]["failed"])
        target = self.folder / MERGED
        if len(written) < 2:
            return self._write(written[0].read_bytes(), target) if written else None
        merge(written, target)
        return target

    def _of_log(self, journal: FleetJournal, log: Log) -> dict[str, Any] | None:
        """The file of a machine that is gone, from its entries; None if it has measured nothing."""
        run_log = journal.run_log(log)
        if run_log is None or not run_log.finished():
            return None
        made = self._run_of(run_log)
        records = [cast(Record, benchmark["extra_info"][KEY]) for benchmark in made["benchmarks"]]
        run, lines = readable_run({**made[KEY], "stopped": "the machine was lost"})
        run["warnings"] = [line for line in run["warnings"] if "--resume continues it" not in line] + lines
        own = document(records, run, datetime.now(UTC))
        own["machine_info"] = {**own["machine_info"], "node": log.planned.host}
        return own

    def _path(self, log: Log) -> Path:
        """The path of a machine's file: ``machines/HOST-KEY.json``, with a number where that is another's."""
        if log.number not in self._paths:
            host = re.sub(r"[^\w.-]", "_", log.planned.host)[:100] or "machine"
            stem, number = f"{host}-{log.planned.machine}", 1
            taken = {path.name for path in self._paths.values()}
            name = f"{stem}.json"
            while name in taken:
                number += 1
                name = f"{stem}-{number}.json"
            self._paths[log.number] = self.folder / MACHINES / name
        return self._paths[log.number]

    def _write(self, content: bytes, path: Path) -> Path | None:
        """Write a file, or elsewhere where its place does not take it; returns where it is."""
        try:
            path.parent.mkdir(exist_ok=True)
            write_atomically(content, path)
        except OSError as error:
            elsewhere = write_elsewhere(content, path)
            instead = f"it is in {elsewhere} instead" if elsewhere is not None else "its contents are in the journal"
            self.problems.append(f"{path} cannot be written: {error.strerror or error}; {instead}")
            return elsewhere
        return path


def _read(path: Path) -> dict[str, Any]:
    import json

    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def _complete(run: dict[str, Any], result: Result, kind: str, *, is_first: bool) -> bool:
    """Say in a machine's file what no machine of its kind has measured, and nothing of what others have measured."""
    about = run[KEY]
    before = (list(about.get("unreached", [])), len(about["failed"]))
    families = result.kinds[kind].families if kind in result.kinds else {}
    left = [case for name in result.unreached.get(kind, ()) for case in families[name].cases]
    own = {benchmark["extra_info"][KEY]["case"]["id"] for benchmark in run["benchmarks"]}
    own |= {entry["case"]["id"] for entry in (*about["failed"], *about["skipped"])}
    about["unreached"] = [case for case in left if case not in own]
    if is_first:
        about["failed"] += _given_up(result, kind, families)
    return before != (about["unreached"], len(about["failed"]))


def _given_up(result: Result, kind: str, families: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"case": case, "reason": f"{name}: {reason}"}
        for name, reason in result.failed.get(kind, {}).items()
        for case in families[name].cases.values()
    ]

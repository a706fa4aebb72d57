"""Takes apart the documents that are merged: a source for each machine, with the parts that it consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from torchduet.bench.record.machines.key import key_of
from torchduet.bench.record.machines.parts import SHARD, digest_of
from torchduet.bench.record.schema import KEY, PartRecord, Record, RunRecord

MACHINES = "machines"  # the key of a document of several machines, in place of a run's own record
AT = " @"  # before the machine's key, in the name that a benchmark has in a document of several machines


class MergeError(Exception):
    """Runs that cannot be one file; the message is one line with all reasons."""


@dataclass(frozen=True)
class Source:
    """A run of one machine, as one of the documents has it.

    Attributes:
        name: of the document, for messages.
        document: what pytest-benchmark wrote of the machine and the commit.
        about: the run as a whole.
        parts: of a merged run those that it consists of, else the run itself.
        benchmarks: case id → its benchmark, with the record in it; in the order of the document.
    """

    name: str
    document: Mapping[str, Any]
    about: RunRecord
    parts: tuple[PartRecord, ...]
    benchmarks: Mapping[str, Mapping[str, Any]]

    @cached_property
    def key(self) -> str:
        """The key of its machine."""
        return key_of(self.about)

    def record(self, case: str) -> Record:
        """The record of a case."""
        return record_of(self.benchmarks[case])


def has_record(benchmark: Any) -> bool:
    """Whether a benchmark is one of Torchduet's."""
    extra = benchmark.get("extra_info") if isinstance(benchmark, Mapping) else None
    return isinstance(extra, Mapping) and bool(extra.get(KEY))


def record_of(benchmark: Mapping[str, Any]) -> Record:
    """The record of a benchmark that has one."""
    return cast(Record, benchmark["extra_info"][KEY])


def sources_of(name: str, document: Mapping[str, Any]) -> list[Source]:
    """The runs in a document that its reader has checked: one for each machine.

    Raises:
        MergeError: the document holds no run of Torchduet's; the message names it.
    """
    about = document.get(KEY)
    if not isinstance(about, Mapping):
        raise MergeError(
            f"{name}: was written by pytest-benchmark without Torchduet's records, so nothing can be added"
        )
    benchmarks = [benchmark for benchmark in document["benchmarks"] if has_record(benchmark)]
    if MACHINES not in about:
        return [_source(name, document, cast(RunRecord, about), benchmarks)]
    of_machine: dict[str, list[Mapping[str, Any]]] = {key: [] for key in about[MACHINES]}
    for benchmark in benchmarks:
        key = record_of(benchmark).get("machine", "")
        of_machine[key].append(_without_machine(benchmark, key))
    return [_source(name, document, run, of_machine[key]) for key, run in about[MACHINES].items()]


def _source(
    name: str, document: Mapping[str, Any], about: RunRecord, benchmarks: Sequence[Mapping[str, Any]]
) -> Source:
    by_case = {record_of(benchmark)["case"]["id"]: benchmark for benchmark in benchmarks}
    parts = about.get("parts") or [_part(document, about, [record_of(benchmark) for benchmark in benchmarks])]
    _check_parts(name, by_case, len(parts))
    return Source(name, document, about, tuple(parts), by_case)


def _check_parts(name: str, benchmarks: Mapping[str, Mapping[str, Any]], number: int) -> None:
    """Return if every record and every visit is of a part that the run has.

    Raises:
        MergeError: one is not; the message names the document, the case and the key.
    """
    for case, benchmark in benchmarks.items():
        record = record_of(benchmark)
        of_visits = [visit.get("part", 0) for visit in record["timing"].get("visits", [])]
        for key, indices in (("parts", record.get("parts", [])), ("timing.visits: part", of_visits)):
            if wrong := [index for index in indices if not 0 <= index < number]:
                raise MergeError(f"{name}: {case}: {key}: its run has {number}, from 0, and not {wrong[0]}")


def _without_machine(benchmark: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The benchmark under the name that it had before its document got several machines."""
    record = {name: value for name, value in record_of(benchmark).items() if name != "machine"}
    names = {
        name: text.removesuffix(AT + key)
        for name in ("name", "fullname")
        if isinstance(text := benchmark.get(name), str)
    }
    return {**benchmark, **names, "extra_info": {**benchmark["extra_info"], KEY: record}}


def _part(document: Mapping[str, Any], about: RunRecord, records: Sequence[Record]) -> PartRecord:
    """A run as the only part of itself."""
    info = document.get("machine_info")
    node = info.get("node") if isinstance(info, Mapping) else None
    part = PartRecord(
        digest=digest_of(about, records),
        node=node if isinstance(node, str) else "",
        started=about["started"],
        begins=0.0,
        seconds=max(0.0, about["seconds"]["total"]),
        stages=about["seconds"],
        cases=len(records),
        version=about["version"],
        commit=_commit(document.get("commit_info")),
        options=about["options"],
        machine=about["machine"],
        warnings=about["warnings"],
    )
    if shard := about["options"].get(SHARD):
        part["shard"] = str(shard)
    if about.get("gpus"):
        part["gpus"] = {gpu["device"]: gpu["facts"] for gpu in about["gpus"]}
    if "noise" in about:
        part["noise"] = about["noise"]
    if priors := [prior for prior in about.get("visits", {}).get("priors", []) if prior["source"] == "machine"]:
        part["priors"] = priors
    if stopped := about.get("stopped"):
        part["stopped"] = stopped
    return part


def _commit(info: object) -> str:
    """The commit's id with ``-dirty``; empty where there is none."""
    if not isinstance(info, Mapping) or not isinstance(info.get("id"), str) or info["id"] == "unversioned":
        return ""
    return f"{info['id']}-dirty" if info.get("dirty") is True else str(info["id"])


def in_order(sources: Sequence[Source]) -> list[PartRecord]:
    """The parts of all sources, as one after the other: ``begins`` is set; the order of the sources does not matter."""
    parts = sorted(
        (part for source in sources for part in source.parts),
        key=lambda part: (part["started"], part["node"], part.get("shard", ""), part["digest"]),
    )
    return list(_one_after_the_other(parts))


def _one_after_the_other(parts: Sequence[PartRecord]) -> Iterator[PartRecord]:
    begins = 0.0
    for part in parts:
        yield {**part, "begins": begins}
        begins += part["seconds"]

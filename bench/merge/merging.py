"""Merges the documents of runs: machines of one kind add visits to each other, those of several stay apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from torchduet.bench.merge.benchmarks import with_record
from torchduet.bench.merge.conflicts import conflicts, differing_facts, missing_in_words, missing_shards
from torchduet.bench.merge.machine_run import Whole, whole_of
from torchduet.bench.merge.same_runs import distinct
from torchduet.bench.merge.sources import MACHINES, MergeError, Source, has_record, sources_of
from torchduet.bench.record.contract import check_meaning, check_record, check_run
from torchduet.bench.record.decoding.typed import decode_typed
from torchduet.bench.record.schema import KEY, SCHEMA, Record

Document = dict[str, Any]

__all__ = ["MergeError", "Merged", "merge", "merged"]


@dataclass(frozen=True)
class Merged:
    """A merged document, and notes on what was decided meanwhile, a line each."""

    document: Document
    notes: Sequence[str]


def merged(documents: Sequence[tuple[str, Document]], *, missing_ok: bool = False) -> Document:
    """The merged document of several, as :func:`merge` makes it."""
    return merge(documents, missing_ok=missing_ok).document


def merge(documents: Sequence[tuple[str, Document]], *, missing_ok: bool = False) -> Merged:
    """One document of the runs in several. It does not depend on their order, but for the order of its cases.

    Args:
        documents: name, and the decoded run, which its reader has checked; merged ones are taken apart again.
        missing_ok: whether shards that no document holds are only noted.

    Raises:
        MergeError: the runs cannot be one; the message names all differences.
        ContractError: a reader would refuse the merged document.
    """
    if not documents:
        raise MergeError("there is no run; name at least one")
    sources = [source for name, document in documents for source in sources_of(name, document)]
    found = distinct(sources)
    missing = missing_shards(found.sources)
    in_words = [
        missing_in_words(number, shards) + (f" (plan {plan})" if len(missing) > 1 else "")
        for (number, plan), shards in missing.items()
    ]
    reasons = [*conflicts(found.sources), *found.conflicts]
    if not missing_ok:
        reasons += [f"{words} (--missing-ok merges the others)" for words in in_words]
    if reasons:
        raise MergeError(f"these runs cannot be merged: {'; '.join(reasons)}")
    by_key: dict[str, list[Source]] = {}
    for source in found.sources:
        by_key.setdefault(source.key, []).append(source)
    wholes = {key: whole_of(same, missing) for key, same in by_key.items()}
    document = _document(found.sources, wholes)
    _check(document)
    first = {key: same[0] for key, same in by_key.items()}
    return Merged(document, [*found.notes, *(in_words if missing_ok else ()), *_kinds(first)])


def _kinds(first: Mapping[str, Source]) -> list[str]:
    """Which facts tell the machines apart: with settings that differ, machines of one model have two keys."""
    keys = list(first)
    return [
        f"machine {key} is of another kind than {keys[0]}: {'; '.join(differing_facts(first[keys[0]], first[key]))}; "
        "their times are not compared with each other"
        for key in keys[1:]
    ]


def _document(sources: Sequence[Source], wholes: Mapping[str, Whole]) -> Document:
    several = len(wholes) > 1
    benchmarks: dict[tuple[str, str], Mapping[str, Any]] = {}
    for source in sources:
        for case, benchmark in source.benchmarks.items():
            benchmarks.setdefault((source.key, case), benchmark)
    documents = [source.document for source in sources]
    commit = next((part["commit"] for source in sources for part in source.parts if part["commit"]), "")
    ended = [of["datetime"] for of in documents if isinstance(of.get("datetime"), str)]
    return {
        "machine_info": _common([of.get("machine_info") for of in documents]),
        "commit_info": next((of["commit_info"] for of in documents if _has_id(of.get("commit_info"))), None)
        or next((of["commit_info"] for of in documents if of.get("commit_info")), {"id": commit or "unversioned"}),
        "benchmarks": [
            with_record(benchmarks[key, case], record, key if several else "")
            for key, whole in wholes.items()
            for case, record in whole.records.items()
        ]
        + _others(documents),
        "datetime": max(ended, default=max(source.about["started"] for source in sources)),
        "version": next((of["version"] for of in documents if isinstance(of.get("version"), str)), ""),
        KEY: (
            {"schema": SCHEMA, MACHINES: {key: whole.about for key, whole in wholes.items()}}
            if several
            else next(iter(wholes.values())).about
        ),
    }


def _others(documents: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Benchmarks of others that are in the documents, such as tests of pytest-benchmark's own; equal ones once."""
    found: dict[str, Any] = {}
    for document in {id(document): document for document in documents}.values():
        for benchmark in document["benchmarks"]:
            if not has_record(benchmark):
                found.setdefault(json.dumps(benchmark, sort_keys=True), benchmark)
    return list(found.values())


def _has_id(info: object) -> bool:
    return isinstance(info, Mapping) and info.get("id") not in (None, "unversioned")


def _common(infos: Sequence[Any]) -> dict[str, Any]:
    """What pytest-benchmark wrote of all machines alike; each node is among the parts."""
    known = [info for info in infos if isinstance(info, Mapping)]
    if not known:
        return {}
    return {key: value for key, value in known[0].items() if all(info.get(key) == value for info in known)}


def _check(document: Document) -> None:
    """Hold the document to what its readers require.

    Raises:
        ContractError: they would refuse it.
    """
    typed = _has_types(document)
    about = document[KEY]
    for key, run in about[MACHINES].items() if MACHINES in about else [("", about)]:
        check_run(run, f"{KEY}.{MACHINES}.{key}" if key else KEY, types_checked=typed)
    for index, benchmark in enumerate(document["benchmarks"]):
        if not has_record(benchmark):
            continue
        where, record = f"benchmarks[{index}].extra_info.{KEY}", cast(Record, benchmark["extra_info"][KEY])
        if typed:
            check_meaning(record, where)
        else:
            check_record(record, where)


def _has_types(document: Document) -> bool:
    """Whether the fast decoder accepts the document's types; where it does not, they are checked one by one."""
    try:
        return decode_typed(msgspec.json.encode(document)) is not None
    except (msgspec.MsgspecError, UnicodeEncodeError, TypeError):
        return False

"""Everything that a run says about its cases of several processes, in one object; None for a run without any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchduet.reports.findings.processes import collectives, communication, control, per_rank, scaling
from torchduet.reports.findings.processes.names import Names
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.ranks import ranks_of

SUITE = "distributed"
BUILT_ON_REDUCE_SCATTER = ("fsdp", "reduce_scatter")
GLOO = (
    "On the CPU the ranks communicate by gloo. PyTorch’s reduce_scatter for gloo is built on all_reduce: it sends as "
    "much as an all_reduce does. So the figures of FSDP and of reduce_scatter here measure gloo, and say nothing about "
    "a GPU with NCCL."
)


@dataclass(frozen=True)
class Processes:
    """What the run found.

    Attributes:
        sentences: the answers, the most important first.
        backends: of the process groups, and ``threads`` of each of their processes, in words.
        control: the sentences on the control.
        gloo: a caution on reduce_scatter, or empty.
    """

    sentences: tuple[str, ...]
    backends: str
    curves: tuple[scaling.Curve, ...]
    steps: tuple[communication.Step, ...]
    rows: tuple[per_rank.Row, ...]
    collectives: tuple[collectives.Collective, ...]
    control: tuple[str, ...]
    gloo: str


def processes(run: Run) -> Processes | None:
    """The findings of a run; None if none of its cases ran in several processes or in a group of one."""
    groups = [ranks for record in run.records if (ranks := record.get("ranks"))]
    if not groups:
        return None
    names = Names(run.records)
    curves, steps = scaling.curves(run, names), communication.steps(run, names)
    rows, found = per_rank.rows(run, names), collectives.collectives(run, names)
    by_id = {record["case"]["id"]: record for record in run.records}
    backends = ", ".join(dict.fromkeys(group["backend"] for group in groups))
    threads = ", ".join(map(str, sorted({group["threads"] for group in groups})))
    return Processes(
        sentences=(
            *scaling.sentences(curves),
            *communication.sentences(steps, names),
            *per_rank.skew_sentences(rows, names),
            *per_rank.memory_sentences(rows, names),
            *collectives.sentences(found),
        ),
        backends=f"backend {backends}, {threads} thread{'' if threads == '1' else 's'} in each process",
        curves=tuple(curves),
        steps=tuple(steps),
        rows=tuple(rows),
        collectives=tuple(found),
        control=tuple(control.sentences(control.controls(run), names, by_id)),
        gloo=GLOO if next(_on_gloo(run), "") else "",
    )


def _on_gloo(run: Run) -> Iterator[str]:
    """The cases whose figures rest on gloo's reduce_scatter.

    A record does not say which collectives a case calls. So the names decide: of the suite ``distributed``, whose
    workloads or implementations are named for what they use.
    """
    for record in run.records:
        case, ranks = record["case"], record.get("ranks")
        if ranks is None or ranks["backend"] != "gloo" or case["suite"] != SUITE or ranks_of(record) < 2:
            continue
        named = f"{case['workload']} {case['implementation']}".lower()
        if any(word in named for word in BUILT_ON_REDUCE_SCATTER):
            yield case["id"]

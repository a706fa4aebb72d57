"""Claims about training by several processes."""

from __future__ import annotations

from torchduet.suites.claim import MEMORY, SEVERAL, Claim, Comparison
from torchduet.suites.claims.sources import C

SUITE = "distributed"
STEPS = ("mlp_step", "encoder_step")
GLOO = "On a CPU, gloo’s reduce_scatter is built on all_reduce: FSDP’s times there measure gloo."
ROWS = "A step on the same rows, which are divided among the ranks, against one process that has them all."
THREADS = (
    "On a CPU, the one process has as many threads as each rank: with all cores, it may be faster than it is here, and "
    "faster than the ranks."
)
GPU = "cuda"  # the source is about GPUs


def several(way: str, *workloads: str) -> tuple[Comparison, ...]:
    """A step by several ranks against that of one process."""
    return tuple(
        Comparison(SUITE, workload, {"implementation": way, "ranks": SEVERAL}, {"implementation": "plain", "ranks": 1})
        for workload in workloads
    )


CLAIMS = (
    Claim(
        key="ddp-training",
        statement="Distributed data parallelism (DDP) cuts the time of training",
        source=C,
        judged_on=GPU,
        comparisons=several("ddp", *STEPS),
        notes=f"{ROWS} {THREADS}",
    ),
    Claim(
        key="fsdp-training",
        statement="Fully sharded data parallelism (FSDP) cuts the time of training",
        source=C,
        judged_on=GPU,
        comparisons=several("fsdp", *STEPS),
        notes=f"{ROWS} {THREADS} {GLOO}",
    ),
    Claim(
        key="fsdp-memory",
        statement="FSDP needs less memory per process than DDP",
        source=C,
        expects="less",
        measure=MEMORY,
        judged_on=GPU,
        comparisons=tuple(
            Comparison(
                SUITE,
                workload,
                {"implementation": "fsdp", "ranks": SEVERAL},
                {"implementation": "ddp", "ranks": SEVERAL},
            )
            for workload in STEPS
        ),
        notes="The source says that FSDP trains models that do not fit one GPU. Whether a model fits is not measured "
        "here: these are small, and fit any GPU. Judged by the peak of memory of each rank, the making of the model "
        "included: the most of one side against the least of the other. On a CPU it is the host’s memory.",
    ),
    Claim(
        key="rpc-training",
        statement="Remote procedure calls (RPC) raise the speed of training",
        source=C,
        comparisons=several("rpc", "parameter_server"),
        notes="RPC sends tensors, and trains nothing by itself. Here rank 0 averages the gradients that the ranks send "
        f"it. {THREADS}",
    ),
)

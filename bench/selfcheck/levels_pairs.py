"""The pairs of cases whose speed-ups ``torchduet selfcheck levels`` follows over interpreters, forks and placements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.cases.case import Case, Family, cases_of
from torchduet.suites.registry import load

UNLIKE = str(Path(__file__).with_name("unlike.py"))


@dataclass(frozen=True)
class Pair:
    """Two cases of one family.

    Attributes:
        name: in the table.
        source: a built-in suite, or a file.
        base: id of the case with which the other is compared.
        case: id of the other.
    """

    name: str
    source: str
    base: str
    case: str

    def family(self) -> Family:
        """The two cases, the base first.

        Raises:
            LookupError: the suite has no such case.
        """
        suite = load(self.source)[0]
        cases = {case.id: case for case, _ in cases_of(self.source, suite, tier="full", devices=["cpu"])}
        missing = [name for name in (self.base, self.case) if name not in cases]
        if missing:
            raise LookupError(f"{self.source} has no case {missing[0]}")
        members: tuple[Case, ...] = (cases[self.base], cases[self.case])
        return Family(members, members)


PAIRS = (
    Pair(
        "512³ product, bf16 against fp32",
        "matmul",
        "matmul.square[n=512] cpu eager fp32",
        "matmul.square[n=512] cpu eager bf16",
    ),
    Pair(
        "64³ product, bf16 against fp32",
        "matmul",
        "matmul.square[n=64] cpu eager fp32",
        "matmul.square[n=64] cpu eager bf16",
    ),
    Pair(
        "`index_select` against indexing",
        "tensor_ops",
        "tensor_ops.take_rows[n=1000] index cpu eager fp32",
        "tensor_ops.take_rows[n=1000] index_select cpu eager fp32",
    ),
    Pair(
        "`gather` against indexing",
        "tensor_ops",
        "tensor_ops.take_rows[n=1000] index cpu eager fp32",
        "tensor_ops.take_rows[n=1000] gather cpu eager fp32",
    ),
    Pair(
        "einsum against `bilinear`",
        "einsum",
        "einsum.batched_bilinear[batch=64] bilinear cpu eager fp32",
        "einsum.batched_bilinear[batch=64] einsum cpu eager fp32",
    ),
    Pair(
        "layer norm against softmax",
        UNLIKE,
        "unlike.rows[n=256] softmax cpu eager fp32",
        "unlike.rows[n=256] layer_norm cpu eager fp32",
    ),
    Pair(
        "chain of element-wise operations, compiled against eager",
        "tensor_ops",
        "tensor_ops.chain[n=1000] cpu eager fp32",
        "tensor_ops.chain[n=1000] cpu compile fp32",
    ),
    Pair(
        "forward pass of an MLP, compiled against eager",
        "mlp",
        "mlp.evaluate_784_100_10[batch=100] cpu eager fp32",
        "mlp.evaluate_784_100_10[batch=100] cpu compile fp32",
    ),
)

"""Tensor operations: creation, element-wise, reductions, indexing, layout, NumPy and device copies."""

from __future__ import annotations

from torchduet.suites.tensor_ops import creation, elementwise, layout, reductions, transfers
from torchduet.suites.tensor_ops.common import part

suite = part()
for _theme in (creation, elementwise, reductions, layout, transfers):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)

"""Einsum: each equation against the dedicated operation for the same result."""

from __future__ import annotations

from torchduet.suites.einsum import cells, equations, layers
from torchduet.suites.einsum.common import part

suite = part()
for _theme in (equations, layers, cells):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)

"""Matrix products, in every precision and in fp8."""

from __future__ import annotations

from torchduet.suites.matmul import fp8, products
from torchduet.suites.matmul.products import product as product

suite = products.part()
for _theme in (products, fp8):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)

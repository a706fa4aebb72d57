"""Matrix products, in every precision, in fp8, quantised, and in threads of their own."""

from __future__ import annotations

from torchduet.suites.matmul import forks, fp8, products, quantised
from torchduet.suites.matmul.products import product as product

suite = products.part()
for _theme in (products, fp8, quantised, forks):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)

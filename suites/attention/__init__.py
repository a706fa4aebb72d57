"""Attention: its formula, and the backends that compute it, their time and their memory."""

from __future__ import annotations

from torchduet.suites.attention import backends, formulas
from torchduet.suites.attention.formulas import part

suite = part()
for _theme in (formulas, backends):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)

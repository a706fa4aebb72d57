"""Language-model steps of recurrent networks."""

from __future__ import annotations

from torchduet.suites.suite import Suite

suite = Suite("recurrent", "Language-model steps of recurrent networks")

"""Steps of generative adversarial networks."""

from __future__ import annotations

from torchduet.suites.suite import Suite

suite = Suite("generative", "Steps of generative adversarial networks")

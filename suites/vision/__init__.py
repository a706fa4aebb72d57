"""Networks for images: training and inference steps."""

from __future__ import annotations

from torchduet.suites.suite import Suite

suite = Suite("vision", "Networks for images: training and inference steps")

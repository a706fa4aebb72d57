"""Training and inference steps of small convolutional networks."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("convnet", "Training and inference steps of small convolutional networks")

"""CTC loss, and a training step of a speech recogniser."""

from __future__ import annotations

from torchduet.suites.suite import Suite

suite = Suite("speech", "CTC loss, and a training step of a speech recogniser")

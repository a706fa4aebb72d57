"""What TensorBoard's SummaryWriter adds to a training step."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("logging", "What TensorBoard's SummaryWriter adds to a training step")

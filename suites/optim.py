"""Optimiser steps: one tensor at a time, foreach, fused."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("optim", "Optimiser steps: one tensor at a time, foreach, fused")

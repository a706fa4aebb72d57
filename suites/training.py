"""Time to a stated accuracy on handwriting."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("training", "Time to a stated accuracy on handwriting")

"""Saving, loading and serving a model."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("export", "Saving, loading and serving a model")

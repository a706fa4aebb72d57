"""Scaled-dot-product attention against the same by hand."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("attention", "Scaled-dot-product attention against the same by hand")

"""Forward, backward and higher derivatives."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("autograd", "Forward, backward and higher derivatives")

"""Loading data: workers, prefetching, decoding, whole epochs."""

from __future__ import annotations

from suites.suite import Suite

suite = Suite("dataloader", "Loading data: workers, prefetching, decoding, whole epochs")

"""Detects that a child process of this one has ended, such as a DataLoader's worker.

A forked child shares its parent's memory page by page. The parent's first write to each page is then a page fault
(fork(2), copy-on-write), even after the child has ended: the calls that follow pay for it.
"""

from __future__ import annotations

try:
    import resource
except ModuleNotFoundError:  # Windows, where nothing is forked

    def usage() -> float:
        """A figure that grows whenever a child ends; always 0, as this system does not count it."""
        return 0.0

else:

    def usage() -> float:
        """A figure that grows whenever a child ends: the sum of what ended children used, getrusage(2)."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime + used.ru_minflt

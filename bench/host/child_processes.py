"""Knows when a process that this one had started has ended, such as a DataLoader's worker.

A forked child shares its parent's memory page by page. Until the parent has written to each page again, and even if the
child has ended, every first write is a page fault (fork(2), copy-on-write): the calls that follow pay for it.
"""

from __future__ import annotations

try:
    import resource
except ModuleNotFoundError:  # Windows, where nothing is forked

    def ended() -> float:
        """A figure that grows whenever a child has ended; nothing counts that here."""
        return 0.0

else:

    def ended() -> float:
        """A figure that grows whenever a child has ended: what all of them have used, getrusage(2)."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime + used.ru_minflt

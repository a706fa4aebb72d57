"""Short names of cases: what distinguishes each from the others that stand beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence


def short_names(ids: Sequence[str]) -> dict[str, str]:
    """Case id → its name without the settings that all of them share, and without a size that its workload always has.

    ``layers.net[n=256] cpu eager fp32`` is ``layers.net`` where every case is of the CPU, eager and fp32. Ids that
    would not differ, or that are not built so, are kept as they are.
    """
    split = {name: name.split(" ") for name in ids}
    shared = _shared(list(split.values()))
    sizes: dict[str, set[str]] = {}
    for words in split.values():
        sizes.setdefault(_workload(words[0]), set()).add(words[0])
    short = {}
    for name, words in split.items():
        workload = _workload(words[0])
        first = workload if len(sizes[workload]) == 1 else words[0]
        short[name] = " ".join([first, *(word for word in words[1:] if word not in shared)])
    return short if len(set(short.values())) == len(short) else {name: name for name in ids}


def _shared(split: Sequence[Sequence[str]]) -> set[str]:
    """The words after the first that all ids have."""
    return set.intersection(*(set(words[1:]) for words in split)) if split else set()


def _workload(word: str) -> str:
    return re.sub(r"\[[^\]]*\]$", "", word)

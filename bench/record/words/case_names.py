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
    length = {len(words) for words in split.values()}
    if len(length) != 1:
        return {name: name for name in ids}
    columns = list(zip(*split.values(), strict=True))
    kept = [index for index, words in enumerate(columns) if index == 0 or len(set(words)) > 1]
    sizes: dict[str, set[str]] = {}
    for words in split.values():
        sizes.setdefault(_workload(words[0]), set()).add(words[0])
    short = {}
    for name, words in split.items():
        workload = _workload(words[0])
        first = workload if len(sizes[workload]) == 1 else words[0]
        short[name] = " ".join([first, *(words[index] for index in kept[1:])])
    return short if len(set(short.values())) == len(short) else {name: name for name in ids}


def shared_words(ids: Sequence[str]) -> str:
    """The settings that short names leave out, as all cases share them: ``cpu eager fp32``; empty where none is."""
    split = [name.split(" ") for name in ids]
    if len({len(words) for words in split}) != 1 or not any(short != name for name, short in short_names(ids).items()):
        return ""
    return " ".join(words[0] for words in list(zip(*split, strict=True))[1:] if len(set(words)) == 1)


def _workload(word: str) -> str:
    return re.sub(r"\[[^\]]*\]$", "", word)

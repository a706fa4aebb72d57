"""Files of runs, spoiled at random: keys and items taken away, values of another type, texts cut short."""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tests.reports.plain_sample import make_plain
from tests.reports.remeasured import remeasured
from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from tests.reports.test_duet import make_duet
from tests.reports.with_gpu import make_gpu_run
from torchduet.bench.record.schema import KEY

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.0, -0.5, 1e-300, 1e308, -1e308, float("nan"), float("inf")),
    *(2**62, 2**63, 2**64, 10**30, 10**400),
    *(
        "",
        "x",
        "\ud800",
        "\x00\x1b[2J",
        "\u202eevil",
        "مرحبا",
        "y" * 5000,
        "=1+1",
        "<b>",
        "UNSERIALIZABLE[<x>]",
        "a\nb",
    ),
    *([], {}, [[]], [None], {"": None}, {"x": {"y": []}}, [1.0], [[1.0]], {"n": 1}),
)


@cache
def documents() -> tuple[Any, ...]:
    """A small valid run of every kind; not to be changed."""
    return (
        _few(remeasured(make_run(placements=9, rounds=2), 1), 8),
        _few(make_rich_run(), 14),
        make_gpu_run(),
        _few(make_duet(make_run(placements=9, rounds=2)), 6),
        make_plain(rounds=24),
        make_plain(data=False, functions=("test_a", "test_b")),
    )


def _few(document: Any, number: int) -> Any:
    """The run with its first cases alone, whose blocks are cut so that there is something else to hit, too."""
    kept = document | {"benchmarks": copy.deepcopy(document["benchmarks"][:number])}
    for one in kept["benchmarks"]:
        del one["stats"]["data"][2:]
        timing = one["extra_info"][KEY]["timing"]
        timing["blocks"] = [rounds[:2] for rounds in timing["blocks"][:9]]
        while sum(visit["placements"] for visit in timing.get("visits", [])) > len(timing["blocks"]):
            timing["visits"].pop()
    return kept


def spoiled(seed: int) -> bytes:
    """A valid file in which one to three things went wrong."""
    rng = random.Random(seed)
    document = changed(rng.choice(documents()), rng)
    content = json.dumps(document).encode("utf-8", "backslashreplace")
    if rng.random() < 0.05:
        content = content[: rng.randrange(len(content))]
    if rng.random() < 0.03:
        place = rng.randrange(len(content) + 1)
        content = content[:place] + bytes(rng.randrange(256) for _ in range(4)) + content[place:]
    return content


def changed(document: Any, rng: random.Random) -> Any:
    """A copy in which one to three things went wrong."""
    document = pickle.loads(pickle.dumps(document))  # many times faster than copying it step by step
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(CHANGES)(document, rng)
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) within a document; of long lists the first items alone."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(min(len(value), 30))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def _pick(document: Any, rng: random.Random) -> tuple[Any, Any]:
    """A place to go wrong: any of them, but the records' own fields more often than single blocks."""
    places = list(_places(document))
    texts = [place for place in places if isinstance(place[1], str)]
    return rng.choice(texts or places or [({"": None}, "")]) if rng.random() < 0.9 else rng.choice(places)


def _remove(document: Any, rng: random.Random) -> None:
    container, key = _pick(document, rng)
    del container[key]


def _replace(document: Any, rng: random.Random) -> None:
    container, key = _pick(document, rng)
    container[key] = copy.deepcopy(rng.choice(ODD))


def _swap(document: Any, rng: random.Random) -> None:
    (one, key), (other, another) = _pick(document, rng), _pick(document, rng)
    one[key], other[another] = copy.deepcopy(other[another]), copy.deepcopy(one[key])


def _repeat(document: Any, rng: random.Random) -> None:
    lists = [container[key] for container, key in _places(document) if isinstance(container[key], list)]
    if filled := [one for one in lists if one]:
        one = rng.choice(filled)
        one.insert(rng.randrange(len(one)), copy.deepcopy(rng.choice(one)))


def _cut(document: Any, rng: random.Random) -> None:
    lists = [container[key] for container, key in _places(document) if isinstance(container[key], list)]
    if filled := [one for one in lists if one]:
        one = rng.choice(filled)
        del one[rng.randrange(len(one)) :]


CHANGES: tuple[Callable[[Any, random.Random], None], ...] = (
    _remove,
    _replace,
    _replace,
    _replace,
    _swap,
    _repeat,
    _cut,
)

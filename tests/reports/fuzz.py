"""Throws mutated files at the readers, 10,000 in ``nox -s fuzz``: each is read, or refused in one line with its name.

Whole documents with something wrong in their structure, and files with bytes changed, moved, repeated and cut away;
runs of every kind, plain ones, and journals whose checksums fit.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from time import monotonic

from tests.reports.made_journal import entries
from tests.reports.spoiled import changed, documents, spoiled
from torchduet.bench.record import journal
from torchduet.reports.read.pytest_benchmark import load_any
from torchduet.reports.read.run_file import RunFileError

MAX_SECONDS = 60.0
MAX_GROWTH = 300 * 2**20  # bytes of memory beyond what reading whole files takes
FRAGMENTS = (
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\\u0000"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 40, b"9" * 5000, b"0.1e", b"\\ud800"),
    *(b"[" * 3000, b'{"a":' * 3000, b'"' + b"x" * 100_000 + b'"', b'"__class__"', b'"benchmarks"', b'"torchduet"'),
)


@cache
def _whole() -> tuple[bytes, ...]:
    """Files that are good."""
    return tuple(json.dumps(one).encode() for one in documents())


def mutated(seed: int) -> bytes:
    """A file in which something went wrong."""
    rng = random.Random(seed)
    kind = rng.random()
    if kind < 0.4:
        return spoiled(seed)
    if kind < 0.6:
        return _journal(rng)
    return _bytes(rng.choice(_whole()), rng)


def _journal(rng: random.Random) -> bytes:
    """A journal with something wrong in its entries, or in its bytes."""
    found = entries()
    if rng.random() < 0.8:
        found = changed(found, rng)
        lines = [journal.encode(one) for one in found if isinstance(one, dict)]
    else:
        lines = [journal.encode(one) for one in found]
        rng.shuffle(lines)
    content = b"".join(lines)
    return _bytes(content, rng) if rng.random() < 0.2 else content


def _bytes(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, length = rng.randrange(len(content) + 1), int(rng.expovariate(1 / 20))
        what = rng.randrange(6)
        if what == 0:
            content = content[:at] + rng.choice(FRAGMENTS) + content[at:]
        elif what == 1:
            content = content[:at] + content[at + length :]
        elif what == 2:
            content = content[:at] + rng.randbytes(min(length, 8)) + content[at + length :]
        elif what == 3:
            content = content[:at]
        elif what == 4:
            other = rng.randrange(len(content) + 1)
            content = content[:at] + content[other : other + 50 * length] + content[at:]
        elif content:
            flipped = bytearray(content)
            flipped[at % len(content)] ^= 1 << rng.randrange(8)
            content = bytes(flipped)
    return content


def fault(content: bytes, path: Path) -> tuple[str, str]:
    """Reads a file with this content: (``read`` or ``refused`` or ``fault``, what it was told)."""
    path.write_bytes(content)
    try:
        load_any(path)
    except RunFileError as error:
        said = str(error)
        fine = said.startswith(f"{path}: ") and "\n" not in said and len(said) < 2000
        return ("refused" if fine else "fault"), said
    except Exception:  # noqa: BLE001 - whatever it is, the reader should not have raised it
        return "fault", traceback.format_exc()
    return "read", ""


def part(seeds: range) -> tuple[Counter[str], list[str], int]:
    """Reads the files of these seeds: how many of each outcome, the faults, and bytes of memory beyond good files'."""
    counted, faults = Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        for content in _whole():
            assert fault(content, path)[0] == "read"
        before = _most_memory()
        for seed in seeds:
            what, said = fault(mutated(seed), path)
            counted[what] += 1
            if what == "fault":
                faults.append(f"seed {seed}: {said}")
    return counted, faults, _most_memory() - before


def main(number: int, first: int = 0) -> int:
    """Reads so many files, on all cores; 1 where any was a fault, or all together took too much time or memory."""
    began, cores = monotonic(), os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        done = list(pool.map(part, [range(first + core, first + number, cores) for core in range(cores)]))
    counted, seconds = sum((one[0] for one in done), Counter[str]()), monotonic() - began
    faults, growth = [fault for one in done for fault in one[1]], max(one[2] for one in done)
    print(f"{number} files in {seconds:.0f} s, {growth / 2**20:.0f} MiB more memory at most: {dict(counted)}")
    print("\n".join(faults[:10]))
    return int(commands(number, first) or bool(faults) or growth > MAX_GROWTH or seconds > MAX_SECONDS)


def commands(number: int, first: int) -> int:
    """Tries so many command lines, on all cores; 1 where any exit code was wrong."""
    began, cores = monotonic(), os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        done = list(pool.map(_part_of_commands, [range(first + core, first + number, cores) for core in range(cores)]))
    counted, faults = sum((one[0] for one in done), Counter[str]()), [fault for one in done for fault in one[1]]
    print(f"{number} command lines in {monotonic() - began:.0f} s: {dict(counted)}")
    print("\n".join(faults[:10]))
    return int(bool(faults))


def _part_of_commands(seeds: range) -> tuple[Counter[str], list[str]]:
    from tests.reports.fuzz_commands import tried

    counted, faults = Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            what, said = tried(seed, Path(folder))
            counted[what] += 1
            if what == "fault":
                faults.append(f"seed {seed}: {said}")
    return counted, faults


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:] or ["10000"])))

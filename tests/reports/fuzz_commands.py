"""Throws mutated files, thresholds, settings and command lines at ``torchduet``: what each exit code may be.

0; 1 and 3 where ``--fail-on`` asks for it and the comparison was printed; 2 with one line on standard error. Options of
``pytest bench/`` are read in this process, too: a value is taken, or refused in one line that names the option.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from tests.reports import fuzz
from tests.reports.plain_sample import make_plain
from tests.reports.spoiled import documents
from torchduet.__main__ import main
from torchduet.bench.cases import knobs
from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.duet import against
from torchduet.bench.host import run_lock
from torchduet.bench.plan import case_globs, claim_selection, options

NUMBERS = (
    *(
        "0",
        "3%",
        "0.03",
        " 5 % ",
        "1e-2",
        "100%",
        "1",
        "-1",
        "nan",
        "inf",
        "-0",
        "1e400",
        "1e-400",
        "0x10",
        "1_0",
        "٣%",
    ),
    *(
        "9" * 401,
        "9" * 5001,
        "0." + "1" * 60_000,
        "1" * 60_000 + "x",
        " " * 60_000 + "x",
        "%" * 100,
        "3%%",
        "½",
        "1" * 41,
    ),
)
WORDS = (
    *("", " ", "\t\n", "-", "--", "-o", "a.json", "b.json", "none.json", ".", "/", "/dev/null/x", "x" * 5000, "=", ","),
    *("\x00", "\ud800", "\udcff.json", "\u202e", "a\nb", "\x1b[2J", "slower", "slower,memory", "slower,,", "text", "'"),
)
TEXTS = (
    "--threshold",
    "--fail-on",
    "--format",
    "--markdown",
    "-o",
    "--output",
    "--table",
    "--machine",
    "--link",
    "--base",
    "--prices",
)
FLAGS = (
    "-v",
    "--verbose",
    "--columns",
    "--help",
    "--version",
    "--comment=-",
    "--markdown=-",
    "--format=markdown",
    "-x",
)
READERS = ("render", "compare", "machines", "claims", "export", "history")
VALUES: dict[str, Callable[[str], object]] = {  # option of ``pytest bench/`` → what reads it
    "--budget": lambda text: options.parse_duration("--budget", text),
    "--threads": options.parse_threads,
    "--cache": options.parse_cache,
    "--slowdowns": options.parse_slowdowns,
    "--lock-clocks": options.parse_clocks,
    "--profile": options.parse_profile,
    "--threshold": against._share,
    "--fail-on": against._grounds,
    "--when-busy": run_lock.parse,
    "-k": case_globs.check_keywords,
    "-m": claim_selection.wanted,
    "--case": lambda text: case_globs.check("--case", text, CASES),
    **{knob.flag: lambda text, knob=knob: knobs.parse(knob, text) for knob in knobs.OPTIONS},
}
CASES = tuple(f"matmul.square[n={number}] cpu eager fp32" for number in range(64, 164))
MAX_LINE = 8000  # letters of a line that refuses: a path may have 4096, and is escaped
NAMED = re.compile(r"error: .*\S\n", re.DOTALL)


@cache
def _good() -> tuple[bytes, ...]:
    return tuple(json.dumps(document).encode() for document in (*documents(), make_plain(rounds=24)))


def tried(seed: int, folder: Path) -> tuple[str, str]:
    """Run a command, or read an option: (``exit 0``, ``exit 2``, …, ``read``, ``refused`` or ``fault``, its words)."""
    rng = random.Random(seed)
    kind = rng.random()
    if kind < 0.25:
        return _option(rng)
    command = _command(rng, folder, seed)
    for name in ("out.html", "out.csv", "out.md"):
        (folder / name).unlink(missing_ok=True)
    with warnings.catch_warnings(), _captured(folder) as (out, err):
        warnings.simplefilter("ignore")
        try:
            code = main(command)
        except SystemExit as end:  # of argparse
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:  # noqa: BLE001 - whatever it is, it should not have been raised
            return "fault", f"{_shown(command)}: raised {error!r}"
    said, printed = err.getvalue(), out.getvalue()
    if problem := _problem(command, code, said, printed):
        reports = [path.read_text("utf-8") for path in folder.glob("torchduet-fault-*")]
        return "fault", f"{_shown(command)}: {problem}: {said[:500]!r} {''.join(reports)[-3000:]}"
    return f"exit {code}", said


def _problem(command: list[str], code: object, said: str, printed: str) -> str:
    """What is wrong with an exit code and its words; empty if nothing is."""
    if code == 0:
        return "an error, and exit code 0" if said.startswith("error: ") else ""
    if code == 2:
        one_line = NAMED.fullmatch(said) and said.count("\n") == 1 and len(said) <= MAX_LINE
        return "" if one_line and "Traceback" not in said else "exit code 2 without its one line"
    if code in (1, 3) and any(word.startswith("--fail-on") for word in command):
        return "" if printed and "error: " not in said else f"exit code {code} and no comparison"
    return f"exit code {code}"


@contextlib.contextmanager
def _captured(folder: Path) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Standard streams, the working folder and that of temporary files are ours meanwhile."""
    out, err, before = io.StringIO(), io.StringIO(), tempfile.tempdir
    for report in folder.glob("torchduet-fault-*"):
        report.unlink()
    tempfile.tempdir = str(folder)
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield out, err
    finally:
        tempfile.tempdir = before


def _option(rng: random.Random) -> tuple[str, str]:
    name = rng.choice(list(VALUES))
    text = _odd(rng)
    try:
        VALUES[name](text)
    except (OptionError, run_lock.LockError) as error:
        said = str(error)
        fine = said.startswith(name) and "\n" not in said and text.isprintable() <= said.isprintable()
        return ("refused" if fine else "fault"), f"{name} {text[:80]!r}: {said[:500]}"
    except Exception as error:  # noqa: BLE001 - the same
        return "fault", f"{name} {text[:80]!r}: {type(error).__name__}: {str(error)[:500]}"
    return "read", ""


def _odd(rng: random.Random) -> str:
    """A text that is a number, or a word, or nearly one; sometimes very long."""
    text = rng.choice((*NUMBERS, *WORDS, "eager,compile", "cpu", "90s", "1h30m", "base", "all", "slowest:3", "a and b"))
    for _ in range(rng.choice((0, 0, 1, 2))):
        at = rng.randrange(len(text) + 1)
        part = rng.choice(("0", "%", ".", "e", " ", ",", "s", "(", "not ", "*", "[", "'", "\x00", "é", "9" * 400))
        text = text[:at] + part * rng.choice((1, 1, 1, 2, 1000)) + text[at:]
    return text


def _command(rng: random.Random, folder: Path, seed: int) -> list[str]:
    """A command line, and the files that it reads."""
    a, b = rng.choice(_good()), rng.choice(_good())
    kind = rng.random()
    settings = ""
    if kind < 0.55:
        a = fuzz.mutated(seed)
        command = _of_file(rng)
    elif kind < 0.65:
        a = b = _good()[0]
        command = ["compare", "a.json", "b.json", "--threshold", _odd(rng), *_gate(rng)]
    elif kind < 0.8:
        settings = _settings(rng)
        command = ["compare", "a.json", "b.json", *_gate(rng)] if rng.random() < 0.7 else ["machines", "a.json"]
    else:
        command = [rng.choice((*READERS, *READERS, "selfcheck", "peers", *WORDS)), *_words(rng)]
        if command[0] in ("selfcheck", "peers"):
            parts = (["selfcheck", "levels", "--from"], ["peers", "table"], ["selfcheck", "duet", "--from"])
            command = [*rng.choice(parts), rng.choice(("a.json", "none.json", "", "."))]
            a = fuzz.mutated(seed)
    (folder / "a.json").write_bytes(a)
    (folder / "b.json").write_bytes(b)
    (folder / "pyproject.toml").write_text(settings, "utf-8", "surrogateescape")
    return command


def _of_file(rng: random.Random) -> list[str]:
    return rng.choice(
        (
            ["render", "a.json", "--markdown", "-"],
            ["render", "a.json", "--comment", "-"],
            ["claims", "a.json"],
            ["export", "a.json", "--table", rng.choice(("cases", "comparisons", "samples", "unmeasured"))],
            ["compare", "a.json", *_gate(rng)],
            ["compare", "a.json", "b.json", *_gate(rng)],
            ["compare", "b.json", "a.json", "--markdown", "-", *_gate(rng)],
            ["machines", "a.json", "b.json", "--markdown", "-"],
            ["render", "a.json", "-o", "out.html"] if rng.random() < 0.1 else ["export", "a.json", "-o", "out.csv"],
        )
    )


def _gate(rng: random.Random) -> list[str]:
    return rng.choice(([], [], ["--fail-on", "slower"], ["--fail-on", "unclear,memory"], ["--fail-on=all-slower"]))


def _words(rng: random.Random) -> list[str]:
    words: list[str] = []
    for _ in range(rng.randrange(6)):
        words += rng.choice(
            (
                [rng.choice(WORDS)],
                [rng.choice(FLAGS)],
                [rng.choice(TEXTS), _odd(rng)],
                [f"{rng.choice(TEXTS)}={_odd(rng)}"],
            )
        )
    return ["a.json", *words] if rng.random() < 0.5 else words


def _settings(rng: random.Random) -> str:
    """A pyproject.toml with something odd in the table of thresholds or prices, or in its syntax."""
    table = rng.choice(("[tool.torchduet.compare.thresholds]\n", "[tool.torchduet.prices]\n"))
    return rng.choice(
        (
            table + f'"* fp32" = {json.dumps(_odd(rng))}\n',
            table + f'"* fp32" = {_odd(rng)}\n',
            table + f"{json.dumps(_odd(rng))} = 0.05\n",
            table + '"a" = ' + "[" * 20_000,
            table + '"a" = ' + "{a=" * rng.choice((5, 5000)),
            table + f'"a" = {rng.choice(("1e400", "-inf", "nan", "true", "[]", "{}", "1979-05-27", "9" * 401))}\n',
            "[tool]\ntorchduet = " + rng.choice(("1", "[]", '"x"', "{compare = 3}", "{compre = {}}")) + "\n",
            "[tool.torchduet.compare]\nthreshold = 3\n",
            "\x00", "\udcff\udcfe", "[" * 3000, "a = " + "1" * 5001, "a." * 3000 + "a = 1", "\ufeff" + table,
        )
    )  # fmt: skip


def _shown(command: list[str]) -> str:
    return " ".join(ascii(word if len(word) < 60 else word[:57] + "…") for word in command)

"""``torchduet against REV``: measures the files as they are against a git revision, in one command for CI."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchduet.bench.files.places import try_place
from torchduet.bench.host.temporary import RunFolder
from torchduet.bench.plugin.pytest_command import PYTHON, SHORT_HEADER, pytest_arguments

BUDGET = "150s"
# Set while this command measures, as it makes the report itself: how to continue it; empty: its file is not kept.
BY_COMMAND = "TORCHDUET_AGAINST"
RENDERED = (("--output", "-o"), ("--markdown", "--markdown"), ("--comment", "--comment"))  # ours, render's
PASSED = ("--fail-on", "--threshold")
FLAGS = ("--build", "--only-changed")
PASSED_ON = ("SIGTERM", "SIGHUP")
EPILOG = (
    "Exit code: that of the measurement: 0; 1 if --fail-on finds something, or a case failed; 2 to 4 if it could not "
    "be made (3 with --fail-on: no verdict is possible on any case); 130 after Ctrl-C. Example: "
    "torchduet against main --fail-on slower,memory -o report.html -- --suite bench/layers.py"
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "against",
        help="measure: your files as they are against a git revision, e.g. your branch against main",
        description="Times the workloads of --suite FILE with the files as they are and with those of a git revision, "
        "in alternation: what your change makes slower or faster.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("rev", metavar="REV", help="the base: its merge base with HEAD is compared with")
    parser.add_argument("--exact", action="store_true", help="compare with REV itself, not with its merge base")
    parser.add_argument(
        "--fail-on",
        metavar="LIST",
        help="exit with 1 if any case is slower, unclear, or needs more memory, e.g. slower,memory (default: none)",
    )
    parser.add_argument(
        "--threshold", metavar="SHARE", help="a change must exceed this to matter, e.g. 5%% (default: 2%%)"
    )
    parser.add_argument(
        "--budget", metavar="TIME", default=BUDGET, help="time for measuring, e.g. 90s, 10m (default: %(default)s)"
    )
    parser.add_argument(
        "--only-changed",
        action="store_true",
        help="only workloads that import a changed file, and two others as controls",
    )
    parser.add_argument(
        "--build",
        action="store_true",
        help="build the package of REV by pip or uv, for one with compiled parts; this runs its build",
    )
    parser.add_argument("--json", metavar="FILE", help="keep the run, for `torchduet render` (default: not kept)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report as one page (default: none)")
    parser.add_argument("--markdown", metavar="FILE", help="write a summary as Markdown (default: none)")
    parser.add_argument(
        "--comment", metavar="FILE", help="write a comment for a pull request, at most 20 lines (default: none)"
    )
    parser.usage = "torchduet against REV [options] -- --suite FILE [arguments of `torchduet run`]"
    parser.set_defaults(command=run, rest=())


def run(options: argparse.Namespace) -> int:
    """Measure, then render what was asked for; returns the exit code of the measurement."""
    for path in (value for ours, _ in RENDERED if (value := _value(options, ours)) not in (None, "-")):
        try:
            try_place(Path(path))
        except OSError as error:
            print(f"error: {path}: cannot be written: {error.strerror or error}; choose another", file=sys.stderr)
            return 2
    try:
        temporary = RunFolder()
    except OSError as error:
        print(f"error: {error.strerror or error}", file=sys.stderr)
        return 2
    try:
        run_file = Path(options.json) if options.json else Path(temporary.name) / "run.json"
        to_continue = "give the same command with --resume after --" if options.json else ""
        code = ended(_measurement(options, run_file, temporary.name), {BY_COMMAND: to_continue})
        if not run_file.is_file() or not (wanted := _rendering(options)):
            return code
        rendered = ended([sys.executable, "-m", "torchduet", "render", str(run_file), *wanted])
        return code or rendered
    finally:
        temporary.cleanup()


def ended(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command to its end; returns its exit code, of one that a signal has ended as shells have it.

    Ctrl-C in a terminal reaches it, too: a measurement then ends by itself, with what it has measured. SIGTERM and
    SIGHUP are passed on.

    Args:
        environment: variables in addition.
    """
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        if process is not None:
            process.send_signal(number)

    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda _number, _frame: None)}
    for name in PASSED_ON:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, pass_on)
    try:
        process = subprocess.Popen(command, env={**os.environ, **(environment or {})})
        for number in received:  # while it was started
            process.send_signal(number)
        code = process.wait()
        return code if code >= 0 else 128 - code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _measurement(options: argparse.Namespace, run_file: Path, folder: str) -> list[str]:
    given = [
        f"--benchmark-storage=file://{folder}/saved",
        f"--against-rev={options.rev}",
        f"--budget={options.budget}",
        f"--benchmark-json={run_file}",
    ]
    given += ["--against-exact"] if options.exact else []
    given += [f"{name}={value}" for name in PASSED if (value := _value(options, name)) is not None]
    given += [name for name in FLAGS if _value(options, name)]
    return [*PYTHON, *pytest_arguments(), *SHORT_HEADER, "--benchmark-quiet", *given, *options.rest]


def _rendering(options: argparse.Namespace) -> list[str]:
    pairs = ((theirs, _value(options, ours)) for ours, theirs in RENDERED)
    return [part for name, value in pairs if value is not None for part in (name, value)]


def _value(options: argparse.Namespace, name: str) -> str | None:
    value: str | None = getattr(options, name.removeprefix("--").replace("-", "_"))
    return value

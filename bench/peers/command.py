"""``torchduet peers``: ``run`` times the same cases with other benchmarking tools, ``table`` prints a file."""

from __future__ import annotations

import argparse
import json
import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torchduet.bench.files.regular import read_text
from torchduet.bench.files.streams import note
from torchduet.suites.extras import install

PACKAGES = ("torch", "pytest-benchmark", "asv", "pyperf")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command, its parts and their options."""
    parser = commands.add_parser(
        "peers",
        help="run other benchmarking tools on the same cases; needs the extra `peers`",
        description="Runs other benchmarking tools on the same functions: identical copies, known slow-downs, and "
        "unlike pairs in two sittings.",
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(title="parts", required=True, metavar="PART")
    run = parts.add_parser("run", help="measure; some hours with the defaults")
    run.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="JSON; written after each trial")
    run.add_argument("--add", action="store_true", help="add trials to those in FILE, with its calibration")
    run.add_argument(
        "--repeats", type=int, default=5, metavar="N", help="trials of each tool, of all cases (default: %(default)s)"
    )
    run.add_argument(
        "--slow-repeats", type=int, default=4, metavar="N", help="trials of pyperf, of two cases (default: %(default)s)"
    )
    run.add_argument(
        "--sittings", type=int, default=2, metavar="N", help="of each tool, of unlike pairs (default: %(default)s)"
    )
    run.add_argument("--seconds", type=float, default=1.0, help="of timing per side, if a tool lets it be set")
    run.add_argument("--tools", metavar="LIST", help="first letters of their names, separated by commas (default: all)")
    run.add_argument(
        "--conditions", default="idle,busy", metavar="LIST", help="idle, busy or both (default: %(default)s)"
    )
    run.set_defaults(command=_run, parser=run)
    table = parts.add_parser("table", help="print the table of a file as Markdown")
    table.add_argument("file", type=Path)
    table.set_defaults(command=_table, parser=table)


def _table(options: argparse.Namespace) -> int:
    from torchduet.bench.peers.table import markdown

    try:
        print(markdown(json.loads(read_text(options.file))), end="")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        options.parser.error(f"{options.file}: not a file that `run` wrote: {error}")
    return 0


def _run(options: argparse.Namespace) -> int:
    """Measure; returns the exit code: 0, 1 if a trial failed, 130 after Ctrl-C."""
    import tempfile
    from dataclasses import replace

    from torchduet.bench.files.places import try_place
    from torchduet.bench.host.machine import probe
    from torchduet.bench.peers import trials
    from torchduet.bench.peers.table import markdown
    from torchduet.suites.workload import cores

    parser: argparse.ArgumentParser = options.parser
    tools = _selected("--tools", parser, options.tools, {tool.name: tool for tool in trials.TOOLS})
    if cores() < 2:
        parser.error("this process may use one core only; the busy process needs a second one")
    conditions = _selected("--conditions", parser, options.conditions, trials.conditions(cores()))
    missing = [name for name in PACKAGES if _version(name) is None]
    if missing:
        parser.error(f"not installed: {', '.join(missing)}; {install('peers')}")
    if min(options.repeats, options.slow_repeats, options.sittings) < 0 or not 0 < options.seconds < math.inf:
        parser.error(
            "use numbers from 0 for --repeats, --slow-repeats and --sittings, and a time above 0 for --seconds"
        )
    if not options.output.parent.is_dir():
        parser.error(f"{options.output}: {options.output.parent} is not a folder")
    try:
        try_place(options.output)
    except OSError as error:
        parser.error(f"{options.output}: cannot be written: {error.strerror or error}")
    facts = probe().facts()
    about: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": facts["cpu"],
        "cores": facts["cores"],
        "versions": {name: _version(name) for name in PACKAGES},
        "seconds": options.seconds,
        "calibration": {},
    }
    earlier = _earlier_results(parser, options.output, about) if options.add else {}
    about["calibration"] |= earlier.get("calibration", {})
    with tempfile.TemporaryDirectory(prefix="torchduet-peers-") as folder:
        settings = {}
        for condition in conditions:
            threads = condition.threads
            calibration = about["calibration"].get(condition.name)
            if not (options.repeats or options.slow_repeats):
                calibration = calibration or {"threads": threads, "turns": {}}  # unlike pairs need none
            elif calibration is None:
                _report(f"calibrating the extra work with {threads} thread{'' if threads == 1 else 's'}")
                calibration = about["calibration"][condition.name] = _calibrate(threads)
            settings[condition.name] = Path(folder, f"{condition.name}.json")
            settings[condition.name].write_text(json.dumps(calibration), "utf-8")
        results = trials.Results(options.output, about, earlier.get("trials", []))
        plan = trials.make_plan(tools, conditions, options.repeats, options.slow_repeats)
        pairs = replace(trials.PAIRS, sittings=options.sittings)
        of_pairs = trials.plan_of_sittings(tools, conditions, pairs)
        try:
            trials.run(plan, settings, options.seconds, results, _report)
            trials.run(of_pairs, settings, options.seconds, results, _report, pairs)
        except KeyboardInterrupt:
            trials_done = len(results.trials)
            finished = f"{trials_done} finished trial{'' if trials_done == 1 else 's'}"
            _report(f"stopped; {options.output} has {finished}")
            return 130
        except OSError as error:
            parser.error(f"{options.output}: {error.strerror}")
    print(markdown({**results.about, "trials": results.trials}), end="")
    return 1 if any(trial["error"] for trial in results.trials) else 0


def _earlier_results(parser: argparse.ArgumentParser, path: Path, about: dict[str, Any]) -> dict[str, Any]:
    """The contents of the file, if it is of the same machine and versions."""
    try:
        earlier: dict[str, Any] = json.loads(read_text(path))
        changed = [name for name in ("cpu", "cores", "versions", "seconds") if earlier[name] != about[name]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        parser.error(f"{path}: not a file that `run` wrote: {error}")
    if changed:
        parser.error(f"{path}: measured with other {', '.join(changed)}; write to another file, without --add")
    return earlier


def _selected(option: str, parser: argparse.ArgumentParser, text: str | None, known: dict[str, Any]) -> list[Any]:
    """The values whose names begin with a part of the list; all if there is no list."""
    if text is None:
        return list(known.values())
    selected = []
    for part in (part.strip() for part in text.split(",")):
        matching = [value for name, value in known.items() if part and name.startswith(part)]
        if not matching:
            parser.error(f"{option} {text!r}: {part!r} is none of {'; '.join(known)}")
        selected += [value for value in matching if value not in selected]
    return selected


def _calibrate(threads: int) -> dict[str, Any]:
    """Calibrate in a process of its own, in which the threads are set once."""
    import subprocess

    from torchduet.bench.peers.tools.trial import ROOT

    process = subprocess.run(
        [sys.executable, "-m", "torchduet.bench.peers.calibration", str(threads)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    calibration: dict[str, Any] = json.loads(process.stdout)
    return calibration


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _report(line: str) -> None:
    note(line)

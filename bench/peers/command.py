"""``torchduet peers``: other benchmarking tools on the same cases; ``table`` prints what a file holds."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "pytest-benchmark", "asv", "pyperf")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command, its parts and their options."""
    parser = commands.add_parser(
        "peers",
        help="run other benchmarking tools on the same cases; needs the extra `peers`",
        description="Runs other benchmarking tools on the same functions: identical copies and known slow-downs.",
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(title="parts", required=True, metavar="PART")
    run = parts.add_parser("run", help="measure; some hours with the defaults")
    run.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="JSON, kept up to date")
    run.add_argument("--add", action="store_true", help="add to the trials that FILE has, with its calibration")
    run.add_argument(
        "--repeats", type=int, default=5, metavar="N", help="trials per tool of all cases (default: %(default)s)"
    )
    run.add_argument(
        "--slow-repeats", type=int, default=4, metavar="N", help="of pyperf, of two cases (default: %(default)s)"
    )
    run.add_argument("--seconds", type=float, default=1.0, help="of timing per side, where a tool has the choice")
    run.add_argument("--tools", metavar="LIST", help="beginnings of their names, separated by commas (default: all)")
    run.add_argument("--conditions", default="idle,busy", metavar="LIST", help="default: %(default)s")
    run.set_defaults(command=_run, parser=run)
    table = parts.add_parser("table", help="print the table of a file as Markdown")
    table.add_argument("file", type=Path)
    table.set_defaults(command=_table, parser=table)


def _table(chosen: argparse.Namespace) -> int:
    from torchduet.bench.peers.table import markdown

    try:
        print(markdown(json.loads(chosen.file.read_text("utf-8"))), end="")
    except (OSError, ValueError, KeyError) as error:
        chosen.parser.error(f"{chosen.file}: not a file that `run` wrote: {error}")
    return 0


def _run(chosen: argparse.Namespace) -> int:
    """Measure; returns the exit code: 0, 1 where a trial failed, 130 after Ctrl-C."""
    from torchduet.bench.host.machine import probe
    from torchduet.bench.peers import trials
    from torchduet.bench.peers.table import markdown
    from torchduet.suites.workload import cores

    parser: argparse.ArgumentParser = chosen.parser
    tools = _some("--tools", parser, chosen.tools, {tool.name: tool for tool in trials.TOOLS})
    if cores() < 2:
        parser.error("this process may use one core only; a busy neighbour needs a second one")
    conditions = _some("--conditions", parser, chosen.conditions, trials.conditions(cores()))
    missing = [name for name in PACKAGES if _version(name) is None]
    if missing:
        parser.error(f"not installed: {', '.join(missing)}; pip install 'torchduet[peers]'")
    if chosen.repeats < 0 or chosen.slow_repeats < 0 or chosen.seconds <= 0:
        parser.error("--repeats and --slow-repeats take a number from 0, --seconds a time above 0")
    if not chosen.output.parent.is_dir():
        parser.error(f"{chosen.output}: {chosen.output.parent} is not a folder")
    facts = probe().facts()
    about: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": facts["cpu"],
        "cores": facts["cores"],
        "versions": {name: _version(name) for name in PACKAGES},
        "seconds": chosen.seconds,
        "calibration": {},
    }
    before = _before(parser, chosen.output, about) if chosen.add else {}
    about["calibration"] |= before.get("calibration", {})
    with tempfile.TemporaryDirectory(prefix="torchduet-peers-") as folder:
        settings = {}
        for condition in conditions:
            found = about["calibration"].get(condition.name)
            if found is None:
                _tell(f"calibrating extra work with {condition.threads} threads")
                found = about["calibration"][condition.name] = _calibrated(condition.threads)
            settings[condition.name] = Path(folder, f"{condition.name}.json")
            settings[condition.name].write_text(json.dumps(found), "utf-8")
        kept = trials.Kept(chosen.output, about, before.get("trials", []))
        plan = trials.order(tools, conditions, chosen.repeats, chosen.slow_repeats)
        try:
            trials.run(plan, settings, chosen.seconds, kept, _tell)
        except KeyboardInterrupt:
            _tell(f"stopped; {chosen.output} has the {len(kept.trials)} trials that were finished")
            return 130
        except OSError as error:
            parser.error(f"{chosen.output}: {error.strerror}")
    print(markdown({**kept.about, "trials": kept.trials}), end="")
    return 1 if any(trial["error"] for trial in kept.trials) else 0


def _before(parser: argparse.ArgumentParser, path: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What the file holds, of the same machine and versions."""
    try:
        before: dict[str, Any] = json.loads(path.read_text("utf-8"))
        changed = [name for name in ("cpu", "cores", "versions", "seconds") if before[name] != about[name]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"{path}: not a file that `run` wrote: {error}")
    if changed:
        parser.error(f"{path}: measured with other {', '.join(changed)}; write to another file, without --add")
    return before


def _some(option: str, parser: argparse.ArgumentParser, text: str | None, known: dict[str, Any]) -> list[Any]:
    """Those named, by how their names begin; all if none are."""
    if text is None:
        return list(known.values())
    found = []
    for part in (part.strip() for part in text.split(",")):
        named = [value for name, value in known.items() if part and name.startswith(part)]
        if not named:
            parser.error(f"{option} {text!r}: {part!r} is none of {'; '.join(known)}")
        found += [value for value in named if value not in found]
    return found


def _calibrated(threads: int) -> dict[str, Any]:
    """In a process of its own, so that its threads are set once."""
    from torchduet.bench.peers.tools.place import ROOT

    ran = subprocess.run(
        [sys.executable, "-m", "torchduet.bench.peers.calibration", str(threads)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

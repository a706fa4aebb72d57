"""The journal of a run that was cut short is read as the run so far, or refused in one line."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.reports.made_journal import Entries, made_journal
from tests.reports.made_journal import entries as full_entries
from tests.reports.sample import make_run
from torchduet.bench.record.journal import encode, parse
from torchduet.bench.record.journal_events import entry_of, read_log
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed
from torchduet.reports.findings.unmeasured import ended_early, unmeasured
from torchduet.reports.read.run_file import RunFileError, load
from torchduet.reports.read.run_so_far import run_so_far

ROOT = Path(__file__).parents[2]


@pytest.fixture
def entries() -> Entries:
    return made_journal()


def written(path: Path, entries: Entries) -> Path:
    path.write_bytes(b"".join(map(encode, entries)))
    return path


def test_it_is_the_run_so_far_and_says_so(tmp_path: Path, entries: Entries) -> None:
    run = load(written(tmp_path / "run.json.journal", entries))
    assert [record["case"]["id"] for record in run.records] == [
        case for entry in entries[1:] for case in entry["outcomes"]
    ]
    unreached = entries[0]["plan"][-1][1]
    assert run.about["unreached"] == unreached
    assert len(unreached) == sum(gap.number for gap in unmeasured(run))
    assert ended_early(run).startswith(
        f"This run ended early: {len(run.records)} of {len(run.records) + len(unreached)}"
    )
    assert run.about["seconds"]["timed"] == 1.5 * (len(entries) - 1)
    first, last = run.about["warnings"]
    assert first == "it was hot"
    assert "--resume continues it" in last


def test_a_damaged_line_costs_its_family_alone(tmp_path: Path, entries: Entries) -> None:
    whole = load(written(tmp_path / "whole", entries))
    path = tmp_path / "damaged"
    path.write_bytes(b"".join(map(encode, entries[:-1])) + encode(entries[-1])[:-30])
    run = load(path)
    assert len(run.records) == len(whole.records) - len(entries[-1]["outcomes"])
    assert "1 damaged line was left out" in run.about["warnings"][-1]


def news(start: float, *, known: bool) -> dict[str, Any]:
    """What a family's event holds of the GPUs: two samples, and what each is where that is new."""
    piece: dict[str, Any] = {"at": [start, start + 0.1], "samples": {"cuda:0": {"power_w": [300.0, None]}}}
    facts = {"name": "NVIDIA H200", "power_limit_w": 700.0}
    about = {"device": "cuda:0", "facts": facts, "slice": False, "update_seconds": {}, "missing": {}}
    return {**piece, "gpus": [{**about, "at": [], "samples": {}}]} if known else piece


@pytest.mark.parametrize("known", [True, False])
def test_the_gpus_that_it_holds_are_in_its_record(tmp_path: Path, entries: Entries, known: bool) -> None:
    """Of older journals, whose pieces do not say what the GPUs are, the samples alone."""
    entries[1]["gpus"], entries[2]["gpus"] = news(0.5, known=known), news(1.5, known=False)
    (gpu,) = load(written(tmp_path / "run.json.journal", entries)).about["gpus"]
    assert gpu["device"] == "cuda:0"
    assert gpu["at"] == [0.5, 0.6, 1.5, 1.6]
    assert gpu["samples"] == {"power_w": [300.0, None, 300.0, None]}
    assert gpu["facts"].get("name") == ("NVIDIA H200" if known else None)


def test_its_cases_have_their_noise_and_what_was_kept_is_not_changed() -> None:
    content = b"".join(map(encode, full_entries()))
    log = read_log(parse(content, "it"), "it")
    before = [encode(entry_of(event)) for event in log.events]
    document = run_so_far(log)
    assert {one["extra_info"][KEY]["noise"]["grade"] for one in document["benchmarks"]} == {"quiet"}
    assert document[KEY]["noise"]["grade"] == "quiet"
    assert [encode(entry_of(event)) for event in log.events] == before


def test_later_visits_are_in_its_records(tmp_path: Path) -> None:
    run = load(written(tmp_path / "run.json.journal", full_entries()))
    visited = {entry["name"] for entry in full_entries() if entry["kind"] == "visit"}
    numbers = {record["case"]["family"]: len(record["timing"].get("visits", [])) for record in run.records}
    assert numbers == {name: 3 if name in visited else 0 for name in numbers}
    assert set(numbers.values()) == {0, 3}
    for record in run.records:
        for speedup in record["speedups"]:
            assert ("interval" in speedup) == (record["case"]["family"] in visited)
        if record["case"]["family"] in visited:
            assert [visit["placements"] for visit in record["timing"]["visits"]] == [9, 3, 3]
            assert all(speedup["interval"]["visits"] == 3 for speedup in record["speedups"])
    assert run.about["visits"] == {"fewest": 3, "median": 3, "most": 3}
    assert run.about["seconds"]["timed"] == pytest.approx(1.5 * len(numbers) + 0.05 * 2 * len(visited))


def test_verdicts_that_an_older_writer_left_open_in_the_records_get_no_second_note(entries: Entries) -> None:
    seen = BlockSwitches(0.5, 500.0, loaders=False)  # two threads on fewer free cores
    for entry, left_open in zip(entries[1:3], (False, True), strict=True):
        each = dict.fromkeys(entry["outcomes"], seen)
        entry["timed"] = asdict(Timed(1.0, 2.0, Telemetry(1.0, others=1.9), None, seen, each, {}, left_open))
    entries[0]["run"]["options"]["threads"] = entries[0]["run"]["machine"]["cores"] = 2
    document = run_so_far(read_log(parse(b"".join(map(encode, entries)), "it"), "it"))
    records = {one["extra_info"][KEY]["case"]["id"]: one["extra_info"][KEY] for one in document["benchmarks"]}
    noted = [any("no verdict:" in note for note in records[case]["notes"]) for case in entries[1]["outcomes"]]
    assert all(noted)
    assert not any("no verdict:" in note for case in entries[2]["outcomes"] for note in records[case]["notes"])


def test_reading_it_loads_neither_torch_nor_what_measures(tmp_path: Path, entries: Entries) -> None:
    path = written(tmp_path / "run.json.journal", entries)
    code = (
        "import sys\n"
        "from torchduet.reports.read.run_file import load\n"
        f"assert load({str(path)!r}).records\n"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] == 'torch' or m.startswith('torchduet.')))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = out.stdout.split()
    assert "torch" not in loaded
    allowed = ("torchduet.reports", "torchduet.bench.files", "torchduet.bench.record", "torchduet.bench.noise")
    assert [name for name in loaded if name != "torchduet.bench" and not name.startswith(allowed)] == []


def test_rendering_it_loads_no_more_of_what_measures_than_rendering_a_run(tmp_path: Path, entries: Entries) -> None:
    journal = written(tmp_path / "run.json.journal", entries)
    run = tmp_path / "run.json"
    run.write_text(json.dumps(make_run()))
    loaded = {}
    for path in (journal, run):
        code = (
            "import sys; from torchduet.__main__ import main\n"
            f"assert main(['render', {str(path)!r}, '-o', {str(tmp_path / 'page.html')!r}]) == 0\n"
            "print(*sorted(m for m in sys.modules if m.split('.')[0] == 'torch' or m.startswith('torchduet.bench.')))"
        )
        out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        loaded[path] = set(out.stdout.splitlines()[-1].split())
    assert "torch" not in loaded[journal]
    rooms = ("torchduet.bench.record", "torchduet.bench.noise")
    assert {name for name in loaded[journal] - loaded[run] if not name.startswith(rooms)} == set()


def lacking(key: str) -> Callable[[Entries], None]:
    return lambda entries: entries[0].pop(key) and None


def no_outcomes(entries: Entries) -> None:
    entries[1]["outcomes"] = 7


def no_record(entries: Entries) -> None:
    case = next(iter(entries[1]["outcomes"]))
    entries[1]["outcomes"][case] = {"record": {"schema": 1}}


def other_format(entries: Entries) -> None:
    entries[0]["format"] = 99


@pytest.mark.parametrize(
    "damage", [lacking("run"), lacking("plan"), no_outcomes, no_record, other_format, Entries.clear]
)
def test_what_is_no_runs_journal_is_refused_in_one_line(
    tmp_path: Path, entries: Entries, damage: Callable[[Entries], None]
) -> None:
    damage(entries)
    path = written(tmp_path / "run.json.journal", [*entries, {"kind": "pilot", "at": 1.0}])
    with pytest.raises(RunFileError) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)

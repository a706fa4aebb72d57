"""The journal of a run that was cut short is read as the run so far, or refused in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reports.made_journal import Entries, made_journal
from torchduet.bench.record.journal import encode
from torchduet.reports.findings.unmeasured import gaps, stopped
from torchduet.reports.read.run_file import RunFileError, load


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
    assert len(unreached) == sum(gap.number for gap in gaps(run))
    assert stopped(run).startswith(f"This run was stopped: {len(run.records)} of {len(run.records) + len(unreached)}")
    assert run.about["seconds"]["timed"] == 1.5 * (len(entries) - 1)
    first, last = run.about["warnings"]
    assert first == "it was hot"
    assert "--resume goes on with it" in last


def test_a_damaged_line_costs_its_family_alone(tmp_path: Path, entries: Entries) -> None:
    whole = load(written(tmp_path / "whole", entries))
    path = tmp_path / "damaged"
    path.write_bytes(b"".join(map(encode, entries[:-1])) + encode(entries[-1])[:-30])
    run = load(path)
    assert len(run.records) == len(whole.records) - len(entries[-1]["outcomes"])
    assert "1 of its lines are damaged" in run.about["warnings"][-1]


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

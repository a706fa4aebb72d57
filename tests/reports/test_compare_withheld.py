"""What a run withholds its verdicts on, a comparison of two runs withholds, too, for both sides and with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_noise import seen
from tests.reports.remeasured import remeasured
from tests.reports.test_compare import called, change_of, held
from tests.reports.visited import visited
from torchduet.__main__ import main
from torchduet.bench.noise.withheld import preempted, with_verdicts_withheld
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.brief import markdown
from torchduet.reports.compare.page import render
from torchduet.reports.compare.text import terminal
from torchduet.reports.compare.withheld import times_withheld
from torchduet.reports.read.run_file import from_json

FAMILY = "matmul.square[n=512]"
SQUARE = f"{FAMILY} cpu eager fp32"
REASONS = {
    "waited for a core": seen(switched=0.49, switches_per_second=290.0, others=1.4),
    "pilots stood still": seen(pilots=140.0, drift=0.02),
    "times stood still": seen(pilots=0.1, drift=44.0),
}
Make = Callable[..., Any]


def withheld(document: Any, reason: str, family: str = FAMILY) -> Any:
    """The document as a run writes it that withheld its verdicts on a family."""
    cause = preempted(REASONS[reason])
    assert cause is not None
    made = json.loads(json.dumps(document))
    for benchmark in made["benchmarks"]:
        record = benchmark["extra_info"][KEY]
        if record["case"]["family"] == family:
            benchmark["extra_info"][KEY] = with_verdicts_withheld(record, cause)
    return made


@pytest.mark.parametrize("make", [remeasured, visited], ids=["placements", "visits"])
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("side", [0, 1])
def test_a_case_of_which_a_run_withheld_its_verdicts_has_none(
    shared_document: Any, make: Make, reason: str, side: int
) -> None:
    documents = [make(shared_document, 1), make(shared_document, 2, slower={FAMILY: 2900.0})]
    assert SQUARE in called(held(*documents))
    documents[side] = withheld(documents[side], reason)
    pair = held(*documents)
    assert not called(pair)
    finding = change_of(pair, SQUARE).time
    assert finding is not None
    assert (finding.verdict, finding.cause, finding.low) == ("unclear", "withheld", None)
    name = ("base.json", "new.json")[side]
    assert finding.why.startswith(f"{name} withheld its own verdicts: ")
    assert "--threads 1" in finding.why
    speedups = [change.speedup for change in pair.changes if change.case["family"] == FAMILY and change.speedup]
    assert {speedup.cause for speedup in speedups} == {"withheld"}
    for output in (terminal([pair]), markdown([pair]), render([pair], 0.05)):
        assert f"{name} withheld its own verdicts" in output
        assert "because a run withheld its own verdicts on them, or waited for a core" in output


@pytest.mark.parametrize("make", [remeasured, visited], ids=["placements", "visits"])
@pytest.mark.parametrize("side", [0, 1])
def test_times_that_waited_for_a_core_have_no_verdict_though_the_run_withheld_none(
    shared_document: Any, make: Make, side: int
) -> None:
    """As of two runs of one file, the second beside four busy processes: 5 µs against 16 ms."""
    documents = [make(shared_document, 1), make(shared_document, 2, slower={FAMILY: 2900.0})]
    figures = {"interrupted": 1.0, "interruptions_per_second": 102.0, "others": 1.31}
    for document in documents:
        document[KEY]["options"]["threads"] = 2
    for one in documents[side]["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"]["family"] == FAMILY:
            record["noise"] = {"grade": "disturbed", "causes": [], "figures": figures}
    pair = held(*documents)
    assert not called(pair)
    finding = change_of(pair, SQUARE).time
    assert finding is not None
    assert finding.why == (
        f"{('base.json', 'new.json')[side]} waited for a core: 100 % of the blocks had a context switch: more threads "
        "than free cores; use --threads 1, and close what else is running"
    )
    speedup = change_of(pair, f"{FAMILY} cpu compile fp32").speedup
    assert speedup is not None
    assert speedup.cause != "withheld"  # in alternation both sides waited
    for document in documents:
        document[KEY]["machine"]["cores"] = 8
    runs = [from_json(document) for document in documents]
    sides = [(run, next(record for record in run.records if record["case"]["id"] == SQUARE)) for run in runs]
    assert times_withheld(*sides) == ""


@pytest.mark.parametrize("make", [remeasured, visited], ids=["placements", "visits"])
def test_what_is_withheld_does_not_widen_the_intervals_of_others(shared_document: Any, make: Make) -> None:
    base = make(shared_document, 1)
    wild = dict.fromkeys({one["extra_info"][KEY]["case"]["family"] for one in base["benchmarks"]} - {FAMILY}, 50.0)
    new = make(shared_document, 2, slower={FAMILY: 1.2})
    mixed = make(shared_document, 2, slower={FAMILY: 1.2, **dict(sorted(wild.items())[:7])})
    for family in sorted(wild)[:7]:
        new, mixed = (withheld(document, "waited for a core", family) for document in (new, mixed))
    plain, beside = (change_of(held(base, document), SQUARE).time for document in (new, mixed))
    assert plain is not None
    assert beside is not None
    assert (plain.low, plain.high, plain.verdict) == (beside.low, beside.high, beside.verdict)


@pytest.mark.parametrize("pilots", [True, False])
def test_what_is_withheld_is_no_common_factor_and_stands_in_for_nothing(shared_document: Any, pilots: bool) -> None:
    base, new = (visited(shared_document, seed, pilots=pilots) for seed in (1, 2))
    families = sorted({one["extra_info"][KEY]["case"]["family"] for one in base["benchmarks"]})
    for one in new["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"]["family"] in families[1:]:
            record["timing"]["blocks"] = [[40 * value for value in rounds] for rounds in record["timing"]["blocks"]]
    assert held(base, new).common is not None
    for family in families[1:]:
        new = withheld(new, "waited for a core", family)
    pair = held(base, new)
    assert pair.common is None
    assert not called(pair)


def test_a_pair_of_which_all_is_withheld_fails_with_its_own_exit_code(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few: dict[str, Any] = {"families": (FAMILY,)}
    new = visited(shared_document, 2, slower={FAMILY: 2900.0}, **few)
    Path("base.json").write_text(json.dumps(visited(shared_document, 1, **few)))
    Path("new.json").write_text(json.dumps(withheld(new, "waited for a core")))
    assert main(["compare", "base.json", "new.json", "--fail-on", "slower"]) == 3
    out = capsys.readouterr().out
    assert out.startswith(
        "new.json against base.json: This pair of runs can give no verdict\n\n"
        "This pair of runs can give no verdict: 4 because"
    )
    assert "more threads than free cores; use --threads 1" in out

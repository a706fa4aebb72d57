"""Wherever a run's journal is torn off, what is resumed ends with the very records of an undisturbed run.

The workers are stood in for by some whose answers follow from the case and the visit: real ones never answer twice the
same.
"""

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.bench.made_workers import Run, begin
from torchduet.bench.plan import visits
from torchduet.bench.record import journal
from torchduet.bench.record.journal_events import read_log
from torchduet.bench.record.schema import KEY
from torchduet.reports.read.run_so_far import run_so_far

WORKLOADS = """
suite.compare("a", {"one": one}, inputs=inputs, axes={"n": [1, 2]}, modes=["eager"])
suite.compare("b", {"one": one, "two": two}, inputs=inputs, modes=["eager"])
suite.compare("c", {"one": one, "two": two}, inputs=inputs, modes=["eager"])
""".replace("inputs=inputs, axes", "inputs=lambda device, n: inputs(device), axes")
DEAD, COMPARED = "made.a[n=2]", ("made.b", "made.c")
MOMENTS = 20
VISITS = 6


@pytest.fixture(autouse=True)
def few_visits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every family that is compared gets six visits, and no figures of earlier runs are read."""
    monkeypatch.setattr(visits, "MAX_VISITS", VISITS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begins a run, or continues that of the journal; none of its families is precise before its last visit."""
    path = tmp_path / "run.json"
    return lambda again, **changes: begin(
        tmp_path,
        monkeypatch,
        WORKLOADS,
        budget="10m",
        journal=path,
        again=again,
        **{"dies": {DEAD: 0}, "between": 0.5, **changes},
    )


def written(tmp_path: Path) -> Path:
    """The journal's file."""
    return journal.path_for(tmp_path / "run.json")


def outcome(run: Run) -> dict[str, Any]:
    """All that the JSON says of the cases and of what the run measured of the machine, but for when it was."""
    about = run.session.run_record()
    of_run = {
        name: about.get(name) for name in ("failed", "skipped", "unreached", "ceilings", "noise", "options", "visits")
    }
    seconds = {name: about["seconds"][name] for name in ("timed", "warming")}  # type: ignore[literal-required]
    found = json.loads(json.dumps({"records": run.session.records(), "seconds": seconds, **of_run}))
    for record in found["records"]:
        for visit in record["timing"]["visits"]:
            del visit["at"]
    return found


def numbers(content: bytes, kind: str) -> int:
    """How many events of a kind a journal has."""
    return content.count(f'"kind":"{kind}"'.encode())


def test_torn_off_at_any_byte_it_ends_with_the_records_of_an_undisturbed_run(tmp_path: Path, started: Any) -> None:
    undisturbed = started(False)
    undisturbed.to_its_end()
    expected = outcome(undisturbed)
    assert len(expected["records"]) == 5
    assert len(expected["failed"]) == 1
    assert expected["visits"]["most"] == VISITS
    content = written(tmp_path).read_bytes()
    first_line = content.index(b"\n") + 1
    first_visit = content.index(b'"kind":"visit"')
    chance = random.Random(7)
    cuts = [chance.randrange(first_line, len(content)) for _ in range(MOMENTS)]
    assert any(cut < first_visit for cut in cuts)
    assert any(cut > first_visit for cut in cuts)
    for cut in [*cuts, first_line, first_visit, len(content)]:
        written(tmp_path).write_bytes(content[:cut])
        resumed = started(True)
        resumed.to_its_end()
        assert outcome(resumed) == expected, cut
        assert len(resumed.measuring.progress.resumed) == 1
        # What the journal holds is not measured again; the family whose worker died, if it was the last one.
        kept = content[: content.rfind(b"\n", 0, cut) + 1]
        known = numbers(kept, "family") + numbers(kept, "visit")
        assert len(undisturbed.workers.visits) - len(resumed.workers.visits) in (known, known - 1), cut


@pytest.mark.parametrize("after", [1, 4, 5, 8, 13])
def test_stopped_in_the_middle_its_journal_has_the_records_that_the_run_had(
    tmp_path: Path, started: Any, after: int
) -> None:
    def stop(_: object) -> None:
        if len(stopped.workers.visits) == after + 1:
            stopped.session.stop_request.number = signal.SIGTERM

    undisturbed = started(False)
    undisturbed.to_its_end()
    expected = outcome(undisturbed)
    written(tmp_path).unlink()
    stopped = started(False, before=stop)
    stopped.to_its_end()
    records, about = stopped.session.records(), stopped.session.run_record()
    content = written(tmp_path).read_bytes()
    so_far = run_so_far(read_log(journal.parse(content, "it"), "it"))
    assert [one["extra_info"][KEY] for one in so_far["benchmarks"]] == json.loads(json.dumps(records))
    for name in ("visits", "noise", "failed", "skipped", "unreached", "ceilings", "pilots"):
        assert so_far[KEY].get(name) == json.loads(json.dumps(about.get(name))), name
    for name in ("timed", "warming"):
        assert so_far[KEY]["seconds"][name] == about["seconds"][name]
    resumed = started(True)
    known = [(record["case"]["id"], record["timing"]["visits"]) for record in resumed.session.records()]
    # The family whose worker died last is measured again.
    assert known == [(record["case"]["id"], record["timing"]["visits"]) for record in records]
    resumed.to_its_end()
    assert outcome(resumed) == expected
    assert min(at for name, _, at in resumed.workers.visits if name in COMPARED) > 1000.0


def test_a_run_whose_first_visits_were_all_made_goes_on_with_later_ones(tmp_path: Path, started: Any) -> None:
    undisturbed = started(False)
    undisturbed.to_its_end()
    content = written(tmp_path).read_bytes()
    events = content.splitlines(keepends=True)
    first = next(place for place, event in enumerate(events) if b'"kind":"visit"' in event)
    kept = b"".join(events[: first + 5])  # visits, and pilots between them
    written(tmp_path).write_bytes(kept)
    resumed = started(True)
    resumed.to_its_end()
    assert all(number > 0 for _, number, _ in resumed.workers.visits)
    assert resumed.workers.awaited == 1
    made = {(name, number) for name, number, _ in resumed.workers.visits}
    assert len(made) == len(resumed.workers.visits) == len(undisturbed.workers.visits) - 4 - numbers(kept, "visit")
    assert numbers(kept, "visit") > 1
    pilots = [pilot["before"] for pilot in resumed.session.run_record()["pilots"]]
    assert pilots.count("") == 1  # at the very end


def test_the_budget_of_a_resumed_run_is_what_the_first_process_left(started: Any) -> None:
    def stop(task: Any) -> None:
        if task.number == 3:
            stopped.session.stop_request.number = signal.SIGTERM

    stopped = started(False, before=stop)
    stopped.to_its_end()
    budget = stopped.measuring.budget
    assert budget is not None
    left = budget.seconds_left()
    resumed = started(True)
    assert resumed.measuring.budget is None
    resumed.session.outcome(resumed.measuring.progress.families[0].reported[0])
    first = min(at for _, _, at in resumed.workers.visits)
    again = resumed.measuring.budget
    assert again is not None
    # The visit that was cut short, and the pilots, are all that was spent beside.
    assert again.seconds_left() + (resumed.workers.clock.now - first) == pytest.approx(left, abs=1.0)

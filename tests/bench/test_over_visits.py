"""The figures of a family over its visits: means, sums and extremes, and its noise as one family of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torchduet.bench.noise.grades import noise_of, run_record
from torchduet.bench.noise.over_visits import over_visits
from torchduet.bench.record.schema import PilotRecord
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed

IDLE = Telemetry(1.0, others=0.0, steal=0.0, stopped=0.0, quota=2.0, swapped=0, throttled=0, virtual=True)
NO_SWITCHES = BlockSwitches(0.0, 0.0, loaders=False)


def visit(
    begun: float, *cases: str, telemetry: Telemetry = IDLE, switches: BlockSwitches = NO_SWITCHES, **changes: Any
) -> Timed:
    """A visit of one second to a family of these cases."""
    timed = Timed(begun, begun + 1.0, telemetry, None, switches, dict.fromkeys(cases, switches), {})
    return replace(timed, **changes)


def pilot(at: float, scale: float = 1.0) -> PilotRecord:
    return PilotRecord(at=at, before="", seconds={"arithmetic": 1e-4 * scale, "memory": 3e-3, "calls": 5e-5})


def test_one_visit_is_as_it_was_measured() -> None:
    one = visit(3.0, "a", "b", drift=0.1)
    (found,) = over_visits([one])
    assert found.timed == one
    assert found.visits == ((3.0, 4.0),)
    assert over_visits([]) == []


def test_visits_belong_to_one_family_if_they_have_a_case_in_common() -> None:
    found = over_visits(
        [
            visit(0.0, "a eager", "a compile"),
            visit(1.0, "b eager"),
            visit(2.0, "a eager"),  # the other case failed in this visit
            visit(3.0, "b eager"),
            visit(4.0, "a compile"),
        ]
    )
    assert [of.visits for of in found] == [((0.0, 1.0), (2.0, 3.0), (4.0, 5.0)), ((1.0, 2.0), (3.0, 4.0))]
    assert [list(of.timed.each) for of in found] == [["a eager", "a compile"], ["b eager"]]
    assert (found[0].timed.begun, found[0].timed.ended) == (0.0, 5.0)


def test_loads_are_means_over_the_length_of_the_visits() -> None:
    long = Telemetry(3.0, others=0.4, steal=0.04, swapped=5, throttled=1, slowest=2e9, fastest=3.1e9)
    (found,) = over_visits([visit(0.0, "a", telemetry=IDLE), visit(5.0, "a", telemetry=long)])
    telemetry = found.timed.telemetry
    assert telemetry.seconds == 4.0
    assert telemetry.others == pytest.approx(0.3)
    assert telemetry.steal == pytest.approx(0.03)
    assert telemetry.stopped == 0.0  # of the visit for which it is known
    assert (telemetry.swapped, telemetry.throttled) == (5, 1)
    assert (telemetry.slowest, telemetry.fastest) == (2e9, 3.1e9)
    nothing = Telemetry(1.0)
    (found,) = over_visits([visit(0.0, "a", telemetry=nothing), visit(5.0, "a", telemetry=nothing)])
    assert found.timed.telemetry == Telemetry(2.0)


def test_blocks_left_out_add_up_and_shares_are_means() -> None:
    many, few = (
        BlockSwitches(0.4, 100.0, loaders=False, stood_still=1.5, left_out=2),
        BlockSwitches(0.2, 50.0, loaders=True, stood_still=0.5, left_out=1, kept=1),
    )
    (found,) = over_visits([visit(0.0, "a", switches=many), visit(5.0, "a", switches=few)])
    expected = BlockSwitches(pytest.approx(0.3), 75.0, loaders=True, stood_still=2.0, left_out=3, kept=1)  # type: ignore[arg-type]
    assert found.timed.whole == found.timed.each["a"] == expected
    unknown = BlockSwitches(None, None, loaders=False)
    (found,) = over_visits([visit(0.0, "a", switches=unknown), visit(5.0, "a", switches=unknown)])
    assert (found.timed.whole.share, found.timed.whole.rate) == (None, None)


def test_drift_and_a_gpus_clocks_are_those_of_a_typical_visit() -> None:
    (found,) = over_visits(
        [
            visit(0.0, "a", drift=0.05, gpu={"power cap": 0.9}),
            visit(5.0, "a", drift=None, gpu={}),
            visit(9.0, "a", drift=0.5, gpu={"power cap": 0.3, "temperature": 0.3}),
            visit(12.0, "a", drift=0.1),
        ]
    )
    assert found.timed.drift == 0.1
    assert found.timed.gpu == pytest.approx({"power cap": 0.3, "temperature": 0.075})
    (found,) = over_visits([visit(0.0, "a"), visit(5.0, "a")])
    assert found.timed.drift is None


def test_what_changes_between_two_visits_is_no_change_of_the_speed_during_them() -> None:
    found = over_visits([visit(1.0, "a"), visit(21.0, "a"), visit(41.0, "a")])[0]
    steps = [
        pilot(at, scale) for at, scale in ((0.5, 1.0), (2.5, 1.0), (20.5, 2.0), (22.5, 2.0), (40.5, 3.0), (42.5, 3.0))
    ]
    assert found.pilots_change(steps) == 0.0
    once = [
        pilot(at, scale) for at, scale in ((0.5, 1.0), (2.5, 2.0), (20.5, 2.0), (22.5, 2.0), (40.5, 2.0), (42.5, 2.0))
    ]
    assert found.pilots_change(once) == 0.0  # around one visit of three
    each = [
        pilot(at, scale) for at, scale in ((0.5, 1.0), (2.5, 2.0), (20.5, 1.0), (22.5, 2.0), (40.5, 1.0), (42.5, 1.5))
    ]
    assert found.pilots_change(each) == pytest.approx(1.0)
    assert found.pilots_change([]) is None
    assert found.pilots_change([pilot(0.5)]) is None


def test_a_family_counts_once_in_the_runs_noise_however_often_it_was_visited() -> None:
    busy = replace(IDLE, others=0.9)
    quiet = [visit(float(at), f"q{at % 9}") for at in range(9)]
    noisy = [visit(20.0 + at, "noisy", telemetry=busy) for at in range(20)]
    records: Any = {f"q{at}": {"speedups": [], "notes": []} for at in range(9)} | {
        "noisy": {"speedups": [], "notes": []}
    }
    found = noise_of([*quiet, *noisy], records, [], threads=2, cores=2)
    assert found.records["noisy"]["noise"]["grade"] == "disturbed"
    assert {found.records[f"q{at}"]["noise"]["grade"] for at in range(9)} == {"quiet"}
    assert found.noise is not None
    assert found.noise["grade"] == "quiet"  # one family of ten
    assert "in 1 of 10 families" in found.noise["causes"][0]
    assert found.noise["figures"]["others"] == pytest.approx(20 * 0.9 / 29, rel=1e-2)


def test_verdicts_are_withheld_by_the_figures_of_all_visits() -> None:
    crowded = replace(IDLE, others=1.8)
    switched = BlockSwitches(0.5, 500.0, loaders=False)
    record: Any = {"speedups": [{"verdict": "faster"}], "notes": []}
    disturbed, calm = visit(0.0, "a", telemetry=crowded, switches=switched), visit(9.0, "a")

    def verdict(*visits: Timed) -> str:
        found = noise_of(visits, {"a": record}, [], threads=2, cores=2).records["a"]
        assert bool(found["notes"]) == (found["speedups"][0]["verdict"] == "unclear")
        return found["speedups"][0]["verdict"]

    assert verdict(calm, calm) == "faster"
    assert verdict(disturbed, disturbed) == "unclear"
    assert verdict(replace(disturbed, left_open=True), calm) == "faster"  # an older writer has withheld it already


@pytest.mark.parametrize(("threads", "visits", "kept"), [(1, 5, True), (1, 4, False), (2, 9, False)])
def test_enough_visits_with_one_thread_keep_their_verdict(threads: int, visits: int, kept: bool) -> None:
    """Which side waits longer for a core changes from process to process: it is in an interval over visits."""
    busy = visit(0.0, "a", telemetry=replace(IDLE, others=2.0), switches=BlockSwitches(0.49, 290.0, loaders=False))
    record: Any = {
        "timing": {"visits": [{"at": 0.0, "placements": 3}] * visits},
        "speedups": [{"verdict": "slower"}],
        "notes": [],
    }
    graded = noise_of([busy], {"a": record}, [], threads, 2, sure_visits=5)
    assert (graded.records["a"]["speedups"][0]["verdict"] == "slower") is kept
    assert noise_of([busy], {"a": record}, [], threads, 2).records["a"]["speedups"][0]["verdict"] == "unclear"


def test_the_policy_of_the_clocks_is_that_of_the_latest_visit() -> None:
    visits = [visit(at, "a", telemetry=replace(IDLE, governor=of)) for at, of in ((0.0, "a"), (5.0, "b"), (9.0, "c"))]
    (found,) = over_visits(visits)
    assert found.timed.telemetry.governor == "c"


def test_a_familys_noise_is_that_of_all_of_its_gpus_and_a_cases_that_of_its_own() -> None:
    """Other processes use the second GPU alone."""
    devices = {"a cuda:0": "cuda:0", "a cuda:1": "cuda:1"}
    records: Any = {case: {"speedups": [], "notes": [], "timing": {}} for case in devices}
    for busy in devices.values():
        other = visit(0.0, *devices, devices=devices, used_by_others={busy: 0.5})
        found = noise_of([other], records, [], threads=1, cores=2)
        assert {device: found.records[case]["noise"]["grade"] for case, device in devices.items()} == {
            "cuda:0": "quiet",
            "cuda:1": "quiet",
        } | {busy: "disturbed"}
        assert found.noise is not None
        assert found.noise["grade"] == "disturbed"


def test_in_how_many_families_a_cause_held_is_told_from_two_on() -> None:
    busy = replace(IDLE, others=0.9)

    def causes_of(*loads: Telemetry) -> list[str]:
        records: Any = {f"c{at}": {"speedups": [], "notes": [], "timing": {}} for at in range(len(loads))}
        visits = [visit(9.0 * at, f"c{at}", telemetry=load) for at, load in enumerate(loads)]
        found = noise_of(visits, records, [], threads=2, cores=2).noise
        assert found is not None
        return found["causes"]

    assert "at worst" not in causes_of(busy)[0]
    assert causes_of(busy, busy)[0].endswith(" (at worst; in all 2 families)")
    assert causes_of(busy, IDLE)[0].endswith(" (at worst; in 1 of 2 families)")


@pytest.mark.parametrize(("change", "told"), [(0.2499, False), (0.25, True), (0.5, True)])
def test_pilots_that_change_by_a_quarter_over_the_run_are_told(change: float, told: bool) -> None:
    assert [words.startswith("the pilots' times changed by") for words in run_record([[]], change)["causes"]] == (
        [True] if told else []
    )

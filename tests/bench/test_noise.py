"""Noise: from figures to a grade, its causes in plain words, and what would help."""

from dataclasses import replace

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult, FamilyResult
from torchduet.bench.noise.causes import causes, percent
from torchduet.bench.noise.drift import drift, pilots_around, pilots_change
from torchduet.bench.noise.family_noise import noise_of_family
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.grades import case_record, run_record
from torchduet.bench.record.schema import PilotRecord
from torchduet.bench.record.telemetry import Telemetry

IDLE = Telemetry(
    seconds=2.0, others=0.03, steal=0.0, stopped=0.0, swapped=0, throttled=0, slowest=3e9, fastest=3.05e9, virtual=True
)
QUIET = Figures(threads=2, cores=2, telemetry=IDLE, switched=0.045, switches_per_second=46.0, pilots=0.15, drift=0.02)


def seen(**changes: object) -> Figures:
    """Quiet figures but for these."""
    own = {name: changes.pop(name) for name in list(changes) if hasattr(QUIET, name)}
    return replace(QUIET, telemetry=replace(IDLE, **changes), **own)  # type: ignore[arg-type]


def test_an_idle_machine_is_quiet() -> None:
    assert causes(QUIET) == []
    assert case_record([], QUIET)["grade"] == "quiet"


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    unknown = Figures(threads=2, cores=2, telemetry=Telemetry(seconds=1.0))
    assert causes(unknown) == []
    assert "figures" in case_record([], unknown)
    assert case_record([], unknown)["figures"] == {}


@pytest.mark.parametrize(
    ("changes", "grade", "words", "remedy"),
    [
        (
            {"switched": 0.03, "switches_per_second": 130.0, "others": 0.4},
            "noisy",
            "3 % of the blocks had a context switch: more threads than free cores",
            "use --threads 1, or close what else is running",
        ),
        (
            {"switched": 0.81, "switches_per_second": 900.0, "threads": 1, "others": 1.6},
            "disturbed",
            "81 % of the blocks had a context switch: more threads than free cores",
            "close what else is running",
        ),
        (
            {"switched": 0.3, "switches_per_second": 300.0},
            "disturbed",
            "30 % of the blocks had a context switch: there are as many threads as cores",
            "use --threads 1, which leaves a core to other processes",
        ),
        ({"others": 0.9}, "disturbed", "other processes kept 0.9 of 2 cores busy", "use --threads 1"),
        (
            {"others": 0.9, "threads": 1},
            "noisy",
            "other processes kept 0.9 of 2 cores busy",
            "close what else is running",
        ),
        ({"steal": 0.04}, "noisy", "steal 4 %", "a quieter hour"),
        ({"steal": 0.2}, "disturbed", "steal 20 %", "without other tenants"),
        (
            {"stopped": 0.2, "quota": 1.5},
            "disturbed",
            "the container's quota of CPU time throttled it for 20 % of the time",
            "use --threads 1, as many as the container's quota allows",
        ),
        (
            {"pilots": 0.75, "drift": None},
            "disturbed",
            "differ by 75 %, without any load on this machine: other tenants of the host",
            "a quieter hour, a longer --budget",
        ),
        (
            {"pilots": 0.3, "drift": 0.4, "virtual": None},
            "noisy",
            "differ by 30 % and times drifted by 40 % from placement to placement, without any load",
            "a longer --budget",
        ),
        ({"pilots": 0.35}, "noisy", "the pilots before and after differ by 35 %", "a quieter hour"),
        ({"drift": 0.65}, "disturbed", "times drifted by 65 % from placement to placement", "a quieter hour"),
        ({"drift": 0.35, "others": None}, "noisy", "the reason is not known on this system", "--budget"),
        (
            {"slowest": 2.1e9, "fastest": 3.4e9, "governor": "schedutil"},
            "noisy",
            "the CPU's clocks ran between 2.10 and 3.40 GHz (governor schedutil)",
            "cpupower",
        ),
        ({"throttled": 2}, "noisy", "the CPU was slowed down for its temperature 2 times", "cooling"),
        ({"swapped": 512}, "noisy", "2 MiB were swapped", "memory"),
    ],
)
def test_each_cause_has_its_figure_and_what_would_help(
    changes: dict[str, object], grade: str, words: str, remedy: str
) -> None:
    found = causes(seen(**changes))
    (cause,) = [one for one in found if words in one.words]
    assert cause.grade == grade
    assert remedy in cause.remedy.words


def test_the_worst_cause_comes_first_and_gives_the_grade() -> None:
    figures = seen(steal=0.02, switched=0.4, switches_per_second=400.0)
    found = causes(figures)
    assert [cause.kind for cause in found] == ["context switches", "steal"]
    record = case_record(found, figures)
    assert record["grade"] == "disturbed"
    assert record["figures"]["steal"] == 0.02


def test_long_blocks_are_all_interrupted_on_a_quiet_machine_too() -> None:
    assert causes(seen(switched=0.9, switches_per_second=15.0)) == []


def test_loaders_take_turns_with_their_own_processes() -> None:
    assert causes(seen(switched=0.9, switches_per_second=500.0, loaders=True)) == []


def test_a_slow_machine_under_load_is_not_blamed_on_the_host() -> None:
    (moved,) = [cause for cause in causes(seen(pilots=0.5, others=0.8)) if cause.kind == "speed"]
    assert moved.words.endswith("under load")


@pytest.mark.parametrize(("share", "text"), [(0.124, "12 %"), (0.042, "4.2 %"), (0.04, "4 %"), (1.0, "100 %")])
def test_shares_in_words(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_run_is_what_a_fifth_of_its_families_are() -> None:
    calm, loud = causes(QUIET), causes(seen(others=1.2))
    assert run_record([calm] * 10, 0.03)["grade"] == "quiet"
    assert "remedy" not in run_record([calm] * 10, 0.03)
    few = run_record([*[calm] * 9, loud], 0.03)
    assert few["grade"] == "quiet"
    assert few["causes"] == ["other processes kept 1.2 of 2 cores busy (at worst; in 1 of 10 families)"]
    many = run_record([*[calm] * 8, *[loud] * 2], 0.03)
    assert many["grade"] == "disturbed"
    assert many["remedy"] == "use --threads 1, or close what else is running"


def test_a_run_names_one_remedy_against_each_thing() -> None:
    families = [causes(seen(others=0.9, pilots=1.5)), causes(seen(others=0.8)), causes(seen(steal=0.05))]
    record = run_record(families, 1.5)
    assert record["causes"][-1] == "the pilots' times changed by a factor of 2.5 over the run"
    assert record["remedy"].split("; ") == [
        "use --threads 1, or close what else is running",
        "a quieter hour, a longer --budget, or a machine without other tenants",
    ]


def test_pilots_that_moved_over_the_run_make_it_noisy() -> None:
    record = run_record([causes(QUIET)] * 3, 0.9)
    assert record["grade"] == "noisy"
    assert record["causes"] == ["the pilots' times changed by 90 % over the run"]
    assert "a quieter hour" in record["remedy"]


def pilot(at: float, scale: float = 1.0) -> PilotRecord:
    return PilotRecord(at=at, before="", seconds={"arithmetic": 1e-4 * scale, "memory": 1e-3})


def test_the_pilots_around_a_family_count() -> None:
    taken = [pilot(0.0, 3.0), pilot(10.0), pilot(20.0, 1.35), pilot(30.0, 5.0)]
    assert pilots_around(taken, 12.0, 18.0) == taken[1:3]
    assert pilots_change(pilots_around(taken, 12.0, 18.0)) == pytest.approx(0.35)
    assert pilots_around(taken, 12.0, 22.0) == taken[1:]
    assert pilots_around(taken, 31.0, 40.0) == taken[3:]
    assert pilots_change(taken[:1]) is None
    assert pilots_change([*[pilot(0.0)] * 9, pilot(1.0, 4.0)]) == pytest.approx(0.0)
    assert pilots_change([*[pilot(0.0)] * 8, *[pilot(1.0, 4.0)] * 2]) == pytest.approx(3.0)
    assert pilots_around([], 1.0, 2.0) == []


def test_a_stretch_at_half_speed_is_drift_and_one_bad_placement_is_not() -> None:
    steady = [[[1e-3] * 3] * 12, [[2e-3] * 3] * 12]
    assert drift(steady) == 0.0
    one_bad = [[*blocks[:5], [blocks[0][0] * 1.4] * 3, *blocks[6:]] for blocks in steady]
    assert drift(one_bad) == pytest.approx(0.0)
    slow = [[*blocks[:4], *([[blocks[0][0] * 2] * 3] * 4), *blocks[8:]] for blocks in steady]
    assert drift(slow) == pytest.approx(1.0)


def test_the_drift_of_a_gpu_is_not_averaged_with_that_of_the_cpu_beside_it() -> None:
    steady, slowing = [[1e-3] * 3] * 12, [[1e-3 * 2 ** (place / 11)] * 3 for place in range(12)]
    cases = [("cpu", steady), ("cpu", steady), ("cuda", slowing)]
    results = [
        CaseResult(Case("s", "s", "w", "", (), str(place), True, device, "eager", "fp32"), blocks=blocks)
        for place, (device, blocks) in enumerate(cases)
    ]
    found = noise_of_family((0.0, 1.0), FamilyResult(results), IDLE, {}).drift
    assert found is not None
    assert found > 0.5


def test_too_few_placements_show_no_drift() -> None:
    assert drift([[[1.0]] * 5]) is None
    assert drift([]) is None

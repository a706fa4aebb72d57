"""The part on GPUs: from which size on it wins, what a call waits for, its timeline, and what is not known."""

import json
import re

import pytest

from tests.reports.rendered import a_part, page_of, with_details
from tests.reports.sample import make_run
from tests.reports.with_gpu import gpu_record, make_gpu_run
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.charts.gpu import stretches
from torchduet.reports.compare.settings import cautions, differences
from torchduet.reports.findings.gpu import Section, section
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json


def of(document: object) -> Section:
    found = section(from_json(document))
    assert found is not None
    return found


def test_it_says_from_which_size_on_the_gpu_wins() -> None:
    assert of(make_gpu_run()).crossings == (
        "`matmul.square` (eager, fp32): the GPU begins to win between n=256 and 1,024.",
    )


@pytest.mark.parametrize(("device", "named"), [("xpu", ""), ("xpu:1", ", xpu:1"), ("cuda:1", ", cuda:1")])
def test_any_accelerator_is_the_gpu_and_named_where_it_is_not_the_first(device: str, named: str) -> None:
    text = json.dumps(make_gpu_run()).replace('"cuda"', f'"{device}"').replace(" cuda ", f" {device} ")
    found = of(json.loads(text))
    assert found.title == "GPU and energy"
    (crossing,) = found.crossings
    assert crossing == f"`matmul.square` (eager, fp32{named}): the GPU begins to win between n=256 and 1,024."
    assert all(row.limit for row in found.rows if row.device)


def test_a_run_without_a_gpu_has_no_such_part() -> None:
    assert section(from_json(make_run())) is None
    assert 'id="gpu"' not in page_of(make_run)


def test_what_a_call_waits_for_is_named() -> None:
    small, _, large = of(make_gpu_run()).rows
    assert small.limit == "launching: launch-bound"
    assert (small.host, small.device) == ("390 µs", "5.00 µs")
    assert large.limit == "the device’s work"
    assert large.samples == "2"
    assert "J" in large.energy
    assert small.energy == ""


def test_a_call_that_waits_for_the_device_is_not_called_launch_bound() -> None:
    document = make_gpu_run()
    timing = document["benchmarks"][1]["extra_info"][KEY]["timing"]
    del timing["launch_bound"], timing["device_seconds"]
    timing["waits"] = True
    assert of(document).rows[0].limit == "the device, within each call"


def test_energies_without_a_gpu_have_a_part_of_their_own_and_so_has_why_there_are_none() -> None:
    document = a_part(make_run())
    record = document["benchmarks"][0]["extra_info"][KEY]
    record["energy"] = {"why": "this system has no energy counter of the CPU (RAPL)"}
    found = of(document)
    assert (found.title, found.rows) == ("Energy", ())
    assert "this system has no energy counter" in with_details(render(from_json(document)))
    record["energy"] = {"joules": 0.1, "seconds": 5.0, "changes": 50, "source": "rapl"}
    assert of(document).title == "Energy"
    assert of(make_gpu_run()).title == "GPU and energy"


def test_cudas_own_memory_is_apart() -> None:
    assert "CUDA itself takes 640 MiB in each process" in page_of(make_gpu_run)


def test_gaps_between_launches_are_told_from_launch_bound() -> None:
    document = make_gpu_run()
    timing = document["benchmarks"][3]["extra_info"][KEY]["timing"]
    timing["device_seconds"] = 0.5 * timing["seconds"]
    assert of(document).rows[1].limit == "gaps between launches"


def test_faults_are_named_with_their_share_and_application_clocks_are_none() -> None:
    (gpu,) = of(make_gpu_run()).gpus
    assert any("lowered its clocks for power cap in" in note for note in gpu.notes)
    assert not any("temperature in" in note for note in gpu.notes)
    set_clocks = make_gpu_run(gpus=[gpu_record(4, samples={"reasons": [2.0] * 4})])
    (note, *_) = of(set_clocks).gpus[0].notes
    assert "no fault" in note


def test_what_is_not_known_says_why() -> None:
    lost = gpu_record(lost="the GPU was lost: GPU is lost", at=[], samples={}, slice=True)
    (gpu,) = of(make_gpu_run(gpus=[lost])).gpus
    assert "the GPU was lost" in gpu.notes[0]
    assert any("slice" in note for note in gpu.notes)
    assert any("pcie_width (Not Supported)" in note for note in gpu.notes)
    assert gpu.chart is None
    document = make_gpu_run()
    for benchmark in document["benchmarks"]:
        benchmark["extra_info"][KEY].pop("energy", None)
    document["benchmarks"][1]["extra_info"][KEY]["energy"] = {"why": "no counter"}
    found = of(document)
    assert (found.energy, found.no_energy) == (False, "no counter")


def test_the_timeline_is_drawn_with_its_stretches_and_told_in_words() -> None:
    (gpu,) = of(make_gpu_run()).gpus
    assert gpu.chart is not None
    assert "Power 120 to 690 W, limit 700" in gpu.chart.alternative
    assert re.search(r"Throttled in \d+ of 400 samples", gpu.chart.alternative)
    assert stretches([0, 1, 2, 3, 4], [False, True, True, False, True]) == [(1, 3), (4, 4)]
    page = page_of(make_gpu_run)
    assert 'href="#gpu"' in page
    assert gpu.chart.title in page


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"at": [0.0]}, "expected 1 samples, got 400"),
        ({"update_seconds": 3}, "update_seconds"),
        ({"samples": {"power_w": ["hot"]}}, "samples"),
    ],
)
def test_a_malformed_timeline_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        from_json(make_gpu_run(gpus=[gpu_record(**change)]))  # type: ignore[arg-type]


def test_another_driver_or_power_limit_stands_beside_the_verdicts() -> None:
    other = gpu_record()
    other["facts"] |= {"driver": "570.1", "power_limit_w": 350.0}
    base, new = from_json(make_gpu_run()), from_json(make_gpu_run(gpus=[other]))
    found = differences(base, new)
    assert {(one.name, one.base, one.new) for one in found} >= {
        ("GPU driver", "580.65.06", "570.1"),
        ("GPU power limit watts", "700", "350"),
    }
    assert any("settings" in one for one in cautions(base, new, found))


def test_the_state_of_the_clocks_and_the_kind_of_power_are_said() -> None:
    record = gpu_record()
    record["facts"] |= {"clocks": "locked at 1,410 MHz by this run", "power_reading": "average over 1 s"}
    (gpu,) = of(make_gpu_run(gpus=[record])).gpus
    assert "Clocks: locked at 1,410 MHz by this run." in gpu.notes
    assert ("power reading", "average over 1 s") in gpu.facts
    assert gpu.chart is not None
    assert "Power (average over 1 s) 120 to 690 W" in gpu.chart.alternative
    assert not any(note.startswith("Clocks") for note in of(make_gpu_run()).gpus[0].notes)  # an earlier file
    base, new = from_json(make_gpu_run()), from_json(make_gpu_run(gpus=[record]))
    assert ("GPU clocks", "not given", "locked at 1,410 MHz by this run") in {
        (one.name, one.base, one.new) for one in differences(base, new)
    }
    record["facts"]["clocks"] = "not locked by this run"
    assert differences(base, from_json(make_gpu_run(gpus=[record]))) == []  # as in a file of an earlier version


def test_the_sm_clock_while_a_case_was_timed_is_its_range_over_all_visits() -> None:
    document = make_gpu_run()
    assert "SM clock while it was timed" not in render(from_json(document))
    timing = document["benchmarks"][3]["extra_info"][KEY]["timing"]
    clocks = [{"low": 1740.0, "median": 1755.0, "high": 1800.0, "samples": 9}, None]
    clocks.append({"low": 1755.0, "median": 1900.0, "high": 1980.0, "samples": 7})
    timing["visits"] = [
        {"at": float(place), "placements": 4} | ({"sm_mhz": clock} if clock else {})
        for place, clock in enumerate(clocks)
    ]
    run = from_json(document)
    found = section(run)
    assert found is not None
    assert [row.clock for row in found.rows] == ["", "1,740–1,980 MHz", ""]
    page = render(run)
    assert "SM clock while it was timed" in page
    assert "1,740–1,980 MHz" in page


def test_a_run_on_two_gpus_is_compared_by_the_facts_of_both() -> None:
    other = gpu_record(device="cuda:1")
    other["facts"] |= {"power_limit_w": 350.0}
    found = differences(from_json(make_gpu_run()), from_json(make_gpu_run(gpus=[gpu_record(), other])))
    assert ("GPU power limit watts", "700", "700, 350") in {(one.name, one.base, one.new) for one in found}

"""Runs that become one: visits of machines of one kind add up, and what each case says follows from all of them."""

from __future__ import annotations

import itertools
import json
import math
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.merge.made_parts import ANOTHER_CPU, about, copy, families_of, named, part, records, shards
from tests.reports.sample import make_run
from torchduet.bench.merge.merging import merge, merged
from torchduet.bench.record.machines.key import key_of
from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.visits.intervals import judged
from torchduet.reports.findings.unmeasured import warnings
from torchduet.reports.read.run_file import from_json, read_all_fast

CASE = "matmul.square[n=512] cpu eager bf16"
SIX = tuple(families_of(make_run())[-6:])  # enough for a prior


def said(document: Any, machine: str = "") -> dict[str, Any]:
    """What a document says of each case, without texts whose order may differ."""
    return {
        name: {
            **record,
            "notes": sorted(record["notes"]),
            "timing": {**record["timing"], "visits": [round(visit["at"], 6) for visit in record["timing"]["visits"]]},
        }
        for name, record in records(document, machine).items()
    }


def close(one: Any, other: Any) -> bool:
    """Equal but for rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def test_a_run_merged_alone_says_what_it_said() -> None:
    run = part(1)
    whole = merged([("run.json", run)])
    for name, record in records(run).items():
        new = records(whole)[name]
        assert {key: new[key] for key in record if key != "timing"} == {  # type: ignore[literal-required]
            key: value for key, value in record.items() if key != "timing"
        }
        assert (new["timing"]["seconds"], new["timing"]["low"]) == (
            record["timing"]["seconds"],
            record["timing"]["low"],
        )
    assert {key: about(whole)[key] for key in about(run)} == about(run)  # type: ignore[literal-required]
    (only,) = about(whole)["parts"]
    assert (only["node"], only["cases"], only["seconds"]) == ("node-1", 56, about(run)["seconds"]["total"])


def test_why_a_run_ended_stays_where_it_is_alone() -> None:
    run = copy(part(1))
    run[KEY]["stopped"] = "stopped by SIGINT"
    assert about(merged([("run.json", run)]))["stopped"] == "stopped by SIGINT"
    assert "stopped" not in about(merged(named(run, part(2))))


def test_the_union_of_shards_is_the_run() -> None:
    whole = merged(named(*shards(3)))
    assert set(records(whole)) == set(records(make_run()))
    assert [part["shard"] for part in about(whole)["parts"]] == ["1/3", "2/3", "3/3"]
    assert "shard" not in about(whole)["options"]
    assert about(whole)["options"]["shard_plan"] == "0123abcd"
    assert about(whole)["seconds"]["total"] == pytest.approx(3 * about(make_run())["seconds"]["total"])
    assert all(record["parts"] == [at] for at, shard in enumerate(shards(3)) for record in _in(whole, shard))


def _in(whole: Any, shard: Any) -> list[Any]:
    return [records(whole)[name] for name in records(shard)]


def test_the_same_family_on_machines_of_one_kind_adds_visits() -> None:
    parts = [part(seed, visits=3) for seed in (1, 2)]
    whole = merged(named(*parts))
    record, own = records(whole)[CASE], [records(document)[CASE] for document in parts]
    assert record["parts"] == [0, 1]
    assert record["timing"]["blocks"] == own[0]["timing"]["blocks"] + own[1]["timing"]["blocks"]
    assert [visit["part"] for visit in record["timing"]["visits"]] == [0, 0, 0, 1, 1, 1]
    (speedup, *_), (first, *_), (second, *_) = record["speedups"], own[0]["speedups"], own[1]["speedups"]
    assert speedup["visit_ratios"] == first["visit_ratios"] + second["visit_ratios"]
    assert speedup["interval"]["visits"] == 6
    assert speedup["low"] is not None
    assert min(speedup["visit_ratios"]) < speedup["low"] < speedup["ratio"] < (speedup["high"] or 0)
    assert about(whole)["visits"]["fewest"] == 6


def test_intervals_are_those_of_a_run_that_made_all_these_visits() -> None:
    whole = merged(named(part(1), part(2), part(3)))
    again = judged(dict(sorted(records(whole).items())), {})
    for name, record in records(whole).items():
        assert json.loads(json.dumps(again.records[name]["speedups"])) == record["speedups"]
        assert again.records[name]["timing"]["low"] == record["timing"]["low"]


def test_moments_follow_one_another() -> None:
    whole = merged(named(part(2), part(1)))
    length = about(part(1))["seconds"]["total"]
    assert [of["begins"] for of in about(whole)["parts"]] == [0, length]
    assert [of["node"] for of in about(whole)["parts"]] == ["node-1", "node-2"]  # in the order in which they began
    moments = [visit["at"] for visit in records(whole)[CASE]["timing"]["visits"]]
    before = [visit["at"] for seed in (1, 2) for visit in records(part(seed))[CASE]["timing"]["visits"]]
    assert moments == pytest.approx([*before[:4], *(moment + length for moment in before[4:])])
    pilots = [pilot["at"] for pilot in about(whole)["pilots"]]
    assert pilots == sorted(pilots)
    assert len(pilots) == 2 * len(about(part(1))["pilots"])


def test_the_order_of_the_documents_does_not_matter() -> None:
    documents = [
        part(1, families=SIX),
        part(2, families=SIX, visits=2),
        part(3, families=SIX, machine=ANOTHER_CPU),
        part(4, families=SIX[:1]),
    ]
    first = merged(named(*documents))
    for order in itertools.permutations(documents):
        whole = merged(named(*order))
        assert whole[KEY] == first[KEY]
        assert {one["name"]: one for one in whole["benchmarks"]} == {one["name"]: one for one in first["benchmarks"]}


GROUPINGS = st.permutations(range(4)).flatmap(lambda order: st.tuples(st.just(order), st.integers(1, 3)))


@settings(max_examples=10)
@given(GROUPINGS)
def test_merged_runs_can_be_merged_again(grouping: tuple[list[int], int]) -> None:
    """Associative: ``(a + b) + (c + d)`` says of each case what ``a + b + c + d`` says."""
    order, cut = grouping
    documents = [part(seed, visits=seed, families=SIX) for seed in (1, 2, 3, 4)]
    flat = merged(named(*documents))
    groups = [[documents[at] for at in order[:cut]], [documents[at] for at in order[cut:]]]
    nested = merged(named(*(merged(named(*group)) for group in groups)))
    assert close(said(nested), said(flat))
    assert close(about(nested)["parts"], about(flat)["parts"])
    assert close(about(nested)["seconds"], about(flat)["seconds"])
    assert about(nested)["options"] == about(flat)["options"]
    assert about(nested)["warnings"] == about(flat)["warnings"]


def test_a_run_that_is_there_already_counts_once() -> None:
    both = merged(named(part(1), part(2)))
    again = merge(named(part(1), both, part(1)))
    assert again.document == merged([("x", both)])
    assert len(again.notes) == 2
    assert "a.json is left out: what it holds is in b.json, too, and counts once" in again.notes


def test_an_earlier_state_of_a_run_that_was_resumed_counts_once() -> None:
    later = part(1)
    earlier = copy(later)
    earlier["benchmarks"] = earlier["benchmarks"][:20]
    for record in records(earlier).values():
        del record["timing"]["visits"][2:], record["timing"]["blocks"][6:]
        for speedup in record["speedups"]:
            del speedup["visit_ratios"][2:], speedup["visit_errors"][2:]
    found = merge(named(earlier, later))
    assert found.notes == ["a.json is left out: it is an earlier state of the run in b.json"]
    assert close(said(found.document), said(merged([("x", later)])))


def test_machines_of_two_kinds_stay_apart() -> None:
    documents = [part(1), part(2, machine=ANOTHER_CPU), part(3)]
    found = merge(named(*documents))
    keys = [key_of(about(documents[0])), key_of(about(documents[1]))]
    assert list(found.document[KEY]["machines"]) == keys
    names = [one["name"] for one in found.document["benchmarks"]]
    assert len(set(names)) == len(names) == 2 * 56
    assert all(one["name"].endswith(f" @{one['extra_info'][KEY]['machine']}") for one in found.document["benchmarks"])
    assert close(
        {name: {**of, "machine": ""} for name, of in said(found.document, keys[0]).items()},
        {name: {**of, "machine": ""} for name, of in said(merged(named(part(1), part(3)))).items()},
    )
    (note,) = found.notes
    assert "cores 2 and 4; CPU Example CPU @ 2.40 GHz and Another CPU @ 3.10 GHz" in note
    assert "not compared" in note


def test_a_setting_alone_makes_another_machine_and_the_fact_is_named() -> None:
    found = merge(named(part(1, machine={"governor": "powersave"}), part(2, machine={"governor": "performance"})))
    assert len(found.document[KEY]["machines"]) == 2
    assert "governor powersave and performance" in found.notes[0]


def test_readers_accept_what_is_merged() -> None:
    for documents in ([part(1), part(2)], [part(1), part(2, machine=ANOTHER_CPU)], shards(4)):
        whole = merged(named(*documents))
        runs = read_all_fast(json.dumps(whole).encode(), "run.json")
        assert len(runs) == len(whole[KEY].get("machines", "1"))
        if len(runs) == 1:
            assert runs[0] == from_json(json.loads(json.dumps(whole)))


def test_a_family_that_one_part_measured_in_part_is_completed_by_another() -> None:
    family = "mlp.train_step[layers=784-100-10,batch=100]"
    half = copy(part(1, families=(family,)))
    missing = list(records(half))[3:]
    half["benchmarks"] = half["benchmarks"][:3]
    half[KEY] |= {"unreached": missing, "stopped": "stopped by SIGTERM"}
    alone = merged([("half", half)])
    assert about(alone)["unreached"] == missing
    whole = merged(named(half, part(2, families=(family,))))
    assert set(records(whole)) == set(records(part(2, families=(family,))))
    assert about(whole)["unreached"] == []
    assert "stopped" not in about(whole)
    assert about(whole)["parts"][0]["stopped"] == "stopped by SIGTERM"
    assert [record["parts"] for record in records(whole).values()] == [[0, 1]] * 3 + [[1]] * 3


def failing(document: Any, case: str, reason: str) -> Any:
    """The document with a case that failed."""
    spoiled = copy(document)
    record = records(spoiled)[case]
    spoiled["benchmarks"] = [one for one in spoiled["benchmarks"] if one["extra_info"][KEY]["case"]["id"] != case]
    spoiled[KEY]["failed"].append({"case": record["case"], "reason": f"{case}: {reason}"})
    return spoiled


def failures(document: Any) -> dict[str, str]:
    return {entry["case"]["id"]: entry["reason"] for entry in about(document)["failed"]}


def test_a_result_that_is_wrong_in_one_part_is_wrong() -> None:
    reference = "matmul.square[n=512] cpu eager fp32"
    wrong = failing(part(2), reference, "its result is wrong: relative error 0.3")
    whole = merged(named(part(1), wrong, part(3)))
    assert reference not in records(whole)
    why = failures(whole)[reference]
    assert "its result is wrong: relative error 0.3 (in the run on node-2); what other parts measured of it" in why
    against = [speedup["against"] for record in records(whole).values() for speedup in record["speedups"]]
    assert reference not in against
    assert any(note.startswith("no speed-up: ") and "is wrong" in note for note in records(whole)[CASE]["notes"])
    again = merged(named(merged(named(wrong, part(1))), part(3)))
    assert failures(again)[reference] == why


def test_a_case_that_failed_otherwise_in_one_part_is_measured_and_says_so() -> None:
    broken = failing(part(2), CASE, "its worker died")
    whole = merged(named(part(1), broken))
    assert CASE not in failures(whole)
    (note,) = [note for note in records(whole)[CASE]["notes"] if note.startswith("failed in another part: ")]
    assert note.endswith("its worker died (in the run on node-2)")
    assert f"1 case was measured in one part and failed in another: {CASE}" in about(whole)["warnings"]


def test_a_case_that_failed_in_all_parts_has_all_reasons() -> None:
    whole = merged(named(failing(part(1), CASE, "died"), failing(part(2), CASE, "hung")))
    assert failures(whole)[CASE] == f"{CASE}: died (in the run on node-1); {CASE}: hung (in the run on node-2)"


def test_verdicts_that_one_part_withheld_stay_withheld() -> None:
    withheld = copy(part(2))
    record = records(withheld)[CASE]
    record["notes"] += [f"{NO_VERDICT}blocks waited for a core; fewer threads"]
    sure, unsure = (records(merged(named(part(1), other)))[CASE]["speedups"] for other in (part(2), withheld))
    assert {speedup["verdict"] for speedup in sure} == {"slower"}
    assert {speedup["verdict"] for speedup in unsure} == {"unclear"}
    assert [speedup["low"] for speedup in sure] == [speedup["low"] for speedup in unsure]


def test_of_figures_of_a_process_the_worse_counts() -> None:
    one, other = copy(part(1)), copy(part(2))
    case = "mlp.train_step[layers=784-100-10,batch=100] cpu compile fp32"
    records(one)[case] |= {"peak_bytes": 100, "energy": {"why": "no counter"}}
    records(one)[case]["first_call"]["seconds"] = 9.0
    records(one)[case]["check"] |= {"relative_error": 1e-7}
    records(other)[case] |= {
        "peak_bytes": 200,
        "energy": {"joules": 0.5},
        "headroom": {"batch": 7, "bytes": 1, "limit": "memory"},
    }
    records(other)[case]["first_call"]["seconds"] = 4.0
    records(other)[case]["check"] |= {"relative_error": 3e-6}
    record = records(merged(named(one, other)))[case]
    assert (record["peak_bytes"], record["headroom"]["batch"], record["energy"]["joules"]) == (200, 7, 0.5)
    assert (record["first_call"]["seconds"], record["check"]["relative_error"]) == (9.0, 3e-6)


def test_blocks_are_kept_up_to_512_placements_and_all_ratios_count() -> None:
    whole = merged(named(*(part(seed, visits=60) for seed in (1, 2, 3))))
    record = records(whole)[CASE]
    assert len(record["timing"]["blocks"]) == 512
    assert sum(visit["placements"] for visit in record["timing"]["visits"]) == 512
    assert record["speedups"][0]["interval"]["visits"] == len(record["timing"]["visits"]) == 180


def test_statistics_of_pytest_benchmark_are_of_all_visits() -> None:
    whole = merged(named(part(1), part(2)))
    for one in whole["benchmarks"]:
        data = [median(rounds) for rounds in one["extra_info"][KEY]["timing"]["blocks"]]
        assert one["stats"]["data"] == data
        assert one["stats"]["rounds"] == len(data)
        assert one["stats"]["median"] == pytest.approx(median(data))


def test_cases_stay_in_the_order_of_the_plan_with_their_families() -> None:
    first = part(1, families=tuple(families_of(make_run())[:4]))
    whole = merged(named(first, part(2)))
    assert list(records(whole)) == list(records(part(2)))


def test_a_prior_of_earlier_runs_holds_where_there_are_too_few_families() -> None:
    family = ("matmul.square[n=512]",)
    prior = {"of": "speedups", "deviation": 0.02, "degrees": 5.0, "families": 12, "source": "machine"}
    documents = [copy(part(seed, families=family, visits=2)) for seed in (1, 2, 3)]
    for document, deviation in zip(documents, (0.02, 0.02, 0.08), strict=True):
        document[KEY]["visits"]["priors"] = [{**prior, "deviation": deviation}]
    same = about(merged(named(*documents[:2])))["visits"]["priors"]
    assert [of for of in same if of["of"] == "speedups"] == [prior]
    (two,) = [of for of in about(merged(named(*documents)))["visits"]["priors"] if of["of"] == "speedups"]
    assert two["source"] == "machine"
    assert 0.02 < two["deviation"] < 0.08
    nested = merged(named(merged(named(*documents[1:])), documents[0]))
    assert close(about(nested)["visits"]["priors"], about(merged(named(*documents)))["visits"]["priors"])


def test_noise_is_that_of_a_fifth_of_the_cases_and_names_the_part() -> None:
    quiet, disturbed = {"grade": "quiet", "causes": []}, {"grade": "disturbed", "causes": ["steal 30 %"]}
    documents = [copy(part(seed)) for seed in range(1, 7)]
    for at, document in enumerate(documents):
        document[KEY]["noise"] = disturbed if at == 4 else quiet
    many, few = merged(named(*documents)), merged(named(*documents[3:]))
    assert about(many)["noise"] == {"grade": "quiet", "causes": ["steal 30 % (the run on node-5)"]}
    assert about(few)["noise"]["grade"] == "disturbed"
    assert [of["noise"]["grade"] for of in about(few)["parts"]] == ["quiet", "disturbed", "quiet"]


def test_a_cause_of_several_parts_is_named_once_at_its_worst() -> None:
    documents = [copy(part(seed)) for seed in range(1, 6)]
    switches = "4 % of the blocks had a context switch"
    for at, document in enumerate(documents[:4]):
        steal = f"steal {(30, 5, 41, 7)[at]} %: the host (at worst; in {at + 1} of 17 families)"
        clocks = f"the CPU's clocks ran between {(3, 1, 2, 2.5)[at]:.2f} and 3.50 GHz"
        pilots = ("differ by 90 %", "differ by a factor of 2.4", "differ by 15 %", "differ by 20 %")[at]
        document[KEY]["noise"] = {"grade": "noisy", "causes": [steal, clocks, f"the pilots {pilots}"]}
    documents[4][KEY]["noise"] = {"grade": "noisy", "causes": [switches]}
    assert about(merged(named(*documents)))["noise"]["causes"] == [
        "steal 41 %: the host (at worst; in 3 of 17 families; in 4 of 5 parts, most in the run on node-3)",
        "the CPU's clocks ran between 1.00 and 3.50 GHz (in 4 of 5 parts, most in the run on node-2)",
        "the pilots differ by a factor of 2.4 (in 4 of 5 parts, most in the run on node-2)",
        f"{switches} (the run on node-5)",
    ]
    assert "(in all 2 parts" in about(merged(named(*documents[:2])))["noise"]["causes"][1]


def test_warnings_name_the_parts_that_have_them() -> None:
    documents = [copy(part(seed)) for seed in (1, 2)]
    documents[1][KEY]["warnings"].append("hot")
    common = about(documents[0])["warnings"]
    assert about(merged(named(*documents)))["warnings"] == [*common, "hot (the run on node-2)"]


def test_files_that_differ_from_the_commit_are_warned_of() -> None:
    documents = [copy(part(seed)) for seed in (1, 2)]
    for document in documents:
        document["commit_info"]["dirty"] = True
    assert any("files differed from the commit" in line for line in about(merged(named(*documents)))["warnings"])


def test_the_documents_stay_as_they_are() -> None:
    documents = [part(1), part(2, machine=ANOTHER_CPU), part(3)]
    before = repr(documents)
    merged(named(*documents))
    assert repr(documents) == before


def test_copies_of_all_parts_are_summarised_together() -> None:
    documents = [copy(part(seed, families=SIX)) for seed in (1, 2)]
    for document in documents:
        for record in records(document).values():
            ratios = {"visit_ratios": [1.0, 1.002, 0.999, 1.001], "visit_errors": [0.001] * 4}
            trial = {"slowdown": 1.0, "ratio": 1.0, "low": None, "high": None, "placements": 12, "seconds": 0.5}
            record["trials"] = [{**trial, **ratios, "verdict": "unclear", "minimum_effect": None}]
    whole = merged(named(*documents))
    number = len(records(whole))
    assert about(whole)["self_check"]["false_alarms"]["trials"] == number
    assert {len(record["trials"][0]["visit_ratios"]) for record in records(whole).values()} == {8}
    assert {record["trials"][0]["seconds"] for record in records(whole).values()} == {1.0}


def test_benchmarks_of_others_stay_in_the_file() -> None:
    documents = [copy(part(seed, families=SIX)) for seed in (1, 2)]
    own = {"name": "test_own", "fullname": "test_own", "stats": {"median": 1.0}}
    documents[0]["benchmarks"].insert(3, own)
    documents[1]["benchmarks"] += [own, {**own, "stats": {"median": 2.0}}]
    whole = merged(named(*documents))
    assert [one["stats"]["median"] for one in whole["benchmarks"] if one["name"] == "test_own"] == [1.0, 2.0]
    assert from_json(json.loads(json.dumps(whole))).other_benchmarks == 2
    assert len(merged(named(whole, documents[0]))["benchmarks"]) == len(whole["benchmarks"])


def test_a_shard_without_any_family_is_not_missing() -> None:
    empty = copy(shards(3)[2])
    empty["benchmarks"] = []
    whole = merged(named(*shards(3)[:2], empty))
    assert about(whole)["parts"][2]["cases"] == 0
    assert "missing_shards" not in about(whole)


def test_samples_of_gpus_follow_one_another_and_each_part_keeps_their_facts() -> None:
    documents = [copy(part(seed, families=SIX)) for seed in (1, 2)]
    for number, document in enumerate(documents):
        gpu = {"device": "cuda:0", "slice": False, "update_seconds": {}, "missing": {}, "at": [1.0, 2.0]}
        facts = {"name": "GPU", "uuid": f"GPU-{number}", "power_limit_w": 300.0}
        document[KEY]["gpus"] = [{**gpu, "facts": facts, "samples": {"power_w": [100.0 + number, None]}}]
        document[KEY]["ceilings"] = [
            {
                "device": "cuda:0",
                "flops_per_second": {"fp32": 1e12 * (2 - number)},
                "bytes_per_second": {"1024": 1e9 * (1 + number)},
                "operator_seconds": 1e-6 * (1 + number),
            }
        ]
    whole = merged(named(*reversed(documents)))
    (gpu,) = about(whole)["gpus"]
    length = about(documents[0])["seconds"]["total"]
    assert gpu["at"] == [1.0, 2.0, length + 1.0, length + 2.0]
    assert gpu["samples"] == {"power_w": [100.0, None, 101.0, None]}
    assert gpu["facts"] == {"name": "GPU", "power_limit_w": 300.0}
    assert [of["gpus"]["cuda:0"]["uuid"] for of in about(whole)["parts"]] == ["GPU-0", "GPU-1"]
    (ceiling,) = about(whole)["ceilings"]
    assert (ceiling["flops_per_second"], ceiling["bytes_per_second"]) == ({"fp32": 2e12}, {"1024": 2e9})
    assert ceiling["operator_seconds"] == 1e-6


def test_runs_that_were_resumed_say_so() -> None:
    document = copy(part(2, families=SIX))
    resumed = {"at": 12.0, "started": "2026-03-02T13:00:00+00:00", "machine": {}, "warnings": [], "families": 3}
    document[KEY]["resumed"] = [resumed]
    run = from_json(json.loads(json.dumps(merged(named(part(1, families=SIX), document)))))
    assert run.about["resumed"] == [resumed]
    assert any(line.startswith("One of the merged runs was cut short after 12 s") for line in warnings(run))

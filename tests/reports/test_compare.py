"""Two runs held against each other: what is called, what is not, and why."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.reports.remeasured import ids, remeasured
from tests.reports.sample import make_run
from torchduet.bench.record.schema import KEY
from torchduet.reports.commands.compare import unique_names
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.text import expectation, headline
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.compare.verdicts import Finding
from torchduet.reports.read.run_file import from_json

SQUARE = "matmul.square[n=512] cpu eager fp32"
FAMILY = "matmul.square[n=512]"
COMPILED = "tensor_ops.softmax[n=65536] cpu compile fp32"


def held(base: Any, new: Any, threshold: float = 0.05) -> Comparison:
    return compare(from_json(base, "base.json"), [from_json(new, "new.json")], Thresholds(threshold))[0]


def of_verdicts(*verdicts: str) -> Comparison:
    """A comparison of one case for each of these verdicts."""
    run = from_json(make_run(), "base.json")
    ratios = {"slower": 0.5, "faster": 1.25}
    changes = tuple(
        Change(run.records[0]["case"], verdict, 0.05, time=Finding(ratio, 0.99 * ratio, 1.01 * ratio, verdict))
        for verdict in verdicts
        for ratio in (ratios.get(verdict, 1.0),)
    )
    return Comparison(run, run, changes, (), (), True, len(changes), {}, {})


@pytest.mark.parametrize(("asked", "alone"), [(1, ""), (5, ""), (6, "0.06"), (56, "0.56"), (150, "1.5")])
def test_what_each_judged_alone_would_give_is_said_where_it_is_more(asked: int, alone: str) -> None:
    said = expectation(of_verdicts(*["same"] * asked))
    assert "expect 0.05 false alarms." in said
    assert said.endswith(f"If each were judged alone at 99 %, it would be {alone}." if alone else "false alarms.")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("same same", "All 2 cases are unchanged"),
        ("same unclear", "No change is shown in 2 cases: 1 unchanged, 1 unclear"),
        ("unclear unclear", "No change is shown, all 2 cases are unclear"),
        ("unclear", "No change is shown, the only case is unclear"),
        ("same", "The only case is unchanged"),
        ("slower", "tensor_ops.add takes 2.00 times as long"),
        ("slower same same unclear", "tensor_ops.add takes 2.00 times as long, 2 cases unchanged, 1 unclear"),
        ("slower slower faster", "2 of 3 cases are slower, 1 faster: tensor_ops.add takes 2.00 times as long"),
        ("slower slower same", "2 of 3 cases are slower, none faster: tensor_ops.add takes 2.00 times as long"),
        ("faster same", "tensor_ops.add is 1.25 times as fast, 1 case unchanged"),
        ("faster faster", "2 of 2 cases are faster, none slower: tensor_ops.add is 1.25 times as fast"),
    ],
)
def test_the_headline_names_the_case_and_counts_the_others(verdicts: str, expected: str) -> None:
    assert headline(of_verdicts(*verdicts.split())) == expected


def tally(one: Comparison) -> Counter[str]:
    return Counter(change.verdict for change in one.changes if change.time)


def change_of(one: Comparison, case: str) -> Change:
    return next(change for change in one.changes if change.case["id"] == case)


def called(one: Comparison) -> list[str]:
    return [change.case["id"] for change in one.changes if change.verdict in ("slower", "faster")]


@pytest.fixture(scope="session")
def base(shared_document: Any) -> Any:
    return remeasured(shared_document, 1)


def test_ten_pairs_of_quiet_runs_of_the_same_code_raise_no_alarm(shared_document: Any) -> None:
    found = [
        held(remeasured(shared_document, 2 * seed), remeasured(shared_document, 2 * seed + 1)) for seed in range(10)
    ]
    verdicts = sum(map(tally, found), Counter())
    assert verdicts["slower"] + verdicts["faster"] == 0
    assert verdicts["same"] > 0.5 * sum(verdicts.values())
    assert (
        sum(bool(one.speedup and one.speedup.verdict in ("slower", "faster")) for o in found for one in o.changes) == 0
    )


@pytest.mark.parametrize("pilots", [True, False])
def test_at_most_one_in_a_hundred_is_called_on_a_noisy_shared_machine(shared_document: Any, pilots: bool) -> None:
    noisy = {"quiet": 0.03, "outliers": 0.08, "pilots": pilots}
    verdicts: Counter[str] = Counter()
    for seed in range(10):
        two = [remeasured(shared_document, 100 + 2 * seed + side, **noisy) for side in (0, 1)]
        verdicts += tally(held(*two))
    assert verdicts["slower"] + verdicts["faster"] <= 0.01 * sum(verdicts.values())


@pytest.mark.parametrize("pilots", [True, False])
def test_a_case_that_takes_ten_per_cent_longer_is_found(base: Any, shared_document: Any, pilots: bool) -> None:
    found = 0
    for seed in range(2, 12):
        one = held(base, remeasured(shared_document, seed, slower={COMPILED: 1.1}, pilots=pilots))
        found += called(one) == [COMPILED]
        assert set(called(one)) <= {COMPILED}
    assert found >= 9


def test_a_case_that_became_faster_is_found(base: Any, shared_document: Any) -> None:
    one = held(base, remeasured(shared_document, 3, slower={SQUARE: 1 / 1.2}))
    assert change_of(one, SQUARE).verdict == "faster"
    assert called(one) == [SQUARE]


def test_its_speed_up_is_judged_beside_its_time(base: Any, shared_document: Any) -> None:
    one = change_of(held(base, remeasured(shared_document, 3, slower={COMPILED: 1.15})), COMPILED)
    assert one.speedup is not None
    assert one.speedup.verdict == "slower"
    assert one.speedup.ratio == pytest.approx(1 / 1.15, rel=0.02)
    reference = change_of(held(base, base), SQUARE)
    assert reference.speedup is None


def test_several_slower_cases_do_not_hide_each_other(base: Any, shared_document: Any) -> None:
    slower = ids(base)[1::11]
    one = held(base, remeasured(shared_document, 4, slower=dict.fromkeys(slower, 1.15)))
    assert len(slower) >= 4
    assert set(called(one)) == set(slower)


def test_what_the_machine_did_is_not_held_against_the_code(base: Any, shared_document: Any) -> None:
    one = held(base, remeasured(shared_document, 5, machine=1.15))
    assert not called(one)
    change = change_of(one, SQUARE)
    assert change.verdict == "unclear"
    assert change.time is not None
    assert "pilot beside it took" in change.time.why
    assert "longer" in change.time.why
    assert change.speedup is None or change.speedup.verdict == "same"


def test_a_machine_that_moved_within_a_run_excuses_as_much(base: Any, shared_document: Any) -> None:
    new = remeasured(shared_document, 6, slower={FAMILY: 1.12})
    after = next(place for place, one in enumerate(new[KEY]["pilots"]) if one["before"] == FAMILY) + 1
    assert change_of(held(base, new), SQUARE).verdict == "slower"
    new[KEY]["pilots"][after]["seconds"]["memory"] *= 1.2
    assert change_of(held(base, new), SQUARE).verdict == "unclear"


def test_a_whole_family_that_became_slower_is_found_only_with_pilots(base: Any, shared_document: Any) -> None:
    slower = {FAMILY: 1.12}
    family = [case for case in ids(base) if case.startswith(FAMILY)]
    assert set(called(held(base, remeasured(shared_document, 7, slower=slower)))) == set(family)
    one = held(base, remeasured(shared_document, 7, slower=slower, pilots=False))
    assert not called(one)
    assert not one.guarded
    change = change_of(one, SQUARE)
    assert change.time is not None
    assert "what was timed together with it took" in change.time.why


def test_without_pilots_a_case_alone_in_its_family_is_not_judged(base: Any, shared_document: Any) -> None:
    new = remeasured(shared_document, 8, slower={SQUARE: 1.5}, pilots=False)
    for document in (base := json.loads(json.dumps(base)), new):
        document["benchmarks"] = [
            one
            for one in document["benchmarks"]
            if one["param"] == SQUARE or one["extra_info"][KEY]["case"]["family"] != FAMILY
        ]
    change = change_of(held(base, new), SQUARE)
    assert change.time is not None
    assert (change.verdict, change.time.cause) == ("unclear", "unguarded")


def test_two_families_of_ones_own_are_judged_as_well(base: Any, shared_document: Any) -> None:
    two = []
    for document in (base, remeasured(shared_document, 9, slower={COMPILED: 1.12})):
        copy = json.loads(json.dumps(document))
        copy["benchmarks"] = [one for one in copy["benchmarks"] if "tensor_ops.softmax" in one["param"]]
        two.append(copy)
    assert called(held(*two)) == [COMPILED]


def test_fewer_than_eight_placements_are_not_judged(base: Any, shared_document: Any) -> None:
    new = remeasured(shared_document, 10, slower={SQUARE: 2.0})
    timing = next(one for one in new["benchmarks"] if one["param"] == SQUARE)["extra_info"][KEY]["timing"]
    timing["blocks"] = timing["blocks"][:7]
    change = change_of(held(base, new), SQUARE)
    assert change.time is not None
    assert (change.verdict, change.time.cause) == ("unclear", "placements")
    assert change.time.low is None


def test_a_threshold_counts_for_its_cases(base: Any, shared_document: Any) -> None:
    new = remeasured(shared_document, 11, slower={SQUARE: 1.12, COMPILED: 1.12})
    thresholds = Thresholds(0.05, (("matmul.*", 0.3),))
    (one,) = compare(from_json(base), [from_json(new)], thresholds)
    assert called(one) == [COMPILED]
    assert change_of(one, SQUARE).threshold == 0.3


def test_what_only_one_run_has_is_missing_new_or_failed_with_the_reason(base: Any) -> None:
    old, new = (json.loads(json.dumps(base)) for _ in range(2))
    cases = ids(base)
    taken = {case: new["benchmarks"].pop(cases.index(case)) for case in (cases[30], cases[20], cases[10])}
    failed, skipped, _ = (one["extra_info"][KEY]["case"] for one in taken.values())
    new[KEY]["failed"].append({"case": failed, "reason": f"{failed['id']}: out of memory"})
    new[KEY]["skipped"].append({"case": skipped, "reason": "too slow"})
    old["benchmarks"].pop(5)
    one = held(old, new)
    assert {change.case["id"]: (change.verdict, change.why) for change in one.changes if not change.time} == {
        "matmul.batched[batch=8,n=64] cpu eager bf16": (
            "failed",
            "wrong result: relative error 0.31 exceeds the tolerance 0.02 (also in base.json)",
        ),
        cases[30]: ("failed", "out of memory"),
        cases[20]: ("missing", "too slow"),
        cases[10]: ("missing", "not selected in this run"),
        cases[5]: ("new", "not measured in base.json"),
    }


@pytest.mark.parametrize(
    ("where", "key", "value", "says"),
    [
        ("machine", "cpu", "Another CPU", "compare the machines, not the code"),
        ("machine", "gpu", "NVIDIA H200", "compare the machines, not the code"),
        ("machine", "torch", "2.10.0", "Versions differ (PyTorch)"),
        ("machine", "python", "3.13.0", "Versions differ (Python)"),
        ("machine", "driver", "570.1", "Versions differ (driver)"),
        ("machine", "governor", "powersave", "different settings (governor)"),
        ("machine", "power_limit_watts", 300, "different settings (power limit watts)"),
        ("options", "threads", 2, "different settings (threads)"),
        ("options", "tier", "full", "are no regressions"),
    ],
)
def test_what_differs_is_shown_and_what_it_forbids_is_said(
    base: Any, shared_document: Any, where: str, key: str, value: Any, says: str
) -> None:
    new = remeasured(shared_document, 12)
    new[KEY][where][key] = value
    one = held(base, new)
    assert [difference.new for difference in one.differences] == [str(value)]
    assert any(says in caution for caution in one.cautions)
    assert not held(base, base).differences
    assert not held(base, remeasured(shared_document, 13)).cautions


def test_between_two_machines_the_pilots_are_no_excuse(base: Any, shared_document: Any) -> None:
    new = remeasured(shared_document, 13, machine=1.4)
    new[KEY]["machine"]["cpu"] = "A slower CPU"
    one = held(base, new)
    assert tally(one)["slower"] > 0.9 * one.judged


def test_runs_in_the_wrong_order_are_noticed(base: Any, shared_document: Any) -> None:
    new = remeasured(shared_document, 14)
    new[KEY]["started"] = "2026-03-01T00:00:00+00:00"
    assert any("wrong order" in caution for caution in held(base, new).cautions)


@pytest.mark.parametrize(
    ("base", "new", "wrong"),
    [
        ("2026-02-01T10:00:00", "2026-02-01T09:30:00+00:00", True),  # without a zone it is UTC
        ("2026-02-01T10:00:00+02:00", "2026-02-01T09:00:00Z", False),
        ("2026-02-01T10:00:00+00:00", "yesterday", False),
    ],
)
def test_dates_are_compared_across_time_zones(shared_document: Any, base: str, new: str, wrong: bool) -> None:
    sides = [remeasured(shared_document, seed) for seed in (1, 2)]
    for side, began in zip(sides, (base, new), strict=True):
        side[KEY]["started"] = began
    assert any("wrong order" in caution for caution in held(*sides).cautions) == wrong


def test_more_than_two_runs_are_each_held_against_the_first(base: Any, shared_document: Any) -> None:
    others = [from_json(remeasured(shared_document, seed, slower={SQUARE: 1.2}), f"{seed}") for seed in (15, 16)]
    found = compare(from_json(base), others, Thresholds())
    assert [called(one) for one in found] == [[SQUARE], [SQUARE]]
    assert {one.asked for one in found} == {2 * compare(from_json(base), others[:1], Thresholds())[0].asked}


def test_runs_of_one_name_are_told_apart_by_their_folders() -> None:
    assert unique_names(["a/run.json", "b/run.json"]) == ["a/run.json", "b/run.json"]
    assert unique_names(["x/a/old.json", "x/a/new.json"]) == ["old.json", "new.json"]
    assert unique_names(["run.json", "run.json"]) == ["run.json", "run.json"]


@pytest.mark.parametrize("families", ["all", "one"])
def test_what_moved_everything_on_a_gpu_is_not_held_against_the_code(
    base: Any, shared_document: Any, families: str
) -> None:
    new = remeasured(shared_document, 17)
    two = [json.loads(json.dumps(base).replace(" cpu ", " cuda ").replace('"cpu"', '"cuda"')) for base in (base, new)]
    for one in two[1]["benchmarks"]:
        record = one["extra_info"][KEY]
        if families == "all" or "[n=512]" in record["case"]["family"]:
            record["timing"]["blocks"] = [[1.12 * one for one in rounds] for rounds in record["timing"]["blocks"]]
    found = called(held(*two))
    assert bool(found) == (families == "one")
    assert all("[n=512]" in case for case in found)

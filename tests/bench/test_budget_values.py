"""What the budget learns of a family is charged to the right kind of case; worked examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.plan import budget as budgets
from torchduet.bench.plan.budget import FIRST_GUESS, GUESS_COUNTS, Budget, Spent, accelerators, enough_for
from torchduet.bench.record import journal
from torchduet.bench.record.journal import Journal, JournalError, encode, parse
from torchduet.bench.record.schema import STARTING
from torchduet.bench.run.resume import differences


def family(name: str, *modes: str, device: str = "cpu", slowed: int = 0) -> Family:
    cases = tuple(Case("s", "s", name, "", (), name, True, device, mode, "fp32") for mode in modes)
    copies = tuple(
        Case("s", "s", name, "", (), name, False, device, "eager", "fp32", slowdown=1.05) for _ in range(slowed)
    )
    return Family((*cases, *copies), (*cases, *copies))


def costs(budget: Budget) -> tuple[float, float]:
    """What is set aside for the first calls of an eager and of a compiled case."""
    return budget._cost("eager"), budget._cost("compile")


def guess(kind: str, *learned: float) -> float:
    return (GUESS_COUNTS * FIRST_GUESS[kind] + sum(learned)) / (GUESS_COUNTS + len(learned))


def test_compile_times_are_learned_for_compiled_cases_alone() -> None:
    one = family("a", "eager", "eager", "compile", "compile-model")
    budget = Budget(100.0, [one])
    budget.done(one, fixed_seconds=20.0)
    each = (20.0 - 2 * FIRST_GUESS["eager"]) / 2
    assert costs(budget) == pytest.approx((guess("eager"), guess("compile", each)))


def test_eager_first_calls_are_learned_from_families_without_compiled_cases() -> None:
    one = family("a", "eager", "eager")
    budget = Budget(100.0, [one], extra=0.5)
    budget.done(one, fixed_seconds=3.0)  # of which 2 × 0.5 s are not for first calls
    assert costs(budget) == pytest.approx((guess("eager", 1.0), guess("compile")))


def test_a_family_whose_calls_are_long_teaches_nothing_of_first_calls() -> None:
    one = family("a", "eager", "eager")
    budget = Budget(100.0, [one], {one.name: 1.0})
    budget.done(one, fixed_seconds=30.0)
    assert costs(budget) == (guess("eager"), guess("compile"))


def test_a_family_of_which_nothing_is_known_teaches_nothing() -> None:
    one = family("a", "eager", "compile")
    budget = Budget(100.0, [one])
    budget.done(one)
    assert costs(budget) == (guess("eager"), guess("compile"))


def test_less_than_the_eager_first_calls_is_nothing_for_compilation() -> None:
    one = family("a", "eager", "compile")
    budget = Budget(100.0, [one])
    budget.done(one, fixed_seconds=0.01)
    assert costs(budget) == pytest.approx((guess("eager"), guess("compile", 0.0)))


def test_slowed_copies_are_compiled_with_their_original_and_have_no_first_calls() -> None:
    one = family("a", "eager", "compile", slowed=3)
    budget = Budget(1000.0, [one])
    assert budget._fixed(one) == pytest.approx(FIRST_GUESS["eager"] + FIRST_GUESS["compile"])
    assert enough_for([one], 2.0) == pytest.approx(FIRST_GUESS["eager"] + FIRST_GUESS["compile"] + 2.0 * 5)


def test_starting_a_device_is_no_part_of_what_first_calls_take() -> None:
    one = family("a", "eager", "compile", device="cuda:0")
    budget = Budget(100.0, [one])
    budget.done(one, fixed_seconds=20.0, starting=7.0)
    assert costs(budget)[1] == pytest.approx(guess("compile", 13.0 - FIRST_GUESS["eager"]))
    assert budget._starting(one) == budgets.STARTING_GUESS  # the lower of two
    budget.done(one, fixed_seconds=20.0, starting=7.0)
    assert budget._starting(one) == 7.0
    assert budget._starting(family("b", "eager")) == 0.0


def test_each_accelerator_of_a_family_is_started() -> None:
    both = family("a", "eager").cases + family("a", "eager", device="cuda:0").cases
    both += family("a", "eager", "compile", device="cuda:1").cases
    assert accelerators(Family(both, both)) == 2
    assert enough_for([Family(both, both)], 0.0) == pytest.approx(
        2 * budgets.STARTING_GUESS + 3 * FIRST_GUESS["eager"] + FIRST_GUESS["compile"]
    )


def test_the_tiers_take_90_seconds_15_minutes_and_an_hour() -> None:
    assert budgets.TIER_BUDGET == {"quick": 90.0, "default": 15 * 60.0, "full": 60 * 60.0}


def test_what_is_set_aside_and_what_was_spent_before_shorten_the_run() -> None:
    now = [1000.0]
    budget = Budget(100.0, [family("a", "eager")], spent=30.0, now=lambda: now[0])
    assert budget.seconds_left() == pytest.approx(70.0)
    budget.set_aside(20.0)
    now[0] += 60.0
    assert budget.seconds_left() == pytest.approx(-10.0)


def test_a_family_after_the_first_may_take_what_is_left_and_a_twentieth_of_the_budget() -> None:
    first, other = family("a", "eager"), family("b", "eager")
    budget = Budget(100.0, [first, other], now=lambda: 0.0)
    assert budget.max_seconds() == float("inf")
    budget.done(first, 1.0, measured=True)
    assert budget.max_seconds() == pytest.approx(105.0)
    default = Budget(100.0, [first, other], asked_for=False, now=lambda: 0.0)
    default.done(first, 1.0, measured=True)
    assert default.max_seconds() == pytest.approx(160.0)


def test_the_seconds_of_starting_devices_are_one_of_a_familys_stages() -> None:
    assert Spent(9.0, stages={STARTING: 2.0, "compiling": 5.0}).starting == 2.0
    assert Spent(9.0, stages={"compiling": 5.0}).starting is None


def test_the_journal_of_another_version_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.json.journal"
    Journal.create(path, {"identity": {}}).close()
    other = json.loads(path.read_bytes())["entry"] | {"format": journal.FORMAT + 1}
    for number in (journal.FORMAT + 1, journal.FORMAT - 1, None):
        with pytest.raises(JournalError, match=rf"run\.json was written by another version .*\(format {number}\)"):
            parse(encode(other | {"format": number}), "run.json")
    path.write_bytes(encode(other))
    with pytest.raises(JournalError, match="another version"):
        Journal.reopen(path)
    assert parse(encode(other | {"format": journal.FORMAT}), "run.json").entries == ()


@pytest.mark.parametrize("name", ["torch", "torchduet", "numpy"])
def test_a_run_with_another_version_of_a_package_is_not_continued(name: str) -> None:
    here = {"version": {"torchduet": "2", "torch": "2.9", "numpy": "2.1"}}
    there = {"version": here["version"] | {name: "1"}}
    assert differences(here, here) == []
    assert differences(there, here) == [f"version {name}: 1 there, {here['version'][name]} here"]


def test_only_the_amount_of_memory_may_differ_a_little() -> None:
    def machine(memory: int, cores: int = 2) -> dict[str, dict[str, int]]:
        return {"machine": {"memory_bytes": memory, "cores": cores}}

    assert differences(machine(1000), machine(991)) == []
    assert differences(machine(1000), machine(989)) == ["machine memory_bytes: 1000 there, 989 here"]
    assert differences(machine(1000, 200), machine(1000, 199)) == ["machine cores: 200 there, 199 here"]
    assert differences({"machine": {}}, {"machine": {"memory_bytes": 5}}) == [
        "machine memory_bytes: none there, 5 here"
    ]


def test_other_cases_are_named_and_counted() -> None:
    def selected(*cases: str) -> dict[str, dict[str, list[str]]]:
        return {"selection": {"cases": list(cases)}}

    assert differences(selected("a", "b"), selected("b", "c")) == [
        "selection: no longer selected: a",
        "selection: not selected there: c",
    ]
    assert differences(selected("a", "b"), selected("b", "a")) == ["selection: the same cases in another order"]
    many = [f"c{number}" for number in range(7)]
    assert differences(selected(*many), selected()) == ["selection: no longer selected: c0, c1, c2, c3, c4 and 2 more"]
    assert differences(selected(*many[:5]), selected()) == ["selection: no longer selected: c0, c1, c2, c3, c4"]

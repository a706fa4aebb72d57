"""What the budget learns of a family is charged to the right kind of case; worked examples."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

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


@pytest.mark.parametrize(("tier", "seconds"), [("quick", 90.0), ("default", 15 * 60.0), ("full", 60 * 60.0)])
def test_the_tiers_take_90_seconds_15_minutes_and_an_hour(tier: str, seconds: float) -> None:
    assert Budget(budgets.TIER_BUDGET[tier], [], now=lambda: 0.0).seconds_left() == seconds


def test_where_nothing_is_left_beyond_the_minimum_each_family_gets_that() -> None:
    one = family("a", "eager", "compile")
    assert Budget(6.0, [one], now=lambda: 0.0).allot(one) == 0.4  # first calls alone take 6.05 s, as is guessed
    assert Budget(6.0, [one], {one.name: 2.0}, now=lambda: 0.0).allot(one) == pytest.approx(2 * 2.0 * 10 + 0.4)


def test_a_family_that_just_fits_into_what_is_left_is_measured() -> None:
    """It needs what is left and the tolerated twentieth, but for a billionth of a second."""
    first, second = family("a", "eager"), family("b", "eager")
    now = [0.0]
    budget = Budget(64.0, [first, second], now=lambda: now[0])
    budget.done(first, measured=True)
    now[0] = 64.0 + 64.0 * 0.05 - budget._minimum(second)
    assert budget.seconds_left() + budget._tolerated == pytest.approx(0.45)
    now[0] -= 1e-9
    assert budget.allot(second) is not None
    now[0] += 2e-9
    assert budget.allot(second) is None


def test_the_first_family_is_measured_even_if_the_start_has_used_up_the_budget() -> None:
    first, second = family("a", "eager"), family("b", "eager")
    budget = Budget(10.0, [first, second], spent=500.0, now=lambda: 0.0)
    assert budget.allot(first) is not None
    budget.done(first)  # nothing of it could be timed
    assert budget.allot(second) is None  # but only the first is tried beyond the budget


def test_of_those_after_it_all_that_fit_until_one_was_measured_are_tried() -> None:
    """The first calls of the second take longer than all that is left."""
    first, second = family("a", "eager"), family("b", "eager", "compile")
    budget = Budget(5.0, [first, second], now=lambda: 0.0)
    budget.done(first)
    assert budget.allot(second) is not None
    budget.done(first, measured=True)
    assert budget.allot(second) is None


def test_what_is_guessed_before_anything_is_known() -> None:
    assert enough_for([family("a", "eager")], 1.0) == pytest.approx(1.05)
    assert enough_for([family("a", "compile")], 1.0) == pytest.approx(7.0)
    assert enough_for([family("a", "eager", "eager", device="cuda:0")]) == pytest.approx(2.0 + 2 * 0.05 + 2 * 2.0)
    budget = Budget(100.0, [])
    assert costs(budget) == (0.05, 6.0)
    budget.done(family("a", "compile"), fixed_seconds=12.0)
    assert costs(budget)[1] == pytest.approx((5 * 6.0 + 12.0) / 6)


def test_what_every_case_takes_in_addition_is_part_of_its_first_calls_and_nothing_by_default() -> None:
    one = family("a", "eager", "compile", slowed=2)
    assert Budget(100.0, [one])._fixed(one) == pytest.approx(6.05)
    assert Budget(100.0, [one], extra=5.5)._fixed(one) == pytest.approx(6.05 + 2 * 5.5)  # of copies none is taken
    assert Budget(100.0, [one], now=lambda: 0.0).seconds_left() == 100.0


def test_families_are_taken_in_turns_once_too_little_may_be_left_for_all() -> None:
    families = [family(name, "eager", "compile") for name in "abc"]
    needed = 3 * (6.05 + 0.4) + 3 * 6.0  # compilations count twice while little is known of them
    now = [0.0]
    budget = Budget(100.0, families, now=lambda: now[0])
    now[0] = 105.0 - needed - 0.01
    assert budget.in_turns_first(families[2]) == []
    now[0] += 0.02
    assert budget.in_turns_first(families[2]) == families[:2]
    assert budget.in_turns_first(families[0]) == []
    assert budget.in_turns_first(family("d", "eager")) == []


def test_compilations_count_once_when_it_is_known_how_long_this_machine_compiles() -> None:
    families = [family(f"f{number}", "compile") for number in range(8)]
    budget = Budget(100.0, families, now=lambda: 0.0)
    for one in families[:4]:
        budget.done(one, fixed_seconds=22.5)
    each = guess("compile", *[22.5] * 4)
    assert 4 * (each + 0.4) < 105.0 < 8 * each  # 13.3 s each
    assert budget.in_turns_first(families[7]) == families[4:7]
    budget.done(families[4], fixed_seconds=22.5)
    assert budget.in_turns_first(families[7]) == []


def test_what_is_left_of_the_first_calls_is_shared_by_the_compiled_cases() -> None:
    """Of 30 s, starting 2 devices took 2 × 2 s, as is guessed, and every case half a second in addition."""
    cases = family("a", "eager", device="cuda:0").cases + family("a", "compile", "compile", device="cuda:1").cases
    one = Family(cases, cases)
    budget = Budget(100.0, [one], extra=0.5)
    budget.done(one, fixed_seconds=30.0)
    assert costs(budget)[1] == pytest.approx(guess("compile", (30.0 - 4.0 - 1.5 - 0.05) / 2))


def test_a_family_of_one_case_gets_three_tenths_of_a_cases_share() -> None:
    alone, pair = family("a", "eager"), family("b", "eager", "eager")
    budget = Budget(50.0, [alone, pair], now=lambda: 0.0)
    shares = [budget.allot(one) for one in (alone, pair)]
    spare = 50.0 - 3 * 0.05 - 2 * 0.4
    assert shares == [pytest.approx(0.4 + 0.3 * spare / 2.3), pytest.approx(0.4 + 2 * spare / 2.3)]


def test_what_is_set_aside_and_what_was_spent_before_shorten_the_run() -> None:
    now = [1000.0]
    budget = Budget(100.0, [family("a", "eager")], spent=30.0, now=lambda: now[0])
    assert budget.seconds_left() == pytest.approx(70.0)
    budget.set_aside(20.0)
    now[0] += 60.0
    assert budget.seconds_left() == pytest.approx(-10.0)


def test_a_family_may_take_what_is_left_and_a_twentieth_of_the_budget_the_first_one_too() -> None:
    first, other = family("a", "eager"), family("b", "eager")
    budget = Budget(100.0, [first, other], now=lambda: 0.0)
    assert budget.max_seconds() == pytest.approx(105.0)
    budget.done(first, 1.0, measured=True)
    assert budget.max_seconds() == pytest.approx(105.0)
    default = Budget(100.0, [first, other], asked_for=False, now=lambda: 0.0)
    default.done(first, 1.0, measured=True)
    assert default.max_seconds() == pytest.approx(160.0)
    budget.done(other, 1.0)  # of which nothing was timed
    assert budget.max_seconds() == pytest.approx(105.0)


def test_a_call_in_progress_may_take_a_fifth_of_the_budget_more_and_the_first_family_any_time() -> None:
    first, other = family("a", "eager", "compile"), family("b", "eager")
    budget = Budget(100.0, [first, other], now=lambda: 0.0)
    assert budget.of_first_visit() == (float("inf"), 0.0)
    budget.done(first)  # nothing of it was timed
    assert budget.of_first_visit()[0] == float("inf")
    budget.done(other, 1.0, measured=True)
    assert budget.of_first_visit()[0] == pytest.approx(20.0)


def test_a_compilation_is_expected_to_take_what_those_of_this_run_took_and_no_guess() -> None:
    families = [family(name, "eager", "compile") for name in "abc"]
    budget = Budget(100.0, families, now=lambda: 0.0)
    budget.done(families[0], 2.0 + FIRST_GUESS["eager"], measured=True)
    budget.done(families[1], 5.0 + FIRST_GUESS["eager"], measured=True)
    assert budget.of_first_visit()[1] == pytest.approx(3.5)


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


def test_the_minimum_of_one_case_is_no_part_of_what_is_shared() -> None:
    alone, pair = family("a", "eager"), family("b", "eager", "eager")
    spare = 2.0 - 3 * 0.05 - 2 * 0.4
    assert Budget(2.0, [alone, pair], now=lambda: 0.0).allot(alone) == pytest.approx(0.4 + 0.3 * spare / 2.3)


def test_families_whose_long_calls_take_less_than_their_share_are_counted_with_it() -> None:
    """Beyond 0.3 of each family, they weigh 2.7, 1.7 and 1.7; their ten calls of each case take 0, 2 and 11.9 s."""
    none, some, many = (
        family("c", "eager", "eager", "eager"),
        family("a", "eager", "eager"),
        family("b", *["eager"] * 2),
    )
    budget = Budget(100.0, [many, some, none], {some.name: 0.1, many.name: 0.595})
    assert budget._per_case(36.0) == pytest.approx((36.0 + 2.0 + 11.9) / 7.0)  # 11.9 / 1.7 is less than 38 / 5.3
    assert budget._per_case(34.0) == pytest.approx((34.0 + 2.0) / 5.3)  # and more than 36 / 5.3


def test_those_with_the_fewest_seconds_per_case_get_more_than_the_small_share_first() -> None:
    """Ten cases of 1 s each, 9.7 beyond the small share, and two of 6 s, 1.7 beyond it."""
    large, small = family("a", *["eager"] * 10), family("b", "eager", "eager")
    budget = Budget(100.0, [small, large], {large.name: 0.1, small.name: 0.6})
    assert budget._per_case(4.0) == pytest.approx((4.0 + 10.0) / 10.3)


def test_what_starting_takes_is_learned_per_device() -> None:
    cases = family("a", "eager", device="cuda:0").cases + family("a", "eager", device="cuda:1").cases
    one = Family(cases, cases)
    budget = Budget(100.0, [one])
    for _ in range(2):
        budget.done(one, fixed_seconds=20.0, starting=8.0)
    assert budget._starting(one) == 8.0
    assert budget._starting(family("b", "eager", device="cuda:0")) == 4.0


def test_what_a_familys_author_declares_of_its_calls_is_asked_for_its_size_and_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[object, ...]] = []

    def seconds_of(size: object, kind: str) -> float:
        asked.append((size, kind))
        return 0.25

    monkeypatch.setattr(budgets, "workload_of", lambda _: SimpleNamespace(seconds_of=seconds_of))
    one = family("a", "eager", device="cuda:1")
    assert budgets.call_seconds([one]) == {one.name: 0.25}
    assert asked == [({}, "cuda")]


def test_the_energy_of_a_case_takes_five_and_a_half_seconds() -> None:
    one = family("a", "eager", "eager")
    assert Budget(100.0, [one], extra=budgets.ENERGY_SECONDS)._fixed(one) == pytest.approx(2 * (0.05 + 5.5))


def test_a_family_of_which_nothing_is_said_cost_nothing_known_and_is_not_tried_again() -> None:
    nothing = Spent()
    assert (nothing.fixed, nothing.timing, dict(nothing.stages), nothing.slow, nothing.retry, nothing.starting) == (
        *(None, None, {}, (), False),
        None,
    )

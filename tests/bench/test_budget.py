"""The budget is shared fairly, learns what first calls cost, and ends."""

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.plan import budget as budgets
from torchduet.bench.plan.visits import visit_seconds
from torchduet.suites.registry import BUILT_IN, RELEVANCE, relevance


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(budgets, "monotonic", lambda: now[0])
    return now


def family(name: str, *modes: str, device: str = "cpu") -> Family:
    cases = tuple(Case("s", "s", name, "", (), name, True, device, mode, "fp32") for mode in modes)
    return Family(cases, cases)


@pytest.mark.usefixtures("clock")
def test_timing_time_goes_by_number_of_cases() -> None:
    small, large = family("a", "eager", "eager"), family("b", *("eager",) * 6)
    budget = budgets.Budget(41.0, [small, large])
    shares = [budget.allot(each) for each in (small, large)]
    beyond = [share - budgets.MIN_SECONDS for share in shares if share is not None]
    assert beyond[1] == pytest.approx(3 * beyond[0])
    assert sum(beyond) + 2 * budgets.MIN_SECONDS <= 41.0


def learned(compilations: int, seconds: float) -> float:
    """Seconds that are set aside for a compilation, after some that took so many seconds."""
    guessed = budgets.GUESS_COUNTS * budgets.FIRST_GUESS["compile"]
    return (guessed + compilations * seconds) / (budgets.GUESS_COUNTS + compilations)


@pytest.mark.usefixtures("clock")
def test_what_compilation_needs_is_set_aside_and_learned() -> None:
    families = [family(name, "eager", "compile") for name in "abc"]
    eager = budgets.FIRST_GUESS["eager"]
    budget = budgets.Budget(100.0, families)
    assert budget.allot(families[0]) == pytest.approx(100 / 3 - eager - budgets.FIRST_GUESS["compile"])
    budget.done(families[0], fixed_seconds=20.0)  # more than was set aside
    # One that took 20 s does not mean that the others do.
    assert budget.allot(families[1]) == pytest.approx(100 / 3 - eager - learned(1, 20.0 - eager))


@pytest.mark.usefixtures("clock")
def test_a_machine_that_compiles_slowly_is_known_after_some_families() -> None:
    families = [family(f"f{place}", "eager", "compile") for place in range(42)]
    budget = budgets.Budget(1000.0, families)
    for one in families[:40]:
        budget.done(one, fixed_seconds=20.0 + budgets.FIRST_GUESS["eager"])
    set_aside = budgets.FIRST_GUESS["eager"] + learned(40, 20.0)
    assert budget.allot(families[40]) == pytest.approx(1000 / 42 - set_aside)


@pytest.mark.usefixtures("clock")
def test_a_case_alone_gets_little_and_long_calls_are_set_aside() -> None:
    alone, pair, slow = family("a", "eager"), family("b", "eager", "eager"), family("c", "eager", "eager")
    budget = budgets.Budget(60.0, [alone, pair, slow], {"s.c": 1.0})
    shares = {each.name: budget.allot(each) or 0.0 for each in (alone, pair, slow)}
    assert shares["s.a"] < 0.2 * shares["s.b"]
    assert shares["s.c"] > 2 * 8
    assert sum(shares.values()) <= 60.0


@pytest.mark.usefixtures("clock")
def test_every_case_has_the_same_time_whether_its_calls_are_long_or_not() -> None:
    short, long = family("a", "eager", "eager"), family("b", "eager", "eager")
    longest, alone = family("c", "eager", "eager"), family("d", "eager")
    budget = budgets.Budget(150.0, [short, long, longest, alone], {"s.b": 0.5, "s.c": 5.0})
    shares = [(budget.allot(each) or 0.0) - budgets.MIN_SECONDS for each in (short, long, longest, alone)]
    assert shares[0] == pytest.approx(shares[1])  # of which 10 s are ten calls of each case
    assert shares[1] > 10 * 0.5 * 2
    assert shares[2] == pytest.approx(100 + shares[3])  # its ten calls take more than the share of two cases
    assert shares[3] == pytest.approx(budgets.SMALL_WEIGHT * shares[0] / 2)


@pytest.mark.usefixtures("clock")
def test_shares_use_up_what_there_is() -> None:
    families = [family(name, *("eager",) * cases) for cases, name in enumerate("abcdef", 1)]
    seconds = {"s.b": 0.1, "s.c": 1.0, "s.d": 0.3, "s.e": 3.0}
    for total in (250.0, 300.0, 1000.0):
        budget = budgets.Budget(total, families, seconds)
        fixed = 0.05 * sum(len(each.cases) for each in families)
        assert sum(budget.allot(each) or 0.0 for each in families) == pytest.approx(total - fixed)


def test_a_share_depends_neither_on_the_order_nor_on_what_earlier_families_used(clock: list[float]) -> None:
    families = [family(name, *("eager",) * cases) for cases, name in enumerate("abcdefgh", 1)]
    shares = []
    for order in (families, families[::-1]):
        budget = budgets.Budget(80.0, families)
        found = {}
        for one in order:
            found[one.name] = budget.allot(one)
            clock[0] += 1.0
            budget.done(one, len(one.cases) * budgets.FIRST_GUESS["eager"], measured=True)
        shares.append(found)
    assert shares[0] == shares[1]
    assert None not in shares[0].values()


def test_what_the_first_visits_leave_over_is_there_for_later_ones(clock: list[float]) -> None:
    families = [family(f"f{place}", "eager", "eager") for place in range(20)]
    budget = budgets.Budget(1000.0, families)
    shares = [budget.allot(one) or 0.0 for one in families]
    for one in families:
        clock[0] += 1.0
        budget.done(one, 0.1, measured=True)
    assert budget.seconds_left() == 980.0
    assert 980.0 < sum(shares) <= 1000.0


def test_a_family_that_no_longer_fits_is_left_out_and_a_cheaper_one_after_it_is_not(clock: list[float]) -> None:
    first, dear, cheap = family("a", "eager"), family("b", "eager", "compile"), family("c", "eager", "eager")
    budget = budgets.Budget(20.0, [first, dear, cheap])
    assert budget.allot(first) is not None
    budget.done(first, 0.0, measured=True)
    clock[0] += 18
    assert budget.allot(dear) is None  # its compilation alone takes longer than what is left
    budget.done(dear)
    assert budget.allot(cheap) is not None


@pytest.mark.usefixtures("clock")
def test_no_family_comes_before_another_while_there_is_time_for_all() -> None:
    dear, cheap = family("a", "eager", "compile"), family("b", "eager")
    budget = budgets.Budget(20.0, [dear, cheap])
    assert budget.in_turns_first(dear) == []
    assert budget.in_turns_first(cheap) == []


def test_the_cheaper_ones_come_first_where_there_is_too_little_time_for_all(clock: list[float]) -> None:
    dear, cheap, long = family("a", "eager", "compile", "compile"), family("y", "eager"), family("z", "eager")
    cheapest = family("x", "eager")
    families = [dear, long, cheap, cheapest]
    budget = budgets.Budget(40.0, families, {"s.z": 0.3, "s.y": 0.1})
    assert budget.in_turns_first(dear) == []
    clock[0] += 30.0
    assert budget.in_turns_first(dear) == [cheapest, cheap, long]
    assert budget.in_turns_first(cheap) == [cheapest]
    assert budget.in_turns_first(cheapest) == []
    budget.done(cheap, 0.1, measured=True)
    assert budget.in_turns_first(dear) == [cheapest, long]  # each is measured once
    budget.done(dear)  # which makes room for the others
    assert budget.in_turns_first(long) == []


@pytest.mark.usefixtures("clock")
def test_the_time_by_which_a_budget_may_be_overdrawn_is_there_for_all_families() -> None:
    dear, cheap = family("a", "eager", "compile"), family("b", "eager")
    needed = sum(budgets.FIRST_GUESS[kind] for kind in ("eager", "eager", "compile")) + 2 * budgets.MIN_SECONDS
    for asked_for in (True, False):
        budget = budgets.Budget(0.9 * needed, [dear, cheap], asked_for=asked_for)
        assert budget.in_turns_first(dear) == ([cheap] if asked_for else [])


def test_the_first_family_is_measured_however_short_the_budget(clock: list[float]) -> None:
    dear, other = family("a", "eager", "compile"), family("b", "eager")
    budget = budgets.Budget(1.0, [dear, other])
    clock[0] += 20  # starting took longer than the whole budget
    assert budget.allot(dear) == budgets.MIN_SECONDS
    budget.done(dear)  # it failed
    assert budget.allot(other) is None


def test_every_family_keeps_its_least_share_however_much_the_first_ones_could_use(clock: list[float]) -> None:
    families = [family(f"f{place}", "eager", "eager") for place in range(30)]
    first_calls = 2 * budgets.FIRST_GUESS["eager"]
    budget = budgets.Budget(30 * (budgets.MIN_SECONDS + first_calls), families)
    for one in families:
        share = budget.allot(one)
        assert share is not None
        assert share >= budgets.MIN_SECONDS
        clock[0] += first_calls + visit_seconds(2, share)
        budget.done(one, first_calls, measured=True)


def test_only_a_budget_that_nobody_asked_for_may_be_overdrawn_rather_than_leave_families_out(
    clock: list[float],
) -> None:
    first, second = family("a", "eager"), family("b", "eager", "compile")
    for asked_for in (True, False):
        budget = budgets.Budget(90.0, [first, second], asked_for=asked_for)
        budget.allot(first)
        budget.done(first, 0.0, measured=True)
        clock[0] += 100
        assert (budget.allot(second) is None) is asked_for


@pytest.mark.usefixtures("clock")
def test_a_family_always_gets_enough_to_be_worth_starting() -> None:
    dear = family("a", "eager", "compile", "compile", "compile")
    assert budgets.Budget(5.0, [dear]).allot(dear) == budgets.MIN_SECONDS


@pytest.mark.usefixtures("clock")
def test_starting_a_gpu_is_set_aside_for_each_family_and_is_no_part_of_its_share() -> None:
    families = [family(f"f{number}", "eager", "eager", device="cuda:0") for number in range(10)]
    on_cpu = [family(f"f{number}", "eager", "eager") for number in range(10)]
    seconds, starting = 100.0, 10 * budgets.STARTING_GUESS
    assert budgets.Budget(seconds, families).allot(families[0]) == pytest.approx(
        budgets.Budget(seconds - starting, on_cpu).allot(on_cpu[0])
    )
    both = Family(cases=(*families[0].cases, *on_cpu[0].cases), reported=families[0].cases)
    assert [budgets.accelerators(each) for each in (families[0], on_cpu[0], both)] == [1, 0, 1]


def test_what_starting_a_gpu_takes_is_learned_apart_from_the_first_calls_of_cases(clock: list[float]) -> None:
    large = [family(f"large{number}", *("eager",) * 10, device="cuda:0") for number in range(5)]
    small = family("small", "eager", "eager", device="cuda:0")
    budget = budgets.Budget(100.0, [*large, small])
    for one in large:  # 5 s to start, and 0.05 s per case
        clock[0] += 6.0
        budget.done(one, 5.5, measured=True, starting=5.0)
    first_calls = 2 * budgets.FIRST_GUESS["eager"]
    clock[0] = 1000 + 100 + 5 - (5.0 + first_calls + budgets.MIN_SECONDS) - 0.01  # of tolerance, 5 s are left over
    assert budget.allot(small) is not None
    clock[0] += 0.02
    assert budget.allot(small) is None


@pytest.mark.usefixtures("clock")
def test_a_first_start_that_takes_long_takes_no_time_from_the_families_after_it() -> None:
    families = [family(f"f{number}", "eager", "eager", device="cuda:0") for number in range(10)]
    budget = budgets.Budget(100.0, families)
    before = budget.allot(families[0])
    budget.done(families[0], 60.1, measured=True, starting=60.0)
    assert budget.allot(families[1]) == pytest.approx(before)
    assert budget.in_turns_first(families[9]) == []


@pytest.mark.usefixtures("clock")
def test_a_budget_per_case_grows_by_the_starts_of_gpus() -> None:
    on_gpu, on_cpu = family("a", "eager", device="cuda:0"), family("a", "eager")
    assert budgets.enough_for([on_gpu]) == budgets.enough_for([on_cpu]) + budgets.STARTING_GUESS


def of_suite(suite: str, name: str, *modes: str) -> Family:
    cases = tuple(Case(suite, suite, name, "", (), name, True, "cuda", mode, "fp32") for mode in modes)
    return Family(cases, cases)


@pytest.mark.usefixtures("clock")
def test_where_the_time_is_short_the_suites_take_turns_by_their_relevance_and_not_by_their_names() -> None:
    dear, cheap = of_suite("attention", "a", "eager", "compile"), of_suite("attention", "b", "eager")
    log, products = of_suite("logging", "l", "eager"), [of_suite("matmul", name, "eager") for name in "xy"]
    own, step = of_suite("own.py", "o", "eager", "compile"), of_suite("mlp", "m", "eager", "compile")
    families = [dear, cheap, log, *products, step, own]  # as pytest collects them: by the names of files
    budget = budgets.Budget(15.0 + 7 * budgets.STARTING_GUESS, families)
    assert budget.in_turns_first(dear) == [own, step, products[0], cheap, log, products[1]]
    assert budget.in_turns_first(own) == []
    budget.done(own)
    budget.done(step)
    assert budget.in_turns_first(dear) == []  # now there is time for all


@pytest.mark.usefixtures("clock")
def test_before_it_is_known_how_long_compiling_takes_the_suites_take_turns_early() -> None:
    """A GPU may compile for three times as long as guessed: the suites late in the alphabet would have no time left."""
    early, late = of_suite("autograd", "a", "eager", *["compile"] * 9), of_suite("mlp", "m", "eager", "compile")
    budget = budgets.Budget(80.0 + 2 * budgets.STARTING_GUESS, [early, late])
    assert budget.in_turns_first(early) == [late]
    for place in range(budgets.GUESS_COUNTS):
        budget.done(of_suite("other", str(place), "eager", "compile"), budgets.FIRST_GUESS["compile"])
    assert budget.in_turns_first(early) == []


def test_every_built_in_suite_has_a_relevance() -> None:
    assert sorted(RELEVANCE) == sorted(BUILT_IN)
    assert relevance("mlp") < relevance("matmul") < relevance("attention") < relevance("export") < relevance("logging")
    assert relevance("my_suite.py") < relevance("mlp")

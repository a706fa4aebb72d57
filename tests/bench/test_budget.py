"""The budget is shared fairly, learns what first calls cost, and ends."""

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.plan import budget as budgets


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(budgets, "monotonic", lambda: now[0])
    return now


def family(name: str, *modes: str) -> Family:
    cases = tuple(Case("s", "s", name, "", (), name, True, "cpu", mode, "fp32") for mode in modes)
    return Family(cases, cases)


@pytest.mark.usefixtures("clock")
def test_timing_time_goes_by_number_of_cases() -> None:
    small, large = family("a", "eager", "eager"), family("b", *("eager",) * 6)
    budget = budgets.Budget(41.0, [small, large])
    shares = [budget.allot(each) for each in (small, large)]
    beyond = [share - budgets.MIN_SECONDS for share in shares if share is not None]
    assert beyond[1] == pytest.approx(3 * beyond[0])
    assert sum(beyond) + 2 * budgets.MIN_SECONDS <= 41.0


def test_what_compilation_needs_is_set_aside_and_learned(clock: list[float]) -> None:
    first, second, third = (family(name, "eager", "compile") for name in "abc")
    budget = budgets.Budget(100.0, [first, second, third])
    before = budget.allot(first)
    clock[0] += 30
    budget.done(first, fixed_seconds=20.0)  # dearer than thought
    after = budget.allot(second)
    assert before is not None
    assert after is not None
    learned = (
        5 * budgets.FIRST_GUESS["compile"] + (20.0 - 0.05)
    ) / 6  # one that took 20 s does not mean that the others do
    assert after == pytest.approx((70 - 2 * learned - 2 * 0.05) / 2, rel=0.01)
    assert after < before


@pytest.mark.usefixtures("clock")
def test_a_machine_that_compiles_slowly_is_known_after_some_families() -> None:
    families = [family(f"f{place}", "eager", "compile") for place in range(42)]
    budget = budgets.Budget(1000.0, families)
    for one in families[:40]:
        budget.done(one, fixed_seconds=20.05)
    learned = (5 * 4.0 + 40 * 20.0) / 45
    assert budget.allot(families[40]) == pytest.approx((1000 - 2 * learned - 2 * 0.05) / 2, rel=0.01)


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


@pytest.mark.usefixtures("clock")
def test_what_families_do_not_need_stretches_the_shares_of_those_after_them() -> None:
    families = [family(name, "eager", "eager") for name in "abcdefgh"]
    budget = budgets.Budget(80.0, families)
    before = budget.allot(families[0])
    budget.done(families[0], 0.0, timing=(before or 0.0, (before or 0.0) / 2))
    after = budget.allot(families[1])
    assert after == pytest.approx(2 * (before or 0.0) * 8 / 7, rel=0.1)


@pytest.mark.parametrize(("number", "least"), [(1, 1.0), (2, 0.75), (9, 0.45)])
def test_stretched_shares_leave_the_families_after_them_enough(clock: list[float], number: int, least: float) -> None:
    families = [family(f"f{place}", "eager", "eager") for place in range(20 + number)]
    budget = budgets.Budget(1000.0, families)
    for one in families[:19]:
        share = budget.allot(one)
        assert share is not None
        clock[0] += share / 10
        budget.done(one, 0.0, timing=(share, share / 10))
    hungry, others = families[19], families[20:]
    fair = budget.seconds_left() / (1 + number)
    share = budget.allot(hungry)
    assert share is not None
    assert share >= 0.98 * fair
    clock[0] += share
    budget.done(hungry, 0.0, timing=(share, share))
    assert budget.seconds_left() / number >= 0.98 * least * fair
    for one in others:
        share = budget.allot(one)
        assert share is not None
        clock[0] += share
        budget.done(one, 0.0, timing=(share, share))
    assert budget.seconds_left() == pytest.approx(0.0, abs=1.0)


@pytest.mark.usefixtures("clock")
def test_what_one_leaves_over_goes_to_the_others() -> None:
    first, second = family("a", "eager"), family("b", "eager")
    budget = budgets.Budget(10.0, [first, second])
    share = budget.allot(first)
    budget.done(first, 0.0)  # took no time at all
    assert budget.allot(second) > 1.9 * share  # type: ignore[operator]


def test_a_family_that_no_longer_fits_is_left_out_and_a_cheaper_one_after_it_is_not(clock: list[float]) -> None:
    first, dear, cheap = family("a", "eager"), family("b", "eager", "compile"), family("c", "eager", "eager")
    budget = budgets.Budget(20.0, [first, dear, cheap])
    assert budget.allot(first) is not None
    budget.done(first, 0.0, timing=(1.0, 1.0))
    clock[0] += 18
    assert budget.allot(dear) is None  # its compilation alone takes longer than what is left
    budget.done(dear)
    assert budget.allot(cheap) is not None


def test_the_first_family_is_measured_however_short_the_budget(clock: list[float]) -> None:
    dear, other = family("a", "eager", "compile"), family("b", "eager")
    budget = budgets.Budget(1.0, [dear, other])
    clock[0] += 20  # starting took longer than the whole budget
    assert budget.allot(dear) == budgets.MIN_SECONDS
    budget.done(dear)  # it failed
    assert budget.allot(other) is None


def test_every_family_keeps_its_least_share_however_much_the_first_ones_could_use(clock: list[float]) -> None:
    families = [family(f"f{place}", "eager", "eager") for place in range(30)]
    budget = budgets.Budget(30 * 2 * budgets.MIN_SECONDS, families)
    for one in families:
        share = budget.allot(one)
        assert share is not None
        assert share >= budgets.MIN_SECONDS
        clock[0] += share
        budget.done(one, 0.0, timing=(share, share / 10))  # so that the shares of those that follow are stretched


def test_only_a_budget_that_nobody_asked_for_may_be_overdrawn_rather_than_leave_families_out(
    clock: list[float],
) -> None:
    first, second = family("a", "eager"), family("b", "eager", "compile")
    for asked_for in (True, False):
        budget = budgets.Budget(90.0, [first, second], asked_for=asked_for)
        budget.allot(first)
        budget.done(first, 0.0, timing=(1.0, 1.0))
        clock[0] += 100
        assert (budget.allot(second) is None) is asked_for


@pytest.mark.usefixtures("clock")
def test_a_family_always_gets_enough_to_be_worth_starting() -> None:
    dear = family("a", "eager", "compile", "compile", "compile")
    assert budgets.Budget(5.0, [dear]).allot(dear) == budgets.MIN_SECONDS

"""A case that was too slow is not tried at larger sizes; everything else is."""

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.plan.too_slow import TooSlow


def case(n: int, precision: str = "bf16", kind: str = "x") -> Case:
    return Case("s", "s", "w", "", (("n", n), ("kind", kind)), "w", True, "cpu", "eager", precision)


def family(n: int, kind: str = "x") -> Family:
    cases = (case(n, "fp32", kind), case(n, "bf16", kind))
    return Family(cases, cases)


def test_only_larger_sizes_of_the_same_variant_are_left_out() -> None:
    slowness = TooSlow()
    slowness.add([CaseResult(case(100), too_slow=2.2), CaseResult(case(100, "fp32"))])
    smaller, nothing = slowness.split(family(50))
    assert smaller == family(50)
    assert nothing == {}
    larger, left_out = slowness.split(family(200))
    assert larger.cases == larger.reported == (case(200, "fp32"),)
    (reason,) = left_out.values()
    assert reason.startswith("not measured: one call takes 2.2 s at n=100,kind=x already")
    other_kind, nothing = slowness.split(family(200, kind="y"))
    assert len(other_kind.cases) == 2


def test_without_its_reference_nothing_of_a_family_is_tried() -> None:
    slowness = TooSlow()
    slowness.add([CaseResult(case(100, "fp32"), too_slow=9.0)])
    kept, left_out = slowness.split(family(200))
    assert kept.reported == ()
    assert left_out.keys() == set(family(200).reported)
    (reason,) = set(left_out.values())
    assert reason.startswith("not measured: one call of its reference takes 9 s at n=100,kind=x already")
    assert slowness.split(family(50)) == (family(50), {})

"""Cases and families: ids, references, and what is held against what."""

import itertools

from torchduet import Axis, Suite
from torchduet.bench.cases.case import Case, cases_of, group


def suite_of_products() -> Suite:
    suite = Suite("demo")
    suite.compare(
        "product",
        {"mm": lambda a, b: a @ b, "einsum": lambda a, b: a @ b},
        inputs=lambda device, n: (n, device),
        axes={"n": Axis(quick=[64], default=[512])},
        modes=Axis(quick=["eager", "compile"]),
        precisions=Axis(quick=["fp32"], default=["bf16"]),
    )
    return suite


def pairs(tier: str = "default", **chosen: list[str]) -> list[tuple[Case, Case]]:
    return list(cases_of("demo", suite_of_products(), tier=tier, devices=["cpu"], asked=chosen))


def test_a_case_is_every_combination_of_size_and_variant() -> None:
    assert len(pairs("quick")) == 1 * 2 * 2 * 1
    assert len(pairs("default")) == 2 * 2 * 2 * 2


def test_ids_are_unique_and_work_with_dash_k() -> None:
    cases = [case for case, _ in pairs()]
    assert len({case.id for case in cases}) == len({case.pytest_id for case in cases}) == len(cases)
    assert all("=" not in case.pytest_id for case in cases)  # -k knows no "="
    assert cases[0].pytest_id == "product-n64-mm-cpu-eager-fp32"


def test_params_are_strings_for_group_by() -> None:
    assert all(isinstance(value, str) for case, _ in pairs() for value in case.params().values())


def test_a_variant_asked_for_by_name_is_included_at_any_tier() -> None:
    assert {case.precision for case, _ in pairs("quick", precision=["bf16"])} == {"bf16"}
    assert not pairs("quick", mode=["compile-model"])


def test_the_reference_is_measured_even_when_it_was_not_selected() -> None:
    selected = [(case, reference) for case, reference in pairs("quick") if case.mode == "compile"]
    (family,) = group(selected)
    assert family.reference.mode == "eager"
    assert family.reference not in family.reported
    assert len(family.cases) == 3


def test_each_knob_is_held_against_the_case_with_only_that_knob_turned_back() -> None:
    family = group(pairs())[0]
    case = next(
        case
        for case in family.cases
        if (case.implementation, case.mode, case.precision) == ("einsum", "compile", "bf16")
    )
    held = dict(family.comparisons(case))
    assert set(held) == {"reference", "implementation", "mode", "precision"}
    assert held["reference"] == family.reference
    for knob, other in itertools.islice(held.items(), 1, None):
        differing = [k for k in ("implementation", "mode", "precision") if getattr(case, k) != getattr(other, k)]
        assert differing == [knob]
    assert list(family.comparisons(family.reference)) == []

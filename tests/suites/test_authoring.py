"""A mistake in a registration is refused at the call, in one line that names suite, workload and keyword."""

# ruff: noqa: ARG005 (the parameters of functions that are never called are what is tested)

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torchduet import Axis, Cost, Implementation, Suite, SuiteError
from torchduet.suites.authoring.details import RULES
from torchduet.suites.suite import Details


def of_n(device: str, n: int) -> tuple[int]:
    del device
    return (n,)


def register(**given: Any) -> Any:
    """A registration in which all but ``given`` can be used."""
    arguments = {"implementations": {"f": abs}, "inputs": of_n, "axes": {"n": [4]}} | given
    return Suite("mine").compare("w", **arguments)


TYPES = [
    ("about", None),
    ("about", 5),
    ("about", "\ud800"),
    ("axes", [16]),
    ("axes", None),
    ("axes", {"n": 16}),
    ("axes", {"n": "16"}),
    ("axes", {"n": []}),
    ("axes", {"n": {16, 32}}),
    ("axes", {1: [16]}),
    ("axes", {"n": [None]}),
    ("axes", {"n": [2**63]}),
    ("axes", {"n": [-(2**63)]}),
    ("axes", {"n": [math.nan]}),
    ("axes", {"n": [1, True]}),
    ("modes", "eager"),
    ("modes", None),
    ("modes", []),
    ("precisions", None),
    ("precisions", ["fp32", None]),
    ("devices", "cpu"),
    ("devices", []),
    ("devices", [1]),
    ("workers", "4"),
    ("workers", 4),
    ("workers", [True]),
    ("workers", [1.5]),
    ("knobs", ["layout"]),
    ("knobs", {"layout": "channels_last"}),
    ("cost", 5),
    ("cost", Cost(flops=1)),
    ("deterministic", "no"),
    ("deterministic", None),
    ("observe", "loss"),
    ("tolerance", 0.1),
    ("tolerance", None),
    ("check", 0),
    ("mutates", "x"),
    ("scratch", [1]),
    ("fresh", 1),
    ("call_seconds", math.nan),
    ("call_seconds", math.inf),
    ("call_seconds", -1),
    ("call_seconds", "1s"),
    ("call_seconds", True),
    ("memory", None),
]


@pytest.mark.parametrize(("keyword", "value"), TYPES)
def test_a_detail_of_another_type_is_refused(keyword: str, value: object) -> None:
    with pytest.raises(SuiteError, match=rf"^suite 'mine', workload 'w': .*{keyword}") as error:
        register(**{keyword: value})
    assert "\n" not in str(error.value)


def test_every_detail_has_a_rule() -> None:
    assert RULES.keys() == Details.__annotations__.keys()


def test_details_that_can_be_used_are_kept() -> None:
    workload = register(
        axes={"n": range(2, 4)}, modes=("eager",), workers=[0, "cores"], call_seconds=0, devices=["cpu", "cpu"]
    )
    assert workload.axes["n"].up_to("quick") == (2, 3)
    assert workload.devices == ("cpu",)


@pytest.mark.parametrize(
    ("implementations", "message"),
    [
        ([abs], "implementations must be a non-empty mapping"),
        ({"f": 5}, "'f' is 5"),
        ({5: abs}, "the name of an implementation 5 is no string"),
        ({"": abs}, "the name of an implementation '' is blank"),
        ({"a\nb": abs}, "has characters that cannot be shown"),
        ({"\ud800": abs}, "has characters that cannot be shown"),
        ({"x" * 201: abs}, "has 201 characters; use 200 at most"),
        ({"f": Implementation(abs, modes="eager")}, "Implementation 'f': modes='eager' cannot be used"),  # type: ignore[arg-type]
        ({"f": Implementation(5)}, "'f' is 5"),  # type: ignore[arg-type]
    ],
)
def test_implementations_that_cannot_be_used_are_refused(implementations: Any, message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        register(implementations=implementations)


@pytest.mark.parametrize("name", ["a\nb", "\x00", "\ud800", "x" * 201])
def test_names_that_no_report_can_show_are_refused(name: str) -> None:
    with pytest.raises(SuiteError, match=r"the name "):
        Suite(name)
    with pytest.raises(SuiteError, match=r"the name of a workload "):
        Suite("mine").compare(name, {"f": abs}, inputs=of_n, axes={"n": [1]})
    with pytest.raises(SuiteError, match=r"the axis 'n': the value "):
        register(axes={"n": [name]})
    with pytest.raises(SuiteError, match=r"the name of an axis "):
        register(axes={name: [1]}, inputs=lambda device, **size: ())


def test_names_in_any_script_are_taken() -> None:
    workload = register(axes={"größe": ["klein", "大 [x]"]}, inputs=lambda device, **size: ())
    assert len(list(workload.sizes("quick"))) == 2


SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (lambda device: (), "inputs= does not take the axis 'n'; add a parameter of that name"),
    (lambda device, n, m: (), r"inputs= has a parameter 'm', which no axis gives; add it to axes=\{'m': \[…\]\}"),
    (lambda device, n, *, m: (), "inputs= has a parameter 'm'"),
    (lambda device, n, /: (), "inputs= does not take the axis 'n'"),
    (lambda: (), "inputs= must take the device as its first argument"),
    (lambda n: (), "the axis 'n' has the name of inputs='s first parameter"),
    (5, "inputs= must be a function of the device and the axes, not 5"),  # type: ignore[list-item]
    (None, "inputs= must be a function of the device and the axes, not None"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("inputs", "message"), SIGNATURES)
def test_inputs_that_do_not_take_the_axes_are_refused(inputs: Callable[..., Any], message: str) -> None:
    with pytest.raises(SuiteError, match=rf"^suite 'mine', workload 'w': {message}"):
        register(inputs=inputs)


@pytest.mark.parametrize(
    "inputs",
    [
        of_n,
        lambda *arguments, **size: (),
        lambda device, **size: (),
        lambda device, n, m=1, *more, **others: (),
        lambda d, /, n: (),
        max,  # shows no signature
    ],
)
def test_inputs_that_take_the_axes_are_accepted(inputs: Callable[..., Any]) -> None:
    register(inputs=inputs)


CALLS: list[tuple[Callable[[Suite], object], str]] = [
    (lambda s: s.workload(inputs=of_n, axis={"n": [1]}), r"there is no keyword axis=; did you mean axes=\?"),
    (lambda s: s.workload(inputs=of_n, tolerence={}), r"there is no keyword tolerence=; did you mean tolerance=\?"),
    (lambda s: s.workload(input=of_n), r"there is no keyword input=; did you mean inputs=\?"),
    (lambda s: s.workload(inputs=of_n, n=[1]), r"there is no keyword n=; did you mean axes=\{'n': …\}\?"),
    (lambda s: s.workload(inputs=of_n, zzz=1), r"there is no keyword zzz=; there are inputs, about, axes"),
    (lambda s: s.workload(abs, {"n": [1]}, inputs=of_n), r"suite\.workload: too many positional arguments"),
    (
        lambda s: s.workload(abs),
        r"suite\.workload: missing a required .*'inputs'; call it as suite\.workload\(inputs=…\)",
    ),
    (lambda s: s.workload("w", inputs=of_n), r"suite\.workload decorates a function, not 'w'.*suite\.compare"),
    (lambda s: s.compare("w", inputs=of_n), r"suite\.compare: missing a required argument: 'implementations'"),
    (lambda s: s.model("w"), r"suite\.model: missing a required argument: 'make'"),
    (lambda s: s.model("w", abs, abs, los=abs), r"there is no keyword los=; did you mean loss=\?"),
]


@pytest.mark.parametrize(("call", "message"), CALLS)
def test_a_call_that_does_not_fit_is_refused_before_anything_else(
    call: Callable[[Suite], object], message: str
) -> None:
    with pytest.raises(SuiteError, match=rf"^suite 'mine'.*: {message}") as error:
        call(Suite("mine"))
    assert "\n" not in str(error.value)


COSTS: list[tuple[Any, str]] = [
    (Cost(flops=math.nan), "flops=nan"),
    (Cost(flops=math.inf), "flops=inf"),
    (Cost(bytes=-1), "bytes=-1"),
    (Cost(flops=10**400), "flops=1000"),
    (Cost(flops=1e300), "flops=1e"),
    (Cost(flops="8"), "flops='8'"),  # type: ignore[arg-type]
    (Cost(flops=True), "flops=True"),
    (Cost(samples=2**63), "samples=9"),
    (Cost(samples=1.5), "samples=1.5"),  # type: ignore[arg-type]
    (Cost(samples=1, unit=""), "unit=''; give a word for the samples"),
    (Cost(samples=1, unit="tokens\n"), "unit='tokens\\n'; give a word for the samples"),
    (Cost(samples=1, unit="t" * 21), "give a word for the samples"),
    (Cost(samples=1, unit=3), "unit=3; give a word"),  # type: ignore[arg-type]
    (5, "cost= returned int; return a Cost(flops="),
]


@pytest.mark.parametrize(("cost", "message"), COSTS)
def test_a_cost_that_no_report_can_read_is_refused(cost: Any, message: str) -> None:
    with pytest.raises(SuiteError, match=r"^suite 'mine', workload 'w': cost= returned ") as error:
        register(cost=lambda n: cost)
    assert message in str(error.value)


def test_numbers_of_other_libraries_become_plain() -> None:
    cost = Cost(flops=10**19, bytes=np.int64(8), samples=np.int32(4))  # type: ignore[arg-type]
    assert [(type(value), value) for value in (cost.flops, cost.bytes, cost.samples)] == [
        (float, 1e19),
        (int, 8),
        (int, 4),
    ]
    values = Axis([np.int64(3), np.float64(0.5), 2]).up_to("quick")  # type: ignore[list-item]
    assert [(type(value), value) for value in values] == [(float, 0.5), (int, 2), (int, 3)]


def test_seconds_of_a_call_are_checked_for_every_size() -> None:
    with pytest.raises(SuiteError, match=r"call_seconds= returned nan for \{'n': 4\}; return seconds from 0"):
        register(call_seconds=lambda n: math.nan)
    with pytest.raises(SuiteError, match=r"call_seconds= raised TypeError"):
        register(call_seconds=lambda m: 1.0)


def test_sizes_that_read_alike_are_refused() -> None:
    with pytest.raises(SuiteError, match="two sizes read a=1,b=2,b=3"):
        register(axes={"a": ["1", "1,b=2"], "b": ["2,b=3", "3"]}, inputs=lambda device, **size: ())


def test_an_axis_takes_numbers_and_booleans() -> None:
    assert Axis([0.1, 0, 0.05]).up_to("quick") == (0, 0.05, 0.1)
    assert Axis([True, False]).up_to("quick") == (True, False)
    assert Axis(["b", "a"]).up_to("quick") == ("b", "a")
    assert Axis([2, 0.5], full=[1]).tier_of(1) == "full"
    for alike in ([1, 1.0], [0, False], [0.0, -0.0], ["True", True]):
        with pytest.raises(SuiteError, match="listed twice"):
            Axis(alike)


def test_sizes_of_every_type_are_read_as_they_were_written() -> None:
    import msgspec

    from torchduet.bench.record.decoding.typed import _bounded
    from torchduet.bench.record.schema import CaseRecord
    from torchduet.bench.record.schema_check import check

    size = {"n": 4, "dropout": 0.0, "rate": 1e-5, "bias": True, "kind": "x"}
    words = dict.fromkeys(("id", "family", "suite", "workload", "about", "size_label", "implementation", "device"), "x")
    case = {**words, "size": size, "mode": "eager", "precision": "fp32", "reference": True}
    check(case, CaseRecord, "case")
    read = msgspec.json.decode(json.dumps(case).encode(), type=_bounded(CaseRecord))
    assert {axis: (type(value), value) for axis, value in read["size"].items()} == {
        axis: (type(value), value) for axis, value in size.items()
    }


@pytest.mark.parametrize(
    ("on", "message"),
    [
        (
            ["cuda"],
            r"Axis: on= takes a mapping from kinds of devices to axes, e\.g\. on=\{'cuda': Axis\(quick=\[4096\]\)\}",
        ),
        ({"cpu": [1]}, r"Axis: on= has 'cpu'; name kinds of devices, .*; the CPU's values are the axis' own"),
        ({"cuda:0": [1]}, r"Axis: on= has 'cuda:0'; name kinds of devices"),
        ({1: [1]}, r"Axis: on= has 1; name kinds of devices"),
        ({"cuda": 4096}, r"Axis: on\['cuda'\] cannot be used: quick= takes a list of numbers, strings or booleans"),
        ({"cuda": []}, r"Axis: on\['cuda'\] cannot be used: no values"),
        ({"cuda": Axis([1], on={"xpu": [2]})}, r"Axis: on\['cuda'\] has on= itself; give each kind of device once"),
    ],
)
def test_the_values_of_a_kind_of_device_are_checked(on: Any, message: str) -> None:
    with pytest.raises(SuiteError, match=message) as refused:
        Axis([64], on=on)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"axes": {"n": Axis([2], on={"abacus": [3]})}}, r"axes\['n'\]: on= has abacus; use accelerator, or a kind"),
        (
            {"axes": {"n": Axis([2], on={"cuda": [3]})}, "devices": ["cpu"]},
            r"axes\['n'\]: on= has cuda, which devices= leaves out \(cpu\); add it there, or remove it from on=",
        ),
        ({"modes": Axis(["eager"], on={"cuda": ["fast"]})}, "modes has fast; known are eager"),
        ({"precisions": Axis(["fp32"], on={"cuda": ["fp8"]})}, "precisions has fp8; known are fp32"),
        (
            {"workers": Axis([0], on={"cuda": [2]})},
            "workers= has on=, which only axes=, modes= and precisions= may have",
        ),
        ({"axes": {"n": Axis([2], on={"cuda": ["a=b", "c"]})}, "cost": lambda n: Cost(flops=n * 1.0)}, "cost= raised"),
        ({"axes": {"n": Axis([2], on={"cuda": ["a\nb"]})}}, "the axis 'n': the value .* cannot be shown"),
    ],
)
def test_what_a_kind_of_device_has_of_its_own_is_checked_like_the_rest(details: Any, message: str) -> None:
    details = {"axes": {"n": [2]}, **details}
    with pytest.raises(SuiteError, match=message) as refused:
        register(**details)
    assert "\n" not in str(refused.value)


def test_seconds_of_a_call_may_depend_on_the_device() -> None:
    axes = {"n": Axis([2], on={"cuda": [4]})}
    workload = register(axes=axes, call_seconds=lambda n, device: 0.1 * n if device == "cpu" else 0.0)
    assert (workload.seconds_of({"n": 2}), workload.seconds_of({"n": 4}, "cuda")) == (0.2, 0.0)
    with pytest.raises(SuiteError, match=r"call_seconds= returned -1 for \{'n': 4\}"):
        register(axes=axes, call_seconds=lambda n, device: 0.1 if device == "cpu" else -1)

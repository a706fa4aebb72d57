"""Options: what they take, and errors that say what to do."""

import pytest

from torchduet.bench.cases.copies import SLOWDOWNS
from torchduet.bench.cases.option_values import OptionError, parse_devices, parse_list, parse_workers
from torchduet.bench.plan.options import parse, parse_duration, parse_slowdowns, parse_threads

DEFAULTS: dict[str, None] = dict.fromkeys(
    ("device", "mode", "precision", "workers", "suite", "data", "threads", "budget")
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90", 90), ("1.5m", 90), ("1h30m", 5400), ("2min", 120), ("0.5s", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration("--budget", text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5s", "0s", "5 parsecs", "s", "1e3s", "90s;"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--budget"):
        parse_duration("--budget", text)


@pytest.mark.parametrize("text", ["", "-1", "two", "1.5", ",", "1000", "٣"])
def test_what_is_no_list_of_workers_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--workers"):
        parse_workers(text)


def test_workers_are_sorted_and_listed_once() -> None:
    assert parse_workers("4, 0,4") == (0, 4)
    assert parse_workers(None) is None


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "", "1_0", "٣"])
def test_what_is_no_number_of_threads_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--threads"):
        parse_threads(text)


def test_lists_name_what_is_unknown_and_what_is_known() -> None:
    assert parse_list("--mode", "eager, compile,eager", ("eager", "compile")) == ("eager", "compile")
    with pytest.raises(OptionError, match=r"--mode 'eager,jit': jit is not known; choose from eager, compile"):
        parse_list("--mode", "eager,jit", ("eager", "compile"))
    with pytest.raises(OptionError, match="empty"):
        parse_list("--mode", ",", ("eager",))


@pytest.mark.parametrize("text", ["gpu", "cuda:", "cuda:x", "cpu:0", "", "cpu;cuda"])
def test_unknown_devices_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--device"):
        parse_devices(text)


def test_devices() -> None:
    assert parse_devices("cpu,cuda:1") == ("cpu", "cuda:1")
    assert parse_devices(None) is None
    assert parse_devices("auto") is None


def test_the_budget_follows_the_tier_unless_given() -> None:
    assert parse(tier="full", **DEFAULTS).budget_seconds > parse(tier="quick", **DEFAULTS).budget_seconds
    assert parse(tier="full", **(DEFAULTS | {"budget": "5s"})).budget_seconds == 5  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="--tier 'huge': choose from quick, default, full"):
        parse(tier="huge", **DEFAULTS)


def test_slowdowns_are_percentages_for_aa() -> None:
    assert parse_slowdowns(None) == SLOWDOWNS
    assert parse_slowdowns("5%, 3") == (1.03, 1.05)
    assert parse_slowdowns("none") == ()
    for wrong in ("", "0%", "101%", "fast", "-3%", "none,3%"):
        with pytest.raises(OptionError, match="--slowdowns"):
            parse_slowdowns(wrong)
    with pytest.raises(OptionError, match="give --aa, too"):
        parse(tier="quick", **DEFAULTS, slowdowns="3%")

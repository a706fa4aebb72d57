"""The exit code of a duet with ``--fail-on``."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.record.duets.gate import FAILS, NO_VERDICT, gate, grounds, memory_of
from torchduet.bench.record.duets.peak_memory import LEAST_BYTES, change

MIB = 2**20


def case(verdict: str, *, low: float | None = 0.98, memory: tuple[int, int] | None = (MIB, MIB), **more: Any) -> Any:
    """A record of a duet."""
    peaks = {} if memory is None else {"base_peak_bytes": memory[0], "peak_bytes": memory[1]}
    return {"against": {"verdict": verdict, "ratio": 1.0, "low": low, "threshold": 0.02, **peaks, **more}}


@pytest.mark.parametrize(
    ("records", "fail_on", "code", "reason"),
    [
        ([case("slower")], "", 0, ""),
        ([case("slower"), case("same")], "slower", FAILS, "of 2 cases, 1 is slower"),
        ([case("unclear"), case("same")], "slower", 0, ""),
        ([case("unclear"), case("same")], "unclear", FAILS, "of 2 cases, 1 is unclear"),
        ([case("slower"), case("unclear")], "unclear", FAILS, "of 2 cases, 1 is slower and 1 is unclear"),
        ([case("faster")], "slower,unclear,memory", 0, ""),
        ([case("same", memory=(MIB, 2 * MIB))], "slower", 0, ""),
        ([case("same", memory=(MIB, 2 * MIB))], "slower,memory", FAILS, "of 1 case, 1 needs more memory"),
        ([case("same", memory=(2 * MIB, MIB))], "memory", 0, ""),
        ([case("same", memory=None)], "memory", NO_VERDICT, "the peak memory of no case is known"),
        ([case("same", memory=None), case("same")], "memory", 0, ""),
        ([case("unclear", low=0.5)], "slower", NO_VERDICT, "no verdict is possible on any case"),
        ([case("unclear", low=None)], "slower", NO_VERDICT, "no verdict is possible on any case"),
        ([case("unclear", low=0.5), case("unclear")], "slower", 0, ""),
        ([case("unclear", low=0.5)], "memory", 0, ""),
        ([], "slower", NO_VERDICT, "no case was measured on both sides"),
        ([case("same", control=True)], "slower", 0, ""),
        ([case("slower", control=True)], "memory", 0, ""),
        ([case("slower", control=True), case("same")], "slower", NO_VERDICT, "1 control, which the change cannot"),
        ([case("slower", control=True), case("slower")], "slower", FAILS, "of 1 case, 1 is slower"),
        ([case("faster", control=True), case("same")], "slower", 0, ""),
    ],
)
def test_each_ground_gives_the_exit_code_and_a_reason(records: list[Any], fail_on: str, code: int, reason: str) -> None:
    found = gate(records, grounds(fail_on) if fail_on else ())
    assert found.code == code
    assert found.reason.startswith(reason)
    assert bool(found.reason) == bool(code)


@pytest.mark.parametrize(("low", "blind"), [(0.67, True), (0.69, False)])
def test_a_duet_is_blind_where_its_width_and_the_threshold_hide_a_slow_down_by_half(low: float, blind: bool) -> None:
    # A case that takes 1.5 times as long is called if its whole interval lies beyond 2 %: 1 / 0.67 × 1.02 = 1.52.
    assert gate([case("unclear", low=low)], ("slower",)).code == (NO_VERDICT if blind else 0)


def test_a_case_with_a_verdict_is_not_blind_however_wide_its_interval_is() -> None:
    assert gate([case("same", low=0.5)], ("slower",)).code == 0
    assert gate([case("same", low=0.5), case("unclear", low=0.5)], ("slower",)).code == 0


def test_an_unknown_ground_is_named() -> None:
    assert grounds("slower, memory,slower") == ("slower", "memory")
    with pytest.raises(ValueError, match=r"^--fail-on slower,: '' is none of slower, unclear, memory$"):
        grounds("slower,")


@pytest.mark.parametrize(
    ("base", "new", "what"),
    [
        (MIB, MIB, "same"),
        (MIB, MIB + LEAST_BYTES // 2, "same"),
        (100 * MIB, 104 * MIB, "same"),
        (100 * MIB, 106 * MIB, "more"),
        (106 * MIB, 100 * MIB, "less"),
        (0, LEAST_BYTES, "more"),
        (0, LEAST_BYTES - 1, "same"),
        (None, MIB, None),
        (MIB, None, None),
    ],
)
def test_memory_has_grown_beyond_a_share_and_a_size(base: int | None, new: int | None, what: str | None) -> None:
    assert change(base, new) == what
    if base is not None and new is not None:
        assert memory_of(case("same", memory=(base, new))["against"]) == what

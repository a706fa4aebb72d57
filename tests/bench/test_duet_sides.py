"""The sides of a duet by their names; a knob is seen from the side that has it."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.record.duets.gate import FAILS, NO_VERDICT, gate
from torchduet.bench.record.duets.sides import from_new, of_gate, short_knob, sides
from torchduet.bench.record.duets.words import factor_table, heading, headline, memory_lines, title
from torchduet.reports.markdown.comment_outcome import outcome_of

SIDE = {"python": "python", "torch": "2.13.0", "rev": None, "env": {}, "label": "your files"}


def duet_of(base: dict[str, Any], against: dict[str, Any] | None = None) -> Any:
    return {"base": SIDE | base, "against": SIDE | (against or {})}


def record(case: str, verdict: str, ratio: float, **more: Any) -> Any:
    against = {"verdict": verdict, "ratio": ratio, "low": 0.99 * ratio, "high": 1.01 * ratio, "threshold": 0.02}
    times = {"base_seconds": 1e-3 * ratio, "seconds": 1e-3, "pairs": 5, "stage": "confirmed", "pair_ratios": [ratio]}
    return {"case": {"id": f"layers.{case}[n=1] cpu eager fp32"}, "against": {**against, **times, **more}}


KNOB = duet_of({"env": {"LD_PRELOAD": "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"}})
REVISION = duet_of({"rev": "main", "label": "main, 1a2b3c4"})
VERSIONS = duet_of({"torch": "2.12.0", "label": "torch 2.12.0"}, {"label": "torch 2.13.0"})


@pytest.mark.parametrize(
    ("duet", "names"),
    [
        (KNOB, ("without", "with")),
        (REVISION, ("main", "yours")),
        (VERSIONS, ("torch 2.12.0", "torch 2.13.0")),
        (duet_of({}), ("first", "second")),
        (duet_of({"rev": "f" * 40, "commit": "f" * 40}), ("fffffff", "yours")),
    ],
)
def test_each_side_has_a_name(duet: Any, names: tuple[str, str]) -> None:
    of = sides(duet)
    assert (of.base, of.new) == names


@pytest.mark.parametrize(
    ("duet", "verdict", "ratio", "says"),
    [
        (REVISION, "slower", 1 / 1.08, "Your change makes layers.net take 1.08 times as long (1.07 to 1.09)"),
        (REVISION, "faster", 1.25, "Your change makes layers.net 1.25 times as fast (1.24 to 1.26)"),
        (VERSIONS, "slower", 0.5, "With torch 2.13.0, layers.net takes 2.00 times as long (1.98 to 2.02) as with "
         "torch 2.12.0"),
        (duet_of({"env": {"A": "1"}, "python": "a", "label": "A=1"}, {"label": "without A"}), "faster", 2.0,
         "Without A, layers.net is 2.00 times as fast (1.98 to 2.02) as with A=1"),
        (KNOB, "slower", 0.5, "With jemalloc: layers.net is 2.00 times as fast (1.98 to 2.02)"),
        (REVISION, "same", 1.0, "Your change makes none of 2 cases slower or faster than main"),
        (VERSIONS, "same", 1.0, "With torch 2.13.0, none of 2 cases is slower or faster than with torch 2.12.0"),
    ],
)  # fmt: skip
def test_the_title_is_the_answer(duet: Any, verdict: str, ratio: float, says: str) -> None:
    records = [record("net", verdict, ratio), record("norm", "same", 1.0)]
    assert title(duet, records) == says
    assert headline(duet, records).startswith(says + "; ")


def test_several_cases_are_counted_and_the_largest_change_is_named() -> None:
    records = [record("net", "slower", 0.5), record("norm", "slower", 0.8), record("gate", "faster", 1.25)]
    still = [record("scan", "same", 1.0), record("pad", "unclear", 1.0)]
    assert headline(REVISION, [*records, *still]) == (
        "Your change makes 2 of 5 cases slower and 1 faster than main: layers.net takes 2.00 times as long; "
        "1 is the same, 1 is unclear."
    )
    assert headline(REVISION, still) == (
        "Your change makes none of 2 cases slower or faster than main; 1 is the same, 1 is unclear."
    )
    only = [record("net", "same", 1.0)]
    assert title(REVISION, only) == "Your change makes layers.net neither slower nor faster than main"
    assert title(VERSIONS, only).startswith(
        "With torch 2.13.0, layers.net is neither slower nor faster than with torch"
    )
    assert title(VERSIONS, records).startswith(
        "With torch 2.13.0, 2 of 3 cases are slower and 1 faster than with torch"
    )


def test_where_nothing_can_be_judged_the_title_says_so() -> None:
    records = [record("net", "unclear", 1.0, low=0.4, high=2.5), record("norm", "unclear", 1.0, low=None, high=None)]
    assert title(REVISION, records).startswith("This duet can give no verdict on any of 2 cases")


@pytest.mark.parametrize(
    ("base", "new", "ratio", "low", "high", "differs"),
    [
        (251e-6, 249e-6, 0.99, 0.97, 1.02, True),  # the other direction
        (251e-6, 249e-6, 0.998, 0.97, 1.02, False),  # shown as 1.00×
        (251e-6, 251.2e-6, 1.01, 0.97, 1.02, False),  # the times are shown as equal
        (500e-6, 251e-6, 1.81, 1.76, 1.86, True),  # the same direction, outside the interval
        (500e-6, 251e-6, 1.97, 1.92, 2.02, False),
        (500e-6, 251e-6, 1.2, None, None, False),  # no interval to lie outside of
        (249e-6, 251e-6, 1.2, None, None, True),
    ],
)
def test_times_that_do_not_show_the_ratio_are_marked_in_a_sentence(
    base: float, new: float, ratio: float, low: float | None, high: float | None, *, differs: bool
) -> None:
    marked = record("net", "unclear", ratio, base_seconds=base, seconds=new, low=low, high=high)
    lines = factor_table(REVISION, [marked, record("norm", "same", 1.0)])
    assert lines[1].endswith(" ‡") is differs
    assert any(line.startswith("‡ base/new is from neighbouring blocks") for line in lines) is differs
    assert not lines[2].endswith("‡")


def test_a_knob_is_seen_from_the_side_that_has_it() -> None:
    peaks = {"base_peak_bytes": 4, "peak_bytes": 2**20}
    (turned,) = from_new(KNOB, [record("net", "slower", 0.5, **peaks)])
    against = turned["against"]
    assert (against["verdict"], against["ratio"], against["pair_ratios"]) == ("faster", 2.0, [2.0])
    assert (against["base_seconds"], against["seconds"]) == (1e-3, 5e-4)
    assert (against["base_peak_bytes"], against["peak_bytes"]) == (2**20, 4)
    assert against["low"] < 2.0 < against["high"]
    row = factor_table(KNOB, [record("net", "slower", 0.5)])[1]
    assert "1.00 ms" in row
    assert row.index("1.00 ms") < row.index("500 µs")
    assert row.endswith("faster")
    (line,) = memory_lines(KNOB, [record("net", "slower", 0.5, **peaks)])
    assert line.endswith("needs less memory, 4 B at its peak instead of 1.00 MiB")
    assert of_gate(KNOB, "of 1 case, 1 is slower") == "of 1 case, 1 is slower with jemalloc"
    assert of_gate(REVISION, "of 1 case, 1 is slower") == "of 1 case, 1 is slower"


SETTING = duet_of({"settings": {"torch.set_float32_matmul_precision": "medium"}})
PYTHONS = duet_of({"python": "old/bin/python", "label": "old"}, {"label": "mine"})
REVISION_AND_KNOB = duet_of({"rev": "main", "label": "main", "env": {"X": "1"}})


@pytest.mark.parametrize(
    ("duet", "heads"),
    [
        (KNOB, "with and without jemalloc"),
        (SETTING, "with and without torch.set_float32_matmul_precision=medium"),
        (REVISION, "yours against main"),
        (REVISION_AND_KNOB, "yours against main"),
        (VERSIONS, "torch 2.13.0 against torch 2.12.0"),
        (PYTHONS, "mine against old"),
        (duet_of({}), "the same interpreter twice"),
    ],
)
@pytest.mark.parametrize("new_ratio", [0.5, 2.0])
def test_title_table_comment_and_gate_agree_on_which_side_is_new(duet: Any, heads: str, new_ratio: float) -> None:
    """The file has the named side first: for a knob that is the new one."""
    of_file = 1 / new_ratio if sides(duet).knob else new_ratio
    records = [record("net", "slower" if of_file < 1 else "faster", of_file)]
    slower = new_ratio < 1
    assert heading(duet) == heads
    assert ("2.00 times as long" if slower else "2.00 times as fast") in title(duet, records)
    assert factor_table(duet, records)[1].endswith("slower" if slower else "faster")
    outcome = outcome_of(from_new(duet, records))
    assert (len(outcome.slower), len(outcome.faster)) == ((1, 0) if slower else (0, 1))
    assert gate(from_new(duet, records), ("slower",)).code == (FAILS if slower else 0)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.07, 1.10, "1.07× to 1.10×"),
        (0.02, 3.9, "0.020 to 3.9, too wide"),
        (1e-7, 1e7, "<0.01 to >100, too wide"),
        (None, None, "none"),
    ],
)
def test_an_interval_that_decides_nothing_is_short(low: float | None, high: float | None, words: str) -> None:
    assert words in factor_table(REVISION, [record("net", "unclear", 1.0, low=low, high=high)])[1]


def test_a_peak_that_only_one_side_knows_goes_to_the_other() -> None:
    (turned,) = from_new(KNOB, [record("net", "slower", 0.5, base_peak_bytes=4)])
    assert turned["against"].get("peak_bytes") == 4
    assert "base_peak_bytes" not in turned["against"]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("LD_PRELOAD=/usr/lib/x/libtcmalloc_minimal.so.4", "tcmalloc"),
        ("LD_PRELOAD=/usr/lib/x/libjemalloc.so.2 MALLOC_CONF=a:b", "jemalloc MALLOC_CONF=a:b"),
        ("OMP_NUM_THREADS=1", "OMP_NUM_THREADS=1"),
    ],
)
def test_a_library_is_named_by_itself(name: str, short: str) -> None:
    assert short_knob(name) == short


@pytest.mark.parametrize(
    ("duet", "cases", "says"),
    [
        (REVISION, 2, "Not known yet whether your change makes any of 2 cases slower or faster than main"),
        (REVISION, 1, "Not known yet whether your change makes layers.c0 slower or faster than main"),
        (VERSIONS, 2, "With torch 2.13.0, it is not known yet whether any of 2 cases is slower or faster than with "
         "torch 2.12.0"),
        (KNOB, 1, "With jemalloc: not known yet whether the one case is faster or slower"),
        (KNOB, 3, "With jemalloc: not known yet whether any of 3 cases is faster or slower"),
    ],
)  # fmt: skip
def test_the_title_of_unclear_cases_does_not_read_as_no_change(duet: Any, cases: int, says: str) -> None:
    records = [record(f"c{number}", "unclear", 0.86, low=0.84, high=0.88) for number in range(cases)]
    assert title(duet, records) == says


def test_two_pairs_are_too_few_to_pass_a_gate() -> None:
    """Twice the time in two pairs, whose interval is narrow: no verdict is possible, so the gate cannot be passed."""
    few = record("net", "unclear", 0.5, stage="screened", pairs=2, pair_ratios=[0.5, 0.5], low=0.46, high=0.55)
    assert gate([few], ("slower",)).code == NO_VERDICT
    assert title(REVISION, [few]).startswith("This duet can give no verdict on the only case")
    enough = record("net", "unclear", 0.99, pairs=3, low=0.97, high=1.01)
    assert gate([few, enough], ("slower",)).code == 0

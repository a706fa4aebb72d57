"""The registry of knobs: one entry says what a knob is, and all that has to do with knobs goes by it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from torchduet import Axis, Suite
from torchduet.bench.cases import knobs
from torchduet.bench.cases.case import Case, Family, cases_of, group
from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.duet.order import restored
from torchduet.bench.plan.options import parse
from torchduet.bench.record.knobs import BY_NAME, KNOBS, settings_of
from torchduet.suites.registry import load, names
from torchduet.suites.workload import SuiteError

ROOT = Path(__file__).parents[2]
NOTHING: Any = dict.fromkeys(("suite", "data", "threads", "budget"))
FORMATS = {"memory_format": Axis(quick=["contiguous"], default=["channels_last"])}


def suite_with(**details: Any) -> Suite:
    suite = Suite("s")
    suite.compare("pooled", {"pooled": lambda x: x}, inputs=lambda device: (device,), knobs=FORMATS, **details)
    suite.compare("flat", {"flat": lambda x: x}, inputs=lambda device: (device,))
    return suite


def select(tier: str, **asked: list[str]) -> list[Case]:
    return [case for case, _ in cases_of("s", suite_with(), tier=tier, devices=["cpu"], asked=asked)]


def test_beside_its_entry_and_what_applies_it_nothing_knows_the_newest_knob() -> None:
    told = ("memory_format", "memory-format", "channels_last", "channels-last", "Memory format")
    may = {"bench/record/knobs.py", "bench/timing/conversions.py", "suites/convnet.py", "suites/claims/tutorials.py"}
    may |= {"suites/steps.py", "suites/claims/vision.py"}
    texts = (path for folder in ("bench", "suites", "reports") for path in (ROOT / folder).rglob("*"))
    knowing = {
        path.relative_to(ROOT).as_posix()
        for path in texts
        if path.suffix in (".py", ".j2", ".js", ".css") and any(name in path.read_text("utf-8") for name in told)
    }
    assert knowing == may


def test_entries_have_names_and_places_of_their_own() -> None:
    assert len({knob.name for knob in KNOBS}) == len({knob.rank for knob in KNOBS}) == len(KNOBS)
    assert set(knobs.RULES) < BY_NAME.keys()
    assert all(knobs.help_of(knob).count("default") == 1 for knob in knobs.OPTIONS)


def test_a_setting_is_in_the_id_where_it_is_not_the_references() -> None:
    pooled = [case for case in select("default", mode=["eager"]) if case.workload == "pooled"]
    assert [case.id for case in pooled] == ["s.pooled cpu eager fp32", "s.pooled cpu eager fp32 channels_last"]
    assert [case.pytest_id for case in pooled] == ["pooled-cpu-eager-fp32", "pooled-cpu-eager-fp32-channels_last"]
    assert [case.params()["memory_format"] for case in pooled] == ["contiguous", "channels_last"]


def test_a_record_holds_what_is_turned_and_readers_know_the_rest() -> None:
    at_rest, turned = (dict(case.record(reference=False)) for case in select("default", mode=["eager"])[:2])
    assert "settings" not in at_rest
    assert turned["settings"] == {"memory_format": "channels_last"}
    found = [settings_of(record) for record in (at_rest, turned)]
    assert [one["memory_format"] for one in found] == ["contiguous", "channels_last"]
    assert all(one["workers"] == "" for one in found)


def test_the_tier_decides_unless_settings_are_asked_for() -> None:
    def formats(tier: str, **asked: list[str]) -> set[tuple[str, object]]:
        return {(case.workload, case.setting("memory_format")) for case in select(tier, **asked)}

    both = {("pooled", "contiguous"), ("pooled", "channels_last"), ("flat", "contiguous")}
    assert formats("quick") == {("pooled", "contiguous"), ("flat", "contiguous")}
    assert formats("default") == formats("quick", memory_format=["contiguous", "channels_last"]) == both
    assert formats("quick", memory_format=["channels_last"]) == {("pooled", "channels_last")}


def test_a_turned_knob_is_held_against_the_case_with_it_turned_back() -> None:
    family = next(one for one in group(cases_of("s", suite_with(), tier="default", devices=["cpu"])))
    case = next(case for case in family.cases if case.mode == "compile" and case.other_settings)
    held = dict(family.comparisons(case))
    assert set(held) == {"reference", "mode", "memory_format"}
    assert held["memory_format"] == case.with_settings({"memory_format": "contiguous"})
    assert held["mode"].other_settings == case.other_settings
    assert family.reference.other_settings == ()


def test_settings_are_set_as_fields_or_beside_them() -> None:
    (case, *_) = select("quick")
    turned = case.with_settings({"memory_format": "channels_last", "mode": "compile"})
    assert (turned.mode, turned.setting("mode"), turned.setting("memory_format")) == (
        "compile",
        "compile",
        "channels_last",
    )
    assert turned.with_settings({"memory_format": "contiguous", "mode": case.mode}) == case


def test_a_case_arrives_whole_at_the_other_side_of_a_duet() -> None:
    for case in select("default"):
        assert restored(json.loads(json.dumps(asdict(case)))) == case


def test_an_option_takes_the_entrys_values() -> None:
    assert parse(tier="quick", **NOTHING, memory_format="channels_last").asked == {"memory_format": ("channels_last",)}
    with pytest.raises(OptionError, match=r"--memory-format 'nhwc': nhwc is not known; choose from contiguous, chan"):
        parse(tier="quick", **NOTHING, memory_format="nhwc")


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"colour": ["red"]}, "knobs has 'colour'; known are memory_format"),
        ({"precision": ["fp32"]}, "knobs has 'precision'"),
        ({"memory_format": ["contiguous", "nhwc"]}, r"knobs\['memory_format'\] has nhwc; known are contiguous, chan"),
        ({"memory_format": ["channels_last"]}, "lacks contiguous, with which the others are compared"),
    ],
)
def test_what_a_workload_cannot_declare_is_refused(declared: dict[str, list[str]], says: str) -> None:
    suite = Suite("s")
    suite.compare("w", {"w": lambda x: x}, inputs=lambda device: (device,), knobs=declared)
    with pytest.raises(SuiteError, match=says):
        list(cases_of("s", suite, tier="quick", devices=["cpu"]))


def test_copies_of_a_case_keep_its_settings() -> None:
    from torchduet.bench.cases.copies import with_copies

    case = select("default", mode=["eager"])[1]
    (copy,) = with_copies(Family((case,), (case,)), slowdowns=()).cases[1:]
    assert (copy.other_settings, copy.original, copy.id) == (case.other_settings, case, f"{case.id} twin1")


def test_built_in_workloads_declare_what_there_is() -> None:
    for name in names():
        for suite in load(name):
            for workload in suite.workloads.values():
                knobs.check_declared(workload)

"""The values of the options of ``pytest bench/``: their types, their defaults, and errors that name the option."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.cases import knobs
from torchduet.bench.cases.copies import SLOWDOWNS
from torchduet.bench.cases.option_values import OptionError, parse_list
from torchduet.bench.host.gpu_clocks.locking import BASE, OPTION, Frequency
from torchduet.bench.plan.budget import TIER_BUDGET
from torchduet.bench.plan.case_globs import check_globs
from torchduet.bench.plan.shard_variables import shard_of_environment
from torchduet.bench.plan.shards import AUTO, Shard, parse_shard
from torchduet.suites.workload import TIERS

__all__ = ["PROFILE_EXTRAS", "OptionError", "Options", "parse", "parse_duration", "parse_profile"]
NO_CASE = "none"  # of --warm-start
PROFILE_EXTRAS = ("stacks", "flops")
DEVICE = re.compile(r"(?!(cpu|gpu)\b)[a-z]\w*(:\d{1,4})?")  # "gpu" is what PyTorch calls cuda, xpu or mps
MAX_LETTERS = 40  # of a number or a time
MAX_SECONDS = 500 * 3600.0  # what the system's own time limits can take: 2³¹ ms
UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Options:
    """What is measured and for how long. ``None``: the tier and the machine decide.

    ``asked`` are the settings of knobs that were asked for by name; any other knob has the tier's settings. ``cases``
    are globs over ids, one of which a case must match; none: all cases.
    """

    tier: str
    asked: Mapping[str, tuple[str | int, ...]]
    suites: tuple[str, ...] | None
    data: str | None
    threads: int | None
    budget_seconds: float
    budget_given: bool = False
    hang_seconds: float | None = None
    cold: bool = False
    energy: bool = False
    headroom: bool = False
    lock_clocks: Frequency | None = None
    profile: str | None = None
    profile_with: tuple[str, ...] = ()
    trace_dir: str | None = None
    profile_python: bool = False
    warm_start: str | None = None
    self_check: bool = False
    slowdowns: tuple[float, ...] = SLOWDOWNS
    cases: tuple[str, ...] = ()
    shard: Shard | None = None
    shard_by: str | None = None


def parse_duration(option: str, text: str) -> float:
    """``"90s"``, ``"1.5m"``, ``"1h30m"`` or plain seconds → seconds.

    Raises:
        OptionError: not a duration, not above zero, or above 500 h.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(min|[smh])?", text.strip()) if len(text) <= MAX_LETTERS else []
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        raise OptionError(f"{option} {text!r}: use a time such as 90s, 10m or 1h30m")
    seconds = sum(float(number) * UNITS[unit or "s"] for number, unit in parts)
    if seconds <= 0:
        raise OptionError(f"{option} {text!r}: must be longer than 0 s")
    if seconds > MAX_SECONDS:
        raise OptionError(f"{option} {text!r}: must be at most {MAX_SECONDS / 3600:.0f}h")
    return seconds


def parse_threads(text: str | None) -> int | None:
    """A whole number of threads, at least 1.

    Raises:
        OptionError: anything else.
    """
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text.strip()):
        raise OptionError(f"--threads {text!r}: use a whole number from 1 to 9999")
    return int(text)


def parse_cache(text: str | None) -> bool:
    """Whether caches are to be cold.

    Raises:
        OptionError: neither hot nor cold.
    """
    if text not in (None, "hot", "cold"):
        raise OptionError(f"--cache {text!r}: choose hot or cold")
    return text == "cold"


def parse_slowdowns(text: str | None) -> tuple[float, ...]:
    """``"3%,5%"`` → ``(1.03, 1.05)``; ``none`` → no slowed copies.

    Raises:
        OptionError: anything but percentages above 0 and up to 100.
    """
    if text is None:
        return SLOWDOWNS
    parts = [part.strip().removesuffix("%") for part in text.split(",") if part.strip()]
    if parts == ["none"]:
        return ()
    if not parts or not all(re.fullmatch(r"\d{1,3}(\.\d{1,9})?", part) and 0 < float(part) <= 100 for part in parts):
        raise OptionError(f"--slowdowns {text!r}: use percentages above 0 and up to 100, e.g. 2%,5%, or none")
    return tuple(sorted({round(1 + float(part) / 100, 6) for part in parts}))


def parse_clocks(text: str | None) -> Frequency | None:
    """``base``, or a number of MHz.

    Raises:
        OptionError: anything else.
    """
    if text is None or text == BASE:
        return BASE if text else None
    if not re.fullmatch(r"[1-9][0-9]{1,4}", text.strip()):
        raise OptionError(f"{OPTION}={text}: use {OPTION} for the base clock, or MHz, e.g. {OPTION}=1410")
    return int(text)


def parse_profile(text: str | None, option: str = "--profile") -> str | None:
    """``all``, ``slowest:N`` or a glob over case ids.

    Raises:
        OptionError: N is not a number from 1; or the value is a path that was meant as an argument of its own.
    """
    if text is None:
        return None
    if not text.strip():
        raise OptionError(f"{option} '': use all, slowest:N, or a glob over case ids such as 'mlp.*'")
    if text not in ("all", NO_CASE) and os.path.exists(text):  # noqa: PTH110 (Path.exists raises for too long a name)
        raise OptionError(f"{option} {text}: that is a path, not cases: write {option}=all, or put {option} last")
    if text.startswith("slowest:") and not re.fullmatch(r"slowest:[1-9]\d{0,5}", text):
        raise OptionError(f"{option}={text}: use slowest:N with a whole number from 1, e.g. slowest:10")
    return text


def parse(
    *,
    tier: str,
    suite: Sequence[str] | None,
    case: Sequence[str] | None = None,
    data: str | None,
    threads: str | None,
    budget: str | None,
    cache: str | None = None,
    profile: str | None = None,
    profile_with: str | None = None,
    trace_dir: str | None = None,
    profile_python: bool = False,
    warm_start: str | None = None,
    hang_after: str | None = None,
    energy: bool = False,
    headroom: bool = False,
    lock_clocks: str | None = None,
    aa: bool = False,
    slowdowns: str | None = None,
    shard: str | None = None,
    shard_by: str | None = None,
    **asked: str | None,
) -> Options:
    """All options; ``asked`` are the values of the knobs' options, by the knobs' names.

    Raises:
        OptionError: the first value that cannot be used.
    """
    if tier not in TIERS:
        raise OptionError(f"--tier {tier!r}: choose from {', '.join(TIERS)}")
    if slowdowns is not None and not aa:
        raise OptionError("--slowdowns sets by how much --aa slows copies down: give --aa, too")
    if shard_by is not None and shard is None:
        raise OptionError("--shard-by says how long families take where --shard K/N cuts the suite: give --shard, too")
    for name, value in (
        ("--profile-with", profile_with),
        ("--trace-dir", trace_dir),
        ("--profile-python", profile_python or None),
    ):
        if value is not None and profile is None:
            raise OptionError(f"{name} concerns profiles: give --profile, too")
    return Options(
        tier=tier,
        asked={
            knob.name: settings
            for knob in knobs.OPTIONS
            if (settings := knobs.parse(knob, asked.get(knob.name))) is not None
        },
        suites=tuple(dict.fromkeys(suite)) if suite else None,
        data=data,
        threads=parse_threads(threads),
        budget_seconds=TIER_BUDGET[tier] if budget is None else parse_duration("--budget", budget),
        budget_given=budget is not None,
        hang_seconds=None if hang_after is None else parse_duration("--hang-after", hang_after),
        cold=parse_cache(cache),
        profile=parse_profile(profile),
        profile_with=parse_list("--profile-with", profile_with, PROFILE_EXTRAS) or (),
        trace_dir=trace_dir,
        profile_python=profile_python,
        warm_start=parse_profile(warm_start, "--warm-start"),
        energy=energy,
        headroom=headroom,
        lock_clocks=parse_clocks(lock_clocks),
        self_check=aa,
        slowdowns=parse_slowdowns(slowdowns),
        cases=check_globs(case),
        shard=None if shard is None else shard_of_environment() if shard.strip() == AUTO else parse_shard(shard),
        shard_by=shard_by,
    )

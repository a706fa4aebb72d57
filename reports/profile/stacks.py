"""The stacked bars of the first screen: the parts of each in the same order, with one key to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.reports.profile.section import Profile


@dataclass(frozen=True)
class Stacks:
    """The first profiles of a run, and of how many more there are.

    Attributes:
        legend: (number, category, tone) of every category in any bar, from left to right.
    """

    shown: Sequence[Profile]
    more: int
    legend: tuple[tuple[int, str, int], ...]

    def bar(self, profile: Profile) -> list[tuple[int, str, float, float, int]]:
        """The parts of a profile: (number in the legend, category, seconds per call, share of the call, tone)."""
        part_of = {part[0]: part for part in _parts(profile)}
        return [(key, *part_of[name]) for key, name, _ in self.legend if name in part_of]


def stacks(profiles: Sequence[Profile], most: int) -> Stacks:
    """The bars of the first profiles, at most so many: of the GPU where there is one, else of the host."""
    shown = profiles[:most]
    tones = sorted({(part[3], part[0]) for profile in shown for part in _parts(profile)})
    legend = tuple((key, name, tone) for key, (tone, name) in enumerate(tones, start=1))
    return Stacks(shown, max(0, len(profiles) - most), legend)


def _parts(profile: Profile) -> tuple[tuple[str, float, float, int], ...]:
    return profile.device_parts or profile.parts

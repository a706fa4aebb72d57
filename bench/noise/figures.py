"""What is known of the machine while something was timed, as figures; what they mean is said in ``causes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torchduet.bench.noise.remedies import SLACK
from torchduet.bench.record.telemetry import Interrupted, Telemetry

# Each threshold but STALLED is (noisy, disturbed); "undisturbed": measured on a VM of two cores while nothing else ran.
STALLED = 3.0  # of times of fixed work: no host slows down to a quarter; threads that wait for each other's turn do
OTHERS = (0.2, 0.5)  # cores. Undisturbed 0.0 to 0.1: ticks of 10 ms err by that much in half a second
STEAL = (0.02, 0.1)  # share of the cores' time. Undisturbed up to 1.4 % in half a second, which is one tick
STOPPED = (0.01, 0.1)  # share of the time


@dataclass(frozen=True)
class Figures:
    """What is known of the machine while something was timed; None: not known here.

    Attributes:
        threads, cores: of the run, and those that it may use.
        interrupted: share of the timed blocks in which the process had to leave a core.
        interruptions: how often it had to, per second of timed blocks.
        loaders: it has DataLoader workers of its own beside its threads.
        pilots: how much slower the slowest pilots around it were than the fastest, of the kind that moved
            most (0.35: 35 %).
        drift: the same of its own times from placement to placement.
        gpu: reason for lowered clocks → share of the looks at which it held.
        stood_still: seconds for which the process was stopped or the machine suspended in blocks, at the most.
        left_out, kept: blocks that were therefore left out and taken again, and those that counted all the same.
    """

    threads: int
    cores: int
    telemetry: Telemetry
    interrupted: float | None = None
    interruptions: float | None = None
    loaders: bool = False
    pilots: float | None = None
    drift: float | None = None
    gpu: Mapping[str, float] = field(default_factory=dict)
    stood_still: float = 0.0
    left_out: int = 0
    kept: int = 0

    @property
    def crowded(self) -> bool:
        """Whether there were more threads than cores that others left free."""
        return self.threads > self.cores - (self.telemetry.others or 0.0) + SLACK

    @property
    def stalled(self) -> bool:
        """Whether its threads, as many as cores, had to wait for each other's time slices."""
        slower = max(self.pilots or 0.0, self.drift or 0.0)
        return 1 < self.threads >= self.cores and slower >= STALLED

    @property
    def loaded(self) -> bool:
        """Whether anything on this machine explains that it became slower."""
        seen = self.telemetry
        return any(
            value is not None and value >= threshold
            for value, threshold in ((seen.others, OTHERS[0]), (seen.steal, STEAL[0]), (seen.stopped, STOPPED[0]))
        )

    def with_interruptions(self, seen: Interrupted) -> Figures:
        """These figures, with the interruptions of what is judged."""
        return replace(
            self,
            interrupted=seen.share,
            interruptions=seen.rate,
            loaders=seen.loaders,
            stood_still=seen.stood_still,
            left_out=seen.left_out,
            kept=seen.kept,
        )

    def known(self) -> dict[str, float]:
        """The figures that are known, for the record."""
        seen = self.telemetry
        found = {
            "interrupted": self.interrupted,
            "interruptions_per_second": self.interruptions,
            "others": seen.others,
            "steal": seen.steal,
            "stopped": seen.stopped,
            "swapped": seen.swapped,
            "throttled": seen.throttled,
            "slowest_hz": seen.slowest,
            "fastest_hz": seen.fastest,
            "pilots": self.pilots,
            "drift": self.drift,
            "stood_still": self.stood_still or None,
            "left_out": self.left_out or None,
            **{f"gpu {reason}": share for reason, share in self.gpu.items()},
        }
        return {name: float(f"{value:.3g}") for name, value in found.items() if value is not None}

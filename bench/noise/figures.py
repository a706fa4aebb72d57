"""The figures of the machine while something was timed; what they mean is left to ``causes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torchduet.bench.noise.remedies import SLACK
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry

# Each threshold but STALLED is (noisy, disturbed). "Undisturbed": measured on a VM of two cores while nothing else ran.
STALLED = 3.0  # change of times of fixed work: no host slows down to a quarter, but threads on one core do
OTHERS = (0.2, 0.5)  # cores. Undisturbed 0.0 to 0.1: ticks of 10 ms err by that much in half a second
STEAL = (0.02, 0.1)  # share of the cores' time. Undisturbed up to 1.4 % in half a second, which is one tick
QUOTA_THROTTLED = (0.01, 0.1)  # share of the time


@dataclass(frozen=True)
class Figures:
    """Figures of the machine while something was timed; None: not known here.

    Attributes:
        threads, cores: threads that run at once, and cores that the run may use.
        switched: share of the timed blocks with a context switch, in which the process had to leave a core.
        switches_per_second: context switches per second of timed blocks.
        ranks: the threads are those of several processes.
        loaders: the case has DataLoader workers beside its threads.
        pilots: how much slower the slowest pilot around it was than the fastest, of the kind that changed
            most (0.35: 35 %).
        drift: the same of the family's own times from placement to placement.
        gpu: reason for lowered clocks → share of the samples in which it held.
        gpu_pilots: the same as ``pilots``, of those on the GPU of the case.
        used_by_others: GPU → share of the time in which other processes computed on it.
        suspended: seconds for which the process or the machine was suspended during blocks, at most.
        left_out, kept: blocks that were therefore left out and taken again, and blocks that counted nevertheless.
    """

    threads: int
    cores: int
    telemetry: Telemetry
    switched: float | None = None
    switches_per_second: float | None = None
    loaders: bool = False
    pilots: float | None = None
    drift: float | None = None
    gpu: Mapping[str, float] = field(default_factory=dict)
    gpu_pilots: float | None = None
    used_by_others: Mapping[str, float] = field(default_factory=dict)
    suspended: float = 0.0
    left_out: int = 0
    kept: int = 0
    ranks: bool = False

    @property
    def oversubscribed(self) -> bool:
        """Whether there were more threads than cores that other processes left free."""
        return self.threads > self.cores - (self.telemetry.others or 0.0) + SLACK

    @property
    def stalled(self) -> bool:
        """Whether its threads, as many as cores, waited for each other's time slices."""
        slower = max(self.pilots or 0.0, self.drift or 0.0)
        return 1 < self.threads >= self.cores and slower >= STALLED

    @property
    def under_load(self) -> bool:
        """Whether load, steal or a quota on this machine explains a slow-down."""
        telemetry = self.telemetry
        levels = (
            (telemetry.others, OTHERS[0]),
            (telemetry.steal, STEAL[0]),
            (telemetry.stopped, QUOTA_THROTTLED[0]),
        )
        return any(value is not None and value >= threshold for value, threshold in levels)

    @classmethod
    def of_record(cls, known: Mapping[str, float], threads: int, cores: int, *, loaders: bool = False) -> Figures:
        """The figures that a case's record has, as :meth:`known` writes them, of the processor."""
        telemetry = Telemetry(
            seconds=0.0, others=known.get("others"), steal=known.get("steal"), stopped=known.get("stopped")
        )
        return cls(
            threads,
            cores,
            telemetry,
            switched=known.get("interrupted"),
            switches_per_second=known.get("interruptions_per_second"),
            loaders=loaders,
            pilots=known.get("pilots"),
            drift=known.get("drift"),
        )

    def with_context_switches(self, switches: BlockSwitches) -> Figures:
        """These figures with the context switches and left-out blocks of a case or a family."""
        return replace(
            self,
            switched=switches.share,
            switches_per_second=switches.rate,
            loaders=switches.loaders,
            suspended=switches.stood_still,
            left_out=switches.left_out,
            kept=switches.kept,
        )

    def known(self) -> dict[str, float]:
        """The figures that are known, by their keys in the record."""
        telemetry = self.telemetry
        figures = {
            "interrupted": self.switched,
            "interruptions_per_second": self.switches_per_second,
            "others": telemetry.others,
            "steal": telemetry.steal,
            "stopped": telemetry.stopped,
            "swapped": telemetry.swapped,
            "throttled": telemetry.throttled,
            "slowest_hz": telemetry.slowest,
            "fastest_hz": telemetry.fastest,
            "pilots": self.pilots,
            "drift": self.drift,
            "stood_still": self.suspended or None,
            "left_out": self.left_out or None,
            "gpu pilots": self.gpu_pilots,
            "gpu others": max(self.used_by_others.values(), default=None),
            **{f"gpu {reason}": share for reason, share in self.gpu.items()},
        }
        return {name: float(f"{value:.3g}") for name, value in figures.items() if value is not None}

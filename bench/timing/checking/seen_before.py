"""Tells from times of calls whether results are looked up for values or objects that were seen before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import median

from torchduet.bench.files.collecting import without_collecting

REPEATS, EXCEPTIONS = 16, 2
AGAIN = 3  # calls with values seen before, of which the fastest counts: other processes disturb some of them
NOT_SLOWER = 1.5  # the first pair of calls decides below this ratio
MUCH_SLOWER, MIN_SECONDS_IF_MUCH = 20.0, 3e-6
SLOWER, MIN_SECONDS = 3.0, 2e-5  # by which the first call with new values exceeds the second, but for exceptions
SEEN = (
    "it remembers the results for {what} that it has seen: the first call with new {what} takes {ratio:.0f} times as "
    "long as the second; time what it computes, without the cache"
)


@dataclass(frozen=True)
class Took:
    """How long a call took: seconds of the clock, and of the cores for this process alone."""

    wall: float
    cpu: float

    def least(self, other: Took) -> Took:
        """The least of both, each clock for itself."""
        return Took(min(self.wall, other.wall), min(self.cpu, other.cpu))

    def much_longer_than(self, other: Took) -> bool:
        """Whether it took much longer by both clocks.

        After values were changed the system often gives the core to another process, in the middle of the call.
        """
        return _much_slower(self.wall, other.wall) and self.cpu >= SLOWER * other.cpu


def reason_if_seen(what: str, first: Callable[[int], Took | None], again: Callable[[int], Took]) -> str | None:
    """The reason where first calls with new values or objects take much longer than calls with ones seen before.

    None where second calls, too, often take so much longer than later ones: other processes disturb that many.

    Args:
        what: ``values`` or ``objects``.
        first: the time of the n-th first call, None where there is none.
        again: the time of another call with what the n-th first call has seen.
    """
    pairs, disturbed = list[tuple[Took, Took]](), 0
    with without_collecting():
        for number in range(REPEATS):
            took = first(number)
            if took is None:
                return None
            second, *others = [again(number) for _ in range(AGAIN)]
            least = reduce(Took.least, others)
            pairs.append((took, least.least(second)))
            disturbed += second.much_longer_than(least) and SLOWER * (second.wall - least.wall) > took.wall - least.wall
            if _as_fast(pairs) > EXCEPTIONS or disturbed > EXCEPTIONS:
                return None
    return SEEN.format(ratio=median(one.wall / two.wall for one, two in pairs), what=what)


def _as_fast(pairs: Sequence[tuple[Took, Took]]) -> int:
    """In how many pairs the first call was not much slower than the second, which does the same work."""
    if pairs[0][0].wall < NOT_SLOWER * pairs[0][1].wall:
        return len(pairs) + EXCEPTIONS  # the usual case: no more calls are needed
    return sum(not first.much_longer_than(second) for first, second in pairs)


def _much_slower(first: float, second: float) -> bool:
    longer = first - second
    return (first >= SLOWER * second and longer >= MIN_SECONDS) or (
        first >= MUCH_SLOWER * second and longer >= MIN_SECONDS_IF_MUCH
    )

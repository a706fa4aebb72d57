"""Where the times of both sides do not show a case's ratio: both are right, and each says why. No torch.

The ratio is made of the quotients of neighbouring blocks, so what slows the machine for a while slows both and cancels.
A time is the median over all pairs, in which such a while counts for whichever side had more of it, so the ratio
decides.
"""

from __future__ import annotations

import math

from torchduet.bench.record.schema import AgainstRecord
from torchduet.bench.record.units import ratio as shown
from torchduet.bench.record.units import seconds

SIGN = "‡"
WORDS = (
    "base/new is from neighbouring blocks, so that drift cancels; the times are medians over the whole duet, which "
    "differ from it here: base/new decides"
)

BRIEF = "from neighbouring blocks, which the medians do not show"


def differ(against: AgainstRecord) -> bool:
    """Whether the quotient of the times shows another direction than the ratio, or lies outside its interval.

    What both hide by rounding is no difference.
    """
    base, new, ratio = against["base_seconds"], against["seconds"], against["ratio"]
    quotient, low, high = base / new, against["low"], against["high"]
    if shown(quotient) == shown(ratio):
        return False
    if low is not None and high is not None and not low <= quotient <= high:
        return True
    opposite = math.log(quotient) * math.log(ratio) < 0
    return opposite and seconds(base) != seconds(new) and shown(ratio) != shown(1.0)

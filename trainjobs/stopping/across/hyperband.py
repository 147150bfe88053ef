"""Hyperband, asynchronous: successive halving in brackets, so that slow starters meet their first rung later.

Brackets b = 0 … B, B = ⌊log_η(maxEpochs / minEpochs)⌋; bracket b has its first rung at minEpochs·η^b. With s = B - b a
bracket gets trials in proportion to η^s · (B + 1) / (s + 1), the sizes of Hyperband's brackets. A trial's bracket is
drawn from the CRC-32 of its name, so that it is the same in every process and after a resume; it is compared with
trials of its bracket alone.
Sources: Li et al., "Hyperband" (JMLR 18, 2018), algorithm 1; Li et al. (MLSys 2020) for the asynchronous brackets.
One pass over the trials at a rung.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from zlib import crc32

from trainjobs.api import pruning as api
from trainjobs.stopping.across.comparison import Comparison
from trainjobs.stopping.across.successive_halving import judged_at_rungs
from trainjobs.stopping.verdict import Verdict


class Hyperband:
    """Prunes at the rungs of a trial's bracket."""

    def __init__(self, parameters: api.Hyperband) -> None:
        self._factor = parameters.reduction_factor
        self._first = parameters.min_epochs
        self._shares = shares(self._first, parameters.max_epochs, self._factor)

    def judge(self, seen: Comparison) -> Verdict:
        mine = bracket(seen.trial, self._shares)
        others = {name: curve for name, curve in seen.others.items() if bracket(name, self._shares) == mine}
        peers = replace(seen, others=others)
        return judged_at_rungs(peers, self._first * self._factor**mine, self._factor, f" of bracket {mine}")


def shares(first: int, last: int, factor: int) -> tuple[float, ...]:
    """How the trials are spread over the brackets; they add up to 1."""
    highest = 0
    while first * factor ** (highest + 1) <= last:
        highest += 1
    sizes = [factor**s * (highest + 1) / (s + 1) for s in range(highest, -1, -1)]
    return tuple(size / sum(sizes) for size in sizes)


@lru_cache(maxsize=100_000)
def bracket(trial: str, of: tuple[float, ...]) -> int:
    """A trial's bracket, from its name."""
    place = crc32(trial.encode()) / 2**32
    return next((i for i, end in enumerate(accumulate(of)) if place < end), len(of) - 1)

"""How long the start of an attempt takes, by stages."""

import time
from collections.abc import Callable

from trainjobs.runs import events


class StartClock:
    """Times the stages of rank 0's start, see `FirstStep`. Another rank's tells nothing.

    Args:
        launched: unix time at which the attempt began, in another process.
        tell: takes the event, without waiting; None on another rank.
    """

    def __init__(self, launched: float, tell: Callable[[events.FirstStep], object] | None) -> None:
        self._since = launched
        self._tell = tell
        self._seconds: dict[str, float] = {}

    def end(self, stage: str) -> None:
        """A stage ends and the next one begins, unless it has ended before."""
        if stage not in self._seconds:
            now = time.time()
            self._seconds[stage], self._since = round(max(0.0, now - self._since), 3), now

    def step_done(self) -> None:
        """A step is done. What the first one ends is told."""
        if self._tell is not None:
            self.end("step")
            self._tell(events.FirstStep(self._seconds))
            self._tell = None

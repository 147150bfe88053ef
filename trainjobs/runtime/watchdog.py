"""A run that hangs is better ended: no step for `progressDeadlineSeconds`, and this process says where it is and ends.
The import of the user's module and the reading of a checkpoint are watched as a step is.

Every rank watches itself, for a rank that hangs usually makes the others wait in a collective, and only all stacks
together tell who waits for whom.
"""

import faulthandler
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainjobs.exits import Exit
from trainjobs.runtime.checkpoint.contents import Position
from trainjobs.runtime.loop.training_loop import TrainingLoop

OTHERS_S = 3.0
"""How long this process stays after it has told: when one ends, Ray ends the others, and they have to tell too."""
MARGIN_S = 10.0
"""When the interpreter itself is stuck, a thread of the C library ends the process, this much later."""


@dataclass(slots=True)
class WatchedLoop:
    """What is watched: a training loop, as soon as there is one."""

    loop: TrainingLoop | None = None

    @property
    def position(self) -> Position | None:
        return self.loop.state.position if self.loop else None


@contextmanager
def watched(deadline_s: float, hung: Callable[[str, str], object]) -> Iterator[WatchedLoop]:
    """End this process if it has no training loop, or one that does not move, for `deadline_s` seconds.

    What a stuck interpreter leaves goes to this process's standard error of now: a pipe that it reads itself it
    would read no more.

    Args:
        hung: told the reason, and the stacks of all threads, before the end.
    """
    watch, over, log = WatchedLoop(), threading.Event(), os.dup(2)
    thread = threading.Thread(
        target=_watch, args=(watch, deadline_s, hung, over, log), name="watchdog", daemon=True
    )
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        faulthandler.cancel_dump_traceback_later()
        os.close(log)


def _watch(
    watch: WatchedLoop, deadline_s: float, hung: Callable[[str, str], object], over: threading.Event, log: int
) -> None:
    seen, since = watch.position, time.monotonic()
    while not over.wait(min(1.0, deadline_s / 4)):
        if (position := watch.position) != seen:
            seen, since = position, time.monotonic()
        elif time.monotonic() - since >= deadline_s:
            place = f"after step {seen.step}" if seen else "before the training function was called"
            reason = f"no step for {deadline_s:g} s (progressDeadlineSeconds) {place}"
            hung(f"{reason}; the stacks of all ranks are in the log", _stacks())
            time.sleep(OTHERS_S)
            os._exit(Exit.FAILURE)
        left_s = max(0.0, deadline_s - (time.monotonic() - since))
        faulthandler.dump_traceback_later(left_s + MARGIN_S, exit=True, file=log)


def _stacks() -> str:
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()

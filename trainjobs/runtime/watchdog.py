"""A run that hangs is better ended: no step for `progressDeadlineSeconds`, and this process says where it is and ends.

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

from trainjobs.exits import Exit
from trainjobs.runtime.loop.training_loop import TrainingLoop

OTHERS_S = 3.0
"""How long this process stays after it has told: when one ends, Ray ends the others, and they have to tell too."""
MARGIN_S = 10.0
"""When the interpreter itself is stuck, a thread of the C library ends the process, this much later."""


@contextmanager
def watched(loop: TrainingLoop, deadline_s: float, hung: Callable[[str, str], object]) -> Iterator[None]:
    """End this process if the training loop does not move for `deadline_s` seconds.

    What a stuck interpreter leaves goes to this process's standard error of now: a pipe that it reads itself it
    would read no more.

    Args:
        hung: told the reason, and the stacks of all threads, before the end.
    """
    over, log = threading.Event(), os.dup(2)
    watch = threading.Thread(
        target=_watch, args=(loop, deadline_s, hung, over, log), name="watchdog", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()
        faulthandler.cancel_dump_traceback_later()
        os.close(log)


def _watch(
    loop: TrainingLoop, deadline_s: float, hung: Callable[[str, str], object], over: threading.Event, log: int
) -> None:
    seen, since = loop.state.position, time.monotonic()
    while not over.wait(min(1.0, deadline_s / 4)):
        if loop.state.position != seen:
            seen, since = loop.state.position, time.monotonic()
        elif time.monotonic() - since >= deadline_s:
            reason = f"no step for {deadline_s:g} s (progressDeadlineSeconds) after step {seen.step}"
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

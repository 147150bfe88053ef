"""Process 1 of a training pod."""

from __future__ import annotations

import logging
import os
import signal
import sys
from queue import SimpleQueue
from typing import Any

from trainjobs.pod.head import HeadAgent, Told
from trainjobs.pod.node import NodeAgent
from trainjobs.pod.place import PodPlace
from trainjobs.runtime.ray_workers import set_defaults


def main() -> int:
    """Run this pod's agent to its end."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s"
    )
    set_defaults()
    events: SimpleQueue[Any] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: events.put(Told()))
    place = PodPlace.of(os.environ)
    agent = HeadAgent(place, events) if place.index == 0 else NodeAgent(place, events)
    return agent.run()


if __name__ == "__main__":
    code = main()
    # The container goes with this process, and all others in it: there is nothing to wait for.
    sys.stdout.flush()
    os._exit(code)

"""Process 1 of a training pod."""

from __future__ import annotations

import logging
import os
import signal
import sys
from queue import SimpleQueue
from typing import Any

from trainjobs.pod.head import HeadAgent, Told
from trainjobs.pod.line import HeadLine, NodeLine
from trainjobs.pod.node import NodeAgent
from trainjobs.pod.place import LINE_PORT, PodPlace, own_address
from trainjobs.runtime.ray_workers import set_defaults


def main() -> int:
    """Run this pod's agent to its end."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s"
    )
    set_defaults()
    events: SimpleQueue[Any] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: events.put(Told()))
    place, address = PodPlace.of(os.environ), own_address()
    if place.index == 0:
        line = HeadLine((address, LINE_PORT), place.token, events.put)
        return HeadAgent(place, events, address, line).run()
    caller = NodeLine((place.head, LINE_PORT), place.token, place.index, events.put)
    return NodeAgent(place, events, address, caller).run()


if __name__ == "__main__":
    code = main()
    # The container goes with this process, and all others in it: there is nothing to wait for.
    sys.stdout.flush()
    os._exit(code)

"""Which agent this pod needs, and what it begins with."""

from __future__ import annotations

import logging
import os
import signal
from queue import SimpleQueue
from typing import Any

from trainjobs.api.pod_contract import AGENTS_PORT
from trainjobs.driver.ray_launcher import set_defaults
from trainjobs.pod.agent_link import HeadLine, NodeLine
from trainjobs.pod.head import HeadAgent, Told
from trainjobs.pod.identity import PodPlace, own_address
from trainjobs.pod.node import NodeAgent


def run(told: SimpleQueue[Any]) -> int:
    """The exit code of this pod. `told`: holds something for each SIGTERM so far."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s"
    )
    set_defaults()
    events: SimpleQueue[Any] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: events.put(Told()))
    if not told.empty():
        events.put(Told())
    place, address = PodPlace.of_env(os.environ), own_address()
    if place.index == 0:
        line = HeadLine((address, AGENTS_PORT), place.token(), events.put)
        return HeadAgent(place, events, address, line).run()
    caller = NodeLine((place.head, AGENTS_PORT), place.token(), place.index, events.put)
    return NodeAgent(place, events, address, caller).run()

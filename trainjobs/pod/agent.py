"""Which agent this pod needs, and what it begins with."""

from __future__ import annotations

import logging
import os
import signal
from queue import SimpleQueue
from typing import Any

from trainjobs.api.pod_contract import AGENTS_PORT
from trainjobs.driver.ray_launcher import set_defaults
from trainjobs.pod.agent_link import HeadLink, NodeLink
from trainjobs.pod.head import HeadAgent, Terminating
from trainjobs.pod.identity import PodIdentity
from trainjobs.pod.node import NodeAgent


def run(told: SimpleQueue[Any]) -> int:
    """The exit code of this pod. `told`: holds something for each SIGTERM so far."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s"
    )
    set_defaults()
    events: SimpleQueue[Any] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: events.put(Terminating()))
    if not told.empty():
        events.put(Terminating())
    identity = PodIdentity.of_env(os.environ)
    address = identity.own_address
    if identity.index == 0:
        link = HeadLink((address, AGENTS_PORT), identity.token(), events.put)
        return HeadAgent(identity, events, address, link).run()
    caller = NodeLink((identity.head, AGENTS_PORT), identity.token(), identity.index, events.put)
    return NodeAgent(identity, events, address, caller).run()

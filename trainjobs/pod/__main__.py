"""Process 1 of a training pod: which agent it needs, and what that begins with.

Kubernetes says SIGTERM once, and to process 1 it is nothing until somebody listens. Imports take seconds, so that comes
before them.
"""

from __future__ import annotations

import os
import signal
import sys
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainjobs.pod.head import HeadAgent
    from trainjobs.pod.node import NodeAgent


def main() -> int:
    """Run this pod's agent to its end."""
    happened: SimpleQueue[Any] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda number, _: happened.put(number))
    return _agent(happened).run()


def _agent(happened: SimpleQueue[Any]) -> HeadAgent | NodeAgent:
    import logging

    from trainjobs.api.pod_contract import AGENTS_PORT
    from trainjobs.driver.ray_launcher import set_defaults
    from trainjobs.pod.agent_link import HeadLink, NodeLink
    from trainjobs.pod.head import HeadAgent
    from trainjobs.pod.identity import PodIdentity
    from trainjobs.pod.node import NodeAgent

    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s"
    )
    set_defaults()
    identity = PodIdentity.of_env(os.environ)
    address = identity.own_address
    if identity.index == 0:
        link = HeadLink((address, AGENTS_PORT), identity.token(), happened.put)
        return HeadAgent(identity, happened, address, link)
    caller = NodeLink((identity.head, AGENTS_PORT), identity.token(), identity.index, happened.put)
    return NodeAgent(identity, happened, address, caller)


if __name__ == "__main__":
    code = main()
    # The container goes with this process, and all others in it: there is nothing to wait for.
    sys.stdout.flush()
    os._exit(code)

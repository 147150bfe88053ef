"""Process 1 of a training pod.

Kubernetes says SIGTERM once, and to process 1 it is nothing until somebody listens. Imports take seconds, so that comes
before them.
"""

from __future__ import annotations

import os
import signal
import sys
from queue import SimpleQueue
from typing import Any


def main() -> int:
    """Run this pod's agent to its end."""
    told: SimpleQueue[Any] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: told.put(None))

    from trainjobs.pod import agent

    return agent.run(told)


if __name__ == "__main__":
    code = main()
    # The container goes with this process, and all others in it: there is nothing to wait for.
    sys.stdout.flush()
    os._exit(code)

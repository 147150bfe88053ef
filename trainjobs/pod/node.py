"""The agent of every pod but the first: follows pod 0, and runs Ray as long as a head is there."""

from __future__ import annotations

import logging
import signal
import threading
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final

from trainjobs.exits import Exit
from trainjobs.pod import processes
from trainjobs.pod.agent_link import Disconnected, NodeLink, Received
from trainjobs.pod.identity import PodIdentity
from trainjobs.pod.processes import Ended, Process

log = logging.getLogger(__name__)

AGAIN_S: Final = 1.0
"""Seconds until Ray is started again after it ended by itself."""


@dataclass(frozen=True, slots=True)
class RestartDue:
    """It is time to start Ray again."""


class NodeAgent:
    """A pod that follows. `run` ends when it has to.

    Args:
        events: what happens, SIGTERM for one; everything that the agent starts puts it there.
        address: this pod's.
        link: to pod 0.
    """

    def __init__(self, identity: PodIdentity, events: SimpleQueue[Any], address: str, link: NodeLink) -> None:
        self._identity = identity
        self._events = events
        self._address = address
        self._link = link
        self._terminating = False
        self._head = ""
        self._ray: Process | None = None

    def run(self) -> int:
        """The exit code of this pod."""
        while True:
            code = self._handle(self._events.get())
            if code is not None:
                return code

    def _handle(self, event: int | Ended | Received | Disconnected | RestartDue) -> int | None:
        match event:
            case signal.SIGTERM:
                self._terminating = True
                if not self._link.say({"leaving": "SIGTERM"}):
                    return Exit.INTERRUPTED
            case Received(_, {"ray": address}):
                self._head = address
                self._restart()
            case Received(_, {"leave": _}):
                return Exit.DONE
            case Received(_, {"released": _}) if self._terminating:
                self._end_ray()
                return Exit.INTERRUPTED
            case Disconnected():
                self._head = ""
                self._end_ray()
                if self._terminating:
                    return Exit.INTERRUPTED
            case Ended(process, _) if process is self._ray:
                self._ray = None
                threading.Timer(AGAIN_S, self._events.put, args=[RestartDue()]).start()
            case RestartDue() if self._ray is None and self._head:
                self._restart()
        return None

    def _restart(self) -> None:
        self._end_ray()
        self._ray = processes.ray_node(self._head, self._address, self._identity.processes, self._events.put)

    def _end_ray(self) -> None:
        if self._ray is not None:
            ray, self._ray = self._ray, None
            ray.end()

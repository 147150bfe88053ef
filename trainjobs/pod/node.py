"""The agent of every pod but the first: follows pod 0, and runs Ray as long as a head is there."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final

from trainjobs.exits import Exit
from trainjobs.pod import processes
from trainjobs.pod.agent_link import Hung, NodeLine, Said
from trainjobs.pod.head import Told
from trainjobs.pod.identity import PodPlace
from trainjobs.pod.processes import Ended, Process

log = logging.getLogger(__name__)

AGAIN_S: Final = 1.0
"""Seconds until Ray is started again after it ended by itself."""


@dataclass(frozen=True, slots=True)
class Again:
    """It is time to start Ray again."""


class NodeAgent:
    """A pod that follows. `run` ends when it has to.

    Args:
        events: what happens; everything that the agent starts puts it there.
        address: this pod's.
        line: to pod 0.
    """

    def __init__(self, place: PodPlace, events: SimpleQueue[Any], address: str, line: NodeLine) -> None:
        self._place = place
        self._events = events
        self._address = address
        self._line = line
        self._told = False
        self._head = ""
        self._ray: Process | None = None

    def run(self) -> int:
        """The exit code of this pod."""
        while True:
            code = self._handle(self._events.get())
            if code is not None:
                return code

    def _handle(self, event: Told | Ended | Said | Hung | Again) -> int | None:
        match event:
            case Told():
                self._told = True
                if not self._line.say({"leaving": "SIGTERM"}):
                    return Exit.INTERRUPTED
            case Said(_, {"ray": address}):
                self._head = address
                self._restart()
            case Said(_, {"leave": _}):
                return Exit.DONE
            case Said(_, {"released": _}) if self._told:
                self._end_ray()
                return Exit.INTERRUPTED
            case Hung():
                self._head = ""
                self._end_ray()
                if self._told:
                    return Exit.INTERRUPTED
            case Ended(process, _) if process is self._ray:
                self._ray = None
                threading.Timer(AGAIN_S, self._events.put, args=[Again()]).start()
            case Again() if self._ray is None and self._head:
                self._restart()
        return None

    def _restart(self) -> None:
        self._end_ray()
        self._ray = processes.ray_node(self._head, self._address, self._place.processes, self._events.put)

    def _end_ray(self) -> None:
        if self._ray is not None:
            ray, self._ray = self._ray, None
            ray.end()

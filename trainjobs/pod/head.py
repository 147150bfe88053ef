"""The agent of pod 0: keeps Ray's head and the driver running until the run is over."""

from __future__ import annotations

import logging
import signal
from queue import SimpleQueue
from typing import Any

from trainjobs.api.pod_contract import RAY_PORT
from trainjobs.api.reasons import Reason
from trainjobs.exits import FINAL, Exit
from trainjobs.pod import processes, termination
from trainjobs.pod.agent_link import Disconnected, HeadLink, Received
from trainjobs.pod.identity import PodIdentity
from trainjobs.pod.processes import Ended, Process
from trainjobs.runs.codec import REQUESTS
from trainjobs.runs.requests import interrupt_request

log = logging.getLogger(__name__)


def _how(code: int) -> str:
    if code == -signal.SIGKILL:
        return "signal 9: killed, most often for want of memory (resourcesPerNode.limits.memory)"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class HeadAgent:
    """Pod 0. `run` ends when this pod has to.

    Args:
        events: what happens, SIGTERM for one; everything that the agent starts puts it there.
        address: this pod's.
        link: to the other pods.
    """

    def __init__(self, identity: PodIdentity, events: SimpleQueue[Any], address: str, link: HeadLink) -> None:
        self._identity = identity
        self._events = events
        self._address = address
        self._link = link
        self._terminating = False
        self._leaving: set[int] = set()
        self._crashed = False
        self._crashes = 0
        self._cause = ""
        self._ray: Process | None = None
        self._driver: Process | None = None

    def run(self) -> int:
        """The exit code of this pod."""
        self._start_ray()
        self._start_driver()
        while True:
            code = self._handle(self._events.get())
            if code is not None:
                return code

    def _handle(self, event: int | Ended | Received | Disconnected) -> int | None:
        match event:
            case signal.SIGTERM:
                self._terminating = True
                if self._driver is None:
                    return Exit.INTERRUPTED
                self._interrupt(self._identity.index)
            case Ended(process, code) if process is self._driver:
                self._driver = None
                return self._after_driver(code)
            case Ended(process, code) if process is self._ray:
                log.error("Ray's head has ended; its logs are in /tmp/ray/session_latest/logs")
                self._ray = None
                if self._driver is not None:
                    self._cause = f"Ray's head ended with {_how(code)}"
                    self._driver.kill()
            case Received(index, {"index": _}):
                self._link.say({"ray": self._ray_address()}, to=[index])
                self._tell_absent()
            case Received(index, {"leaving": _}):
                self._leaving.add(index)
                self._interrupt(index)
            case Disconnected(index):
                self._leaving.discard(index)
                self._tell_absent()
                if self._driver is None and not self._leaving:
                    self._start_driver()
        return None

    def _after_driver(self, code: int) -> int | None:
        """What the driver's end means for this pod."""
        if code == Exit.DONE or code in FINAL:
            self._link.say({"leave": True})
            return code
        if self._terminating:
            return Exit.INTERRUPTED
        if code == Exit.INTERRUPTED:
            # A pod leaves, and the run goes on with its successor, after Ray has seen it go.
            self._link.say({"released": True}, to=self._leaving)
            if not self._leaving:
                self._start_driver()
            return None
        self._crashes += 1
        cause, self._cause = self._cause or f"the driver ended with {_how(code)}", ""
        log.error("%s", cause)
        limit = self._identity.backoff_limit
        # The next driver counts this one's failure and leaves if it was one too many. It may not come to that.
        if limit is not None and self._crashes > limit + 1:
            said = f"{cause}; {self._crashes} drivers have died (backoffLimit {limit})"
            termination.write(Reason.BACKOFF_LIMIT_EXCEEDED, said)
            self._link.say({"leave": True})
            return Exit.GAVE_UP
        termination.write(Reason.DRIVER_DIED, cause)
        self._crashed = True
        if self._ray is not None:
            ray, self._ray = self._ray, None
            ray.end()
        self._start_ray()
        self._link.say({"ray": self._ray_address()})
        self._start_driver()
        return None

    def _start_ray(self) -> None:
        self._ray = processes.ray_head(self._address, RAY_PORT, self._identity.processes, self._events.put)

    def _start_driver(self) -> None:
        kind, ended = self._identity.kind, self._events.put
        self._driver = processes.driver(kind, crashed=self._crashed, ended=ended)
        self._crashed = False
        self._tell_absent()

    def _tell_absent(self) -> None:
        if self._driver is not None:
            absent = set(range(1, self._identity.nodes)) - self._link.present
            self._driver.tell({"absent": sorted(absent)})

    def _interrupt(self, index: int) -> None:
        if self._driver is not None:
            request = interrupt_request(f"pod {self._identity.name}-{index} was told to end")
            self._driver.tell(REQUESTS.to_dict(request))
        elif index in self._leaving:
            self._link.say({"released": True}, to=[index])

    def _ray_address(self) -> str:
        return f"{self._address}:{RAY_PORT}"

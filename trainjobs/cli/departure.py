"""Leaving before anything is trained: what is kept of it, and the end of every process that was started."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil

from trainjobs.api.reasons import ConditionType, RunOutcome
from trainjobs.coordination import Decision, Outcome, Vote
from trainjobs.exits import UserError
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Decided


def leave_no_process(code: int) -> None:
    """Kills this process' descendants and ends it with `code`, without any clean-up.

    Ray's processes end when they miss their parent, but some look for it only every few minutes. The eldest go
    first, so that none is there to start another again.
    """
    for descendant in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            descendant.kill()
    os._exit(code)


@dataclass(frozen=True, slots=True)
class Departure:
    """Ends this process at once, with all that it started.

    Args:
        name: the job's.
        place: its run directory, held by this process.
    """

    name: str
    directory: RunDirectory

    def interrupted(self, reason: str) -> None:
        """Keep that the run was interrupted before it trained. A disk that is full keeps nobody here."""
        with suppress(UserError):
            history = self.directory.history()
            vote = Vote(0, Outcome.INTERRUPTED, reason)
            decision = Decision.of_vote(vote, history[-1].step if history else 0, time.time())
            self.directory.append_event(Decided(decision))
            self.directory.write_result(self._result(reason))

    def leave(self, code: int) -> None:
        """See `leave_no_process`."""
        leave_no_process(code)

    def _result(self, reason: str) -> dict[str, Any]:
        suspended = {
            "type": ConditionType.SUSPENDED,
            "status": "True",
            "reason": RunOutcome.INTERRUPTED,
            "message": reason,
            "lastTransitionTime": datetime.now(UTC).isoformat(),
        }
        return {"name": self.name, "state": RunOutcome.INTERRUPTED, "conditions": [suspended]}

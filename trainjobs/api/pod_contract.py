"""What the operator and the pods that it makes agree on: each name stands here, once, and both sides read it.

Variables of the environment, the container and its command, ports, and the message that a pod leaves at its end. Which
exit codes the Job tries again is said where they are: `trainjobs/exits.py`. Operator and image may be of different
versions: a pod passes over variables that it does not know, and one that is new has a default.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Final, Self

from trainjobs.api.status import LONGEST_REASON, clipped

LABEL: Final = "trainjobs.dev/trainjob"
"""Label of a TrainJob's Job, its pods and all else: the TrainJob's name."""
SWEEP_LABEL: Final = "trainjobs.dev/trainsweep"
"""The same of a TrainSweep."""
LABELS: Final = {"TrainJob": LABEL, "TrainSweep": SWEEP_LABEL}
"""Both by kind."""
INDEX: Final = "batch.kubernetes.io/job-completion-index"
"""Label of a pod, set by the Job controller: which of the Job's pods it is. Pod 0 tells what all ranks print."""
INDEX_VARIABLE: Final = "JOB_COMPLETION_INDEX"
"""Variable with the same number. The Job controller sets it where nobody else has."""
CONTAINER: Final = "trainer"
"""Name of the container that trains; `podTemplate` changes it by this name."""
COMMAND: Final = ("python", "-m", "trainjobs.pod")
"""Its process 1, the node agent."""
ADDRESS: Final = "TRAINJOBS_ADDRESS"
"""Variable with a pod's IP address: the one that Kubernetes fills in."""
RAY_PORT: Final = 6379
"""Where Ray's head in pod 0 listens."""
AGENTS_PORT: Final = 6380
"""Where pod 0's agent listens for those of the other pods."""
RAY_AGENT_PORT: Final = 52367
"""Where Ray's agent for runtime environments listens on each node. Left to itself it chooses late, and Ray gives up a
node that is too busy to tell the port within 15 s."""
TERMINATION_LOG: Final = "/dev/termination-log"
"""The file whose content Kubernetes keeps as a container's termination message."""
LONGEST_TERMINATION_MESSAGE: Final = 4096
"""Bytes that Kubernetes keeps of it: the last ones, so that of a longer message no JSON is left."""
LONGEST_LOG_TAIL: Final = 2048
"""Bytes that Kubernetes takes of the end of a log where a container leaves no message: the first line may be cut."""
LONGEST_TAIL: Final = 500
"""Characters that are read of a message that is not ours: it is the end of a log."""
EVENT_MARK: Final = "trainjobs-event "
"""What a line of pod 0's log begins with that holds an event of the run as JSON."""


class PodEnvironmentError(ValueError):
    """This is not the environment that an operator of our version gives a pod."""


def variable(name: str, read: Callable[[str], Any] = str) -> Mapping[str, Any]:
    """Metadata of a field that is this variable; `read` raises ValueError."""
    return {"variable": name, "read": read}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodEnvironment:
    """What the operator tells each pod of a TrainJob; what is empty or None says nothing."""

    name: str = field(metadata=variable("TRAINJOBS_NAME"))
    namespace: str = field(metadata=variable("TRAINJOBS_NAMESPACE"))
    uid: str = field(metadata=variable("TRAINJOBS_UID"))
    nodes: int = field(metadata=variable("TRAINJOBS_NUM_NODES", int))
    processes: int = field(metadata=variable("TRAINJOBS_NUM_PROC_PER_NODE", int))
    """Training processes on each node."""
    head: str = field(metadata=variable("TRAINJOBS_HEAD"))
    """Host name of pod 0."""
    ray_token_path: str = field(metadata=variable("RAY_AUTH_TOKEN_PATH"))
    """File with Ray's token; the agents know each other by it too."""
    ray_auth_mode: str = field(default="token", metadata=variable("RAY_AUTH_MODE"))
    """Read by Ray, which without it runs the code of whoever reaches it."""
    address: str = field(default="", metadata=variable(ADDRESS))
    """The pod's IP address, which Kubernetes fills in. Empty: an operator made the pod that does not ask for it."""
    kind: str = field(default="", metadata=variable("TRAINJOBS_KIND"))
    """What the pod belongs to. Empty: a TrainJob; else TrainSweep."""
    backoff_limit: int | None = field(default=None, metadata=variable("TRAINJOBS_BACKOFF_LIMIT", int))
    """Failed attempts that are followed by another one. None: an operator made the pod that does not say."""
    code: str = field(default="", metadata=variable("TRAINJOBS_CODE"))
    """Directory of the training code. Empty: where the image starts."""
    storage: str = field(default="", metadata=variable("TRAINJOBS_STORAGE"))
    """Directory or URI for checkpoints. Empty: there is none but the pod's own disk."""

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(each.metadata["variable"] for each in fields(cls))

    def to_env(self) -> dict[str, str]:
        """The variables, as the operator sets them: also those that say nothing, or somebody else might."""
        values = ((each.metadata["variable"], getattr(self, each.name)) for each in fields(self))
        return {name: "" if value is None else str(value) for name, value in values}

    @classmethod
    def of_env(cls, environment: Mapping[str, str]) -> Self:
        """What a pod finds. Raises PodEnvironmentError, which names each variable that is missing or odd."""
        found: dict[str, Any] = {}
        problems = [said for each in fields(cls) for said in _read(each, environment, found)]
        if problems:
            raise PodEnvironmentError(
                f"{'; '.join(problems)}. The operator sets these for the pods of a TrainJob: start this program "
                "there, in an image whose trainjobs is not newer than the operator"
            )
        return cls(**found)


def _read(part: Field[Any], environment: Mapping[str, str], into: dict[str, Any]) -> Iterator[str]:
    """Puts the field's value into `into`, if there is one; yields what is wrong."""
    name = part.metadata["variable"]
    text = environment.get(name, "")
    if not text and part.default is MISSING:
        yield f"{name}: not set"
    if text:
        try:
            into[part.name] = part.metadata["read"](text)
        except ValueError:
            yield f"{name}: must be a whole number; got {text!r}"


@dataclass(frozen=True, slots=True)
class TerminationMessage:
    """What a pod says of its end."""

    reason: str = ""
    """A CamelCase word; empty when the message is not ours, but the end of a log."""
    message: str = ""

    def to_text(self) -> str:
        """JSON that Kubernetes keeps whole; a message that is too long for that loses its end."""
        whole = clipped(self.message, None)
        if _fits(text := self._text(whole)):
            return text
        lengths = range(1, LONGEST_TERMINATION_MESSAGE)
        longest = bisect_left(lengths, True, key=lambda length: not _fits(self._text(clipped(whole, length))))
        return self._text(clipped(whole, longest))

    def _text(self, message: str) -> str:
        said = {"reason": clipped(self.reason, LONGEST_REASON), "message": message}
        return json.dumps(said, ensure_ascii=False)

    @classmethod
    def of_text(cls, raw: str | bytes) -> Self:
        """What is in a message, whoever wrote it: anything is one, and no error."""
        text = clipped(raw.decode(errors="replace") if isinstance(raw, bytes) else raw, None)
        try:
            said = json.loads(text)
            if isinstance(said, dict) and "message" in said:
                return cls(clipped(str(said.get("reason") or ""), None), clipped(str(said["message"]), None))
        except (ValueError, RecursionError):  # brackets alone are enough for the latter
            pass
        lines = text.split("\n")
        if len(text.encode()) >= LONGEST_LOG_TAIL and lines[0].endswith("}"):
            lines[0] = ""  # an event without its mark
        return cls("", "\n".join(without_events(lines)).strip()[-LONGEST_TAIL:])


def without_events(lines: Iterable[str]) -> Iterator[str]:
    """What a log has for people."""
    return (line for line in lines if not line.startswith(EVENT_MARK))


def _fits(text: str) -> bool:
    return len(text.encode()) <= LONGEST_TERMINATION_MESSAGE

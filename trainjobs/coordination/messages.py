"""What ranks say to each other, and how it looks on the wire: one JSON object a message.

JSON and not pickle, because whoever can reach rank 0's port could otherwise run code in every rank. Not-a-number and
the infinities travel as Python's `json` writes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from trainjobs.coordination.decision import Decision, Vote


class Unreadable(Exception):
    """What no rank has sent: whoever reaches rank 0's port can put anything into a mailbox."""


@dataclass(frozen=True, slots=True)
class Propose:
    """Rank 0 to all: halt at tick `ceiling` of this segment?"""

    segment: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Accept:
    """To rank 0: this rank was below tick `ceiling` and will not pass it uncommitted."""

    segment: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """To rank 0: this rank was at `tick` >= `ceiling` already."""

    segment: int
    ceiling: int
    tick: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Rank 0 to all: every rank has accepted; halt at tick `ceiling`."""

    segment: int
    ceiling: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class Arrive:
    """To rank 0: this rank's main thread waits at the end of the segment, in `call`."""

    segment: int
    call: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rank 0 to its own main thread: all have arrived, so rule on what they brought."""

    segment: int
    arrivals: tuple[Arrive, ...]
    """In rank order."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Rank 0's main thread to rank 0: publish this; the decision yields to one that was taken before."""

    segment: int
    decision: Decision | None
    body: Any


@dataclass(frozen=True, slots=True)
class Publish:
    """Rank 0 to all: the segment is over; with a decision, everybody halts here."""

    segment: int
    decision: Decision | None
    body: Any


@dataclass(frozen=True, slots=True)
class CastVote:
    """To rank 0: a vote."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sign of life, with the training steps finished."""

    step: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Good-bye: nothing more will come from this rank."""

    step: int


@dataclass(frozen=True, slots=True)
class RankLostNotice:
    """Rank 0 to all: this rank is lost."""

    rank: int
    step: int
    left: bool


@dataclass(frozen=True, slots=True)
class Deadline:
    """Rank 0's main thread to rank 0: the budget of `seconds` of training ends at clock time `at`."""

    seconds: float
    at: float
    criterion: str | None
    """The one that sets the budget."""


ToProposer = CastVote | Accept | Refuse | Arrive | Rule
ToParticipant = Propose | Commit | Gathered | Publish | RankLostNotice
Message = ToProposer | ToParticipant | Heartbeat | Goodbye | Deadline

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Propose,
        Accept,
        Refuse,
        Commit,
        Arrive,
        Gathered,
        Rule,
        Publish,
        CastVote,
        Heartbeat,
        Goodbye,
        RankLostNotice,
        Deadline,
    )
}


def encode(message: Message) -> bytes:
    return json.dumps({"kind": type(message).__name__, "fields": _fields(message)}, default=_plain).encode()


def decode(data: bytes) -> Message:
    """The message that `encode` wrote. Raises Unreadable for anything else."""
    try:
        document = json.loads(data)
        values = {name: _value(name, value) for name, value in document["fields"].items()}
        return _KINDS[document["kind"]](**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable from error


def _fields(message: Any) -> dict[str, Any]:
    return {field.name: getattr(message, field.name) for field in fields(message)}


def _plain(value: Any) -> Any:
    return _fields(value) if isinstance(value, Arrive) else value.to_dict()


def _value(name: str, value: Any) -> Any:
    match name:
        case "decision" if value is not None:
            return Decision.from_dict(value)
        case "vote":
            return Vote.from_dict(value)
        case "arrivals":
            return tuple(Arrive(**arrival) for arrival in value)
    return value

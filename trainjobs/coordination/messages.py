"""What ranks say to each other, and how it looks on the wire: a pair of JSON, the name of the message and its fields.

Only what leaves the process is encoded, by the transport: within one, messages are handed over as they are. JSON and
not pickle, because whoever can reach rank 0's port could otherwise run code in every rank. Not-a-number and the
infinities travel as Python's `json` writes them. What is read is a message in every field, or unreadable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args

from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter, ValidationError

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
class Evaluated:
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
class TimeLimit:
    """Rank 0's main thread to rank 0: the budget of `seconds` of training ends at clock time `at`."""

    seconds: float
    at: float
    criterion: str | None
    """The one that sets the budget."""


ToParticipant = Propose | Commit | Gathered | Publish | RankLostNotice
Travelling = (
    Propose | Accept | Refuse | Commit | Arrive | Publish | Vote | Heartbeat | Goodbye | RankLostNotice
)
"""To other ranks; a vote is its own message."""
Message = Travelling | Gathered | Evaluated | TimeLimit
"""Those that do not travel pass between the two threads of rank 0."""


def _name(pair: Any) -> str | None:
    """Of the message in a pair, which comes from anybody."""
    return pair[0] if isinstance(pair, list | tuple) and pair and isinstance(pair[0], str) else None


def _pairs(kinds: tuple[type, ...]) -> Any:
    """A name and the message of this name, one of these kinds."""
    named = [
        Annotated[tuple[Literal[kind.__name__], kind], Tag(kind.__name__)]  # type: ignore[name-defined, valid-type]
        for kind in kinds
    ]
    return Annotated[Union[tuple(named)], Discriminator(_name)]  # noqa: UP007 - of a tuple


_WIRE: TypeAdapter[tuple[str, Message]] = TypeAdapter(
    _pairs(get_args(Travelling)),
    config=ConfigDict(strict=True, extra="forbid", ser_json_inf_nan="constants"),
)


def encode(message: Message) -> bytes:
    """The message for another rank. Raises ValueError when a field is not what it should be, or no JSON."""
    return _WIRE.dump_json((type(message).__name__, message), warnings="error")


def decode(data: bytes) -> Message:
    """The message that `encode` wrote. Raises Unreadable for anything else."""
    try:
        return _WIRE.validate_json(data)[1]
    except ValidationError as error:
        raise Unreadable from error

"""What all kinds of ours have in common as the API server has them: a key, and conditions that say how they do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trainjobs.api.reasons import COMPLETIONS, ConditionType, Reason
from trainjobs.api.status import Condition, Truth
from trainjobs.exits import Exit
from trainjobs.kube.resources import Key, Object


class _Status(Protocol):
    @property
    def conditions(self) -> tuple[Condition, ...]: ...


@dataclass(frozen=True, slots=True)
class Conditioned:
    """What is asked of an object and what has become of it. Whoever wrote the status is not trusted: what cannot be
    read of it is left out."""

    key: Key
    """Namespace and name."""
    raw: Object
    """The whole object, as plain values."""
    status: _Status
    """What has happened so far."""

    @property
    def uid(self) -> str:
        """What tells it from another one of its name."""
        return str(self.raw["metadata"]["uid"])

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.raw["metadata"]["creationTimestamp"])

    @property
    def state(self) -> str:
        """What it is doing or how it ended, in a word, such as Running or EarlyStopped."""
        return self.status.conditions[0].reason if self.status.conditions else Reason.NEW

    @property
    def message(self) -> str:
        """The same in a sentence, with the numbers."""
        return self.status.conditions[0].message if self.status.conditions else ""

    @property
    def ended(self) -> bool:
        """Whether it is complete or has failed."""
        return any(self._holds(kind) for kind in (ConditionType.COMPLETE, ConditionType.FAILED))

    @property
    def exit_code(self) -> Exit:
        """What a command that has waited for its end returns."""
        return (
            Exit.DONE if self._holds(ConditionType.COMPLETE) and self.state in COMPLETIONS else Exit.FAILURE
        )

    def _holds(self, kind: ConditionType) -> bool:
        found = next((each for each in self.status.conditions if each.type == kind), None)
        return found is not None and found.status is Truth.TRUE

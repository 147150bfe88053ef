"""What a run keeps: its checkpoints, the best weights, where it came to rest, and the account given to the driver.

Every rank has a keeper. Rank 0's writes and speaks; the others hand over what only they know and learn whether the
write succeeded, so that a full disk ends every rank with the same error.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainjobs.coordination import Coordinator, Halt, Reported, Vote
from trainjobs.runtime import events
from trainjobs.runtime.checkpoints import Checkpoints, Contents, Position, Saved
from trainjobs.runtime.exits import Exit, UserError
from trainjobs.spec import Stopping
from trainjobs.stopping import Best, Panel


@dataclass(frozen=True, slots=True)
class Terms:
    """What the manifest says about keeping."""

    stopping: Stopping
    every_epochs: int
    max_epochs: int | None


class Keeper:
    """One rank's keeper.

    Args:
        rank: this worker's.
        coordinator: its collectives carry what ranks hand over.
        checkpoints: where rank 0 writes.
        terms: of the manifest.
        restored: the checkpoint this attempt resumes from, and where it lies; None for a fresh start.
        tell: takes an event to the driver, without waiting.
    """

    def __init__(
        self,
        rank: int,
        coordinator: Coordinator,
        checkpoints: Checkpoints,
        terms: Terms,
        restored: tuple[Saved, Contents] | None,
        tell: Callable[[events.Event], None],
    ) -> None:
        self.rank = rank
        self.rest: Halt | None = None
        """Where every rank halted; None while the run goes on."""
        self.restored = restored[1] if restored else None
        self.source = restored[0].uri if restored else ""
        self._coordinator = coordinator
        self._checkpoints = checkpoints
        self._terms = terms
        self._tell = tell if rank == 0 else _nobody
        self._panel = Panel.of(terms.stopping.model_copy(update={"criteria": ()}))
        self._seen = self._panel.fold(coordinator.history)
        self.improved = False
        """Whether the best value so far is newer than the last checkpoint, and its weights are to be kept."""

    @property
    def best(self) -> Best | None:
        """The best value of `stopping.monitor` so far, the same on every rank."""
        return self._panel.judge(self._seen).best

    def reported(self, reported: Reported) -> None:
        """Account for a judged report."""
        if reported.observation is None:
            return
        before = self.best
        self._seen = self._panel.fold((reported.observation,), self._seen)
        if self._terms.stopping.restore_best and self.best != before:
            self.improved = True
        if reported.ruling is not None:
            self._tell(events.Reported.of(reported.observation, reported.ruling))

    def rest_if_halted(self, step: int) -> Halt | None:
        """If every rank is to halt here, agree that they did. Called after each collective, by all ranks."""
        if self.rest is None and self._coordinator.halted:
            self.rest = self._coordinator.halt(step)
            self._tell_rest(self.rest)
        return self.rest

    def judge_again(self) -> None:
        """Judge the restored history by today's criteria: a run that had ended does not train again. Collective."""
        if self.rank == 0:
            panel = Panel.of(self._terms.stopping)
            finding = panel.judge(panel.fold(self._coordinator.history)).stop
            if finding is not None:
                self._coordinator.vote(Vote.of_finding(0, finding))
        self._coordinator.exchange(b"")

    def conclude(self, step: int) -> None:
        """The run ends here for every rank: from now on no vote can halt it. Collective."""
        if self.rest is None:
            self.rest = self._coordinator.halt(step)
            self._tell_rest(self.rest)

    def is_due(self, epoch: int) -> bool:
        """Whether the end of this epoch is worth a checkpoint: its turn, the best so far, or the last."""
        most = self._terms.max_epochs
        last = most is not None and epoch >= most
        return self.improved or epoch % self._terms.every_epochs == 0 or last

    def save(self, position: Position, objects: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
        """Write a checkpoint. Collective.

        Args:
            position: where the run is.
            objects: state dicts by name; only rank 0's are written.
            mine: what only this rank knows.

        Raises:
            UserError: on every rank, when rank 0 could not write.
        """
        pieces = self._coordinator.exchange(_packed(mine))
        self.rest_if_halted(position.step)
        error = self._write(position, objects, pieces) if self.rank == 0 else None
        _raise_for_all(self._coordinator.exchange(_error_bytes(error))[0])
        self.rest_if_halted(position.step)
        self.improved = False

    def restore_best(self, models: Mapping[str, torch.nn.Module]) -> None:
        """Load the best weights into the models, if the manifest asks for it and there is a best. Collective."""
        if not self._terms.stopping.restore_best or self.best is None:
            return
        found = self._checkpoints.at_step(self.best.step) if self.rank == 0 else None
        name = self._coordinator.exchange(found.name.encode() if found else b"")[0].decode()
        if not name:
            self._tell(
                events.Warned(
                    f"the checkpoint of the best epoch {self.best.epoch} is gone; keeping the last weights"
                )
            )
            return
        objects = self._checkpoints.load(self._checkpoints.named(name)).objects
        for key, model in models.items():
            model.load_state_dict(objects[key])

    def save_model(self, models: Mapping[str, torch.nn.Module]) -> None:
        """Write the final weights as `model.pt`: one model's state dict, or several by name. Collective."""
        states = {name: model.state_dict() for name, model in models.items()}
        error = None
        if self.rank == 0 and states:
            error = _error_of(
                lambda: self._checkpoints.save_model(
                    "model.pt", states if len(states) > 1 else next(iter(states.values()))
                )
            )
        _raise_for_all(self._coordinator.exchange(_error_bytes(error))[0])

    def final(self, pairs: Mapping[str, tuple[float, float]]) -> dict[str, float]:
        """Reduce the run's final metrics over ranks and account for them. Collective."""
        everyone = [json.loads(piece) for piece in self._coordinator.exchange(json.dumps(pairs).encode())]
        metrics = {name: _mean([pairs[name] for pairs in everyone if name in pairs]) for name in everyone[0]}
        self._tell(events.Final(metrics))
        return metrics

    def warn(self, message: str) -> None:
        self._tell(events.Warned(message))

    def _write(
        self, position: Position, objects: Mapping[str, Any], pieces: Sequence[bytes]
    ) -> UserError | None:
        contents = Contents(
            position, objects, self._coordinator.history, [_unpacked(piece) for piece in pieces]
        )
        best = self.best

        def write() -> None:
            saved = self._checkpoints.save(contents, best.step if best else None)
            self._tell(events.Checkpointed(saved.uri, position.epoch, position.step, saved.seconds))

        return _error_of(write)

    def _tell_rest(self, rest: Halt) -> None:
        decision = rest.decision.to_dict() if rest.decision else {}
        took = 1000 * (time.time() - rest.decision.decided_at) if rest.decision else 0.0
        if decision:
            self._tell(events.Decided(decision))
        self._tell(events.Halted(decision, rest.steps, round(took, 3)))


def _nobody(_: events.Event) -> None:
    """Only rank 0 speaks."""


def _packed(mine: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(mine), buffer)
    return buffer.getvalue()


def _unpacked(piece: bytes) -> dict[str, Any]:
    mine: dict[str, Any] = torch.load(io.BytesIO(piece), weights_only=True)
    return mine


def _error_of(action: Callable[[], object]) -> UserError | None:
    try:
        action()
    except UserError as error:
        return error
    return None


def _error_bytes(error: UserError | None) -> bytes:
    return json.dumps(error and [type(error).exit_code, str(error)]).encode()


def _raise_for_all(answer: bytes) -> None:
    """Raise rank 0's error on this rank too."""
    if (error := json.loads(answer)) is not None:
        raise error_with(Exit(error[0]), error[1])


def error_with(code: Exit, message: str) -> UserError:
    """The user error that ends with this exit code."""
    kind = next((kind for kind in UserError.__subclasses__() if kind.exit_code == code), UserError)
    return kind(message)


def _mean(pairs: Sequence[Sequence[float]]) -> float:
    weight = math.fsum(weight for _, weight in pairs)
    return math.fsum(total for total, _ in pairs) / weight if weight else math.nan

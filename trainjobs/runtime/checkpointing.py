"""What a run keeps: its checkpoints, the best weights, where it came to rest, and the account given to the driver.

Every rank has a keeper. Rank 0's writes and speaks; the others hand over what only they know and learn whether the
write succeeded, so that a full disk ends every rank with the same error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from trainjobs.api import Stopping
from trainjobs.coordination import Coordinator, Halt, Reported, Vote
from trainjobs.exits import UserError
from trainjobs.runs import events
from trainjobs.runtime.checkpoint.store import (
    BestCheckpoint,
    Checkpoints,
    Contents,
    Position,
    Saved,
    packed,
    unpacked,
)
from trainjobs.runtime.models.wrappers import load_own_state, own_weights
from trainjobs.stopping import Best, Panel


@dataclass(frozen=True, slots=True)
class Terms:
    """What the manifest says about keeping."""

    stopping: Stopping
    every_epochs: int
    every_steps: int | None = None


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
        self._source = restored[0] if restored else None
        self.source = restored[0].uri if restored else ""
        self._coordinator = coordinator
        self._checkpoints = checkpoints
        self._terms = terms
        self._tell = tell if rank == 0 else _nobody
        self._panel = Panel.of(terms.stopping.model_copy(update={"criteria": ()}))
        self._seen = self._panel.fold(coordinator.history)
        self.improved = False
        """Whether the best value so far is newer than the last checkpoint, and its weights are to be kept."""
        self._saved_step = self.restored.position.step if self.restored else 0
        checkpoints.best = self._known_best()

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
            self._tell(events.Reported.of(reported.observation, reported.ruling, self._seen.reports))

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

    def is_due(self, position: Position, *, last: bool) -> bool:
        """Whether the end of an epoch is worth a checkpoint: its turn, the best so far, or the last."""
        return last or position.epoch % self._terms.every_epochs == 0 or self.is_due_amid(position)

    def is_due_amid(self, position: Position) -> bool:
        """Whether the end of a step is worth a checkpoint: the best so far, or its turn."""
        every = self._terms.every_steps
        turn = every is not None and position.step // every > self._saved_step // every
        return self.improved or turn

    def save(
        self,
        position: Position,
        objects: Mapping[str, Any],
        mine: Mapping[str, Any],
        *,
        reports: int,
        repeats: int,
    ) -> None:
        """Write a checkpoint. Collective.

        Args:
            position: where the run is.
            objects: state dicts by name; only rank 0's are written.
            mine: what only this rank knows.
            reports: observations that belong to it, from the first on.
            repeats: steps before it that a resume trains again.

        Raises:
            UserError: on every rank, when rank 0 could not write.
        """
        pieces = self._coordinator.exchange(packed(mine))
        self.rest_if_halted(position.step)

        def write() -> None:
            ranks = [unpacked(piece, rank) for rank, piece in enumerate(pieces)]
            contents = Contents(position, dict(objects), self._coordinator.history[:reports], ranks)
            saved = self._checkpoints.save(contents, self._best_report_at(position))
            self._tell(events.Checkpointed(saved.uri, position.epoch, position.step, saved.seconds, repeats))

        self._coordinator.on_rank_0(write, UserError)
        self.rest_if_halted(position.step)
        self.improved = False
        self._saved_step = position.step

    def restore_best(self, models: Mapping[str, torch.nn.Module]) -> Best | None:
        """Load the best weights into the models, if the manifest asks for it. Collective.

        Returns:
            Whose weights the models have now; None if they have the last ones.
        """
        best = self.best
        if not self._terms.stopping.restore_best or best is None or not models:
            return None
        contents = self._best_contents(best) if self.rank == 0 else None
        name = contents[0].name if contents else ""
        name = self._coordinator.exchange(name.encode())[0].decode()
        if not name:
            return None
        if contents is None:
            contents = self._checkpoints.named(name), self._checkpoints.load(self._checkpoints.named(name))
        for key, model in models.items():
            load_own_state(model, contents[1].objects[key])
        return best

    def states_restored(self) -> Mapping[str, Any]:
        """The states of the checkpoint that this attempt has resumed from, read once more."""
        assert self._source is not None  # noqa: S101 - asked by a resumed run
        return self._checkpoints.load(self._source).objects

    def _best_contents(self, best: Best) -> tuple[Saved, Contents] | None:
        """The checkpoint that holds the best weights; says so if there is none any more."""
        held, why = self._checkpoints.best, "is gone"
        name = held.name if held is not None and held.report == best.report else None
        try:
            for saved in self._checkpoints.all():
                if saved.name == name:
                    return saved, self._checkpoints.load(saved)
        except UserError as error:
            why = f"cannot be read ({error})"
        self.warn(f"the checkpoint of the best epoch {best.epoch} {why}; keeping the last weights")
        return None

    def save_model(
        self, models: Mapping[str, torch.nn.Module], position: Position, restored: Best | None
    ) -> None:
        """Write the final weights as `model.pt`: the plain model's state dict, or several by name. Collective.

        Args:
            models: by name.
            position: where the run ended.
            restored: whose weights the models have, if not the last ones.
        """
        states = {name: own_weights(model) for name, model in models.items()}

        def write() -> None:
            if states:
                whole = states if len(states) > 1 else next(iter(states.values()))
                self._checkpoints.save_model("model.pt", whole)

        self._coordinator.on_rank_0(write, UserError)
        if states:
            place = restored or position
            self._tell(events.ModelSaved("model.pt", place.epoch, place.step, best=restored is not None))

    def final(self, pairs: Mapping[str, tuple[float, float]], *, without_data: bool) -> dict[str, float]:
        """Reduce the run's final metrics over ranks and account for them. Collective."""
        metrics = self._coordinator.reduce(pairs, without_data=without_data)
        self._tell(events.Final(metrics))
        return metrics

    def warn(self, message: str) -> None:
        self._tell(events.Warned(message))

    def _known_best(self) -> BestCheckpoint | None:
        """Which checkpoint holds the best weights, in a resumed run."""
        if self.restored is None or self.restored.best is not None or self.best is None:
            return self.restored.best if self.restored else None
        found = self._checkpoints.find(self.best.step, self.best.report)
        return BestCheckpoint(found.name, self.best.report) if found else None

    def _best_report_at(self, position: Position) -> int | None:
        """Which report's weights are those of this place, if they are the best."""
        best = self.best
        here = best is not None and (best.epoch, best.step) == (position.epoch, position.step)
        return best.report if best and here else None

    def _tell_rest(self, rest: Halt) -> None:
        took = 0.0
        if (decision := rest.decision) is not None:
            took = 1000 * (time.time() - decision.decided_at)
            self._tell(events.Decided(decision))
        self._tell(events.Halted(decision, rest.steps, round(took, 3)))


def _nobody(_: events.Event) -> None:
    """Only rank 0 speaks."""

"""The weights that a run keeps: the best, the final model, and those that it resumes from.

On every rank; rank 0's are written, and the others learn whether that succeeded.
"""

from collections.abc import Mapping
from typing import Any

import torch

from trainjobs.coordination import Coordinator
from trainjobs.exits import UserError
from trainjobs.runs import events
from trainjobs.runtime.checkpoint.best import BestWeights
from trainjobs.runtime.checkpoint.contents import BestCheckpoint, Contents, Position, Saved
from trainjobs.runtime.checkpoint.store import Checkpoints
from trainjobs.runtime.checkpoint.tracked import Tracked
from trainjobs.runtime.models.wrappers import load_own_state, own_weights
from trainjobs.stopping import Best


class KeptWeights:
    """One rank's.

    Args:
        rank: this worker's.
        coordinator: its collectives carry what ranks hand over.
        checkpoints: where rank 0 writes.
        restored: the checkpoint this attempt resumes from, and where it lies; None for a fresh start.
        tell: takes rank 0's events to the driver; of other ranks, nothing.
    """

    def __init__(
        self,
        rank: int,
        coordinator: Coordinator,
        checkpoints: Checkpoints,
        restored: tuple[Saved, Contents] | None,
        tell: events.Tell,
    ) -> None:
        self.rank = rank
        self.restored = restored[1] if restored else None
        self._source = restored[0] if restored else None
        self.source = restored[0].uri if restored else ""
        self._coordinator = coordinator
        self.checkpoints = checkpoints
        self._tell = tell
        self.improved = False
        """Whether the best value so far is newer than the last checkpoint, and its weights are to be kept."""
        self._unsaved: BestWeights | None = None
        """Of the best report, on rank 0, until the next checkpoint."""
        checkpoints.best = self._known_best()

    @property
    def best(self) -> Best | None:
        """The best value of `stopping.monitor` so far, by the criteria of now; on rank 0 only."""
        ruling = self._coordinator.ruling
        return ruling.best if ruling else None

    def improve(self, tracked: Tracked, *, wanted: bool) -> None:
        """The last report is the best so far, of the weights tracked now; `wanted`: they are to be kept."""
        report = len(self._coordinator.history)
        self.improved |= wanted
        if self.rank == 0:
            self._unsaved = None  # the last one's copies go first
            self._unsaved = BestWeights.of(report, tracked, copied=wanted)

    def best_report_in(self, objects: Mapping[str, Any]) -> int | None:
        """The best report since the last checkpoint, if the next one holds its weights; if not, they are written alone.

        Raises what `Checkpoints.save_best` raises.
        """
        if self._unsaved is not None and self._unsaved.are_in(objects):
            return self._unsaved.report
        self._save_best_alone()
        return None

    def saved(self) -> None:
        """A checkpoint is written: the best weights are in it, or a file of their own."""
        self.improved, self._unsaved = False, None

    def restore_best(self, models: Mapping[str, torch.nn.Module]) -> Best | None:
        """Load the best weights into the models, if the manifest asks for it. Collective.

        Returns:
            Whose weights the models have now, on rank 0; None if they have the last ones.
        """
        if not models:
            return None
        best = self.best if self._coordinator.restores_best else None
        name, states = self._best_states(best) if best else ("", None)
        name = self._coordinator.exchange(name.encode())[0].decode()
        if not name:
            return None
        if states is None:
            states = self.checkpoints.states_in(name)
        for key, model in models.items():
            load_own_state(model, states[key])
        return best

    def states_restored(self) -> Mapping[str, Any]:
        """The states of the checkpoint that this attempt has resumed from, read once more."""
        assert self._source is not None  # noqa: S101 - asked by a resumed run
        return self.checkpoints.load(self._source).seen_by(self.rank).objects

    def _best_states(self, best: Best) -> tuple[str, Mapping[str, Any] | None]:
        """Which file holds the best weights, and these; says so if there is none any more."""
        why = "was not kept, since `stopping` was another then"
        try:
            self._save_best_alone()
            held = self.checkpoints.best
            if held is not None and held.report == best.report:
                why = "is gone"
                if self.checkpoints.holds(held.name):
                    return held.name, self.checkpoints.states_in(held.name)
        except UserError as error:
            why = f"cannot be read ({error})"
        text = f"the checkpoint of the best epoch {best.epoch} {why}; keeping the last weights"
        self._tell(events.Warned(text))
        return "", None

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
                self.checkpoints.save_model("model.pt", whole)

        self._coordinator.on_rank_0(write, UserError)
        if states:
            of = restored or position
            self._tell(events.ModelSaved("model.pt", of.epoch, of.step, best=restored is not None))

    def _known_best(self) -> BestCheckpoint | None:
        """Which checkpoint holds the best weights, in a resumed run."""
        if self.restored is None or self.restored.best is not None or self.best is None:
            return self.restored.best if self.restored else None
        found = self.checkpoints.find(self.best.step, self.best.report)
        return BestCheckpoint(found.name, self.best.report) if found else None

    def _save_best_alone(self) -> None:
        """Write the best weights that no checkpoint holds, where they are wanted at the end."""
        if self._unsaved is not None and self._unsaved.copies is not None:
            self.checkpoints.save_best(self._unsaved.report, self._unsaved.copies)
            self._unsaved = None

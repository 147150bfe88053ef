"""What has happened to a run, added up: the one fold over its events, of which every account of a run is a view.

The live display, the plain lines, the status of a TrainJob, the result and `explain` read a `RunState`; none of them
adds events up by itself. Everything is added up as events come, so that a state costs the same after ten reports and
after a hundred thousand; only other criteria, or a history that goes back to a checkpoint, are folded again, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, overload

from trainjobs.runs import events
from trainjobs.stopping import Best, MissingMetric, Observation, Panel, replay

if TYPE_CHECKING:
    from trainjobs.api import Length, Stopping
    from trainjobs.coordination.decision import Decision


class Phase(StrEnum):
    """What a run is doing, in words for whoever watches it."""

    STARTING = "starting"
    TRAINING = "training"
    STOPPING = "stopping at one step on all ranks"
    HALTED = "halted, writing the checkpoint"
    KEPT = "halted, checkpoint written"
    RESTARTING = "restarting"


class History(Sequence[Observation]):
    """Observations, oldest first. One more makes a new history at no cost: both share a list that only grows."""

    def __init__(self, observations: Iterable[Observation] = ()) -> None:
        self._shared = list(observations)
        self._length = len(self._shared)

    def plus(self, seen: Observation) -> History:
        """This history and one observation more."""
        is_newest = len(self._shared) == self._length
        longer = History()
        longer._shared = self._shared if is_newest else list(self)
        longer._shared.append(seen)
        longer._length = self._length + 1
        return longer

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> Observation: ...
    @overload
    def __getitem__(self, at: slice) -> list[Observation]: ...
    def __getitem__(self, at: int | slice) -> Observation | list[Observation]:
        if isinstance(at, slice):
            return [self._shared[i] for i in range(*at.indices(self._length))]
        return self._shared[range(self._length)[at]]

    def __iter__(self) -> Iterator[Observation]:
        return islice(self._shared, self._length)


@dataclass(frozen=True, slots=True)
class WouldStop:
    """Where a shadow criterion says stop for the first time."""

    reason: str
    metric: str | None
    value: float | None
    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class RunState:
    """A run after some events. `RunState()` is one of which nothing is known."""

    stopping: Stopping | None = None
    """The criteria of now, by which a history is judged again; None: only what events say counts."""
    planned: Length | None = None
    """The length that the manifest asks for."""
    phase: Phase = Phase.STARTING
    attempt: int = 0
    """The newest attempt, from 1; 0 before the first has started."""
    workers: int = 0
    started: events.Started | None = None
    """The newest start of any attempt."""
    first_step: events.FirstStep | None = None
    """That attempt's."""
    progress: events.Progress | None = None
    """Where rank 0 is, if it is further than at the last report, or in the next epoch."""
    history: History = field(default_factory=History)
    results: tuple[events.CriterionResult, ...] = ()
    """What each criterion says of the last report."""
    best: Best | None = None
    waiting: str = ""
    """The criterion closest to stopping."""
    shadows: Mapping[str, WouldStop] = field(default_factory=dict)
    """Where each shadow criterion would have stopped the run, by its name."""
    decision: Decision | None = None
    halted: events.Halted | None = None
    halt_time: datetime | None = None
    failure: events.Failed | None = None
    tests: Mapping[str, float] | None = None
    """The metrics measured once, after the end."""
    model: events.ModelSaved | None = None
    checkpoint: events.Checkpointed | None = None
    """The newest, of any attempt."""
    checkpoint_report: Observation | None = None
    """The report made at its step, if one was."""
    checkpoint_time: datetime | None = None

    @classmethod
    def of(
        cls, stopping: Stopping, history: Iterable[Observation] = (), length: Length | None = None
    ) -> RunState:
        """A run that is about to start, with what earlier lives have reported."""
        return _judged_again(cls(stopping=stopping, planned=length, history=History(history)))

    @property
    def last(self) -> Observation | None:
        """The last report."""
        return self.history[-1] if self.history else None

    @property
    def length(self) -> Length | None:
        """What it trains when nothing stops it earlier; None before it has started, where it was not planned."""
        return self.started.length if self.started else self.planned

    def finish(self, length: Length) -> str:
        """How a run that nothing stopped has ended, in words: by its whole length, or where its code has returned."""
        if self.halted is None or self.halted.whole is not False:
            trained = length.named(self.epochs, self.step)
            if trained > length.amount:
                return f"trained {trained:,} {length.unit}s, more than the {length.amount:,} that are asked for now"
            return f"trained all {length.amount:,} {length.unit}{'' if length.amount == 1 else 's'}"
        if self.last is None:
            return "the training function returned before the first report"
        place = length.named(self.place, f"after step {self.step:,}")
        return f"the training function returned {place} of {length.amount:,}"

    @property
    def is_training(self) -> bool:
        """Whether the workers of this attempt have started."""
        return self.phase not in {Phase.STARTING, Phase.RESTARTING}

    @property
    def seconds(self) -> float:
        """Training seconds, all attempts together, without what was lost with a failed one."""
        reported = self.last.seconds if self.last else 0.0
        return max(reported, self.progress.seconds if self.progress else 0.0)

    @property
    def epochs(self) -> int:
        """Finished epochs: where every rank has halted, or else at the last report."""
        reported = self.last.epochs if self.last else 0
        return max(reported, (self.halted.epochs or 0) if self.halted else 0)

    @property
    def amid(self) -> bool:
        """Whether that is in the epoch after those that are finished."""
        if self.halted is not None and self.halted.epochs is not None:
            return self.halted.amid and self.halted.epochs == self.epochs
        return self.last is not None and not self.last.whole

    @property
    def place(self) -> str:
        """That, in words: "after epoch 3", "in epoch 4"."""
        return f"in epoch {self.epochs + 1:,}" if self.amid else f"after epoch {self.epochs:,}"

    @property
    def step(self) -> int:
        """Finished steps: where every rank has halted, or else as far as is known."""
        if self.halted is not None:
            return max(self.halted.steps.values())
        reported = self.last.step if self.last else 0
        resumed = (self.started.resumed_from_step or 0) if self.started else 0
        return max(reported, resumed, self.progress.step if self.progress else 0)

    def after(self, event: events.Event) -> RunState:  # noqa: PLR0911, PLR0912 - one case for each kind of event
        """The state after an event that happens now."""
        match event:
            case events.Starting():
                return replace(self._begun_anew(), phase=Phase.STARTING, workers=event.workers)
            case events.Started():
                return self._after_start(event)
            case events.FirstStep():
                return replace(self, first_step=event)
            case events.Progress():
                return replace(self, progress=event)
            case events.Reported():
                return self._after_report(event)
            case events.Decided():
                return replace(self, phase=Phase.STOPPING, decision=event.decision)
            case events.Halted():
                decision = event.decision or self.decision
                return replace(self, phase=Phase.HALTED, decision=decision, halted=event, halt_time=now())
            case events.Checkpointed():
                return self._after_checkpoint(event)
            case events.Final():
                return replace(self, tests=event.metrics)
            case events.ModelSaved():
                return replace(self, model=event)
            case events.Failed():
                return replace(self, failure=event)
            case events.Restarting():
                return replace(self, phase=Phase.RESTARTING, attempt=event.attempt, progress=None)
            case events.CriteriaChanged():
                return _judged_again(replace(self, stopping=event.stopping)) if self.stopping else self
            case events.Printed() | events.Warned():
                return self

    def _begun_anew(self) -> RunState:
        """An attempt forgets how the one before it ended."""
        return replace(
            self,
            progress=None,
            decision=None,
            halted=None,
            halt_time=None,
            failure=None,
            tests=None,
            model=None,
        )

    def _after_start(self, event: events.Started) -> RunState:
        begun = replace(
            self._begun_anew(),
            phase=Phase.TRAINING,
            attempt=event.attempt,
            workers=event.world_size,
            started=event,
            first_step=None,
            history=History(event.history),
        )
        return _judged_again(begun)

    def _after_report(self, event: events.Reported) -> RunState:
        seen, here = event.observation, self.progress
        if here is not None and seen.whole and _goes_on(self.length, seen):
            here = replace(here, epoch=seen.epoch + 1, batch=0, step=seen.step, seconds=seen.seconds)
        return replace(
            self,
            progress=here,
            history=self.history.plus(seen),
            results=event.results,
            best=event.best,
            waiting=event.waiting,
            shadows={**self.shadows, **self._stopped_by(event)},
        )

    def _stopped_by(self, event: events.Reported) -> Mapping[str, WouldStop]:
        """The shadow criteria, of those of now, that say stop for the first time."""
        seen, names = event.observation, self.stopping.names if self.stopping else None
        return {
            said.name: WouldStop(said.reason, said.metric, said.value, seen.epoch, seen.step)
            for said in event.results
            if said.shadow and said.stop and said.name not in self.shadows
            if names is None or said.name in names
        }

    def _after_checkpoint(self, saved: events.Checkpointed) -> RunState:
        newest = next((seen for seen in reversed(self.history) if seen.step <= saved.step), None)
        return replace(
            self,
            phase=Phase.KEPT if self.phase is Phase.HALTED else self.phase,
            checkpoint=saved,
            checkpoint_report=newest if newest and newest.step == saved.step else None,
            checkpoint_time=now(),
        )


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def added_up(happened: Iterable[events.Event]) -> RunState:
    """A run after all of these events, by what they say alone."""
    state = RunState()
    for event in happened:
        state = state.after(event)
    return state


def _goes_on(length: Length | None, seen: Observation) -> bool:
    return length is not None and length.named(seen.epochs, seen.step) < length.amount


def _judged_again(state: RunState) -> RunState:
    """The state with what the criteria of now say about the whole history, as far as they can read it."""
    if state.stopping is None:
        return state
    panel = Panel.of(state.stopping, state.length)
    unread = replace(state, shadows=_shadows(panel, state.history), results=(), best=None, waiting="")
    try:
        ruling = panel.judge(panel.fold(state.history))
    except MissingMetric:
        return unread
    return replace(unread, results=events.results_of(ruling), best=ruling.best, waiting=ruling.waiting)


def _shadows(panel: Panel, history: Sequence[Observation]) -> dict[str, WouldStop]:
    """Where each shadow criterion would have stopped the history, by its name."""
    shadows = replace(panel, judges=tuple(judge for judge in panel.judges if judge.shadow))
    if not shadows.judges:
        return {}
    return {
        alone.name: WouldStop(stop.reason, stop.metric, stop.value, stop.epoch, stop.step)
        for alone in replay(shadows, history).criteria
        if (stop := alone.stop)
    }

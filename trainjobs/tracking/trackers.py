"""The trackers of one run, each in a thread of its own: none of them holds up the driver, or another one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final, TypeAlias

from trainjobs.api.reasons import RunOutcome
from trainjobs.api.trainjob import TrackerName
from trainjobs.exits import ConfigError
from trainjobs.runs import events
from trainjobs.tracking.remote_copy import RemoteCopy
from trainjobs.tracking.tracker import Ending, TrackedRun

if TYPE_CHECKING:
    from trainjobs.api import TrainJob
    from trainjobs.tracking.tracker import Tracker

Told: TypeAlias = "events.Started | events.Reported | Ending"

LAST_WORDS_S: Final = 60.0
"""How long a run that has ended waits for what its trackers have not written yet: a server may be slow."""
LEAVING_S: Final = 10.0
"""The same of a run that is interrupted: its checkpoint is written, and a pod has 120 s for both, or what its node
leaves it."""
SILENT_S: Final = 5.0
"""How long it waits without a word, and at most for a tracker that was late the last time."""

_late: Final[set[str]] = set()
"""Trackers that had not taken all of a run of this process in time: a sweep's trials share one."""


@dataclass(frozen=True, slots=True)
class _Library:
    """What a tracker needs, the class here that uses it, and the files that it keeps, as a pattern."""

    package: str
    made_by: str
    files: str

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported; a folder of its name, such as the one that W&B makes, is no package."""
        found = find_spec(self.package)
        return found is not None and found.origin is not None

    def make(self, run: TrackedRun) -> Tracker:
        module, _, name = self.made_by.partition(":")
        tracker: Tracker = getattr(import_module(f"trainjobs.tracking.{module}"), name)(run)
        return tracker


_LIBRARIES: Final[Mapping[TrackerName, _Library]] = {
    TrackerName.TENSORBOARD: _Library("tensorboard", "tensorboard:TensorBoard", "tensorboard/*"),
    TrackerName.MLFLOW: _Library("mlflow", "mlflow:MLflow", "mlflow-run-id"),
    TrackerName.WANDB: _Library("wandb", "wandb:WandB", "wandb-run-id"),
}


def chosen(job: TrainJob) -> tuple[TrackerName, ...]:
    """The trackers of a run: those that its manifest names, or else TensorBoard where it is installed."""
    if job.spec.report_to is not None:
        return tuple(dict.fromkeys(job.spec.report_to))
    return (TrackerName.TENSORBOARD,) if _LIBRARIES[TrackerName.TENSORBOARD].is_installed else ()


def not_installed(named: Sequence[TrackerName] | None) -> Iterator[tuple[int, TrackerName, str]]:
    """The trackers, of those that a manifest names, that cannot be used here: index, name, and what is wrong."""
    for index, name in enumerate(named or ()):
        package = _LIBRARIES[name].package
        if not _LIBRARIES[name].is_installed:
            yield index, name, f"is not installed where the run is driven: pip install {package}"


class Trackers:
    """Told of events in the driver's thread; no call takes longer than putting it into a queue.

    Raises ConfigError for one that is not installed.
    """

    def __init__(self, job: TrainJob, run: TrackedRun) -> None:
        for index, name, fault in not_installed(job.spec.report_to):
            raise ConfigError(f"spec.reportTo[{index}]: {name} {fault}")
        self._threads = [_TrackerThread(name, _LIBRARIES[name], run) for name in chosen(job)]

    def __call__(self, event: events.Event) -> None:
        """Tell an event."""
        if isinstance(event, events.Started | events.Reported):
            for thread in self._threads:
                thread.tell(event)

    def end(self, ending: Ending) -> Iterator[str]:
        """Tell the end, and wait a while until all is written; what there is to say of that, as it comes."""
        began = time.monotonic()
        for thread in self._threads:
            thread.tell(ending)
        patience = LEAVING_S if ending.outcome is RunOutcome.INTERRUPTED else LAST_WORDS_S
        late = [each for each in self._threads if not each.has_ended(began + SILENT_S)]
        if names := " and ".join(each.name for each in late if each.name not in _late):
            yield f"the run is over; what it has told {names} is still being taken: waiting {patience:g} s at most"
        for each in late:
            if each.name in _late or not each.has_ended(began + patience):
                yield f"{each.name} has not taken all of the run"
        _late.difference_update(each.name for each in self._threads)
        _late.update(each.name for each in late if not each.has_ended(began))
        yield from self.troubles()

    def troubles(self) -> Iterator[str]:
        """What has gone wrong since, each in a sentence; once for each tracker."""
        for thread in self._threads:
            while not thread.troubles.empty():
                yield thread.troubles.get()


class _TrackerThread:
    """One tracker, which begins with the first report: its import stays off the start's path."""

    def __init__(self, name: str, library: _Library, run: TrackedRun) -> None:
        self.troubles: SimpleQueue[str] = SimpleQueue()
        self.name = name
        self._library = library
        self._run = run
        self._told: SimpleQueue[Told] = SimpleQueue()
        self._thread = Thread(target=self._follow, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def tell(self, told: Told) -> None:
        if self._thread.is_alive():
            self._told.put(told)

    def has_ended(self, until: float) -> bool:
        """Whether it has taken all that it was told, by that time of the monotonic clock at the latest."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _follow(self) -> None:
        try:
            starts = []
            while isinstance(told := self._told.get(), events.Started):
                starts.append(told)
            if not starts:
                return  # it has never trained
            self._run.folder.mkdir(parents=True, exist_ok=True)  # a claim has it from the first checkpoint on
            copy = RemoteCopy(self._run, self._library.files) if self._run.remote else None
            tracker = self._library.make(self._run)
            for start in starts:
                _tell(tracker, start)
            while not isinstance(told, Ending):
                _tell(tracker, told)
                if copy:
                    copy.write_when_due()
                told = self._told.get()
            tracker.ended(told)
            if copy:
                copy.write()
        except Exception as error:  # whatever a library raises, the run goes on
            reason = str(error).strip().partition("\n")[0]
            text = f"{self.name} is told no more of this run: {type(error).__name__}: {reason}"
            self.troubles.put(text)


def _tell(tracker: Tracker, event: events.Started | events.Reported) -> None:
    if isinstance(event, events.Started):
        tracker.started(event)
    else:
        tracker.reported(event)

"""Output of a run in a pipe or a log: one line for each report and each decision, no control codes."""

import sys
from typing import Self

from trainjobs.runs.events import (
    Checkpointed,
    CriteriaChanged,
    Decided,
    Event,
    Failed,
    Final,
    FirstStep,
    Halted,
    ModelSaved,
    Printed,
    Progress,
    Reported,
    Restarting,
    Started,
    Starting,
    Warned,
)
from trainjobs.runs.run_state import RunState
from trainjobs.views import lines
from trainjobs.views.formatting import duration
from trainjobs.views.printable import uncoloured
from trainjobs.views.view import View
from trainjobs.views.writing import write_line

QUIET_SECONDS = 60.0
"""Training seconds without a line after which progress inside an epoch is told."""


class Plain(View):
    """Writes lines to standard output."""

    def __init__(self) -> None:
        self._state = RunState()
        self._told_seconds = 0.0

    def __call__(self, event: Event) -> None:
        before, self._state = self._state, self._state.after(event)
        for line in self._lines(event, before):
            write_line(uncoloured(line), self._out)

    def _lines(self, event: Event, before: RunState) -> list[str]:  # noqa: PLR0911, PLR0912 - one case for each kind of event
        match event:
            case Starting():
                return [lines.starting(event)]
            case Started():
                return [lines.started(event)]
            case FirstStep():
                return [lines.first_step(event)]
            case Progress():
                return self._progress(event)
            case Reported():
                return self._report(event, before)
            case Decided():
                return [lines.decided(event.decision)]
            case Halted():
                return [lines.halted(event)] if event.decision else []
            case Checkpointed():
                return [lines.checkpointed(event)] if before.decision else []
            case ModelSaved():
                return []  # the summary says it
            case Final():
                return [lines.final(event)]
            case Failed():
                return [lines.failed(event)]
            case Restarting():
                return [lines.restarting(event)]
            case Printed():
                return [lines.printed(event)]
            case Warned():
                return [lines.warned(event)]
            case CriteriaChanged():
                return []  # whoever has changed them knows

    def _progress(self, event: Progress) -> list[str]:
        if event.seconds - self._told_seconds < QUIET_SECONDS:
            return []
        self._told_seconds = event.seconds
        batches = f"/{event.batches:,}" if event.batches else ""
        epochs, steps = f"epoch {event.epoch}  batch {event.batch:,}{batches}", f"step {event.step:,}"
        length = self._state.length
        place = length.named(epochs, steps) if length else epochs
        return [f"{place}  {duration(event.seconds)}"]

    def _report(self, event: Reported, before: RunState) -> list[str]:
        self._told_seconds = event.observation.seconds
        return [lines.reported(event, self._state.length), *lines.shadows(before, self._state)]


class Beside(Plain):
    """Lines among those of a program that writes to standard output, too."""

    def __enter__(self) -> Self:
        self._out = sys.stdout
        return self

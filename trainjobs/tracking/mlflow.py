"""MLflow: one run, whichever attempt reports; server, credentials and experiment are those of its own variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # standard output is the view's

import mlflow

from trainjobs.api.reasons import RunOutcome
from trainjobs.tracking.tracker import Ending, KeptId, TrackedRun, Tracker, last_scalars, scalars

if TYPE_CHECKING:
    from trainjobs.runs import events

_STATUS: Final = {RunOutcome.FAILED: "FAILED", RunOutcome.INTERRUPTED: "KILLED"}
"""What MLflow calls an end that is not "FINISHED"."""
_PARAMETERS: Final = 100
"""As many as a server takes at once."""
_LENGTH: Final = 250
"""Characters of a name."""
_NO_STEP: Final = re.compile(r"(?<![^/])(\.\.|\.?(?![^/]))")
"""A part of a path that leads nowhere else, or up."""


class MLflow(Tracker):
    """MLflow keeps every value that it was told of a step, also of one that is trained again."""

    def __init__(self, run: TrackedRun) -> None:
        kept = KeptId(run, "mlflow-run-id")
        known = kept.read()
        self._id = str(mlflow.start_run(known, run_name=None if known else run.name).info.run_id)
        if known is None:
            kept.write(self._id)
            settings = iter(_named(run.settings).items())
            while some := dict(islice(settings, _PARAMETERS)):
                mlflow.log_params(some)

    def started(self, event: events.Started) -> None:
        mlflow.set_tag("attempt", event.attempt)

    def reported(self, event: events.Reported) -> None:
        mlflow.log_metrics(_named(scalars(event)), step=event.observation.step)

    def ended(self, ending: Ending) -> None:
        mlflow.log_metrics(_named(last_scalars(ending)), step=ending.step)
        mlflow.set_tags({"outcome": ending.outcome.value, "decision": ending.sentence})
        mlflow.set_tags({f"best.{name}": value for name, value in ending.best_place.items()})
        mlflow.end_run(_STATUS.get(ending.outcome, "FINISHED"))


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by names that MLflow takes."""
    return {_name(name): value for name, value in values.items()}


def _name(told: str) -> str:
    """A path as MLflow takes it: of letters and a few signs, and the shortest to its place."""
    name = _NO_STEP.sub("_", re.sub(r"[^\w\-. :/]", "_", told))
    return name if len(name) <= _LENGTH else name[:_LENGTH].rstrip("/.")

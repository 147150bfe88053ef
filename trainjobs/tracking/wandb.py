"""Weights & Biases: one run, whichever attempt it is that reports; server, key, project and mode are those of its own
variables and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import wandb

from trainjobs.api.reasons import RunOutcome
from trainjobs.exits import ConfigError
from trainjobs.tracking.tracker import Ending, KeptId, TrackedRun, Tracker, last_scalars, scalars

if TYPE_CHECKING:
    from trainjobs.runs import events

STEP: Final = "global_step"
"""What every metric is drawn over: W&B's own step only ever grows, and a resume trains some steps again."""


class WandB(Tracker):
    """W&B keeps every value that it was told of a step, also of one that is trained again."""

    def __init__(self, run: TrackedRun) -> None:
        if wandb.setup().settings.mode == "online" and not wandb.login(prompt=False):
            raise ConfigError("no API key; run `wandb login`, or set WANDB_API_KEY or WANDB_MODE=offline")
        kept = KeptId(run, "wandb-run-id")
        known = kept.read()
        self._run = wandb.init(
            id=known,
            resume="allow" if known else None,
            name=run.name,
            dir=run.folder,
            config=dict(run.settings),
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True),
        )
        if known is None:
            kept.write(self._run.id)
        self._run.define_metric("*", step_metric=STEP)

    def started(self, event: events.Started) -> None:
        self._run.summary["attempt"] = event.attempt

    def reported(self, event: events.Reported) -> None:
        self._run.log({STEP: event.observation.step, **scalars(event)})

    def ended(self, ending: Ending) -> None:
        self._run.log({STEP: ending.step, **last_scalars(ending)})
        best = {f"best/{name}": value for name, value in ending.best_place.items()}
        self._run.summary.update({"outcome": ending.outcome.value, "decision": ending.sentence, **best})
        self._run.finish(exit_code=1 if ending.outcome is RunOutcome.FAILED else 0)

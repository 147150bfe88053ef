"""`Trial`: runs of the driver on one run directory, for tests."""

from collections.abc import Callable
from pathlib import Path

import torch

import manifests
from trainjobs.driver import driver
from trainjobs.runs import events
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.requests import Control

RECIPES = Path(__file__).parent / "recipes"


class Trial:
    """Runs the driver on a manifest made of parts, in one directory, as often as wanted."""

    def __init__(self, directory: Path, workers) -> None:
        self.place = RunDirectory(directory / "run")
        self.control = Control()
        self.events: list[events.Event] = []
        self.marks = directory / "marks"
        self.marks.mkdir()
        self.workers = workers

    def train(self, react: Callable[[events.Event], None] = lambda _: None, **parts):
        """Run once; `react` sees every event. `parts` are those of `manifest`."""
        job = manifest(self.marks, **parts)

        def sink(event):
            self.events.append(event)
            react(event)

        with self.place.hold():
            self.place.write_job(job)
            self.place.clear_result()
            return driver.train(job, self.place, sink, self.control, RECIPES, self.workers)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def outcome(self):
        """What must not depend on interruptions: the weights and the history without its clock."""
        model = torch.load(self.place.model, weights_only=True)
        history = [(seen.epoch, seen.step, dict(seen.metrics)) for seen in self.place.history()]
        return {name: value.tolist() for name, value in model.items()}, history


def manifest(
    marks,
    *,
    workers=2,
    config=None,
    stopping=None,
    entrypoint="digits:train",
    max_epochs=4,
    max_steps=None,
    env=(),
    **spec,
):
    """A TrainJob of the recipe `digits`, or of another one."""
    trainer = {
        "entrypoint": entrypoint,
        "config": {"marks": str(marks), **(config or {})},
        "maxEpochs": None if max_steps else max_epochs,
        "maxSteps": max_steps,
        "numNodes": workers,
        "env": list(env),
    }
    return manifests.job("trial", trainer=trainer, stopping=stopping or {}, **spec)

"""One Ray for all tests here, and `Trial`: one run of the driver in this process."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trainjobs.runtime import driver, events
from trainjobs.runtime.control import Control
from trainjobs.runtime.directory import RunDirectory
from trainjobs.spec import parse

RECIPES = Path(__file__).parent / "recipes"


@pytest.fixture(scope="session")
def ray_session():
    for name, value in driver.RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    ray.init(num_cpus=4, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    yield
    ray.shutdown()


class Trial:
    """Runs the driver on a manifest made of parts, in one directory, as often as wanted."""

    def __init__(self, directory: Path) -> None:
        self.place = RunDirectory(directory / "run")
        self.control = Control()
        self.events: list[events.Event] = []
        self.marks = directory / "marks"
        self.marks.mkdir()

    def train(self, react: Callable[[events.Event], None] = lambda _: None, **parts):
        job = manifest(self.marks, **parts)

        def sink(event):
            self.events.append(event)
            react(event)

        with self.place.hold():
            self.place.write_job(job)
            self.place.clear_result()
            return driver.train(job, self.place, sink, self.control, RECIPES)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def outcome(self):
        """What must not depend on interruptions: the weights and the history without its clock."""
        import torch

        model = torch.load(self.place.model, weights_only=True)
        history = [(seen.epoch, seen.step, dict(seen.metrics)) for seen in self.place.history()]
        return {name: value.tolist() for name, value in model.items()}, history


def manifest(
    marks, *, workers=2, config=None, stopping=None, entrypoint="digits:train", max_epochs=4, **spec
):
    return parse(
        {
            "apiVersion": "trainjobs.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "trial"},
            "spec": {
                "trainer": {
                    "entrypoint": entrypoint,
                    "config": {"marks": str(marks), **(config or {})},
                    "maxEpochs": max_epochs,
                    "numNodes": workers,
                },
                "stopping": stopping or {},
                **spec,
            },
        }
    )


@pytest.fixture(scope="session")
def new_trial(ray_session):
    return Trial


@pytest.fixture
def trial(new_trial, tmp_path):
    return new_trial(tmp_path)

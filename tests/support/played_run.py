"""`run` as a user types it, with a driver that plays a recording."""

import pytest
from typer.testing import CliRunner

from trainjobs.cli.app import app
from trainjobs.driver.forkserver import ForkServer
from trainjobs.runs.recorder import RunEnd


@pytest.fixture
def driver(recording, monkeypatch):
    """Stands in for the driver: plays an early stop into the view, and remembers what it was asked."""

    class Driver:
        def __init__(self):
            self.asked = []
            self.play = recording.early_stop

        def train(self, job, place, sink, control, code, workers):
            self.asked.append((job, place.path, code))
            assert place.exists()
            recording.events.clear()
            recording.job, recording.place = job, place
            exit_code = self.play()
            for event in recording.events:
                sink(event)
            return RunEnd(exit_code, {})

    made = Driver()
    monkeypatch.setattr("trainjobs.driver.driver.train", made.train)
    monkeypatch.setattr(ForkServer, "start", lambda _: None)
    return made


def run(*arguments):
    return CliRunner().invoke(app, ["run", *arguments])

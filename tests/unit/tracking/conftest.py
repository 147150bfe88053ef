"""What the tests of each tracker tell it."""

import pytest
from recording import STEPS_PER_EPOCH, VAL_LOSS, recording

from trainjobs.api.reasons import RunOutcome
from trainjobs.runs.events import Reported, Started
from trainjobs.stopping import Best
from trainjobs.tracking.tracker import Ending, TrackedRun

__all__ = ["recording"]


@pytest.fixture
def reports(recording):
    """Of an early stop."""
    return [event for event in recording.reports(VAL_LOSS) if isinstance(event, Reported)]


@pytest.fixture
def run(tmp_path):
    place = tmp_path / "run"
    place.mkdir()
    return TrackedRun("mnist", {"lr": 0.1, "hidden": 128, "augment": True, "act": "relu"}, place)


@pytest.fixture
def started():
    return Started(1, 2, "cpu", None, 0, 100)


@pytest.fixture
def stopped():
    """The early stop that the reports come to."""
    best = Best("val_loss", 0.3975, 11, 11 * STEPS_PER_EPOCH, 11)
    metric = ("val_loss", 0.412)
    return Ending(RunOutcome.EARLY_STOPPED, "flat for 5 reports", 910, best, {"accuracy": 0.9}, metric)


@pytest.fixture
def tell():
    """Tells a new tracker some events, as its thread does."""

    def told(tracker, *events):
        for event in events:
            if isinstance(event, Started):
                tracker.started(event)
            elif isinstance(event, Reported):
                tracker.reported(event)
            else:
                tracker.ended(event)

    return told

"""Criteria of which some only watch, and what is told of a run that they judge."""

import json

from gpujob import JOB

from trainjobs.api import Stopping
from trainjobs.runs.codec import EVENTS
from trainjobs.runs.events import (
    Reported,
)
from trainjobs.stopping import Observation, Panel

SHADOWS = Stopping.model_validate(
    {
        "monitor": "val_loss",
        "criteria": [
            {"plateau": {"patience": 2}, "shadow": True},
            {"budget": {"epochs": 3}, "shadow": True},
            {"threshold": {"monitor": "absent", "value": 0.1}},
        ],
    }
)
FLAT = [
    Observation(epoch=n, step=5 * n, seconds=n, metrics={"val_loss": 0.5, "absent": 1.0}) for n in range(1, 6)
]


def judged_by(stopping, history):
    """What is told of a history: an event for each report, as it comes over the wire."""
    panel = Panel.of(stopping)
    state = panel.fold(())
    for number, seen in enumerate(history, start=1):
        state = panel.fold([seen], state)
        yield EVENTS.from_dict(
            json.loads(json.dumps(EVENTS.to_dict(Reported.of(seen, panel.judge(state), number))))
        )


def with_criteria(stopping):
    return JOB.model_copy(update={"spec": JOB.spec.model_copy(update={"stopping": stopping})})

"""The earliest moment at which a criterion could stop a run."""

import pytest

from trainjobs.api import Length
from trainjobs.api.manifest import parse_stopping
from trainjobs.api.reach import earliest

EPOCHS, ONE_EPOCH, STEPS = Length.of(100, None), Length.of(1, None), Length.of(None, 5000)
PLATEAU = {"plateau": {"patience": 5}}
THRESHOLD = {"threshold": {"value": 1}}


@pytest.mark.parametrize(
    ("criterion", "gate", "epochs", "one_epoch", "steps"),
    [
        (PLATEAU, None, 6, 0, 0),
        (THRESHOLD, None, 1, 0, 0),
        ({"overfitting": {"gap": 1, "patience": 3}}, None, 3, 0, 0),
        ({"divergence": {"factor": 1}}, None, 1, 0, 0),
        ({"nonFinite": {"patience": 2}}, None, 2, 0, 0),
        ({"budget": {"epochs": 9}}, None, 9, 9, 0),
        ({"budget": {"steps": 100}}, None, 0, 0, 100),
        ({"budget": {"epochs": 9, "seconds": 60}}, None, 0, 0, 0),
        ({"budget": {"epochs": 9, "steps": 60}}, None, 0, 0, 0),
        ({"budget": {"steps": 100}}, {"epoch": 3}, 4, 3, 100),
        ({"budget": {"steps": 100}}, {"step": 300}, 1, 0, 301),
        (PLATEAU, {"epoch": 3}, 9, 3, 0),
        (PLATEAU, {"step": 300}, 6, 0, 301),
        ({**PLATEAU, "startAfter": {"epoch": 0}}, {"epoch": 3}, 6, 0, 0),
        (PLATEAU, {"metric": "a", "below": 1}, 6, 0, 0),
        ({"all": [PLATEAU, THRESHOLD]}, None, 6, 0, 0),
        ({"all": [PLATEAU, {"budget": {"steps": 100}}]}, None, 6, 0, 100),
        ({"all": [PLATEAU, THRESHOLD]}, {"epoch": 9}, 10, 9, 0),
        ({"atLeast": {"count": 1, "of": [PLATEAU, THRESHOLD]}}, None, 1, 0, 0),
        ({"atLeast": {"count": 2, "of": [PLATEAU, THRESHOLD]}}, None, 6, 0, 0),
        ({"not": PLATEAU}, None, 1, 0, 0),
        ({"not": PLATEAU}, {"epoch": 2}, 3, 2, 0),
        ({"all": [{"all": [{**PLATEAU, "startAfter": {"epoch": 4}}]}]}, None, 10, 4, 0),
    ],
)
def test_a_criterion_cannot_stop_a_run_earlier(criterion, gate, epochs, one_epoch, steps):
    stopping = parse_stopping({"monitor": "m", "startAfter": gate, "criteria": [criterion]})
    (judge,) = stopping.criteria
    found = [earliest(judge, stopping.start_after, length) for length in (EPOCHS, ONE_EPOCH, STEPS)]
    assert found == [epochs, one_epoch, steps]

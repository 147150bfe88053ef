"""The first epoch after which a criterion could stop a run."""

import pytest

from trainjobs.spec import parse_stopping
from trainjobs.spec.reach import earliest_epoch

PLATEAU = {"plateau": {"patience": 5}}
THRESHOLD = {"threshold": {"value": 1}}


@pytest.mark.parametrize(
    ("criterion", "gate", "epoch"),
    [
        (PLATEAU, None, 6),
        (THRESHOLD, None, 1),
        ({"overfitting": {"gap": 1, "patience": 3}}, None, 3),
        ({"divergence": {"factor": 1}}, None, 1),
        ({"nonFinite": {"patience": 2}}, None, 2),
        ({"budget": {"epochs": 9}}, None, 9),
        ({"budget": {"epochs": 9, "seconds": 60}}, None, 1),
        ({"budget": {"steps": 100}}, None, 1),
        (PLATEAU, {"epoch": 3}, 9),
        ({**PLATEAU, "startAfter": {"epoch": 0}}, {"epoch": 3}, 6),
        (PLATEAU, {"metric": "a", "below": 1}, 6),
        ({"all": [PLATEAU, THRESHOLD]}, None, 6),
        ({"all": [PLATEAU, THRESHOLD]}, {"epoch": 9}, 10),
        ({"atLeast": {"count": 1, "of": [PLATEAU, THRESHOLD]}}, None, 1),
        ({"atLeast": {"count": 2, "of": [PLATEAU, THRESHOLD]}}, None, 6),
        ({"not": PLATEAU}, None, 1),
        ({"not": PLATEAU}, {"epoch": 2}, 3),
        ({"all": [{"all": [{**PLATEAU, "startAfter": {"epoch": 4}}]}]}, None, 10),
    ],
)
def test_the_first_epoch_that_could_stop(criterion, gate, epoch):
    stopping = parse_stopping({"monitor": "m", "startAfter": gate, "criteria": [criterion]})
    assert earliest_epoch(stopping.criteria[0], stopping.start_after) == epoch

import math

import pytest

from trainjobs.api.pruning import Objective
from trainjobs.stopping import Observation
from trainjobs.stopping.across import Curve

LOSS = Objective(metric="loss")


def seen(epoch, value, *, whole=True, metric="loss"):
    return Observation(epoch, epoch, 0.0, {metric: value}, whole)


def test_the_last_report_of_an_epoch_counts_and_reports_amid_one_do_not():
    reports = [seen(1, 3.0), seen(1, 5.0), seen(2, 1.0, whole=False), seen(2, 4.0), seen(3, 9.0, metric="x")]
    curve = Curve.of(reports, LOSS)
    assert (curve.epochs, curve.values) == ((1, 2), (5.0, 4.0))


def test_a_history_that_goes_back_to_a_checkpoint_replaces_what_came_after_it():
    curve = Curve.of([seen(1, 3.0), seen(2, 1.0), seen(3, 0.5), seen(2, 2.0)], LOSS)
    assert (curve.epochs, curve.standings) == ((1, 2), (3.0, 2.0))


@pytest.mark.parametrize(
    ("epoch", "at", "since"), [(1, None, 5.0), (2, 5.0, 5.0), (3, 5.0, 2.0), (4, 2.0, 2.0), (5, None, 2.0)]
)
def test_a_standing_between_reports(epoch, at, since):
    curve = Curve.of([seen(2, 5.0), seen(4, 2.0)], LOSS)
    assert (curve.standing_at(epoch), curve.standing_from(epoch)) == (at, since)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_is_not_finite_ranks_last_and_is_never_best(value, mode):
    objective = Objective(metric="loss", mode=mode)
    assert Curve.of([seen(1, value)], objective).standings == (math.inf,)
    assert Curve.of([seen(1, 1.0), seen(2, value)], objective).standings[1] in (1.0, -1.0)

import pytest

from trainjobs.api.length import Unit
from trainjobs.api.stopping import Stopping
from trainjobs.stopping import Scope


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), "spec.stopping"),
        (("criteria", 0, "plateau"), "spec.stopping.criteria[0].plateau"),
        (("criteria", 2, "atLeast", "of", 1, "not"), "spec.stopping.criteria[2].atLeast.of[1].not"),
    ],
)
def test_a_scope_knows_its_place_in_the_manifest(location, path):
    assert Scope("spec.stopping").at(location).path == path


def test_a_scope_lends_its_metric():
    scope = Scope.of(Stopping(monitor="val_loss"), "spec.stopping", Unit.EPOCH)
    assert (scope.metric(None), scope.metric("own")) == ("val_loss", "own")


def test_no_metric_at_all_is_an_error():
    with pytest.raises(ValueError, match="here: must name a metric"):
        Scope("here").metric(None)

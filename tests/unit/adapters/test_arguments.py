"""Arguments of other early stopping classes, as criteria."""

import pytest

from trainjobs.adapters.arguments import Arguments
from trainjobs.api.manifest import SpecError, dump


def criteria(**arguments):
    stopping = Arguments(monitor="val_loss", **arguments).stopping()
    return [one.model_dump(by_alias=True, exclude_unset=True) for one in stopping.criteria]


PLATEAU = {"patience": 1, "minDelta": 0.0, "minDeltaMode": "Absolute"}


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ({}, [{"plateau": PLATEAU}]),
        ({"patience": 0}, [{"plateau": PLATEAU}]),
        ({"patience": 4, "min_delta": -0.5}, [{"plateau": {**PLATEAU, "patience": 4, "minDelta": 0.5}}]),
        ({"relative": True}, [{"plateau": {**PLATEAU, "minDeltaMode": "Relative"}}]),
        ({"baseline": 2}, [{"plateau": {**PLATEAU, "baseline": 2.0}}]),
        ({"strict": False}, [{"plateau": {**PLATEAU, "whenMissing": "Ignore"}}]),
        (
            {"stopping_threshold": 1.0, "divergence_threshold": 9},
            [{"threshold": {"value": 1 - 2**-53}}, {"divergence": {"value": 9.0}}, {"plateau": PLATEAU}],
        ),
        (
            {"stopping_threshold": 1.0, "mode": "max"},
            [{"threshold": {"value": 1 + 2**-52}}, {"plateau": PLATEAU}],
        ),
    ],
)
def test_arguments_mean_criteria(arguments, meant):
    assert criteria(**arguments) == meant


def test_gates_stand_above_the_criteria():
    stopping = Arguments(
        monitor="loss", mode="max", start_from_epoch=3, min_epochs=4, check_finite=False, restore_best=True
    ).stopping()
    assert (stopping.monitor, stopping.mode, stopping.non_finite) == ("loss", "max", "Count")
    assert (stopping.start_after.epoch, stopping.min_epochs, stopping.min_steps) == (3, 4, None)
    assert stopping.restore_best


def test_criteria_stand_in_the_place_of_what_arguments_mean():
    stopping = Arguments(monitor="loss", patience=7).stopping([{"trend": {"window": 10}}])
    assert [one.key for one in stopping.criteria] == ["trend"]
    assert stopping.monitor == "loss"


def test_a_manifest_says_it_all(tmp_path):
    written = Arguments(monitor="accuracy", mode="max").stopping([{"auto": {}}])
    manifest = tmp_path / "stopping.yaml"
    manifest.write_text("stopping:\n" + "".join(f"  {line}\n" for line in dump(written).splitlines()))
    assert Arguments(monitor="loss").stopping(manifest) == written


def test_a_wrong_criterion_is_named():
    with pytest.raises(SpecError, match="patience"):
        Arguments(monitor="loss").stopping([{"plateau": {"patience": 0}}])

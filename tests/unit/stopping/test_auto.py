import pytest

from trainjobs.api.length import Length
from trainjobs.api.stopping import Stopping
from trainjobs.stopping import Panel
from trainjobs.stopping.auto import is_loss, losses_beside

LEARNS = [1.0, 0.5, 0.3, 0.2]
AUTO = {"auto": {}}


def stop(history, epochs, monitor="val_loss", mode="min", **curves):
    """The epoch at which `auto` stops a run of so many epochs, else None."""
    stopping = Stopping.model_validate({"monitor": monitor, "mode": mode, "criteria": [AUTO]})
    panel = Panel.of(stopping, Length.of(epochs, None))
    state = panel.fold(())
    for seen in history(**curves):
        state = panel.fold((seen,), state)
        if panel.judge(state).stop:
            return seen.epoch
    return None


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (20, 9),  # the best is the fifth report; three reports and a half are waited for
        (100, 14),  # eight and a half
        (1000, 86),
    ],
)
def test_a_loss_that_stands_still_is_waited_for_in_proportion_to_the_length(history, epochs, expected):
    assert stop(history, epochs, val_loss=LEARNS + [0.2] * 200) == expected


def test_a_loss_that_falls_on_never_stops_a_run(history):
    assert stop(history, 100, val_loss=[1 - 0.009 * i for i in range(100)]) is None


def test_gains_that_are_small_beside_the_progress_so_far_do_not_count(history):
    creeping = [0.2 - 0.0001 * i for i in range(96)]
    assert stop(history, 100, val_loss=LEARNS + creeping) == 14


def test_a_run_that_begins_on_a_plateau_is_given_time_to_leave_it(history):
    plateau = [0.7, 0.69, 0.7, 0.71] * 8
    assert stop(history, 100, val_loss=[*plateau, *LEARNS[1:], *[0.2] * 65]) > len(plateau) + 8


def test_an_accuracy_alone_waits_twice_as_long(history):
    rises = [0.1, 0.5, 0.8, 0.9] + [0.9] * 96
    alone = stop(history, 100, "val_accuracy", "max", val_accuracy=rises)
    beside = stop(history, 100, "val_accuracy", "max", val_accuracy=rises, val_loss=LEARNS + [0.2] * 96)
    assert (alone, beside) == (24, 15)


def test_a_loss_that_still_falls_keeps_an_accuracy_that_stands_still_waiting(history):
    rises, falls = [0.1, 0.5, 0.8, 0.9] + [0.9] * 96, [0.95**i for i in range(100)]
    assert stop(history, 100, "val_accuracy", "max", val_accuracy=rises, val_loss=falls) == 24


@pytest.mark.parametrize("scale", [100.0, 0.001])
def test_the_scale_of_a_metric_makes_no_difference(history, scale):
    rises = [0.1, 0.5, 0.8, 0.9, *[0.85, 0.9, 0.91] * 30]
    scaled = [scale * value for value in rises]
    found = [stop(history, 100, "val_f1", "max", val_f1=curve) for curve in (rises, scaled)]
    assert found[0] is not None
    assert found[0] == found[1]


def test_a_loss_that_is_not_finite_is_no_improvement_of_the_loss(history):
    rises, ruined = [0.1, 0.5, 0.8, 0.9] + [0.9] * 96, LEARNS + [float("nan")] * 96
    assert stop(history, 100, "val_accuracy", "max", val_accuracy=rises, val_loss=ruined) == 15


def test_the_sentence_has_the_numbers_the_wait_and_the_version_of_the_rule(verdict):
    said = verdict(AUTO, curves={"val_loss": LEARNS + [0.2] * 12}, monitor="val_loss")
    assert said.stop
    assert said.reason == (
        "val_loss (mean of 3) 0.2 has not improved on 0.233333 (epoch 5) by more than 0.0383333 for 11 reports; "
        "rule 1 of auto waits for 9"
    )


def test_the_sentence_tells_of_both_metrics(verdict):
    rises = [0.1, 0.5, 0.8, 0.9] + [0.9] * 12
    curves = {"val_accuracy": rises, "val_loss": LEARNS + [0.2] * 12}
    said = verdict(AUTO, curves=curves, monitor="val_accuracy", mode="max")
    assert "val_accuracy (mean of 3) 0.9 has not improved" in said.reason
    assert "and val_loss (mean of 3) 0.2 has not improved" in said.reason


@pytest.mark.parametrize(
    ("metric", "first"),
    [
        ("val_accuracy", "val_loss"),
        ("eval_top_5", "eval_top_loss"),
        ("valid/f1", "valid/loss"),
        ("accuracy", "val_loss"),
    ],
)
def test_the_loss_beside_a_metric_is_looked_for_on_the_same_data_first(metric, first):
    assert losses_beside(metric)[0] == first


def test_the_data_may_come_last():
    assert "loss/val" in losses_beside("accuracy/val")


@pytest.mark.parametrize(("name", "loss"), [("val_loss", True), ("eval/ppl", True), ("val_accuracy", False)])
def test_a_loss_is_known_by_its_name(name, loss):
    assert is_loss(name) is loss

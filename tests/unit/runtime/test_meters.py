"""Logged metrics are exact sums; what cannot be one is refused by name."""

import math

import pytest
import torch

from trainjobs.runtime.meters import Meters


def test_pairs_add_up_and_numbers_weigh_one():
    meters = Meters()
    meters.add("loss", (torch.tensor(6.0), 3))
    meters.add("loss", (2.0, torch.tensor(1)))
    meters.add("lr", 0.1)
    assert meters.drain() == {"loss": (8.0, 4.0), "lr": (0.1, 1.0)}
    assert meters.drain() == {}


def test_a_report_ends_what_is_known_of_empty_evaluations():
    meters = Meters()
    meters.without_data = True
    meters.drain()
    assert not meters.without_data


def test_what_one_takes_of_another_is_gone_there():
    meters, other = Meters(), Meters()
    meters.add("loss", (1.0, 2))
    other.add("loss", (3.0, 2))
    other.without_data = True
    meters.take(other)
    assert (meters.without_data, meters.drain()) == (True, {"loss": (4.0, 4.0)})
    assert (other.without_data, other.drain()) == (False, {})


def test_sums_are_kept_in_double_precision():
    meters = Meters()
    for _ in range(10_000):
        meters.add("loss", (torch.tensor(0.1, dtype=torch.float64), 1))
    assert meters.drain()["loss"][0] == pytest.approx(1000, abs=1e-9)


@pytest.mark.parametrize("without_data", [False, True])
def test_a_checkpoint_continues_the_sums(without_data):
    meters, resumed = Meters(), Meters()
    meters.add("loss", (1.0, 2))
    meters.without_data, resumed.without_data = without_data, not without_data
    resumed.restore(meters.state())
    resumed.add("loss", (3.0, 2))
    assert resumed.without_data == without_data
    assert resumed.drain() == {"loss": (4.0, 4.0)}


def test_an_older_checkpoint_does_not_say_whether_there_was_no_data():
    meters = Meters()
    meters.restore({"meters": {"loss": (1.0, 2)}})
    assert (meters.without_data, meters.drain()) == (False, {"loss": (1.0, 2)})


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (10**400, "loss: int too large to convert to float"),
        (torch.ones(3), r"loss: a tensor of shape \(3,\)"),
        ("high", "loss: 'high'"),
        ("0.5", "loss: '0.5'"),
        (None, "loss: None"),
    ],
)
def test_what_is_no_number_is_refused_by_name(value, complaint):
    with pytest.raises((TypeError, OverflowError), match=complaint):
        Meters().add("loss", value)


def test_a_name_may_be_any_text_that_can_be_written():
    Meters().add("Verlust ü\n\x1b", 1.0)
    with pytest.raises(ValueError, match=r"metric 'a\\ud800': a name with half a character"):
        Meters().add("a\ud800", 1.0)


@pytest.mark.parametrize("weights", [[-3.0], [2.0, -2.5], [math.nan], [math.inf], [torch.tensor(-1)]])
def test_weights_that_add_up_to_none_are_refused_by_name(weights):
    meters = Meters()
    for weight in weights:
        meters.add("val_loss", (1.0, weight))
    with pytest.raises(
        ValueError, match=r"metric val_loss: the weights add up to \S+; a weight is 0 or more"
    ):
        meters.drain()

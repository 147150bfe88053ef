"""Logged metrics are exact sums; what cannot be one is refused by name."""

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


def test_sums_are_kept_in_double_precision():
    meters = Meters()
    for _ in range(10_000):
        meters.add("loss", (torch.tensor(0.1, dtype=torch.float64), 1))
    assert meters.drain()["loss"][0] == pytest.approx(1000, abs=1e-9)


def test_a_checkpoint_continues_the_sums():
    meters, resumed = Meters(), Meters()
    meters.add("loss", (1.0, 2))
    resumed.restore(meters.state())
    resumed.add("loss", (3.0, 2))
    assert resumed.drain() == {"loss": (4.0, 4.0)}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [(torch.ones(3), r"loss: a tensor of shape \(3,\)"), ("high", "loss: 'high'"), (None, "loss: None")],
)
def test_what_is_no_number_is_refused_by_name(value, complaint):
    with pytest.raises(TypeError, match=complaint):
        Meters().add("loss", value)

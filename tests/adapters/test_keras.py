"""Keras on torch, under DDP, with our criteria in the place of its EarlyStopping."""

import pytest
from adapted import CASES, TURNING, Kept, compare, program_of, torchrun

OF_KERAS = {
    **{name: (curve, {**given}) for name, (curve, given) in CASES.items() if name != "NaN counts"},
    "NaN counts": (CASES["NaN counts"][0], {"patience": 1}),
    "baseline": (TURNING, {"patience": 4, "baseline": 0.65}),
    "start from epoch": (TURNING, {"patience": 1, "start_from_epoch": 4}),
}


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    return compare("keras", OF_KERAS, tmp_path_factory.mktemp("keras"))


@pytest.mark.parametrize("name", OF_KERAS)
def test_all_ranks_stop_where_keras_stops_and_where_a_replay_does(curves, name):
    curves(name)


def test_the_page_s_program_stops_all_ranks_at_one_step(tmp_path):
    torchrun(program_of("Keras", tmp_path), tmp_path)
    Kept(tmp_path / "runs/keras").check_stopped_early()

"""Lightning's trainer under DDP with our criteria in the place of its EarlyStopping."""

import pytest
from adapted import BROKEN, CASES, ENDLESS, FALLING, TURNING, Kept, compare, program_of, torchrun

OF_LIGHTNING = {
    **CASES,
    "threshold, which an equal value does not reach": (
        FALLING,
        {"patience": 9, "stopping_threshold": 0.5},
    ),
    "divergence": (TURNING, {"patience": 9, "divergence_threshold": 0.85}),
    "NaN stops": (BROKEN, {"patience": 9}),
    "infinity stops": (ENDLESS, {"patience": 9}),
}


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    return compare("lightning", OF_LIGHTNING, tmp_path_factory.mktemp("lightning"))


@pytest.mark.parametrize("name", OF_LIGHTNING)
def test_all_ranks_stop_where_lightning_stops_and_where_a_replay_does(curves, name):
    curves(name)


def test_the_page_s_program_stops_all_ranks_at_one_step(tmp_path):
    torchrun(program_of("Lightning", tmp_path), tmp_path)
    Kept(tmp_path / "runs/lightning").check_stopped_early()

"""Ignite's engines under DDP with our criteria in the place of its EarlyStopping."""

import pytest
from adapted import CASES, Kept, compare, program_of, torchrun
from ignite.engine import Engine

from trainjobs.adapters.ignite import EarlyStopping

OF_IGNITE = {name: case for name, case in CASES.items() if name not in ("NaN counts", "patience of 0")}
"""Ignite takes NaN for an improvement, and no patience of 0."""


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    return compare("ignite", OF_IGNITE, tmp_path_factory.mktemp("ignite"))


@pytest.mark.parametrize("name", OF_IGNITE)
def test_all_ranks_stop_where_ignite_stops_and_where_a_replay_does(curves, name):
    curves(name)


def test_the_page_s_program_stops_all_ranks_at_one_step(tmp_path):
    torchrun(program_of("Ignite", tmp_path), tmp_path)
    Kept(tmp_path / "runs/ignite").check_stopped_early()


def test_a_threshold_from_the_value_before_is_refused():
    with pytest.raises(ValueError, match="say cumulative=True, or no threshold"):
        EarlyStopping(3, lambda _: 0.0, Engine(lambda *_: None), threshold=0.1)

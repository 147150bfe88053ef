"""The Trainer of transformers under DDP with our criteria in the place of its EarlyStoppingCallback."""

import pytest
from adapted import CASES, CREEPING, Kept, compare, program_of, torchrun

OF_TRANSFORMERS = {name: case for name, case in CASES.items() if name not in ("margin", "patience of 0")}
CREEPS = "small gains that add up"


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    creeping = {CREEPS: (CREEPING, {"patience": 3, "min_delta": 0.12})}
    return compare("huggingface", OF_TRANSFORMERS | creeping, tmp_path_factory.mktemp("huggingface"))


@pytest.mark.parametrize("name", OF_TRANSFORMERS)
def test_all_ranks_stop_where_transformers_stops_and_where_a_replay_does(curves, name):
    curves(name)


def test_small_gains_add_up_here_and_not_there(curves):
    assert curves(CREEPS, differs=True) == {"theirs": 4, "ours": 8}


def test_the_page_s_program_stops_all_ranks_at_one_step(tmp_path):
    torchrun(program_of("Hugging Face", tmp_path), tmp_path)
    Kept(tmp_path / "runs/huggingface").check_stopped_early()

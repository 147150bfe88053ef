"""Loops of one's own, with Accelerate."""

from adapted import Kept, program_of, torchrun


def test_a_loop_with_accelerate_stops_all_ranks_at_one_step(tmp_path):
    torchrun(program_of("Accelerate", tmp_path), tmp_path)
    Kept(tmp_path / "runs/accelerate").check_stopped_early()

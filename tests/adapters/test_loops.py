"""Loops of one's own, with Accelerate and in a TorchTrainer of Ray Train."""

import subprocess
import sys

from adapted import Kept, environment, program_of, torchrun


def test_a_loop_with_accelerate_stops_all_ranks_at_one_step(tmp_path):
    torchrun(program_of("Accelerate", tmp_path), tmp_path)
    Kept(tmp_path / "runs/accelerate").check_stopped_early()


def test_a_loop_in_a_torch_trainer_of_ray_stops_all_ranks_at_one_step(tmp_path):
    program = program_of("Ray Train", tmp_path)
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    Kept(tmp_path / "runs/ray").check_stopped_early()

"""Captured generators continue where they were."""

import random

import numpy as np
import torch

from trainjobs.runtime.checkpoint import randomness

CPU = torch.device("cpu")


def draw():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(3).tolist()


def test_every_generator_continues_where_it_was_captured(tmp_path):
    random.gauss(0, 1)
    np.random.randn()
    torch.save(randomness.capture(CPU), tmp_path / "states")
    expected = draw()
    randomness.restore(torch.load(tmp_path / "states", weights_only=True), CPU)
    assert draw() == expected

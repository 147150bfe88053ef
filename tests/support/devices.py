"""The GPUs that tests are to use."""

import os

import torch

REHEARSAL = os.environ.get("TRAINJOBS_GPU_TESTS") == "cpu"
"""No GPU is used: the same runs on CPUs, so that the tests themselves are known to work."""
COUNT = torch.cuda.device_count()

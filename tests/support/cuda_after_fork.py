"""For `ForkServer`: a rank that fails when the process it was forked from has reached for CUDA.

torch notes in every forked process whether its parent had; such a process can never use a GPU. It does so on a
machine without a GPU too.
"""

import torch


def train_rank(*_: object) -> None:
    assert not torch.cuda._is_in_bad_fork()

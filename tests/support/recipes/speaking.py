"""A data set for tests, in a module of its own: a spawned process imports it, and would say again what else is there."""

import torch
from torch.utils.data import Dataset


class Speaking(Dataset):
    """Samples that say that they are read, by a process of a loader."""

    def __init__(self, word):
        self._word = word

    def __len__(self):
        return 2

    def __getitem__(self, index):
        print(f"{self._word} {index}")
        return torch.tensor(index)

"""A data set for tests, in a module of its own, which a spawned process imports without any of the other lines."""

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

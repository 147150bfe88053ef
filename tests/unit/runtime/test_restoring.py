"""The checkpoint to resume from is found by rank 0, read once, and the same on every rank."""

import pytest
import torch

from trainjobs.exits import ConfigError, StorageError
from trainjobs.runs.storage import LocalStorage
from trainjobs.runtime.checkpoint.contents import Contents, Position
from trainjobs.runtime.checkpoint.store import Checkpoints
from trainjobs.runtime.loop.position import WorkerContext
from trainjobs.runtime.loop.restoring import restored_checkpoint


class Counting(LocalStorage):
    """Remembers which files were opened."""

    opened = ()

    def open(self, name):
        self.opened = (*self.opened, name)
        return super().open(name)


@pytest.fixture
def saved(tmp_path):
    position = Position(1, 10, 0, reported=True, seconds=1.0)
    return Checkpoints(LocalStorage(tmp_path / "shared"), 1).save(Contents(position, {}, (), ({}, {})))


def restored(storage, rank, name, world_size=2):
    context = WorkerContext(rank, world_size, torch.device("cpu"))
    return restored_checkpoint(
        Checkpoints(storage, 1), context, lambda text: name if text is None else text, lambda _: None
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_each_rank_reads_it_once(tmp_path, saved, rank):
    storage = Counting(tmp_path / "shared")
    found, contents = restored(storage, rank, saved.name)
    assert (found.name, contents.position.step) == (saved.name, 10)
    assert storage.opened == (f"checkpoints/{saved.name}",)


def test_a_rank_that_cannot_read_it_says_that_the_storage_is_not_shared(tmp_path, saved):
    elsewhere = LocalStorage(tmp_path / "elsewhere")
    with pytest.raises(
        StorageError,
        match=r"rank 1 cannot read the checkpoint that rank 0 has read: .*No such file.*same spec",
    ):
        restored(elsewhere, 1, saved.name)


def test_another_number_of_workers_is_refused(tmp_path, saved):
    with pytest.raises(ConfigError, match="written by 2 workers and this run has 3"):
        restored(LocalStorage(tmp_path / "shared"), 0, saved.name, world_size=3)

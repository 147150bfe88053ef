"""A checkpoint is there whole or not at all, and the newest whole one is found."""

import subprocess

import pytest
import torch

from trainjobs.runtime.checkpoints import Checkpoints, Contents, Position
from trainjobs.runtime.exits import DataError, NoPermission, StorageError
from trainjobs.runtime.storage import LocalStorage, RemoteStorage, storage_at
from trainjobs.stopping import Observation


def contents(step, reports=1, size=10):
    return Contents(
        position=Position(epoch=reports, step=step, batch=3, reported=True, seconds=1.5),
        objects={"model": {"weight": torch.full((size,), float(step))}},
        history=tuple(
            Observation(n + 1, n * 10, float(n), {"val_loss": float("nan")}) for n in range(reports)
        ),
        ranks=({"meters": {}},),
    )


@pytest.fixture(params=["local", "fsspec"])
def storage(request, tmp_path):
    if request.param == "local":
        return LocalStorage(tmp_path / "run")
    return RemoteStorage(f"local://{tmp_path}/run")


def test_what_was_saved_is_loaded(storage):
    checkpoints = Checkpoints(storage, keep=2)
    saved = checkpoints.save(contents(120, reports=2), best_step=None)
    loaded = checkpoints.load(saved)
    assert saved.uri.endswith("checkpoints/step-00000120-report-00002.pt")
    assert loaded.position == Position(2, 120, 3, True, 1.5)
    assert torch.equal(loaded.objects["model"]["weight"], torch.full((10,), 120.0))
    assert [seen.epoch for seen in loaded.history] == [1, 2]


@pytest.mark.parametrize(
    ("keep", "best", "kept"),
    [
        (1, None, [50]),
        (2, None, [40, 50]),
        (2, 20, [20, 40, 50]),
        (2, 50, [40, 50]),
        (9, 10, [10, 20, 30, 40, 50]),
    ],
)
def test_the_newest_and_the_best_are_kept(storage, keep, best, kept):
    checkpoints = Checkpoints(storage, keep)
    for step in (10, 20, 30, 40, 50):
        checkpoints.save(contents(step), best if best is not None and step >= best else None)
    assert [saved.step for saved in checkpoints.all()] == kept


def test_a_temporary_or_damaged_file_is_never_chosen(storage, tmp_path):
    checkpoints = Checkpoints(storage, keep=5)
    for step in (10, 20):
        checkpoints.save(contents(step), None)
    folder = tmp_path / "run" / "checkpoints"
    whole = (folder / "step-00000020-report-00001.pt").read_bytes()
    (folder / "step-00000030-report-00001.pt.tmp").write_bytes(whole)
    (folder / "step-00000040-report-00001.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "step-00000050-report-00001.pt").write_bytes(b"")
    (folder / "notes.txt").write_text("mine")
    latest, damaged = checkpoints.latest()
    assert latest.step == 20
    assert damaged == ["step-00000050-report-00001.pt", "step-00000040-report-00001.pt"]


def test_an_empty_storage_has_no_latest(storage):
    assert Checkpoints(storage, keep=1).latest() == (None, [])


class Odd:
    """Its state is code, which a checkpoint must not hold."""


def test_a_state_that_could_not_be_read_back_is_found_out_at_the_first_checkpoint(storage):
    checkpoints = Checkpoints(storage, keep=1)
    odd = contents(10)
    odd.objects["sampler"] = Odd()
    with pytest.raises(DataError, match="state cannot be read back"):
        checkpoints.save(odd, None)
    assert checkpoints.all() == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 300 kB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_is_said_clearly_and_leaves_the_checkpoints_before_it(small_disk):
    checkpoints = Checkpoints(LocalStorage(small_disk), keep=3)
    checkpoints.save(contents(10, size=20_000), None)
    with pytest.raises(StorageError, match=r"step-00000020.*no space left; earlier checkpoints are intact"):
        checkpoints.save(contents(20, size=80_000), None)
    latest, damaged = checkpoints.latest()
    assert (latest.step, damaged) == (10, [])
    assert [path.name for path in (small_disk / "checkpoints").iterdir()] == ["step-00000010-report-00001.pt"]


def test_a_place_that_may_not_be_written_names_itself_and_the_remedy():
    with pytest.raises(NoPermission, match=r"/proc/.*choose another spec.checkpoint.storage"):
        LocalStorage(storage_at("/proc/1/fdinfo")._root).write("x/y", lambda _: None)


def test_a_uri_of_an_unknown_kind_is_refused_with_the_field():
    with pytest.raises(Exception, match=r"spec\.checkpoint\.storage\.uri: floppy://a"):
        storage_at("floppy://a")

"""A checkpoint is there whole or not at all, the newest whole one is found, and nothing is begun anew over damage."""

import io
import os
import random
import signal
import socket
import subprocess
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from trainjobs.exits import DataError, StorageError
from trainjobs.runs.storage import LocalStorage, RemoteFile, RemoteStorage
from trainjobs.runtime.checkpoint.contents import BestCheckpoint, Contents, Position
from trainjobs.runtime.checkpoint.file_format import packed, unpacked
from trainjobs.runtime.checkpoint.segments import SEGMENT
from trainjobs.runtime.checkpoint.store import Checkpoints
from trainjobs.stopping import Observation


def contents(step, reports=1, size=10, epoch=None):
    return Contents(
        position=Position(epoch or reports, step, 3, reported=True, seconds=1.5, steps_over=True),
        objects={"model": {"weight": torch.full((size,), float(step))}},
        history=tuple(
            Observation(n + 1, n * 10, float(n), {"val_loss": float("nan")}) for n in range(reports)
        ),
        ranks=({"meters": {}},),
    )


def steps(checkpoints):
    return [saved.step for saved in checkpoints.all()]


@pytest.fixture(params=["local", "fsspec"])
def storage(request, tmp_path):
    if request.param == "local":
        return LocalStorage(tmp_path / "run")
    return RemoteStorage(f"local://{tmp_path}/run")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "checkpoints"


def test_what_was_saved_is_loaded(storage):
    checkpoints = Checkpoints(storage, keep=2)
    saved = checkpoints.save(contents(120, reports=2), best_report=1)
    loaded = checkpoints.load(saved)
    assert saved.uri.endswith("checkpoints/epoch-00002-step-00000120-report-00002.pt")
    assert (saved.epoch, saved.step, saved.reports) == (2, 120, 2)
    assert loaded.position == Position(2, 120, 3, True, 1.5, True)
    assert torch.equal(loaded.objects["model"]["weight"], torch.full((10,), 120.0))
    assert [seen.epoch for seen in loaded.history] == [1, 2]
    assert loaded.ranks == [{"meters": {}}]
    assert loaded.best == BestCheckpoint(saved.name, 1)


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
        checkpoints.save(contents(step), best_report=1 if step == best else None)
    assert steps(checkpoints) == kept


def test_checkpoints_of_a_loop_without_steps_are_in_the_order_of_their_reports_and_epochs(storage):
    checkpoints = Checkpoints(storage, keep=1)
    for epoch, reports in ((1, 1), (2, 2), (3, 3), (4, 3)):
        checkpoints.save(contents(0, reports, epoch=epoch), best_report=2 if epoch == 2 else None)
    assert [saved.epoch for saved in checkpoints.all()] == [2, 4]
    assert checkpoints.best.report == 2
    assert checkpoints.latest().contents.position.epoch == 4
    assert checkpoints.latest().contents.best == checkpoints.best


def test_the_best_weights_are_not_overwritten_by_later_ones_of_the_same_place(storage):
    checkpoints = Checkpoints(storage, keep=1)

    def save(weight, best_report=None):
        there = replace(contents(0), objects={"model": {"weight": torch.tensor(weight)}})
        checkpoints.save(there, best_report)

    def weights(found):
        return checkpoints.load(checkpoints.named(found)).objects["model"]["weight"].item()

    save(1.0, best_report=1)
    save(2.0)
    save(3.0)
    assert weights(checkpoints.best.name) == 1.0
    assert weights(checkpoints.latest().saved.name) == 3.0
    assert len(checkpoints.all()) == 2
    save(4.0, best_report=1)
    save(5.0)
    resumed = Checkpoints(storage, keep=1)
    resumed.best = resumed.latest().contents.best
    assert (weights(resumed.best.name), weights(resumed.latest().saved.name)) == (4.0, 5.0)


def test_a_resumed_run_keeps_the_best_checkpoint_of_its_earlier_life(storage):
    Checkpoints(storage, keep=1).save(contents(10), best_report=1)
    resumed = Checkpoints(storage, keep=1)
    resumed.best = resumed.latest().contents.best
    for step in (20, 30):
        resumed.save(contents(step))
    assert steps(resumed) == [10, 30]


def test_best_weights_alone_are_kept_while_a_checkpoint_names_them_and_are_no_place_to_resume_from(storage):
    def states(value):
        return {"model": {"weight": torch.full((2,), value)}}

    checkpoints = Checkpoints(storage, keep=1)
    checkpoints.save_best(1, states(1.0))
    checkpoints.save(contents(10))
    checkpoints.save_best(2, states(2.0))  # and the process dies
    resumed = Checkpoints(storage, keep=1)
    resumed.best = resumed.latest().contents.best
    assert resumed.best.report == 1
    assert resumed.states_in(resumed.best.name)["model"]["weight"].tolist() == [1.0, 1.0]
    resumed.save_best(3, states(3.0))
    resumed.save(contents(20))
    assert steps(resumed) == [20]
    assert [resumed.holds(f"best-report-{report:05d}.pt") for report in (1, 2, 3)] == [False, False, True]


def test_damaged_best_weights_are_told_from_whole_ones(storage, folder):
    checkpoints = Checkpoints(storage, keep=1)
    checkpoints.save_best(1, {"model": {"weight": torch.ones(2)}})
    (path,) = folder.glob("best*")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"best-report-00001\.pt is damaged"):
        checkpoints.states_in(path.name)


def write_old(folder, step, reports):
    """A checkpoint as format 1 had it."""
    there = contents(step, reports)
    position = {"epoch": reports, "step": step, "batch": 3, "reported": True, "seconds": 1.5}
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "format": 1,
        "position": position,
        "objects": there.objects,
        "history": [seen.to_dict() for seen in there.history],
        "ranks": list(there.ranks),
    }
    torch.save(document, folder / f"step-{step:08d}-report-{reports:05d}.pt")


def test_a_run_of_the_older_format_goes_on(storage, folder):
    for step, reports in ((10, 1), (10, 2), (20, 3)):
        write_old(folder, step, reports)
    checkpoints = Checkpoints(storage, keep=2)
    found = checkpoints.latest()
    assert found.contents.position == Position(3, 20, 3, True, 1.5, steps_over=False)
    assert (found.saved.epoch, len(found.contents.history), found.contents.best) == (None, 3, None)
    assert checkpoints.find(10, 1).name == "step-00000010-report-00001.pt"
    assert checkpoints.find(10, 2).name == "step-00000010-report-00002.pt"
    assert checkpoints.find(10, 3) is None
    checkpoints.best = BestCheckpoint(checkpoints.find(10, 2).name, 2)
    for step in (30, 40):
        checkpoints.save(contents(step, 4))
    assert [(saved.step, saved.reports) for saved in checkpoints.all()] == [(10, 2), (30, 4), (40, 4)]
    assert checkpoints.find(30, 1) is None


def test_an_empty_storage_has_no_latest(storage):
    assert Checkpoints(storage, keep=1).latest() is None


def test_a_temporary_file_is_never_chosen(storage, folder):
    checkpoints = Checkpoints(storage, keep=5)
    saved = checkpoints.save(contents(20))
    whole = (folder / saved.name).read_bytes()
    (folder / "epoch-00001-step-00000030-report-00001.pt.tmp").write_bytes(whole)
    (folder / "notes.txt").write_text("mine")
    found = checkpoints.latest()
    assert (found.saved.step, found.passed_over) == (20, ())


# Damage


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The bytes of checkpoints of steps 10 and 20, as a run writes them."""
    folder = tmp_path_factory.mktemp("pair")
    checkpoints = Checkpoints(LocalStorage(folder), keep=2)
    torch.manual_seed(0)
    for step in (10, 20):
        moments = {n: {"exp_avg": torch.randn(20, 10), "step": torch.tensor(step)} for n in range(2)}
        groups = [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}]
        optimizer = {"state": moments, "param_groups": groups}
        objects = {"model": OrderedDict(weight=torch.randn(20, 10)), "optimizer": optimizer}
        checkpoints.save(replace(contents(step), objects=objects))
    return {saved.name: (folder / "checkpoints" / saved.name).read_bytes() for saved in checkpoints.all()}


def laid_out(folder, pair):
    folder.mkdir(parents=True)
    for name, content in pair.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in pair]


def document_of(path):
    return torch.load(path, weights_only=True)


def bound(path):
    with socket.socket(socket.AF_UNIX) as server:  # by a short name: theirs may have 107 characters
        here = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


def edited(**changes):
    def damage(path, _):
        torch.save(document_of(path) | changes, path)

    return damage


def replaced(make):
    def damage(path, _):
        path.unlink()
        make(path)

    return damage


@contextmanager
def at_most(seconds):
    """Nothing here may hang."""

    def late(*_):
        raise AssertionError(f"took more than {seconds} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


DAMAGES = {
    "empty": lambda path, _: path.write_bytes(b""),
    "text": lambda path, _: path.write_text("hello " * 100),
    "zeros": lambda path, _: path.write_bytes(bytes(5000)),
    "half": lambda path, _: path.write_bytes(path.read_bytes()[:3000]),
    "another one": lambda path, older: path.write_bytes(older.read_bytes()),
    "another archive": lambda path, _: torch.save([1, 2], path),
    "no document": lambda path, _: torch.save({"format": 2}, path),
    "not a format": edited(format="2"),
    "no objects": edited(objects=None),
    "objects in a list": edited(objects=[1]),
    "no position": edited(position=None),
    "half a position": edited(position={"epoch": 1}),
    "a position of words": edited(position=dict.fromkeys(Position.__slots__, "1")),
    "no history": edited(history=None),
    "a history of nothing": edited(history={"segments": [], "rest": {}}),
    "a history of a missing file": edited(history={"segments": ["history-00000-a.pt"], "rest": {}}),
    "a rank that is a number": edited(ranks=[1]),
    "best is a name": edited(best="a"),
    "directory": replaced(lambda path: path.mkdir()),
    "pipe": replaced(os.mkfifo),
    "socket": replaced(bound),
    "dangling link": replaced(lambda path: path.symlink_to("nowhere")),
    "looping link": replaced(lambda path: path.symlink_to(path.name)),
    "device": replaced(lambda path: path.symlink_to("/dev/null")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_one_is_passed_over(tmp_path, folder, pair, damage):
    older, newer = laid_out(folder, pair)
    damage(newer, older)
    with at_most(30):
        found = Checkpoints(LocalStorage(tmp_path / "run"), keep=2).latest()
    assert found.saved.name == older.name
    (reason,) = found.passed_over
    assert newer.name in reason


class Planted:
    """Makes a directory when it is unpickled."""

    def __init__(self, mark):
        self._mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self._mark),)


@pytest.mark.parametrize("part", ["position", "objects", "history", "ranks", "best", "format"])
def test_code_that_was_planted_in_a_checkpoint_does_not_run(tmp_path, folder, pair, part):
    _, newer = laid_out(folder, pair)
    mark = tmp_path / "planted"
    edited(**{part: Planted(mark)})(newer, None)
    (reason,) = Checkpoints(LocalStorage(tmp_path / "run"), keep=2).latest().passed_over
    assert newer.name in reason
    assert not mark.exists()
    torch.load(newer, weights_only=False)
    assert mark.is_dir()  # it is in there


def test_one_of_a_newer_version_is_passed_over_and_says_so(tmp_path, folder, pair):
    _, newer = laid_out(folder, pair)
    edited(format=7)(newer, None)
    (reason,) = Checkpoints(LocalStorage(tmp_path / "run"), keep=2).latest().passed_over
    assert reason.endswith("a newer version of trainjobs wrote it (format 7, this version reads 1 to 2)")


def test_no_damage_of_bytes_is_taken_for_a_checkpoint_or_for_another_error(storage, folder, pair):
    """Truncations, flipped bits, overwritten and swapped ranges: found out, or without any effect."""
    _, newer = laid_out(folder, pair)
    whole, older = newer.read_bytes(), pair[next(iter(pair))]
    checkpoints = Checkpoints(storage, keep=2)
    right = flat(checkpoints.load(checkpoints.named(newer.name)))
    chance = random.Random(5)
    refused = 0
    for _ in range(400):
        newer.write_bytes(damaged(whole, older, chance))
        with at_most(30):
            try:
                found = flat(checkpoints.load(checkpoints.named(newer.name)))
            except DataError:
                refused += 1
            else:
                assert found == right  # bytes between the records were hit
    assert refused > 200


def flat(loaded):
    buffer = io.BytesIO()
    torch.save([loaded.objects, list(loaded.ranks)], buffer)
    return buffer.getvalue(), loaded.position, repr(loaded.history), loaded.best


def damaged(whole, older, chance):
    start, content = chance.randrange(len(whole)), bytearray(whole)
    end = min(len(whole), start + chance.choice([1, 8, 100, 3000]))
    kind = chance.choice(["cut", "flip", "noise", "zeros", "older"])
    if kind == "cut":
        return whole[:start]
    if kind == "flip":
        content[start] ^= 1 << chance.randrange(8)
    elif kind == "noise":
        content[start:end] = chance.randbytes(end - start)
    elif kind == "zeros":
        content[start:end] = bytes(end - start)
    else:
        content[start:end] = older[start:end]
    return bytes(content)


def test_if_none_can_be_read_the_run_stops_and_says_so_instead_of_beginning_anew(storage, folder, pair):
    for path in laid_out(folder, pair):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="none can be read") as caught:
        Checkpoints(storage, keep=2).latest()
    for name in (*pair, "--fresh", "Put one back"):
        assert name in str(caught.value)


def test_trouble_of_the_storage_is_not_taken_for_damage(tmp_path, folder, pair, monkeypatch):
    """An older checkpoint must not be chosen because a disk or a network failed for a moment."""
    laid_out(folder, pair)
    storage = LocalStorage(tmp_path / "run")

    def fail(name):
        return io.BufferedReader(RemoteFile(Failing(folder / name.partition("/")[2], "r"), name))

    monkeypatch.setattr(storage, "open", fail)
    with pytest.raises(StorageError, match=r"step-00000020.*Input/output error"):
        Checkpoints(storage, keep=2).latest()


class Failing(io.FileIO):
    """A file on a disk whose sectors after the first one fail."""

    def readinto(self, buffer):
        if self.tell() >= 512:
            raise OSError(5, "Input/output error")
        return super().readinto(buffer)


def test_damaged_ones_do_not_displace_those_that_can_be_read(storage, folder):
    earlier = Checkpoints(storage, keep=2)
    for step in (10, 20):
        earlier.save(contents(step))
    for step in (12, 14, 16, 31):
        (folder / f"epoch-00001-step-{step:08d}-report-00001.pt").write_bytes(b"PK\x03\x04 torn")
    checkpoints = Checkpoints(storage, keep=3)
    assert checkpoints.latest().saved.step == 20
    checkpoints.save(contents(30))
    assert steps(checkpoints) == [10, 12, 14, 16, 20, 30, 31]
    checkpoints.save(contents(40))
    assert steps(checkpoints) == [20, 30, 31, 40]


def test_a_directory_of_that_name_is_left_alone(tmp_path, folder):
    checkpoints = Checkpoints(LocalStorage(tmp_path / "run"), keep=1)
    (folder / "epoch-00001-step-00000001-report-00001.pt").mkdir(parents=True)
    checkpoints.save(contents(10))
    assert steps(checkpoints) == [1, 10]


# What cannot be read back


class Odd:
    """Its state is code, which a checkpoint must not hold."""


def test_a_state_that_could_not_be_read_back_is_refused_at_every_checkpoint(storage):
    checkpoints = Checkpoints(storage, keep=1)
    checkpoints.save(contents(10))
    odd = contents(20)
    odd.objects["sampler"] = {"at": [0, Odd()]}
    with pytest.raises(DataError, match=r"tracked object 'sampler': state\['at'\]\[1\] is a .*Odd"):
        checkpoints.save(odd)
    with pytest.raises(DataError, match=r"rank 1: state\['order'\] is a .*Odd"):
        checkpoints.save(replace(contents(20), ranks=({}, {"order": Odd()})))
    assert steps(checkpoints) == [10]
    assert checkpoints.latest().passed_over == ()


def test_what_another_rank_hands_over_must_be_readable_too():
    assert unpacked(packed({"meters": {"loss": (1.0, 2.0)}}), 1) == {"meters": {"loss": (1.0, 2.0)}}
    with pytest.raises(DataError, match=r"rank 3: its state could not be read back: .*Odd"):
        unpacked(packed({"meters": Odd()}), 3)


# Long histories


def long(reports):
    chance = random.Random(reports)
    return tuple(Observation(n + 1, n * 10, n * 0.5, {"loss": chance.random()}) for n in range(reports))


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("history-*")}


def test_a_checkpoint_with_the_files_it_names_is_all_there_is_to_it(storage, tmp_path, folder):
    first = long(SEGMENT + 1)
    checkpoints = Checkpoints(storage, keep=1)
    checkpoints.save(replace(contents(10), history=first))
    named = files(folder)
    later = (*first, *long(SEGMENT))
    saved = checkpoints.save(replace(contents(20), history=later))
    copy = tmp_path / "copy" / "checkpoints"
    copy.mkdir(parents=True)
    for name in (saved.name, *files(folder)):
        (copy / name).write_bytes((folder / name).read_bytes())
    assert Checkpoints(LocalStorage(tmp_path / "copy"), keep=1).latest().contents.history == later
    (copy / next(iter(named))).unlink()
    with pytest.raises(DataError, match=r"none can be read: .*history-00000-\w+\.pt"):
        Checkpoints(LocalStorage(tmp_path / "copy"), keep=1).latest()


def test_a_damaged_part_of_the_history_is_a_damage_of_the_checkpoint(storage, folder):
    checkpoints = Checkpoints(storage, keep=2)
    checkpoints.save(contents(5))
    saved = checkpoints.save(replace(contents(10), history=long(SEGMENT)))
    (part,) = folder.glob("history-*")
    part.write_bytes(part.read_bytes().replace(b"loss", b"Loss"))
    found = Checkpoints(storage, keep=2).latest()
    assert found.saved.step == 5
    (reason,) = found.passed_over
    assert saved.name in reason
    assert f"{part.name} is damaged" in reason


# The disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 300 kB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_is_said_clearly_and_leaves_the_checkpoints_before_it(small_disk):
    checkpoints = Checkpoints(LocalStorage(small_disk), keep=3)
    saved = checkpoints.save(contents(10, size=20_000), best_report=1)
    with pytest.raises(StorageError, match=r"step-00000020.*no space left; any earlier checkpoint is intact"):
        checkpoints.save(contents(20, size=80_000), best_report=1)
    assert checkpoints.best.name == saved.name
    assert checkpoints.latest().saved.step == 10
    assert [path.name for path in (small_disk / "checkpoints").iterdir()] == [saved.name]

"""Run directories that an earlier version has written are explained, judged again, and their checkpoints loaded.

`tests/data/runs-before-the-house.tar.gz` holds two runs of the version at commit 2b65c5c: one that a plateau stopped
after epoch 11, and one that a SIGTERM halted after epoch 23 of 100,000. That one is trained on in
tests/processes/test_resume.py.
"""

import json

import earlier
import pytest
from commands import Commands

from trainjobs.runs.storage import storage_at
from trainjobs.runtime.checkpoint.store import Checkpoints


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return earlier.unpacked(tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="module")
def trainjobs(tmp_path_factory):
    def told(*arguments):
        done = commands(*map(str, arguments))
        assert done.returncode == 0, done.stderr
        return done.stdout

    with Commands(tmp_path_factory.mktemp("commands")) as commands:
        yield told


def test_a_stopped_run_is_explained(trainjobs, runs):
    told = json.loads(trainjobs("explain", runs / "finished", "-o", "json"))
    assert (told["state"], told["decision"]["criterion"]) == ("EarlyStopped", "flat")
    assert (told["last"]["epoch"], told["last"]["step"], told["best"]["epoch"]) == (11, 22, 9)


def test_a_halted_run_is_explained(trainjobs, runs):
    told = json.loads(trainjobs("explain", runs / "halted", "-o", "json"))
    assert (told["state"], told["last"]["epoch"]) == ("Interrupted", 23)


def test_a_run_is_judged_again(trainjobs, runs):
    told = json.loads(
        trainjobs("replay", runs / "finished", "-c", runs / "finished" / "trainjob.yaml", "-o", "json")
    )
    assert [judged["stop"]["epoch"] for judged in told["criteria"]] == [11, 4]


@pytest.mark.parametrize(("run", "epoch"), [("finished", 11), ("halted", 23)])
def test_its_newest_checkpoint_is_whole(runs, run, epoch):
    found = Checkpoints(storage_at(str(runs / run)), keep=3).latest()
    assert len(found.contents.history) == epoch

"""Ctrl-C amid a sweep: once halts every trial, twice leaves, and a terminal that is closed is no second one."""

import signal
import sys
from types import SimpleNamespace

import pytest
from sweep_manifests import sweep_manifest

from trainjobs.api.sweep import TrainSweep
from trainjobs.cli import sweep
from trainjobs.cli.rendering.sweep_table import LiveTrials
from trainjobs.sweeps.lines import TrialLines


class Sweeping:
    """What a sweep is to its signals."""

    def __init__(self, *, training):
        self.training, self.interrupted, self.asked = training, False, []
        self.table = SimpleNamespace(trials={})

    def interrupt(self, reason):
        self.interrupted = True
        self.asked.append(reason)


class Silent(TrialLines):
    def __init__(self):
        pass


@pytest.fixture
def signalled(monkeypatch):
    """A sweep's requests and exit codes after these signals."""
    left = []
    monkeypatch.setattr(sweep, "leave_no_process", left.append)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def after(*numbers, training=True, trials=()):
        run = Sweeping(training=training)
        run.table.trials.update(trials)
        with sweep.interruptible(run, Silent()):
            for number in numbers:
                signal.raise_signal(number)
        return run.asked, left

    yield after
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_halts_and_before_anything_trains_it_leaves(signalled, number):
    assert signalled(number) == ([f"{number.name} received"], [])
    assert signalled(number, training=False)[1] == [75]


@pytest.mark.parametrize(("second", "left"), [(signal.SIGINT, [130]), (signal.SIGHUP, [])])
def test_the_second_one_leaves_but_for_sighup(signalled, second, left):
    asked, codes = signalled(signal.SIGHUP, second)
    assert (asked[0], codes) == ("SIGHUP received", left)


@pytest.mark.parametrize(
    ("numbers", "training", "trials", "told"),
    [
        ([signal.SIGINT], False, {}, "Ctrl-C: left before any trial had begun"),
        ([signal.SIGTERM], False, {"0001": None}, "SIGTERM: left before a trial went on; --resume goes on"),
        (
            [signal.SIGINT] * 2,
            True,
            {"0001": None},
            "left at once; --resume goes on from the last checkpoints",
        ),
    ],
)
def test_who_leaves_at_once_is_told_so(signalled, capfd, numbers, training, trials, told):
    signalled(*numbers, training=training, trials=trials)
    assert capfd.readouterr().err == f"{told}\n"


def test_who_leaves_at_once_has_the_cursor_again(capfd):
    LiveTrials(TrainSweep.model_validate(sweep_manifest()), None).abandon()
    assert "\x1b[?25h" in capfd.readouterr().out


def test_a_signal_halts_also_where_nobody_reads_what_is_said_of_it(signalled, monkeypatch, tmp_path):
    class Gone:
        def write(self, text):
            raise OSError

        def flush(self):
            raise OSError

        def fileno(self):
            return file.fileno()

    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", Gone())
        monkeypatch.setattr(sys, "__stdout__", Gone())
        assert signalled(signal.SIGTERM) == (["SIGTERM received"], [])

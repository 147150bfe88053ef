"""Ctrl-C amid a sweep: once halts every trial, twice leaves, and a terminal that is closed is no second one."""

import signal
import sys

import pytest

from trainjobs.cli import sweep
from trainjobs.sweeps.lines import TrialLines


class Sweeping:
    """What a sweep is to its signals."""

    def __init__(self, *, training):
        self.training, self.interrupted, self.asked = training, False, []

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

    def after(*numbers, training=True):
        run = Sweeping(training=training)
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

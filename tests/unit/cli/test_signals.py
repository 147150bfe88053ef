"""Ctrl-C: once asks for a checkpoint, twice leaves."""

import os
import signal
import subprocess
import sys

import pytest

from trainjobs.cli.plain import Plain
from trainjobs.cli.signals import Interruption
from trainjobs.runtime.control import Control, InterruptRequest

PROGRAM = """
import os, signal, sys
from trainjobs.cli.plain import Plain
from trainjobs.cli.signals import Interruption
from trainjobs.runtime.control import Control
control = Control()
with Interruption(control, Plain()):
    for _ in range(int(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGINT)
print(control.take(), control.take())
"""


@pytest.fixture
def control():
    return Control()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_the_first_signal_asks_for_an_interruption_and_says_so(control, capfd, number, name):
    with Interruption(control, Plain()):
        os.kill(os.getpid(), number)
        assert control.take(timeout_s=10) == InterruptRequest(f"{name} received")
    assert capfd.readouterr().err == (
        f"{name}: stopping at one step on all ranks, checkpointing; Ctrl-C again leaves at once\n"
    )


def test_the_second_signal_leaves_at_once(control, capfd):
    left = []
    with Interruption(control, Plain(), left.append):
        os.kill(os.getpid(), signal.SIGTERM)
        assert left == []
        os.kill(os.getpid(), signal.SIGINT)
    assert left == [130]
    assert capfd.readouterr().err.endswith("\nleft at once; --resume goes on from the last checkpoint\n")
    assert control.take() == InterruptRequest("SIGTERM received")
    assert control.take() is None


def test_afterwards_signals_are_the_systems_again(control):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption(control, Plain()):
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(
    ("signals", "code", "out"),
    [("1", 0, "InterruptRequest(reason='Ctrl-C received') None\n"), ("2", 130, "")],
)
def test_a_process_ends_with_130_only_at_the_second_signal(signals, code, out):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, signals], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, out)

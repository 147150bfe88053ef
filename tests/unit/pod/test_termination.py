"""Why a pod ended is left where Kubernetes looks for it; a pod that cannot leave it ends all the same."""

from pathlib import Path

import pytest

from trainjobs.api.pod_contract import TerminationMessage
from trainjobs.pod import termination


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log"
    monkeypatch.setattr(termination, "PATH", path)
    return path


def test_it_is_left_where_kubernetes_reads_it_by_default():
    assert Path("/dev/termination-log") == termination.PATH


@pytest.mark.parametrize("message", ["rank 1: ValueError: bad batch", "zu groß: é" * 900, ""])
def test_what_is_written_is_read_as_a_termination_message(log, message):
    termination.write("UserError", message)
    assert log.stat().st_size <= 4096
    told = TerminationMessage.of_text(log.read_bytes())
    assert (told.reason, told.message[:100]) == ("UserError", message[:100])


def test_the_latest_word_counts(log):
    termination.write("Interrupted", "a long sentence that the next one is shorter than")
    termination.write("Failed", "short")
    assert TerminationMessage.of_text(log.read_bytes()) == TerminationMessage("Failed", "short")


def test_of_the_end_of_a_log_that_kubernetes_takes_instead_people_read_what_is_for_people():
    tail = 'out of memory\ntrainjobs-event {"event": "Reported"}\nKilled\n'
    assert TerminationMessage.of_text(tail) == TerminationMessage("", "out of memory\nKilled")


@pytest.mark.parametrize("path", ["absent/log", "."])
def test_a_log_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, path):
    monkeypatch.setattr(termination, "PATH", tmp_path / path)
    termination.write("Failed", "x")
    assert list(tmp_path.iterdir()) == []

"""Process 1 of a pod hears SIGTERM from its beginning; Kubernetes says it once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainjobs.exits import Exit


@pytest.fixture
def pod(tmp_path):
    """A pod 1 whose pod 0 is not there, as a process."""
    (tmp_path / "token").write_text("secret")
    environment = {
        **os.environ,
        "TRAINJOBS_NAME": "mnist",
        "TRAINJOBS_NAMESPACE": "team",
        "TRAINJOBS_UID": "0123456789",
        "TRAINJOBS_NUM_NODES": "2",
        "TRAINJOBS_NUM_PROC_PER_NODE": "1",
        "TRAINJOBS_HEAD": "localhost",
        "JOB_COMPLETION_INDEX": "1",
        "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"),
    }
    process = subprocess.Popen([sys.executable, "-m", "trainjobs.pod"], env=environment)
    yield process
    process.kill()
    process.wait()


def hears(pid: int, number: int) -> bool:
    (caught,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(caught.split()[1], 16) & 1 << (number - 1))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_pod_that_is_told_to_end_while_it_still_imports_leaves_as_interrupted(pod):
    while not hears(pod.pid, signal.SIGTERM):
        assert pod.poll() is None
        time.sleep(0.001)
    assert "pydantic" not in Path(f"/proc/{pod.pid}/maps").read_text()
    pod.terminate()
    assert pod.wait(timeout=120) == Exit.INTERRUPTED

"""`trainjobs` as a process of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MNIST = ROOT / "manifests/examples/mnist/trainjob.yaml"
TRAINJOBS = str(Path(sys.executable).with_name("trainjobs"))

PATIENCE_S = 300
"""How long a test waits for what another process does: only a fault takes longer, on a machine that is busy too."""


def start(run_dir, *options, env=None):
    """`trainjobs run` on the MNIST example with Ray, telling events as JSON; `env` replaces this process's own."""
    return subprocess.Popen(
        [TRAINJOBS, "run", MNIST, "--launcher", "ray", "--run-dir", run_dir, *options, "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=run_dir.parent,
        env=env,
    )


def follow(process, react=lambda event: None):
    """Every event until the process has ended, its exit code, and what it said on standard error."""
    told = []
    with process:
        try:
            for line in process.stdout:
                told.append(json.loads(line))
                react(told[-1])
            errors = process.stderr.read()
        except BaseException:
            process.kill()
            raise
    return told, process.returncode, errors


def until(condition):
    """Wait for what another process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

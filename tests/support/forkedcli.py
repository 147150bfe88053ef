"""The real command line, with forked workers in place of Ray's: `python forkedcli.py run trainjob.yaml`.

With `SLOW_START=FILE` in the environment the workers are never up: FILE is made when they begin to start.
"""

import os
import threading
from pathlib import Path

import forked
from forked import ForkedWorkers

from trainjobs.cli import main
from trainjobs.driver import ray_launcher


class SlowWorkers(ForkedWorkers):
    """Workers that never start."""

    def __enter__(self):
        Path(os.environ["SLOW_START"]).touch()
        threading.Event().wait()


if __name__ == "__main__":
    forked.PRELOADED = ["torch", "trainjobs.runtime.worker", "forked"]
    workers = SlowWorkers if "SLOW_START" in os.environ else ForkedWorkers
    ray_launcher.RayWorkers = lambda count: workers()
    main()

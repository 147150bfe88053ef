"""The real command line with a server that imports no more than it must: `python localcli.py run trainjob.yaml`.

With `SLOW_START=FILE` in the environment the workers are never up: FILE is made when they begin to start.
"""

import os
import threading
from pathlib import Path

from trainjobs.cli import main
from trainjobs.driver.forkserver import ForkServer
from trainjobs.local import launching


class SlowServer(ForkServer):
    """A server that is never up."""

    def wait(self):
        Path(os.environ["SLOW_START"]).touch()
        threading.Event().wait()


if __name__ == "__main__":
    kind = SlowServer if "SLOW_START" in os.environ else ForkServer
    launching.ForkServer = lambda: kind(["torch", "trainjobs.runtime.local_rank"])
    main()

"""The local launcher for tests: one server for all of their runs, so that ranks start in a tenth of a second."""

from dataclasses import replace

from trainjobs.runtime.forkserver import PRELOAD, ForkServer
from trainjobs.runtime.local_workers import LocalWorkers

PRELOADED = ["sklearn.datasets", *PRELOAD]
SERVER = ForkServer(PRELOADED)


class ForkedWorkers(LocalWorkers):
    """`LocalWorkers` whose server outlives the run."""

    lost_timeout_s = 60.0

    def __init__(self):
        super().__init__(SERVER)

    def __exit__(self, *_):
        SERVER.end_team()

    def start(self, setup, directory):
        return super().start(replace(setup, lost_timeout_s=self.lost_timeout_s), directory)

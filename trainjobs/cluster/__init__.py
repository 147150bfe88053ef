"""TrainJobs and TrainSweeps in a cluster, from a laptop, a script or a notebook: by the user's own rights and kubectl's
conventions.

It trains nothing and imports neither torch nor Ray. Read `client.py` first; `record.py` makes a run directory of a
TrainJob's log, for `report`.
"""

from trainjobs.cluster.client import Client
from trainjobs.cluster.trainjob import ClusterTrainJob
from trainjobs.cluster.trainsweep import ClusterTrainSweep

__all__ = ["Client", "ClusterTrainJob", "ClusterTrainSweep"]

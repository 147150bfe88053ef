"""Many ranks, one decision, one step to halt at. Imports stopping and api; knows neither torch nor Ray.

Read `agreement` first (how ranks agree, as pure state machines), then `coordinator` (what a training loop calls).
Between them: `fence` is what the main and the background thread of a rank share, `control_thread` is the background
thread and on rank 0 the leader, `evaluation` is rank 0's part of the main thread, `messages` is the wire. All transport
is behind the `Communicator` protocol. A change in `agreement`, `fence` or `messages` must pass the exhaustive
exploration in tests/unit/coordination/test_agreement.py.
"""

from trainjobs.coordination.communicator import Communicator
from trainjobs.coordination.coordinator import Coordinator
from trainjobs.coordination.decision import Decision, Halt, JudgedReport, Outcome, Vote
from trainjobs.coordination.errors import (
    ConnectionLost,
    CoordinationError,
    EpochMismatch,
    ExchangeMismatch,
    HaltedElsewhere,
    MetricMismatch,
    RankLost,
    ReportMismatch,
    RulingFailed,
    WeightlessMetric,
)
from trainjobs.coordination.single import SingleCommunicator

__all__ = [
    "Communicator",
    "ConnectionLost",
    "CoordinationError",
    "Coordinator",
    "Decision",
    "EpochMismatch",
    "ExchangeMismatch",
    "Halt",
    "HaltedElsewhere",
    "JudgedReport",
    "MetricMismatch",
    "Outcome",
    "RankLost",
    "ReportMismatch",
    "RulingFailed",
    "SingleCommunicator",
    "Vote",
    "WeightlessMetric",
]

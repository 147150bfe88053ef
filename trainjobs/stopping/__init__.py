"""Criteria that stop a run: pure folds over what it has reported. No I/O, no clock, no randomness, no torch.

Read `observation` (what is known), `verdict` (what is said), `fold` (the shape of a criterion) and `panel`
(all of them together) first; then any family, each one file named as its key in the manifest. `improvement`
alone decides what better means, `gates` what holds a criterion back, `replay` asks what would have been,
`earliest` when a stop is possible at all.
"""

from trainjobs.stopping.earliest import Earliest, Pace
from trainjobs.stopping.fold import Fold, Scope
from trainjobs.stopping.observation import History, MissingMetric, Observation
from trainjobs.stopping.panel import Best, Finding, Limits, Panel, PanelState, Ruling
from trainjobs.stopping.replay import Alone, Replay, StopPoint, replay
from trainjobs.stopping.saving import Saving, against_length
from trainjobs.stopping.verdict import Verdict

__all__ = [
    "Alone",
    "Best",
    "Earliest",
    "Finding",
    "Fold",
    "History",
    "Limits",
    "MissingMetric",
    "Observation",
    "Pace",
    "Panel",
    "PanelState",
    "Replay",
    "Ruling",
    "Saving",
    "Scope",
    "StopPoint",
    "Verdict",
    "against_length",
    "replay",
]

import math

import pytest

from trainjobs.api.pruning import Objective, Pruning
from trainjobs.stopping import Observation
from trainjobs.stopping.across import judge

NAMES = ("mine", *"abcdefghijklmn")


def history(values, metric="loss"):
    """One report an epoch; None is an epoch without one."""
    return tuple(
        Observation(epoch, 10 * epoch, float(epoch), {metric: float(value)})
        for epoch, value in enumerate(values, 1)
        if value is not None
    )


@pytest.fixture
def rule():
    """The ruling on the first of some curves: `rule({"median": {}}, [mine, other, other …])`."""

    def rule(criterion, curves, **settings):
        objective = Objective(metric="loss", **{k: settings.pop(k) for k in ("mode", "at") if k in settings})
        pruning = Pruning.model_validate(
            {"startAfter": {"epoch": 0}, "minTrials": 1, "criteria": [criterion], **settings}
        )
        histories = {name: history(curve) for name, curve in zip(NAMES, curves, strict=False)}
        return judge("mine", histories, objective, pruning)

    return rule


@pytest.fixture
def verdict(rule):
    """What the one criterion says."""
    return lambda *args, **settings: rule(*args, **settings).findings[0].verdict


NAN, INF = math.nan, math.inf

"""A TrainSweep as the TrainJob that its Job is made from.

Its pods are the template's, `numNodes` for each slot; the verbs and limits are the sweep's own. What only the sweep's
driver reads is kept as a digest in `config`, so that a change of it before the start makes the Job anew. Where it
nests too deep for that, a sentence is there, which the types refuse.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from trainjob_operator.trainjob.observation.excerpt import TOO_DEEP, is_deep
from trainjobs.kube.resources import TRAINSWEEPS, Object

OWN: Final = ("suspend", "stop", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
"""Of `spec`: what a TrainJob has, too, and the template does not decide."""
_ABSENT: Final = ("stopping", *OWN)
"""Of the template: what is about trials, or not asked there."""


def as_trainjob(item: Object) -> Object:
    """The view; its kind stays TrainSweep."""
    spec = item["spec"]
    template = {name: value for name, value in spec["template"]["spec"].items() if name not in _ABSENT}
    trainer = {**template["trainer"]}
    trainer["numNodes"] = trainer.get("numNodes", 1) * spec.get("parallelTrials", 1)
    trainer["config"] = TOO_DEEP if is_deep(spec) else {"sweep": _digest(spec)}
    own = {name: spec[name] for name in OWN if name in spec}
    view = {**item, "kind": TRAINSWEEPS.kind, "spec": {**template, "trainer": trainer, **own}}
    return {**view, "status": _status(item["status"])} if item.get("status") else view


def _digest(spec: Object) -> str:
    read = {name: value for name, value in spec.items() if name not in OWN}
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:16]


def _status(status: Object) -> Object:
    """The sweep's sign of life is where a TrainJob's is; what only people read is left out."""
    short = {
        name: value
        for name, value in status.items()
        if name not in ("latest", "best", "training", "stopping")
    }
    trials: Any = status.get("trials")
    if isinstance(trials, dict) and "lastUpdateTime" in trials:
        short["training"] = {"lastUpdateTime": trials["lastUpdateTime"]}
    return short

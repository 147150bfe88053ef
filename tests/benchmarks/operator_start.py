"""What the operator needs to start where many TrainJobs run, and how much memory they take in it.

    python tests/benchmarks/operator_start.py [--count 5000] [--rounds 3] [--per-namespace 100]
                                              [--against CHECKOUT] [--quick]

In one cluster (a real API server, with the chart's rights) there are N TrainJobs like the example `mnist`, all Running,
each with its Job, Service and NetworkPolicy; there are no pods, and no controllers that would miss them. The operator
is started, left alone until it has looked at all of them and rests, and stopped; with `--against` in turns with that of
another checkout of this repository, which finds the same objects. None of them has to write anything.

No figure is asserted. The last line is one JSON object.
"""

# ruff: noqa: E402 - the test bed is found only once its folder is on the path

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("cluster", "support")]

from crowds import all_at_once, keys
from machine import machine, told
from operator_process import Audit, OperatorProcess, folder
from testbed.bed import Bed
from testbed.images import REPOSITORY

from trainjob_operator.trainjob.objects import dependents
from trainjob_operator.trainjob.objects.job import indexed_job
from trainjobs.api.manifest import load, parse
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import JOBS, TRAINJOBS, Key, Object, Resource
from trainjobs.kube.transport import connect

EXAMPLE = REPOSITORY / "manifests" / "examples" / "mnist" / "trainjob.yaml"
CONTROLLERS = ("control-plane-controller-manager", "control-plane-scheduler")
RESTS_S = 2.0
"""Seconds in which an operator at rest uses hardly any of the processor."""
PATIENCE_S = 600


@dataclass(frozen=True, slots=True)
class Start:
    """One start of an operator."""

    synced_s: float
    """Seconds until `/readyz`."""
    synced_cpu_s: float
    """Processor seconds until then: other load on this machine does not count in them."""
    settled_cpu_s: float
    """Those until it rests."""
    peak_mib: float
    writes: int


class Scene:
    """A cluster in which TrainJobs run, as far as one can see in the API server."""

    def __init__(self, bed: Bed, audit: Audit, count: int, per_namespace: int) -> None:
        self.audit = audit
        self.operator = OperatorProcess(bed)
        kubectl, processes = bed.control_plane.kubectl, bed.control_plane.machine.processes
        named = keys("runs", count, per_namespace)
        for namespace in sorted({key.namespace for key in named}):
            kubectl.create_namespace(namespace)
        for process in [process for process in processes if process.name in CONTROLLERS]:
            process.stop()
            processes.remove(process)
        self.client = KubeClient(connect(str(kubectl.kubeconfig), connections=16))
        self._example = load(EXAMPLE).model_dump(mode="json", by_alias=True, exclude_unset=True)
        all_at_once(self._make, named)

    def start(self, checkout: Path) -> Start:
        """One start of its operator."""
        before = self.audit.writes()
        synced_s = self.operator.start(checkout)
        synced_cpu_s = self.operator.footprint_now().cpu_s
        self._wait_until_it_rests()
        found = self.operator.footprint_now()
        self.operator.stop()
        writes = self.audit.writes() - before
        return Start(round(synced_s, 2), synced_cpu_s, found.cpu_s, round(found.peak_mib, 1), writes)

    def _wait_until_it_rests(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            before = self.operator.footprint_now().cpu_s
            time.sleep(RESTS_S)
            if self.operator.footprint_now().cpu_s - before < RESTS_S / 20:
                return
        raise TimeoutError(f"the operator does not rest within {PATIENCE_S} s")

    def _make(self, key: Key) -> None:
        metadata = {"name": key.name, "namespace": key.namespace}
        made = self.client.create({**self._example, "metadata": metadata})
        trainjob = parse(made)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for item in (dependents.service(trainjob), dependents.network_policy(trainjob)):
            self.client.create(item)
        self.client.create(indexed_job(trainjob, "testbed.local/host:1"))
        self._say(JOBS, key, {"active": 2, "ready": 2, "startTime": now})
        self._say(TRAINJOBS, key, _status(key, now))

    def _say(self, resource: Resource, key: Key, status: Object) -> None:
        self.client.patch(resource, key, {"status": status}, "status")


def _status(key: Key, now: str) -> Object:
    """What the operator and the run have written of one that trains."""
    running = {"type": "Running", "status": "True", "reason": "Running", "message": "training"}
    metrics = {"val_loss": "0.0871", "val_accuracy": "0.9713", "train_loss": "0.0644", "lr": "0.02"}
    uri = f"file:///storage/{key.namespace}/{key.name}/checkpoints/epoch-12"
    return {
        "observedGeneration": 1,
        "conditions": [{**running, "lastTransitionTime": now, "observedGeneration": 1}],
        "startTime": now,
        "training": {
            "epoch": 12,
            "step": 2640,
            "metrics": [{"name": name, "value": value} for name, value in metrics.items()],
            "best": {"metric": "val_loss", "value": "0.0871", "epoch": 12},
            "waiting": "plateau 0/5",
            "lastUpdateTime": now,
        },
        "checkpoint": {"uri": uri, "epoch": 12, "step": 2640, "metric": "0.0871", "time": now},
    }


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    began, facts = time.monotonic(), machine("kubernetes")
    print(told(facts), flush=True)
    checkouts = {"this": REPOSITORY, **({"other": options.against.resolve()} if options.against else {})}
    with folder() as path:
        audit = Audit(Path(path))
        with Bed(audit.options) as bed:
            scene = Scene(bed, audit, options.count, options.per_namespace)
            found = _measured(scene, checkouts, options.rounds)
    for line in _table(found):
        print(line)
    head = {"benchmark": "operator_start", "machine": facts, "load_1min_at_end": round(os.getloadavg()[0], 2)}
    how = {"count": options.count, "per_namespace": options.per_namespace}
    starts = {name: [asdict(start) for start in each] for name, each in found.items()}
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({**head, **how, **starts, "ratios": _ratios(found), "seconds": seconds}))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=5000, help="TrainJobs (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each (default: %(default)s)")
    parser.add_argument(
        "--per-namespace", type=int, default=100, help="TrainJobs in a namespace (default: %(default)s)"
    )
    parser.add_argument("--against", type=Path, help="another checkout, for its operator")
    parser.add_argument("--quick", action="store_true", help="200 TrainJobs, one start: too few to quote")
    options = parser.parse_args(arguments)
    if options.quick:
        options.count, options.rounds = 200, 1
    return options


def _measured(scene: Scene, checkouts: dict[str, Path], rounds: int) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = {name: [] for name in checkouts}
    for number in range(rounds):
        for name in checkouts if number % 2 == 0 else reversed(checkouts):
            found[name].append(scene.start(checkouts[name]))
            print(f"round {number + 1}: {name} {found[name][-1]}", file=sys.stderr, flush=True)
    return found


def _ratios(found: dict[str, list[Start]]) -> dict[str, float]:
    """Of this checkout's medians to the other's."""
    if "other" not in found:
        return {}
    measured = [field.name for field in fields(Start) if field.name != "writes"]
    return {name: round(_median(found["this"], name) / _median(found["other"], name), 3) for name in measured}


def _median(starts: list[Start], name: str) -> float:
    return median(getattr(start, name) for start in starts)


def _table(found: dict[str, list[Start]]) -> list[str]:
    names = [field.name for field in fields(Start)]
    rows: dict[str, list[Any]] = {
        name: [_median(starts, each) for each in names] for name, starts in found.items()
    }
    if ratios := _ratios(found):
        rows["ratio"] = [ratios.get(name, "") for name in names]
    lines = [chain([""], names), *(chain([name], row) for name, row in rows.items())]
    return ["".join(f"{cell!s:>15}" for cell in line) for line in lines]


if __name__ == "__main__":
    main(sys.argv[1:])

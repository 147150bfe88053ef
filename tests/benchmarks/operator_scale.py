"""What the operator adds to Kubernetes' own Job controller when there are many jobs at once.

    python tests/benchmarks/operator_scale.py [--count 500] [--rounds 2] [--per-namespace 100]
                                              [--default-rates] [--quick]

In one cluster (a real API server, Job controller and scheduler; nodes and pods are kwok's), in turns that change
their order from round to round:
- N Indexed Jobs of 2 pods, made directly ("bare");
- the same with the Service, the Secret and the NetworkPolicy of a TrainJob, also made directly ("by hand");
- N TrainJobs of 2 pods, whose Jobs the operator makes, with all else that belongs to a TrainJob.
They are spread over namespaces, for Kubernetes itself is made for no more than 3,000 pods in one (its SIG Scalability's
thresholds): its Endpoints controllers list all pods and Services of a namespace at each change of a pod in it.
Each is timed from the first create until all pods run, and from the first driver's end until all are Complete. What
a training run writes into the status is written in between, by this program, and not timed.

The chart is installed, with its policies; the operator is a process of its own, with the rights that the chart gives
it. Its requests are counted by the API server's audit log. With all TrainJobs running it is left alone for a while
(writes must be 0) and then restarted (time until `/readyz`).

All programs share this machine's cores, this one too. Controllers and scheduler may ask far more of the API server in
a second than Kubernetes' defaults let them, so that the cores are the limit; with `--default-rates` the defaults are.

No figure is asserted. The last line is one JSON object.
"""

# ruff: noqa: E402 - the test bed is found only once its folder is on the path

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("cluster", "support")]

import psutil
from crowds import (
    NODES,
    Tally,
    all_at_once,
    by_hand,
    clear,
    drivers,
    end,
    is_true,
    keys,
    remove,
    runs,
    speak,
    trainjob,
)
from machine import machine, told
from operator_process import Audit, OperatorProcess, folder, per_job
from testbed.bed import Bed
from testbed.fakenodes import NAMESPACE_ANNOTATIONS

from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import JOBS, PODS, TRAINJOBS
from trainjobs.kube.transport import connect

BARS = {
    "wall_ratio": 1.25,
    "creates": 4,
    "status_writes": 4,
    "idle_writes": 0,
    "peak_mib": 200,
    "synced_s": 10,
}
"""At most."""
PODS_PER_NODE = 100
OWN = ("create secrets", "create services", "create networkpolicies", "create jobs")
SHARED = ("create serviceaccounts", "create rolebindings")


@dataclass(frozen=True, slots=True)
class Walls:
    """Seconds of one turn."""

    running_s: float
    complete_s: float
    cpu_of: dict[str, float]
    """Processor seconds of etcd, the API server, controllers, scheduler, kwok and the operator: other load on
    this machine does not count in them."""

    @property
    def total_s(self) -> float:
        return self.running_s + self.complete_s

    @property
    def cpu_s(self) -> float:
        return sum(self.cpu_of.values())


@dataclass(frozen=True, slots=True)
class Rest:
    """The operator while all TrainJobs run and nothing happens."""

    idle_s: float
    idle_writes: int
    synced_s: float
    writes_after_restart: int


class Scene:
    """The cluster with an operator, and the two kinds of turn in it."""

    def __init__(self, bed: Bed, audit: Audit, count: int, per_namespace: int, idle_s: float) -> None:
        self.audit = audit
        self.keys = {kind: keys(kind, count, per_namespace) for kind in ("bare", "by-hand", "trainjobs")}
        self.namespaces = {kind: sorted({key.namespace for key in each}) for kind, each in self.keys.items()}
        self.count = count
        self.idle_s = idle_s
        self.is_last = False
        """Whether no other turn follows, for which to clear up."""
        self.operator = OperatorProcess(bed)
        self._processes = bed.control_plane.machine.processes
        kubectl = bed.control_plane.kubectl
        for namespace in chain(*self.namespaces.values()):
            kubectl.create_namespace(namespace, annotations=NAMESPACE_ANNOTATIONS)
        bed.fake_nodes.add(NODES * count // PODS_PER_NODE + 1)
        self.client = KubeClient(connect(str(kubectl.kubeconfig), connections=16))

    def bare(self) -> Walls:
        """One turn of Jobs alone."""
        return self._direct("bare", 1)

    def by_hand(self) -> Walls:
        """One turn of Jobs with all that a TrainJob has around it."""
        return self._direct("by-hand", 4)

    def _direct(self, kind: str, items: int) -> Walls:
        """The Job is the last of the items."""
        made = [by_hand(key)[-items:] for key in self.keys[kind]]
        running, complete = self._tallies(kind, JOBS)
        used, began = self._cpu_of(), time.monotonic()
        all_at_once(lambda each: [self.client.create(item) for item in each], made)
        running.reach(NODES * self.count)
        run, used = time.monotonic() - began, self._cpu_since(used)
        ended, more = self._end(kind, complete)
        for tally in (running, complete):
            tally.close()
        all_at_once(lambda each: remove(self.client, each[:-1]), made)
        clear(self.client, self.namespaces[kind], JOBS)
        return Walls(run, ended, _added(used, more))

    def trainjobs(self, rests: list[Rest]) -> Walls:
        """One turn of TrainJobs; how the operator rested in it is added to `rests`."""
        mine, namespaces = self.keys["trainjobs"], self.namespaces["trainjobs"]
        running, complete = self._tallies("trainjobs", TRAINJOBS)
        used, began = self._cpu_of(), time.monotonic()
        all_at_once(lambda key: self.client.create(trainjob(key)), mine)
        running.reach(NODES * self.count)
        run, used = time.monotonic() - began, self._cpu_since(used)
        trains = Tally(self.client, TRAINJOBS, namespaces, is_true("Running"))
        all_at_once(lambda key: speak(self.client, key), mine)
        trains.reach(self.count)
        trains.close()
        rests.append(self._rest())
        ended, more = self._end("trainjobs", complete)
        for tally in (running, complete):
            tally.close()
        if not self.is_last:
            clear(self.client, namespaces, TRAINJOBS)
        return Walls(run, ended, _added(used, more))

    def _tallies(self, kind: str, resource: Any) -> tuple[Tally, Tally]:
        return (
            Tally(self.client, PODS, self.namespaces[kind], runs),
            Tally(self.client, resource, self.namespaces[kind], is_true("Complete")),
        )

    def _end(self, kind: str, complete: Tally) -> tuple[float, dict[str, float]]:
        pods = drivers(self.client, self.namespaces[kind])
        used, began = self._cpu_of(), time.monotonic()
        all_at_once(lambda pod: end(self.client, pod), pods)
        complete.reach(self.count)
        return time.monotonic() - began, self._cpu_since(used)

    def _cpu_of(self) -> dict[str, float]:
        times = {each.name: psutil.Process(each.pid).cpu_times() for each in self._processes}
        return {name.removeprefix("control-plane-"): each.user + each.system for name, each in times.items()}

    def _cpu_since(self, then: dict[str, float]) -> dict[str, float]:
        return _added(self._cpu_of(), {name: -before for name, before in then.items()})

    def _rest(self) -> Rest:
        quiet = -1
        while quiet != (quiet := self.audit.writes()):
            time.sleep(2)
        time.sleep(self.idle_s)
        idle = self.audit.writes() - quiet
        self.operator.stop()
        synced = self.operator.start()
        before = self.audit.writes()
        time.sleep(self.idle_s)
        return Rest(self.idle_s, idle, round(synced, 2), self.audit.writes() - before)


def _added(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {name: round(each + other[name], 2) for name, each in one.items()}


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    began, facts = time.monotonic(), machine("kubernetes")
    print(told(facts), flush=True)
    with folder() as path:
        audit = Audit(Path(path))
        with Bed(audit.options, options.default_rates) as bed:
            size = (options.count, options.per_namespace, options.idle_seconds)
            scene = Scene(bed, audit, *size)
            document = _measured(scene, options.rounds)
    bars = _bars(document)
    for line in _table(document, bars):
        print(line)
    head = {"benchmark": "operator_scale", "machine": facts, "load_1min_at_end": round(os.getloadavg()[0], 2)}
    how: dict[str, Any] = {"per_namespace": options.per_namespace, "default_rates": options.default_rates}
    how["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps({**head, **document, "bars": bars, **how}))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=500, help="jobs of each kind (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each kind (default: %(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=20, help="how long it is left alone")
    parser.add_argument(
        "--per-namespace", type=int, default=100, help="jobs in a namespace (default: %(default)s)"
    )
    parser.add_argument("--default-rates", action="store_true", help="controllers at Kubernetes' own rates")
    parser.add_argument("--quick", action="store_true", help="50 jobs, one turn: too few to quote")
    options = parser.parse_args(arguments)
    if options.quick:
        options.count, options.rounds, options.idle_seconds = 50, 1, 3
    return options


def _measured(scene: Scene, rounds: int) -> dict[str, Any]:
    found: dict[str, list[Walls]] = {"bare": [], "by_hand": [], "trainjobs": []}
    rests: list[Rest] = []
    turns: dict[str, Callable[[], Walls]] = {
        "bare": scene.bare,
        "by_hand": scene.by_hand,
        "trainjobs": lambda: scene.trainjobs(rests),
    }
    scene.operator.start()
    for number in range(rounds):
        for name in turns if number % 2 == 0 else reversed(turns):
            scene.is_last = number == rounds - 1 and number % 2 == 0 and name == "trainjobs"
            found[name].append(turns[name]())
            print(f"round {number + 1}: {name} {found[name][-1]}", file=sys.stderr, flush=True)
    footprint = scene.operator.footprint()
    scene.operator.stop()
    requests, jobs = scene.audit.requests(), scene.count * rounds
    return {
        "count": scene.count,
        "pods_per_job": NODES,
        **{name: [{**asdict(walls), "cpu_s": walls.cpu_s} for walls in each] for name, each in found.items()},
        "cpu_ms_per_job": {name: _cpu_ms(each, scene.count) for name, each in found.items()},
        "rest": [asdict(rest) for rest in rests],
        "wall_ratio": _ratio(found, "bare", "total_s"),
        "wall_ratio_to_by_hand": _ratio(found, "by_hand", "total_s"),
        "cpu_ratio": _ratio(found, "bare", "cpu_s"),
        "cpu_ratio_to_by_hand": _ratio(found, "by_hand", "cpu_s"),
        "creates": per_job(requests, jobs, *OWN),
        "status_writes": per_job(requests, jobs, "patch trainjobs/status"),
        "events": per_job(requests, jobs, "create events"),
        "shared_creates": sum(requests[what] for what in SHARED),
        "idle_writes": max(rest.idle_writes + rest.writes_after_restart for rest in rests),
        "peak_mib": round(footprint.peak_mib, 1),
        "synced_s": max(rest.synced_s for rest in rests),
        "operator_cpu_ms_per_job": round(footprint.cpu_s * 1000 / jobs, 1),
        "requests": dict(sorted(requests.items())),
    }


def _cpu_ms(turns: list[Walls], count: int) -> dict[str, float]:
    """Of each program, for one job."""
    return {
        name: round(sum(turn.cpu_of[name] for turn in turns) * 1000 / count / len(turns), 1)
        for name in turns[0].cpu_of
    }


def _ratio(found: dict[str, list[Walls]], to: str, what: str) -> float:
    """Of TrainJobs to something else, over all rounds."""
    ours, theirs = (sum(getattr(each, what) for each in found[name]) for name in ("trainjobs", to))
    return round(ours / theirs, 3)


def _bars(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {"bar": bar, "found": document[name], "met": document[name] <= bar}
        for name, bar in BARS.items()
    }


def _table(document: dict[str, Any], bars: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        f"\n{document['count']} jobs of {document['pods_per_job']} pods",
        f"{'':14}{'running s':>10}{'complete s':>12}{'cluster CPU s':>15}",
    ]
    for kind in ("bare", "by_hand", "trainjobs"):
        lines += [
            f"{kind:14}{each['running_s']:10.1f}{each['complete_s']:12.1f}{each['cpu_s']:15.1f}"
            for each in document[kind]
        ]
    lines += [
        f"CPU ms a job, {kind}: " + ", ".join(f"{name} {ms}" for name, ms in each.items())
        for kind, each in document["cpu_ms_per_job"].items()
    ]
    lines += [
        f"TrainJobs to {to.replace('_', ' ')}: wall {document[wall]}, cluster CPU {document[cpu]}"
        for to, wall, cpu in (
            ("bare", "wall_ratio", "cpu_ratio"),
            ("by_hand", "wall_ratio_to_by_hand", "cpu_ratio_to_by_hand"),
        )
    ]
    lines += [f"{'':14}{'found':>10}{'bar':>8}"]
    return lines + [
        f"{name:14}{each['found']:10}{each['bar']:8}  {'met' if each['met'] else 'missed'}"
        for name, each in bars.items()
    ]


if __name__ == "__main__":
    main(sys.argv[1:])

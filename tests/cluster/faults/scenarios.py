"""What a user and a training run do in the life of a TrainJob or a TrainSweep. Each life ends the same every time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps

from faults.picture import picture
from faults.recording import Timeline
from testbed.fakenodes import PREFIX

from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import JOBS, PODS, TRAINJOBS, TRAINSWEEPS, Key, Object, Resource, key_of

STEP_S = 60.0
"""How long one step may take, faults included."""
STOPPED = {
    "criterion": "plateau",
    "reason": "val_loss has not improved",
    "decisionTime": "2026-11-21T10:00:00Z",
}


SWEEP = {
    "parameters": {"rate": {"uniform": {"min": 0, "max": 1}}},
    "objective": {"metric": "val_loss"},
    "maxTrials": 6,
}


class StuckError(AssertionError):
    """The operator did not bring a TrainJob to where it should be."""


class Player:
    """The user, the pods' fate and the run's status patches, for one TrainJob or, as `kind` says, TrainSweep of one
    slot; waits for events, never polls."""

    def __init__(
        self, client: KubeClient, kind: Resource, key: Key, timeline: Timeline, step_s: float = STEP_S
    ) -> None:
        self.client = client
        self.kind = kind
        self.key = key
        self.timeline = timeline
        self.step_s = step_s
        self._uid = ""
        self._read = 0

    def creates(self, **spec) -> None:
        trainer = {"entrypoint": "train:train", "maxEpochs": 100, "numNodes": 1, **spec.pop("trainer", {})}
        one = {"trainer": trainer}
        asked = one if self.kind is TRAINJOBS else {**SWEEP, "template": {"spec": one}}
        made = self.client.create(
            {
                "apiVersion": self.kind.api_version,
                "kind": self.kind.kind,
                "metadata": {"name": self.key.name, "namespace": self.key.namespace},
                "spec": {**asked, **spec},
            }
        )
        self._uid = made["metadata"]["uid"]

    def changes(self, **spec) -> None:
        self.client.patch(self.kind, self.key, {"spec": spec})

    def deletes(self) -> None:
        self.client.delete(self.kind, self.key, self._uid)

    def trains(self, nodes: int = 1) -> None:
        """All pods run, and the run says so."""
        self._await(lambda: sum(_is_ready(pod) for pod in self._pods()) == nodes, f"{nodes} ready pods")
        self.says()
        self.reaches("Running")

    def says(self, **status) -> None:
        """What the run would write."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        alive = {"training": {"epoch": 7, "step": 70, "lastUpdateTime": now}}
        if self.kind is TRAINSWEEPS:
            alive = {"trials": {"total": 6, "running": 1, "lastUpdateTime": now}}
        status = {"startTime": now, **alive, **status}
        self.client.transport.request(
            "PATCH",
            self.kind.path(*self.key, "status"),
            {},
            {"status": status},
            "application/merge-patch+json",
        )

    def exits(self, code: int = 0) -> None:
        """The driver ends."""
        (pod,) = (each for each in self._pods() if each["metadata"]["labels"][f"{JOBS_LABEL}-index"] == "0")
        note = {"metadata": {"annotations": {f"{PREFIX}/exit-code": str(code)}}}
        self.client.patch(PODS, key_of(pod), note)

    def reaches(self, reason: str) -> None:
        """The first condition gives this reason at some time from now on."""
        self._await(lambda: self._has_told(reason), reason)

    def ends(self, reason: str) -> None:
        """The TrainJob is Complete or Failed for this reason."""
        self._await(lambda: self._has_ended(reason), f"the end {reason}")

    def vanishes(self) -> None:
        self._await(lambda: self.timeline.one(self.kind) is None, f"no {self.kind.kind}")

    def leaves_nothing(self) -> None:
        """What belonged to the TrainJob has gone too, by Kubernetes' garbage collection."""
        self.vanishes()
        self._await(lambda: not (self.timeline.all(JOBS) or self.timeline.all(PODS)), "no Job and no pods")
        while any(picture(self.client, self.kind, self.key).values()):
            time.sleep(0.2)

    def _has_told(self, reason: str) -> bool:
        while self._read < len(self.timeline.events):
            heard = self.timeline.events[self._read]
            self._read += 1
            if (
                heard.resource is self.kind
                and heard.event["object"]["metadata"]["uid"] == self._uid
                and told(heard.event["object"]) == reason
            ):
                return True
        return False

    def _has_ended(self, reason: str) -> bool:
        trainjob = self.timeline.one(self.kind)
        conditions = ((trainjob or {}).get("status") or {}).get("conditions") or [{}]
        return conditions[0].get("type") in ("Complete", "Failed") and conditions[0]["reason"] == reason

    def _pods(self) -> list[Object]:
        """Those of the Job of this very TrainJob."""
        jobs = [job["metadata"]["uid"] for job in self.timeline.all(JOBS) if _owner(job) == self._uid]
        return [pod for pod in self.timeline.all(PODS) if _owner(pod) in jobs]

    def _await(self, holds: Callable[[], bool], what: str) -> None:
        if not self.timeline.await_(holds, self.step_s):
            trainjob = self.timeline.one(self.kind) or {}
            raise StuckError(f"not within {self.step_s} s: {what}; status {trainjob.get('status')}")


JOBS_LABEL = "batch.kubernetes.io/job-completion"


def told(trainjob: Object) -> str:
    """What `kubectl get` shows as STATE."""
    conditions = (trainjob.get("status") or {}).get("conditions") or [{"reason": ""}]
    return str(conditions[0]["reason"])


def finish(player: Player) -> None:
    player.creates(trainer={"numNodes": 2})
    player.trains(nodes=2)
    player.exits()
    player.ends("Finished")


def early_stop(player: Player) -> None:
    player.creates()
    player.trains()
    player.says(stopping=STOPPED)
    player.reaches("Stopping")
    player.exits()
    player.ends("EarlyStopped")


def stop_verb(player: Player) -> None:
    player.creates()
    player.trains()
    player.changes(stop={"reason": "good enough"})
    player.says(stopping={"reason": "good enough", "decisionTime": STOPPED["decisionTime"]})
    player.reaches("Stopping")
    player.exits()
    player.ends("StopRequested")


def stop_while_suspended(player: Player) -> None:
    player.creates(suspend=True)
    player.reaches("Suspended")
    player.changes(stop={"reason": "never mind"})
    player.ends("StopRequested")


def suspend_and_resume(player: Player) -> None:
    player.creates()
    player.trains()
    player.changes(suspend=True)
    player.reaches("Suspended")
    player.changes(suspend=False)
    player.trains()
    player.exits()
    player.ends("Finished")


def change_before_the_start(player: Player) -> None:
    player.creates(suspend=True)
    player.reaches("Suspended")
    player.changes(suspend=False, trainer={"numNodes": 2})
    player.trains(nodes=2)
    player.exits()
    player.ends("Finished")


def deadline(player: Player) -> None:
    player.creates(activeDeadlineSeconds=1)
    player.trains()
    player.ends("DeadlineExceeded")


def failure(player: Player) -> None:
    player.creates()
    player.trains()
    player.exits(78)
    player.ends("UserError")


def recreate(player: Player) -> None:
    """A successor of the same name, while all that its predecessor had is still there."""
    player.creates()
    player.trains()
    player.deletes()
    player.vanishes()
    player.creates()
    player.trains()
    player.exits()
    player.ends("Finished")


def time_to_live(player: Player) -> None:
    player.creates(ttlSecondsAfterFinished=1)
    player.trains()
    player.exits()
    player.leaves_nothing()


def swept(scenario: Callable[[Player], None]) -> Callable[[Player], None]:
    """The same of a TrainSweep."""

    @wraps(scenario)
    def play(player: Player) -> None:
        scenario(player)

    play.__name__ = f"swept_{scenario.__name__}"
    SWEPT.append(play)
    return play


SWEPT: list[Callable[[Player], None]] = []
"""Scenarios of TrainSweeps: what an operator does of its own for them, it does in these."""
SCENARIOS = (
    finish,
    early_stop,
    stop_verb,
    stop_while_suspended,
    suspend_and_resume,
    change_before_the_start,
    deadline,
    failure,
    recreate,
    time_to_live,
    *map(swept, (finish, stop_while_suspended, suspend_and_resume)),
)


def kind_of(scenario: Callable[[Player], None]) -> Resource:
    """Whose life it is."""
    return TRAINSWEEPS if scenario in SWEPT else TRAINJOBS


def _owner(item: Object) -> str:
    return next((owner["uid"] for owner in item["metadata"].get("ownerReferences", ())), "")


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]

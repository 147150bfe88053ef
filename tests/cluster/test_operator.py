"""The operator with a real API server, Job controller and garbage collector; pods run on fake nodes.

It has the rights that the chart gives it, and no others.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from operated import eventually, pods, reaches, running, says, state, trainjob, trains
from testbed.fakenodes import FakeNodes
from testbed.kubectl import Kubectl, KubectlError, Manifest

from trainjob_operator.app import Operator
from trainjobs.api import TrainJob
from trainjobs.api.manifest import Problem, SpecError, parse
from trainjobs.kube.resources import Key
from trainjobs.kube.transport import HttpTransport, TransportError

STOPPED = {
    "criterion": "plateau",
    "reason": "val_loss has not improved",
    "decisionTime": "2026-11-21T10:00:00Z",
}


class Seam:
    """The transport with faults: counts requests, and loses some before or after the server has seen them."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport
        self.writes: Counter[str] = Counter()
        """By namespace: the operator also sees what other tests leave behind."""
        self.fault = ""
        """When each request is lost the first time: "before" the server sees it, or "after". Empty: never."""
        self._lock = threading.Lock()
        self._lost: set[tuple[str, str]] = set()

    def request(self, method, path, query=None, body=None, content_type="application/json"):
        with self._lock:
            known = "leases" in path or (method, path) in self._lost
            fault = "" if known else self.fault
            if fault:
                self._lost.add((method, path))
            if method != "GET" and "leases" not in path:
                self.writes[path.partition("/namespaces/")[2].partition("/")[0]] += 1
        if fault == "before":
            raise TransportError("lost on its way there")
        answer = self.transport.request(method, path, query or {}, body, content_type)
        if fault == "after":
            raise TransportError("lost on its way back")
        return answer

    def stream(self, path, query, silence_s):
        return self.transport.stream(path, query, silence_s)


@pytest.fixture
def seam(shipped: HttpTransport) -> Seam:
    return Seam(shipped)


@pytest.fixture
def operator(seam: Seam) -> Iterator[Operator]:
    with running(seam) as operator:
        yield operator


def test_a_run_from_apply_to_an_early_stop(gpus: Kubectl, operator: Operator, nodes: FakeNodes):
    gpus.create(trainjob())
    trains(gpus)
    says(
        gpus,
        stopping={
            "criterion": "plateau",
            "reason": "val_loss has not improved",
            "decisionTime": "2026-11-21T10:00:00Z",
        },
    )
    nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0")
    gpus.wait("tjob/mnist", "--for=condition=Complete")
    conditions = {each["type"]: each for each in gpus.get("tjob/mnist")["status"]["conditions"]}
    assert conditions["Complete"]["reason"] == "EarlyStopped"
    assert conditions["Complete"]["message"] == "val_loss has not improved"
    assert conditions["EarlyStopped"]["status"] == "True"
    assert conditions["Running"]["status"] == "False"
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.metrics.port}/metrics") as answer:
        metrics = answer.read().decode()
    assert 'trainjobs_early_stop_events_total{model_type="unknown",strategy="plateau"} 1.0' in metrics
    eventually(
        lambda: {"Running", "EarlyStopped"} <= {
            event["reason"] for event in gpus.get("events.events.k8s.io")["items"]
            if event["regarding"]["kind"] == "TrainJob"
        },
        "events",
    )  # fmt: skip


def test_a_user_error_fails_at_once_with_the_runs_last_words(
    gpus: Kubectl, operator: Operator, nodes: FakeNodes
):
    gpus.create(trainjob())
    trains(gpus)
    words = json.dumps({"message": "train.py has no function train"})
    nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0", exit_code=78, message=words)
    gpus.wait("tjob/mnist", "--for=condition=Failed")
    condition = gpus.get("tjob/mnist")["status"]["conditions"][0]
    assert condition["reason"] == "UserError"
    assert condition["message"].endswith("the run's last words: train.py has no function train")


def test_suspend_releases_the_pods_and_resume_brings_them_back(gpus: Kubectl, operator: Operator):
    gpus.create(trainjob())
    trains(gpus)
    gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": true}}')
    reaches(gpus, "Suspended")
    eventually(lambda: pods(gpus) == [], "no pods")
    assert gpus.get("tjob/mnist")["status"]["activeSeconds"] > 0
    gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": false}}')
    trains(gpus)


def test_what_does_not_fit_is_explained_and_given_up(
    gpus: Kubectl, operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("trainjob_operator.trainjob.active_job.SLOW_START_S", 1)
    limits = {"limits": {"nvidia.com/gpu": 99}}
    gpus.create(trainjob(trainer={"resourcesPerNode": limits}, startupDeadlineSeconds=6))
    reaches(gpus, "Unschedulable")
    message = gpus.get("tjob/mnist")["status"]["conditions"][0]["message"]
    assert "Insufficient nvidia.com/gpu" in message
    gpus.wait("tjob/mnist", "--for=condition=Failed")
    condition = gpus.get("tjob/mnist")["status"]["conditions"][0]
    assert condition["reason"] == "StartupDeadlineExceeded"
    eventually(lambda: pods(gpus) == [], "no pods")


def test_pods_that_are_not_made_are_explained_too(
    gpus: Kubectl, operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("trainjob_operator.trainjob.active_job.SLOW_START_S", 1)
    gpus("create", "quota", "small", "--hard=pods=1")
    gpus.create(trainjob())
    reaches(gpus, "FailedCreate")
    message = gpus.get("tjob/mnist")["status"]["conditions"][0]["message"]
    assert message.startswith("job mnist: Error creating: ")
    assert "exceeded quota: small" in message


def test_a_pod_template_that_kubernetes_refuses_is_an_invalid_spec(gpus: Kubectl, operator: Operator):
    gpus.create(trainjob(podTemplate={"spec": {"tolerations": [{"operator": "Nonsense"}]}}))
    reaches(gpus, "InvalidSpec")
    assert "tolerations" in gpus.get("tjob/mnist")["status"]["conditions"][0]["message"]
    gpus("patch", "tjob", "mnist", "--type=json", '--patch=[{"op": "remove", "path": "/spec/podTemplate"}]')
    trains(gpus)


def test_a_change_before_the_start_takes_effect(gpus: Kubectl, operator: Operator):
    gpus.create(trainjob())
    eventually(lambda: len(pods(gpus)) == 2, "two pods")
    gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"trainer": {"numNodes": 3}}}')
    eventually(lambda: len(pods(gpus)) == 3, "three pods")


def test_deleting_a_trainjob_deletes_all_that_was_its_own(gpus: Kubectl, operator: Operator):
    gpus.create(trainjob())
    trains(gpus)
    gpus("delete", "tjob", "mnist", "--wait=false")
    everything = "jobs,services,secrets,networkpolicies,pods"
    eventually(lambda: not gpus.get(everything)["items"], "nothing left")


def test_a_successor_of_the_same_name_starts_from_nothing(
    gpus: Kubectl, operator: Operator, nodes: FakeNodes
):
    gpus.create(trainjob())
    trains(gpus)
    nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0")
    reaches(gpus, "Finished")
    first = gpus.get("tjob/mnist")["metadata"]["uid"]
    gpus("delete", "tjob", "mnist", "--wait=false")
    eventually(lambda: not gpus.get("tjob")["items"], "it is gone")
    gpus.create(trainjob())
    assert gpus.get("tjob/mnist")["metadata"]["uid"] != first
    trains(gpus)


def test_a_foreign_service_of_the_same_name_is_not_touched(gpus: Kubectl, operator: Operator):
    gpus.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "mnist"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        }
    )
    gpus.create(trainjob())
    reaches(gpus, "NameTaken")
    assert gpus.get("service/mnist")["spec"]["selector"] == {"app": "web"}


EDITS = {
    "service": {"spec": {"selector": {"batch.kubernetes.io/job-completion-index": "1"}}},
    "networkpolicy": {"spec": {"ingress": [{}]}},
}


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("how", ["deleted", "edited", "without its label"])
def test_what_somebody_takes_from_around_a_run_is_there_again(
    gpus: Kubectl, operator: Operator, seam: Seam, kind: str, how: str
):
    gpus.create(trainjob())
    trains(gpus)
    before = gpus.get(f"{kind}/mnist")["spec"]
    if how == "deleted":
        gpus("delete", kind, "mnist")
    elif how == "edited":
        gpus("patch", kind, "mnist", "--type=merge", f"--patch={json.dumps(EDITS[kind])}")
    else:
        gpus("label", kind, "mnist", "trainjobs.dev/trainjob-")
    eventually(lambda: _stands(gpus, kind, before), f"the {kind} is as it was", within_s=10)
    writes = seam.writes[gpus.namespace]
    operator.controllers[0].queue.add(Key(gpus.namespace, "mnist"))
    eventually(lambda: len(operator.controllers[0].queue) == 0, "the pass was made")
    assert seam.writes[gpus.namespace] == writes
    assert state(gpus) == "Running"


@pytest.mark.parametrize("kind", ["rolebinding", "serviceaccount"])
def test_a_run_that_has_to_hear_of_a_stop_is_given_its_rights_again(
    gpus: Kubectl, operator: Operator, kind: str
):
    gpus.create(trainjob())
    trains(gpus)
    gpus("delete", kind, "trainjobs-runner")
    gpus("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"stop": {"reason": "enough"}}}')
    eventually(
        lambda: "trainjobs-runner" in gpus("get", kind, "--output=name"), f"the {kind} is there", within_s=10
    )


def test_a_run_that_does_not_follow_a_stop_is_ended_by_its_job_unless_the_stop_is_taken_back(
    gpus: Kubectl, operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("trainjob_operator.trainjob.deadlines.MARGIN_S", 0)
    gpus.create(trainjob())
    trains(gpus)
    asks(gpus, stop={})
    gpus.wait("job/mnist", "--for=jsonpath={.spec.activeDeadlineSeconds}")
    asks(gpus, stop=None)
    eventually(lambda: "activeDeadlineSeconds" not in gpus.get("job/mnist")["spec"], "it is taken back")
    asks(gpus, stop={}, progressDeadlineSeconds=1, startupDeadlineSeconds=1)

    def told() -> dict[str, Any]:
        return gpus.get("tjob/mnist")["status"]["conditions"][0]

    def ended() -> bool:
        says(gpus)  # it goes on talking
        return told()["reason"] != "Running"

    eventually(ended, "its Job is ended")
    gpus.wait("tjob/mnist", "--for=condition=Failed")
    said = (told()["reason"], told()["message"])
    assert said == ("DeadlineExceeded", "it did not stop within 3 s of being asked to, and was ended")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [({"suspend": True}, "Suspended"), ({"activeDeadlineSeconds": 1}, "DeadlineExceeded")],
)
def test_a_run_that_a_later_operator_cannot_read_is_suspended_and_ended_whatever_its_labels(
    gpus: Kubectl, operator: Operator, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], reason: str
):
    def later(document: dict[str, Any]) -> TrainJob:
        if "backoffLimit" in document["spec"]:
            raise SpecError([Problem("spec.backoffLimit", 2, "is no field any more")])
        return parse(document)

    gpus.create(trainjob(backoffLimit=2))
    trains(gpus)
    monkeypatch.setattr("trainjob_operator.trainjob.observation.observed.parse", later)
    gpus("label", "tjob", "mnist", *(f"label-{n}=x" for n in range(70)))
    reaches(gpus, "InvalidSpec")
    asks(gpus, **asked)
    reaches(gpus, reason)


def asks(team: Kubectl, **spec: Any) -> None:
    """Of the run, by an edit of its TrainJob."""
    team("patch", "tjob", "mnist", "--type=merge", f"--patch={json.dumps({'spec': spec})}")


@pytest.mark.parametrize("edit", [{"parallelism": 1}, {"completions": 1, "parallelism": 1}], ids=str)
def test_a_job_whose_pods_somebody_has_made_fewer_gets_them_back(
    gpus: Kubectl, operator: Operator, edit: dict[str, int]
):
    gpus.create(trainjob())
    trains(gpus)
    gpus("patch", "job", "mnist", "--type=merge", f"--patch={json.dumps({'spec': edit})}")
    eventually(lambda: gpus.get("job/mnist")["spec"]["parallelism"] == 2, "the Job is as it was", within_s=10)
    assert gpus.get("job/mnist")["spec"]["completions"] == 2


def test_a_job_whose_label_somebody_takes_off_gets_it_back(gpus: Kubectl, operator: Operator):
    """Another one keeps the API server from giving it those of the pods again."""
    gpus.create(trainjob(podTemplate={"metadata": {"labels": {"team": "red"}}}))
    trains(gpus)
    gpus("label", "job", "mnist", "trainjobs.dev/trainjob-")
    gpus.wait("job/mnist", r"--for=jsonpath={.metadata.labels.trainjobs\.dev/trainjob}=mnist")
    operator.controllers[0].queue.add(Key(gpus.namespace, "mnist"))
    eventually(lambda: len(operator.controllers[0].queue) == 0, "the pass was made")
    assert state(gpus) == "Running"


def _stands(team: Kubectl, kind: str, before: Manifest) -> bool:
    found = team.get(kind, "--selector=trainjobs.dev/trainjob=mnist")["items"]
    addresses = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
    return [{**each["spec"], **{name: before.get(name) for name in addresses}} for each in found] == [
        {**before, **{name: before.get(name) for name in addresses}}
    ]


def test_a_run_whose_secret_is_gone_begins_again_with_another_when_it_misses_pods(
    gpus: Kubectl, operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    """The operator may not see that it is gone; pods that are there have it already."""
    monkeypatch.setattr("trainjob_operator.trainjob.active_job.SLOW_START_S", 1)
    gpus.create(trainjob())
    trains(gpus)
    (secret,) = gpus.get("secrets")["items"]
    job = gpus.get("job/mnist")["metadata"]["uid"]
    with pytest.raises(KubectlError, match="immutable"):
        gpus(
            "patch",
            "secret",
            secret["metadata"]["name"],
            "--type=merge",
            '--patch={"data": {"token": "eA=="}}',
        )
    gpus("delete", "secret", secret["metadata"]["name"])
    gpus("create", "quota", "full", "--hard=pods=1")
    gpus("delete", "pod", "--selector=batch.kubernetes.io/job-completion-index=1")
    eventually(lambda: gpus.get("secrets")["items"] != [], "a new Secret")
    gpus("delete", "quota", "full")
    eventually(
        lambda: gpus.get("jobs")["items"] != [] and gpus.get("job/mnist")["metadata"]["uid"] != job, "anew"
    )
    trains(gpus)


def test_time_to_live_after_the_end(gpus: Kubectl, operator: Operator):
    gpus.create(trainjob(stop={"reason": "never mind"}, ttlSecondsAfterFinished=1))
    eventually(lambda: not gpus.get("tjob")["items"], "it is gone")


def test_a_run_at_rest_costs_no_writes(gpus: Kubectl, operator: Operator, seam: Seam):
    gpus.create(trainjob())
    trains(gpus)
    time.sleep(2)
    before = seam.writes[gpus.namespace]
    assert before
    for _ in range(5):
        operator.controllers[0].queue.add(Key(gpus.namespace, "mnist"))
        time.sleep(0.3)
    assert seam.writes[gpus.namespace] == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_write_is_lost_the_end_is_the_same(
    gpus: Kubectl, operator: Operator, seam: Seam, nodes: FakeNodes, when: str
):
    """Every request is lost once; those lost on their way back have been carried out."""
    seam.fault = when
    gpus.create(trainjob())
    trains(gpus)
    nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0")
    gpus.wait("tjob/mnist", "--for=condition=Complete")
    assert state(gpus) == "Finished"
    assert len(gpus.get("jobs")["items"]) == 1
    assert {"POST", "PATCH"} <= {method for method, _ in seam._lost}


@pytest.mark.usefixtures("operator")
def test_two_operators_at_once_do_no_harm(gpus: Kubectl, transport: HttpTransport, nodes: FakeNodes):
    with running(transport, Key("default", "another-lease")):
        gpus.create(trainjob())
        trains(gpus)
        uid = gpus.get("job/mnist")["metadata"]["uid"]
        nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0")
        gpus.wait("tjob/mnist", "--for=condition=Complete")
    assert gpus.get("job/mnist")["metadata"]["uid"] == uid


def test_what_happens_while_no_operator_runs_is_seen_by_the_next_one(
    gpus: Kubectl, shipped: HttpTransport, nodes: FakeNodes
):
    with running(shipped):
        gpus.create(trainjob())
        trains(gpus)
    says(gpus, stopping=STOPPED)
    nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0")
    gpus.wait("job/mnist", "--for=condition=Complete")
    assert state(gpus) == "Running"
    with running(shipped):
        reaches(gpus, "EarlyStopped")


def test_probes_answer(operator: Operator):
    def answers(probe: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{operator.health.port}/{probe}") as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            return error.status == 200

    for probe in ("healthz", "readyz"):
        eventually(lambda probe=probe: answers(probe), probe)
    assert not answers("nothing")


def test_pods_pass_the_restricted_profile_and_an_ordinary_pod_does_not(gpus: Kubectl, operator: Operator):
    gpus.create(trainjob())
    eventually(lambda: len(pods(gpus)) == 2, "two pods")
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        gpus("run", "plain", "--image=x")

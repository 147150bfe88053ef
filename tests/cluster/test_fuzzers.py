"""Tenants who write whatever the API server takes, of either kind: with a pod's token, and with a user's rights.

The operator runs with the rights of the chart. No write may end it, make it repeat passes for ever, or touch a TrainJob
of another namespace. `TRAINJOBS_FUZZ=2000 pytest tests/cluster/test_fuzzers.py` tries more than continuous
integration does.
"""

import json
import logging
import os
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

import pytest
import urllib3
from admitted import free, values
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from operated import eventually, pods, reaches, running, trainjob, trains
from sweep_manifests import sweep_manifest
from testbed.controlplane import ControlPlane
from testbed.fakenodes import NAMESPACE_ANNOTATIONS
from testbed.fixtures import NewNamespace
from testbed.kubectl import RESTRICTED, Kubectl

from trainjob_operator.app import Operator
from trainjob_operator.core.controller import Controller
from trainjobs.api.crd.definition import KINDS, CustomKind, definition
from trainjobs.kube.resources import TRAINJOBS, TRAINSWEEPS, Key, Resource
from trainjobs.kube.transport import HttpTransport

WRITES = int(os.environ.get("TRAINJOBS_FUZZ", "60"))
AT_ONCE = 100
"""TrainJobs of the fuzzer that are there at the same time, at most."""
REST_S = 8.0
DEEP = {f"({levels} deep)": levels for levels in (60, 70, 1_200, 9_000)}
"""What stands for a value that nests so deep that hardly anything can write it."""

# The operator's threads draw random delays beside the strategies, whose schema is long.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")

POD_FIELDS = (
    *(
        "containers",
        "initContainers",
        "volumes",
        "nodeSelector",
        "tolerations",
        "affinity",
        "securityContext",
    ),
    *(
        "serviceAccountName",
        "restartPolicy",
        "subdomain",
        "hostname",
        "dnsConfig",
        "schedulerName",
        "overhead",
    ),
    *(
        "terminationGracePeriodSeconds",
        "activeDeadlineSeconds",
        "schedulingGates",
        "topologySpreadConstraints",
    ),
)
TRAINER = st.fixed_dictionaries(
    {"name": st.just("trainer")},
    optional=dict.fromkeys(("env", "volumeMounts", "command", "resources", "image", "securityContext"), free),
)
ODD = free | st.sampled_from(list(DEEP))
TEMPLATES = st.dictionaries(st.sampled_from(POD_FIELDS), ODD, max_size=3) | st.fixed_dictionaries(
    {"containers": st.lists(TRAINER, min_size=1, max_size=2)}
)
LABELS = st.dictionaries(
    st.sampled_from(
        ("kueue.x-k8s.io/queue-name", "trainjobs.dev/model-type", "trainjobs.dev/trainjob", "team")
    ),
    st.sampled_from(("", "a", "mnist", "x" * 63)),
)
fuzzing = settings(
    max_examples=WRITES, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)  # fmt: skip


@dataclass(frozen=True)
class Fuzzed:
    """A kind, as its tenants write it."""

    custom: CustomKind
    resource: Resource
    ordinary: dict[str, Any]
    run_fields: tuple[str, ...]
    """Those of its status that its pods may write."""

    @cached_property
    def specs(self) -> st.SearchStrategy[dict[str, Any]]:
        return values(self._schema("spec"))

    @cached_property
    def statuses(self) -> st.SearchStrategy[dict[str, Any]]:
        return values(self._schema("status"))

    def _schema(self, part: str) -> dict[str, Any]:
        version = definition(self.custom)["spec"]["versions"][0]
        return version["schema"]["openAPIV3Schema"]["properties"][part]


COMMON = ("startTime", "restarts", "failedAttempts", "accounting")
FUZZED = {
    "TrainJob": Fuzzed(KINDS[0], TRAINJOBS, trainjob(), (*COMMON, "training", "stopping", "checkpoint")),
    "TrainSweep": Fuzzed(
        KINDS[1], TRAINSWEEPS, sweep_manifest("mnist"), (*COMMON, "trials", "best", "latest", "summary")
    ),
}
every_kind = pytest.mark.parametrize("fuzzed", FUZZED.values(), ids=FUZZED)


@st.composite
def written(draw, fuzzed: Fuzzed):
    """An object of few pods, so that the test is about the operator and not about Kubernetes."""
    spec = draw(fuzzed.specs)
    job = spec
    if fuzzed.resource is TRAINSWEEPS:
        job = spec["template"]["spec"]
        job["trainer"]["numNodes"] = 1
        spec["parallelTrials"] = draw(st.integers(1, 3))
        if draw(st.booleans()):  # ranges are mostly the wrong way round
            spec |= {name: fuzzed.ordinary["spec"][name] for name in ("parameters", "maxTrials")}
    else:
        job["trainer"]["numNodes"] = draw(st.integers(1, 3))
    if draw(st.booleans()):
        job["trainer"]["config"] = {"deep": draw(ODD)}
    if draw(st.booleans()):
        job["podTemplate"] = {"spec": draw(TEMPLATES)}
    else:
        job.pop("podTemplate", None)
    return {"labels": draw(LABELS)}, spec


class Client:
    """Whoever has the token, writing what no well-behaved client would."""

    def __init__(self, control_plane: ControlPlane, token: str) -> None:
        self._url = control_plane.url
        self._pool = urllib3.PoolManager(ca_certs=str(control_plane.files / "apiserver.crt"))
        self._token = token
        self.answers: Counter[int] = Counter()

    def __call__(self, method: str, path: str, body: object, kind: str = "application/json") -> int:
        text = json.dumps(body)
        for word, levels in DEEP.items():
            text = text.replace(json.dumps(word), "[" * levels + "]" * levels)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        answer = self._pool.request(method, f"{self._url}{path}", body=text.encode(), headers=headers)
        self.answers[answer.status // 100] += 1
        return answer.status


@dataclass
class Passes:
    """What the operator's reconcilers do, counted."""

    by_key: Counter[tuple[str, Key]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def counted(self, controller: Controller) -> Controller:
        controller.reconciler = _Counted(controller.name, controller.reconciler.reconcile, self)
        return controller


@dataclass
class _Counted:
    kind: str
    pass_: Callable[[Key], float | None]
    passes: Passes

    def reconcile(self, key: Key) -> float | None:
        with self.passes.lock:
            self.passes.by_key[self.kind, key] += 1
        return self.pass_(key)


@dataclass
class Watched:
    """An operator and a control TrainJob that has nothing to do with the fuzzer's."""

    operator: Operator
    passes: Passes
    control: Kubectl
    log: pytest.LogCaptureFixture

    def __post_init__(self) -> None:
        self.before = self.state()

    def state(self) -> list[tuple[object, ...]]:
        """Which objects there are, what is asked of them, and what the control TrainJob says of itself.

        Not their resource versions: Kubernetes goes on counting the Job's pods.
        """
        found = self.control.get("trainjobs,trainsweeps,jobs,pods,services,secrets,networkpolicies")["items"]
        says = [
            (each["type"], each["status"]) for each in self.control.get("tjob/mnist")["status"]["conditions"]
        ]
        objects = [
            (item["kind"], item["metadata"]["uid"], item["metadata"].get("generation")) for item in found
        ]
        return [*sorted(objects, key=str), *says]

    def settle(self) -> None:
        """Wait until the operator has looked at everything."""
        queues = [controller.queue for controller in self.operator.controllers]
        eventually(lambda: not any(map(len, queues)), "the queues are empty", 120)

    def rests(self) -> bool:
        """Whether hardly a pass is made for a while: what ends, as a namespace of an earlier test, ends before."""
        self.passes.by_key.clear()
        time.sleep(REST_S)  # that nothing happens cannot be awaited
        return max(self.passes.by_key.values(), default=0) <= 3

    def is_unharmed(self) -> None:
        """The operator lives, rests and obeys, and the control TrainJob is as it was."""
        self.settle()
        health, metrics = self.operator.health.port, self.operator.metrics.port
        for page in (f"{health}/healthz", f"{health}/readyz", f"{metrics}/metrics"):
            with urllib.request.urlopen(f"http://127.0.0.1:{page}") as answer:
                assert answer.status == 200
        assert [record.getMessage() for record in self.log.records if record.levelno >= logging.ERROR] == []
        assert self.state() == self.before
        eventually(self.rests, "no pass is repeated", 90)
        self.control("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": true}}')
        reaches(self.control, "Suspended")


@pytest.fixture
def watched(gpus: Kubectl, shipped: HttpTransport, caplog: pytest.LogCaptureFixture) -> Iterator[Watched]:
    caplog.set_level(logging.INFO, "trainjob_operator")
    passes = Passes()
    with running(shipped) as operator:
        for controller in operator.controllers:
            passes.counted(controller)
        gpus.create(trainjob())
        trains(gpus)
        watched = Watched(operator, passes, gpus, caplog)
        watched.settle()
        yield watched


@every_kind
def test_whatever_a_pod_writes_into_its_status_harms_nobody(
    watched: Watched,
    control_plane: ControlPlane,
    new_namespace: NewNamespace,
    record_property: Callable[[str, object], None],
    fuzzed: Fuzzed,
):
    tenant, kind = new_namespace(labels=RESTRICTED, annotations=NAMESPACE_ANNOTATIONS), fuzzed.custom.short
    tenant.create(fuzzed.ordinary)
    eventually(lambda: len(tenant.get("pods")["items"]) == 2, "2 pods")
    tenant.wait("pod", "--all", "--for=condition=Ready")
    names = [pod["metadata"]["name"] for pod in tenant.get("pods")["items"]]
    (pod,) = (name for name in names if name.startswith("mnist-0-"))
    bound = (f"--bound-object-name={pod}", "--bound-object-kind=Pod")
    client = Client(control_plane, tenant("create", "token", "trainjobs-runner", *bound).strip())
    path = fuzzed.resource.path(tenant.namespace, "mnist", "status")

    @fuzzing
    @given(fuzzed.statuses, st.booleans())
    def write(status: dict[str, object], within_its_rights: bool) -> None:
        kept = {name: status[name] for name in status if name in fuzzed.run_fields or not within_its_rights}
        client("PATCH", path, {"status": kept}, "application/merge-patch+json")

    write()
    record_property("statuses written, by class of answer", dict(client.answers))
    assert client.answers[2] > WRITES / 10
    assert client.answers[5] == 0
    tenant("patch", kind, "mnist", "--type=merge", '--patch={"spec": {"suspend": true}}')
    eventually(lambda: tenant.get("job/mnist")["spec"]["suspend"], "the suspension is obeyed")
    watched.is_unharmed()


@every_kind
def test_whatever_a_user_writes_harms_nobody(
    watched: Watched,
    control_plane: ControlPlane,
    new_namespace: NewNamespace,
    record_property: Callable[[str, object], None],
    fuzzed: Fuzzed,
):
    tenant = new_namespace()
    tenant("create", "quota", "few", "--hard=pods=20")
    tenant("create", "serviceaccount", "user")
    who = f"--serviceaccount={tenant.namespace}:user"
    tenant("create", "rolebinding", "user", "--clusterrole=edit", who)
    client = Client(control_plane, tenant("create", "token", "user").strip())
    path = fuzzed.resource.path(tenant.namespace)

    def clear() -> None:
        watched.settle()
        reasons = "{range .items[*]}{.status.conditions[0].reason}{' '}{end}"
        states = Counter(tenant("get", fuzzed.custom.plural, f"--output=jsonpath={reasons}").split())
        assert "OperatorError" not in states
        seen.update(states)
        client("DELETE", path, {})

    @fuzzing
    @given(written(fuzzed), st.sampled_from(("stay", "stay", "suspend", "stop", "delete")))
    def write(drawn: tuple[dict[str, object], dict[str, object]], then: str) -> None:
        name = f"f-{sum(client.answers.values())}"
        metadata, spec = drawn
        head = {"apiVersion": fuzzed.resource.api_version, "kind": fuzzed.resource.kind}
        if client("POST", path, {**head, "metadata": {"name": name, **metadata}, "spec": spec}) != 201:
            return
        made.append(name)
        if then == "delete":
            client("DELETE", f"{path}/{name}", {})
        elif then != "stay":
            patch = {"spec": {then: {"reason": "enough"} if then == "stop" else not spec.get("suspend")}}
            client("PATCH", f"{path}/{name}", patch, "application/merge-patch+json")
        if len(made) % AT_ONCE == 0:
            clear()

    made: list[str] = []
    seen: Counter[str] = Counter()
    write()
    record_property("objects written, by class of answer", dict(client.answers))
    assert len(made) > WRITES / 4
    assert client.answers[5] == 0
    watched.is_unharmed()
    clear()
    record_property("states of those objects", dict(seen.most_common()))


@dataclass
class Outrun:
    """The operator's connection, of whose requests that change a status each comes just after a write of the pod's."""

    transport: HttpTransport
    pod_writes: Callable[[], object] = lambda: None
    writes: int = 0

    def request(self, method: str, path: str, *rest: Any, **options: Any) -> dict[str, Any]:
        if method == "PATCH" and path.endswith("/trainjobs/mnist/status"):
            self.writes += 1
            self.pod_writes()
        return self.transport.request(method, path, *rest, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


def test_a_run_that_writes_faster_than_the_operator_holds_up_neither_what_is_said_of_it_nor_its_deadline(
    gpus: Kubectl,
    shipped: HttpTransport,
    control_plane: ControlPlane,
    record_property: Callable[[str, object], None],
):
    outrun, steps = Outrun(shipped), count()
    with running(outrun, namespaces=(gpus.namespace,)):
        gpus.create(trainjob(activeDeadlineSeconds=3))
        eventually(lambda: len(pods(gpus)) == 2, "2 pods")
        bound = (f"--bound-object-name={min(pods(gpus))}", "--bound-object-kind=Pod")
        token = gpus("create", "token", "trainjobs-runner", *bound).strip()
        client, path = Client(control_plane, token), TRAINJOBS.path(gpus.namespace, "mnist", "status")

        def write() -> None:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            training = {"epoch": 1, "step": next(steps), "lastUpdateTime": now}
            status = {"startTime": now, "training": training}
            client("PATCH", path, {"status": status}, "application/merge-patch+json")

        outrun.pod_writes = write
        write()
        eventually(
            lambda: gpus.get("job/mnist")["spec"].get("activeDeadlineSeconds") == 1, "the deadline is obeyed"
        )
        reaches(gpus, "DeadlineExceeded")
    record_property("statuses written by the operator", outrun.writes)
    assert client.answers[2] >= 2

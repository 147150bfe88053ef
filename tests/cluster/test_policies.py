"""What training pods may write, and which pods users may ask for: the chart's policies in a real API server.

Training pods are known by real tokens, bound to a pod as those are that the kubelet mounts.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from operated import eventually, pods, running, trainjob
from sweep_manifests import sweep_manifest
from testbed.controlplane import ControlPlane
from testbed.fixtures import NewNamespace
from testbed.kubectl import Kubectl, KubectlError, Manifest

from trainjobs.api.status import TrainJobStatus
from trainjobs.kube.resources import TRAINJOBS, TRAINSWEEPS, Resource
from trainjobs.kube.transport import ApiError, HttpTransport, connect

Writes = Callable[..., None]

TIME = "2026-11-21T10:00:00Z"
CONDITION = {"type": "Complete", "status": "True", "reason": "Finished", "lastTransitionTime": TIME}
A_RUNS = {
    "startTime": TIME,
    "restarts": 1,
    "failedAttempts": 1,
    "training": {"epoch": 1, "step": 10},
    "stopping": {"criterion": "plateau", "reason": "val_loss has not improved"},
    "checkpoint": {"uri": "/checkpoints/1", "epoch": 1, "step": 10, "time": TIME},
    "accounting": {"gpuSecondsUsed": 10.5},
}
THE_OPERATORS = {
    "conditions": [CONDITION],
    "observedGeneration": 7,
    "completionTime": TIME,
    "activeSeconds": 3.5,
}


def named(name: str, **spec):
    return {**trainjob(**spec), "metadata": {"name": name}}


@cache
def token(team: Kubectl, pod: str = "") -> str:
    """The token of a training pod; without a name one of the same account that is no pod's."""
    bound = [f"--bound-object-name={pod}", "--bound-object-kind=Pod"] if pod else []
    return team("create", "token", "trainjobs-runner", *bound).strip()


@pytest.fixture
def writes(control_plane: ControlPlane) -> Writes:
    """One request, as a run does it: kubectl would get the status before."""

    def write(team: Kubectl, pod: str, name: str, status: Manifest, kind: Resource = TRAINJOBS) -> None:
        transport = connect(str(control_plane.kubeconfig_with("pod", token(team, pod))))
        path = kind.path(team.namespace, name, "status")
        transport.request("PATCH", path, {}, {"status": status}, "application/merge-patch+json")
        transport.close()

    return write


@pytest.fixture(scope="module")
def runs(release: Kubectl, kubectl: Kubectl) -> Iterator[Kubectl]:
    """A namespace with TrainJobs, pods of one of them, and what the operator puts around them."""
    team = kubectl.create_namespace("runs")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainjobs-runner"}}
    team.create(account, *(named(name) for name in ("mnist", "mnist-0", "other")))
    team(
        "create",
        "rolebinding",
        "r",
        "--clusterrole=trainjobs-runner",
        "--serviceaccount=runs:trainjobs-runner",
    )
    team("create", "secret", "generic", "mnist-ray-token", "--from-literal=token=x")
    for name in ("mnist-0-abcde", "mnist-12-x9z8y", "my-own"):
        spec = {"serviceAccountName": "trainjobs-runner", "containers": [{"name": "trainer", "image": "x"}]}
        team.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    yield team
    kubectl("delete", "namespace", "runs", "--wait=false")


def test_every_field_of_the_status_is_the_runs_or_the_operators():
    names = {field.alias or name for name, field in TrainJobStatus.model_fields.items()}
    assert names == A_RUNS.keys() | THE_OPERATORS.keys()


@pytest.mark.parametrize("field", A_RUNS)
def test_a_training_pod_writes_what_a_run_knows(runs: Kubectl, writes: Writes, field: str):
    writes(runs, "mnist-0-abcde", "mnist", {field: A_RUNS[field]})


def test_of_a_run_only_pod_0_writes(runs: Kubectl, writes: Writes):
    with pytest.raises(ApiError, match="status: only pod 0 of TrainJob mnist may write it"):
        writes(runs, "mnist-12-x9z8y", "mnist", {"restarts": 12})


@pytest.mark.parametrize("field", THE_OPERATORS)
def test_a_training_pod_does_not_write_what_the_operator_says(runs: Kubectl, writes: Writes, field: str):
    with pytest.raises(ApiError, match=rf"status\.{field}: only the operator writes it; a run writes"):
        writes(runs, "mnist-0-abcde", "mnist", {"restarts": 2, field: THE_OPERATORS[field]})


@pytest.mark.parametrize(
    ("pod", "name"),
    [("mnist-0-abcde", "other"), ("mnist-0-abcde", "mnist-0"), ("my-own", "mnist"), ("", "mnist")],
    ids=["another TrainJob", "a longer name", "another pod", "no pod"],
)
def test_only_a_trainjobs_own_pods_write_its_status(runs: Kubectl, writes: Writes, pod: str, name: str):
    with pytest.raises(ApiError, match=f"status: only pod 0 of TrainJob {name} may write it"):
        writes(runs, pod, name, {"restarts": 3})


def test_a_sweeps_own_pods_write_its_status_and_no_others(runs: Kubectl, writes: Writes):
    runs.create(*(sweep_manifest(name) for name in ("mnist", "other")))
    writes(runs, "mnist-0-abcde", "mnist", {"trials": {"ended": 3}}, TRAINSWEEPS)
    assert runs.get("tsweep/mnist")["status"]["trials"]["ended"] == 3
    with pytest.raises(ApiError, match=r"status: only pod 0 of TrainSweep other may write it"):
        writes(runs, "mnist-0-abcde", "other", {"restarts": 3}, TRAINSWEEPS)
    with pytest.raises(ApiError, match=r"status\.completionTime: only the operator writes it"):
        writes(runs, "mnist-0-abcde", "mnist", {"completionTime": TIME}, TRAINSWEEPS)


def test_pods_of_a_trainjob_do_not_write_the_status_of_a_sweep_of_its_name(
    gpus: Kubectl, shipped: HttpTransport, writes: Writes
):
    with running(shipped, namespaces=(gpus.namespace,)):
        gpus.create(named("first"))
        eventually(lambda: len(pods(gpus)) == 2, "two pods")
        gpus.create(sweep_manifest("first"))
        eventually(lambda: "NameTaken" in gpus("get", "tsweep/first", "--output=yaml"), "NameTaken")
        pod = min(pods(gpus))
        writes(gpus, pod, "first", {"restarts": 1})
        with pytest.raises(ApiError, match="status: TrainSweep first has no pods: its name is taken"):
            writes(gpus, pod, "first", {"restarts": 1}, TRAINSWEEPS)


@pytest.mark.parametrize(("status", "may"), [("True", True), ("False", False)])
def test_a_run_that_goes_on_while_a_name_is_taken_writes_its_status(
    runs: Kubectl, writes: Writes, status: str, may: bool
):
    """Somebody has put a Service of theirs in the place of the run's, say."""
    condition = {
        "type": "Running",
        "status": status,
        "reason": "NameTaken",
        "message": "a Service",
        "lastTransitionTime": TIME,
    }
    before = {"status": {"conditions": [condition]}}
    runs("patch", "tjob", "mnist", "--subresource=status", "--type=merge", f"--patch={json.dumps(before)}")
    try:
        if may:
            writes(runs, "mnist-0-abcde", "mnist", {"restarts": 6})
        else:
            with pytest.raises(ApiError, match="its name is taken"):
                writes(runs, "mnist-0-abcde", "mnist", {"restarts": 7})
    finally:
        runs(
            "patch",
            "tjob",
            "mnist",
            "--subresource=status",
            "--type=merge",
            '--patch={"status":{"conditions":null}}',
        )


def test_a_pod_does_not_fill_its_trainjob_with_names_of_managers(
    runs: Kubectl, control_plane: ControlPlane, writes: Writes
):
    """Each manager that applies a part of an object is noted in it, until it is too long to be written."""
    transport = connect(str(control_plane.kubeconfig_with("pod", token(runs, "mnist-0-abcde"))))
    part = {"apiVersion": "trainjobs.dev/v1alpha1", "kind": "TrainJob", "metadata": {"name": "mnist"}}

    def apply(manager: str) -> None:
        query = {"fieldManager": manager, "force": "true"}
        path, kind = TRAINJOBS.path(runs.namespace, "mnist", "status"), "application/apply-patch+yaml"
        transport.request("PATCH", path, query, {**part, "status": {"restarts": 4}}, kind)

    writes(runs, "mnist-0-abcde", "mnist", {"restarts": 4})
    managers = (f"manager-{number}" for number in range(65))
    with pytest.raises(ApiError, match=r"managedFields: has more than 64 managers"):
        deque(map(apply, managers))
    writes(runs, "mnist-0-abcde", "mnist", {"restarts": 5})
    transport.close()


def test_the_operator_and_others_with_the_right_to_are_not_restricted(runs: Kubectl):
    patch = json.dumps({"status": {**A_RUNS, **THE_OPERATORS}})
    runs("patch", "tjob", "other", "--subresource=status", "--type=merge", f"--patch={patch}")


@pytest.mark.parametrize(
    "request_",
    [
        ("get", "secret", "mnist-ray-token"),
        ("get", "pods"),
        ("get", "trainjobs"),
        ("patch", "tjob", "mnist", "--type=merge", '--patch={"spec": {"suspend": true}}'),
        ("delete", "tjob", "mnist"),
        ("create", "configmap", "x"),
        ("get", "tjob", "mnist", "--namespace=default"),
    ],
    ids=" ".join,
)
def test_a_training_pod_may_do_nothing_else(runs: Kubectl, request_: tuple[str, ...]):
    with pytest.raises(KubectlError, match=r"(?i)forbidden"):
        runs.as_token(token(runs, "mnist-0-abcde"))(*request_)


def test_a_training_pod_watches_its_own_trainjob(runs: Kubectl):
    pod = runs.as_token(token(runs, "mnist-0-abcde"))
    assert pod.get("tjob/mnist")["metadata"]["name"] == "mnist"
    query = "watch=true&timeoutSeconds=1&fieldSelector=metadata.name=mnist"
    events = pod("get", "--raw", f"/apis/trainjobs.dev/v1alpha1/namespaces/runs/trainjobs?{query}")
    assert json.loads(events.splitlines()[0])["object"]["metadata"]["name"] == "mnist"


def test_a_training_pod_can_watch_whatever_trainjobs_its_namespace_has(runs: Kubectl):
    """Not what one would wish, but what `watch` means to RBAC: the page on security says so."""
    pod = runs.as_token(token(runs, "mnist-0-abcde"))
    events = pod(
        "get", "--raw", "/apis/trainjobs.dev/v1alpha1/namespaces/runs/trainjobs?watch=true&timeoutSeconds=1"
    )
    seen = {json.loads(line)["object"]["metadata"]["name"] for line in events.splitlines()}
    assert {"mnist", "other"} <= seen


def test_a_pod_that_the_job_controller_made_is_recognised(
    gpus: Kubectl, shipped: HttpTransport, writes: Writes
):
    """Also with the longest name: pods' names are cut when they get too long."""
    name = "m" * 52
    with running(shipped, namespaces=(gpus.namespace,)):
        gpus.create(named(name))
        eventually(lambda: len(pods(gpus)) == 2, "two pods")
        first, second = sorted(pods(gpus))
        writes(gpus, first, name, {"restarts": 1})
        with pytest.raises(ApiError, match="only pod 0"):
            writes(gpus, second, name, {"restarts": 2})


def container(**context):
    return {"containers": [{"name": "trainer", "securityContext": context}]}


ISCSI = {"targetPortal": "10.0.0.1", "iqn": "iqn.2026-11.dev.trainjobs:disk", "lun": 0}
CALL = {"port": 80, "host": "169.254.169.254"}
NOT_ALLOWED = {
    "hostNetwork": ({"hostNetwork": True}, "hostNetwork: must be false"),
    "hostPID": ({"hostPID": True}, "hostPID: must be false"),
    "hostIPC": ({"hostIPC": True}, "hostIPC: must be false"),
    "hostPort": (
        {"containers": [{"name": "trainer", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
        r"containers\[\*\].ports\[\*\].hostPort: must be unset",
    ),
    "hostPath": (
        {"volumes": [{"name": "data", "emptyDir": {}}, {"name": "disk", "hostPath": {"path": "/"}}]},
        r"volumes\[\*\].hostPath: must be unset",
    ),
    "privileged": (container(privileged=True), r"containers\[\*\].securityContext.privileged: must be false"),
    "privileged, said otherwise": (container(privileged="true"), "privileged: must be false"),
    "privileged at the start": (
        {"initContainers": container(privileged=True)["containers"]},
        "privileged: must be false",
    ),
    "procMount": (container(procMount="Unmasked"), "procMount: must be Default"),
    "hostProcess": (container(windowsOptions={"hostProcess": True}), "hostProcess: must be false"),
    "seccomp": (
        container(seccompProfile={"type": "Unconfined"}),
        "seccompProfile.type, also of containers: must not be Unconfined",
    ),
    "seccomp of the pod": (
        {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
        "securityContext.seccompProfile.type",
    ),
    "AppArmor": (container(appArmorProfile={"type": "Unconfined"}), "appArmorProfile.type"),
    "SELinux": (
        container(seLinuxOptions={"type": "spc_t"}),
        "seLinuxOptions, also of containers: may have no user",
    ),
    "SELinux role": ({"securityContext": {"seLinuxOptions": {"role": "r"}}}, "seLinuxOptions"),
    "sysctl": (
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
        "sysctls: may hold only",
    ),
    "account": ({"serviceAccountName": "default"}, "serviceAccountName: may be trainjobs-runner; remove it"),
    "account by its old name": ({"serviceAccount": "default"}, "serviceAccount: may be trainjobs-runner"),
    "capability": (
        container(capabilities={"add": ["SYS_ADMIN"]}),
        "capabilities.add: may hold nothing; remove others, or ask the administrator",
    ),
}


@pytest.mark.parametrize("case", NOT_ALLOWED)
def test_a_pod_with_privileges_is_refused_with_path_and_remedy(runs: Kubectl, case: str):
    spec, words = NOT_ALLOWED[case]
    with pytest.raises(KubectlError, match=rf"spec\.podTemplate\.spec\..*{words}") as refused:
        runs(
            "create",
            "--dry-run=server",
            "--filename=-",
            stdin=json.dumps(named("new", podTemplate={"spec": spec})),
        )
    assert "podTemplates.allow" in refused.value.stderr


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (
            {
                "metadata": {
                    "annotations": {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}
                }
            },
            "metadata.annotations: .* must not be unconfined; remove it, or ask",
        ),
        (
            {"spec": {"containers": [{"name": "trainer"}, {"name": "proxy", "image": "x"}]}},
            "containers: may hold only trainer.* initContainers with restartPolicy: Always",
        ),
        ({"spec": {"restartPolicy": "Always"}}, "restartPolicy, also of containers: must be Never or unset"),
        (
            {"spec": {"containers": [{"name": "trainer", "restartPolicy": "OnFailure"}]}},
            "restartPolicy, also of containers: must be Never or unset",
        ),
        (
            {"spec": {"containers": [{"name": "trainer", "restartPolicyRules": [{"action": "Restart"}]}]}},
            "restartPolicy, also of containers: must be Never or unset",
        ),
        ({"spec": {"subdomain": "mine"}}, "subdomain: must be unset, since pods of a run find each other"),
        ({"spec": {"hostname": "mine"}}, "hostname: must be unset, since pods of a run find each other"),
        *(
            (
                {"spec": {kind: [{"name": "trainer", **called}]}},
                "host of its probes .* must be unset, since the node",
            )
            for kind, called in (
                ("containers", {"livenessProbe": {"httpGet": CALL}}),
                ("containers", {"readinessProbe": {"tcpSocket": CALL}}),
                ("initContainers", {"startupProbe": {"httpGet": CALL}}),
                ("containers", {"lifecycle": {"postStart": {"httpGet": CALL}}}),
                ("initContainers", {"lifecycle": {"preStop": {"tcpSocket": CALL}}}),
            )
        ),
    ],
)
def test_what_else_a_pod_template_may_not_hold_is_refused(runs: Kubectl, template, words: str):
    with pytest.raises(KubectlError, match=rf"spec\.podTemplate\..*{words}"):
        runs(
            "create",
            "--dry-run=server",
            "--filename=-",
            stdin=json.dumps(named("new", podTemplate=template)),
        )


@pytest.mark.parametrize(
    "template",
    [
        None,
        {},
        {"spec": {}},
        {"metadata": {"labels": {"team": "vision"}}},
        {
            "spec": {
                "nodeSelector": {"gpu": "a"},
                "hostNetwork": False,
                "tolerations": [{"operator": "Exists"}],
            }
        },
        {"spec": container(privileged=False, capabilities={"drop": ["ALL"]}, runAsUser=2000)},
        {
            "metadata": {
                "annotations": {"container.apparmor.security.beta.kubernetes.io/trainer": "runtime/default"}
            },
            "spec": {
                "serviceAccountName": "trainjobs-runner",
                "securityContext": {
                    "seLinuxOptions": {"type": "container_t", "level": "s0"},
                    "sysctls": [{"name": "net.ipv4.tcp_fin_timeout", "value": "30"}],
                },
            },
        },
        {"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}},
        {
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "trainer",
                        "livenessProbe": {"httpGet": {"port": 80, "host": ""}},
                        "readinessProbe": {"exec": {"command": ["true"]}},
                        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
                    }
                ],
            }
        },
    ],
    ids=str,
)
def test_an_ordinary_pod_template_is_accepted(runs: Kubectl, template):
    spec = {} if template is None else {"podTemplate": template}
    runs("create", "--dry-run=server", "--filename=-", stdin=json.dumps(named("new", **spec)))


@pytest.mark.parametrize(
    ("level", "spec", "words"),
    [
        ("baseline", {"containers": [{"livenessProbe": {"httpGet": CALL}}]}, "probe"),
        ("restricted", {"volumes": [{"name": "d", "nfs": {"server": "10.0.0.1", "path": "/"}}]}, "volume"),
        ("restricted", {"volumes": [{"name": "d", "iscsi": ISCSI}]}, "volume"),
    ],
)
def test_what_a_node_would_call_for_a_pod_is_against_the_pod_security_standards(
    new_namespace: NewNamespace, level: str, spec, words: str
):
    """The label of a namespace forbids volumes of the network; probes only since 1.34, so the policy does, too."""
    (called,) = spec.get("containers", [{}])
    trainer = {"name": "trainer", "image": "x", **called}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {**spec, "containers": [trainer]},
    }
    team = new_namespace(labels={"pod-security.kubernetes.io/enforce": level})
    with pytest.raises(KubectlError, match=rf'violates PodSecurity "{level}:latest".*{words}'):
        team("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))


def test_the_api_server_finds_nothing_wrong_with_the_policies(release: Kubectl):
    for name in ("trainjobs-runner", "trainjobs-pod-templates"):
        release.wait(f"validatingadmissionpolicy/{name}", "--for=jsonpath={.status.observedGeneration}")
        checking = release.get(f"validatingadmissionpolicy/{name}")["status"].get("typeChecking", {})
        assert checking.get("expressionWarnings", []) == []

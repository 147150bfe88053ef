"""The test bed does what the tests that stand on it take for granted."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from testbed import images
from testbed.bed import Bed
from testbed.controlplane import NODE_GRACE_PERIOD_S
from testbed.fakenodes import NAMESPACE_ANNOTATIONS
from testbed.kubectl import RESTRICTED, Kubectl, KubectlError
from testbed.slots import CGROUPS

SECURE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the restricted Pod Security profile asks of a container."""


def pod(name, *command, **container):
    container = {"name": "main", "image": images.HOST_IMAGE, "command": list(command), **container}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def indexed_job(name, count, *command, **spec):
    template = pod(name, *command, securityContext=SECURE)
    template["spec"]["subdomain"] = name
    node = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    template["spec"]["containers"][0]["env"] = [{"name": "NODE", "valueFrom": node}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": count,
            "template": {"spec": template["spec"]},
            **spec,
        },
    }


def headless_service(name):
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"job-name": name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def eventually(condition, timeout_s=120):
    """For what Kubernetes gives no watch for, such as a policy taking effect."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not true within {timeout_s} s: {condition}"
        time.sleep(0.1)
    return result


def refusal(kubectl: Kubectl, *arguments, **options):
    """The API server's words when it refuses, or None."""
    try:
        kubectl(*arguments, **options)
    except KubectlError as error:
        return error.stderr
    return None


def test_the_api_server_is_the_pinned_kubernetes(control_plane, kubectl):
    assert "v1.36." in kubectl("version")
    assert kubectl("get", "--raw=/readyz") == "ok"
    assert control_plane.url in kubectl("cluster-info")


def test_the_controllers_are_real(namespace):
    owner = namespace("create", "configmap", "owner", "--output=jsonpath={.metadata.uid}")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}
    metadata = {"name": "owned", "ownerReferences": [reference]}
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    namespace("delete", "configmap", "owner")
    namespace.wait("configmap/owned", "--for=delete")


def test_pod_security_refuses_what_the_restricted_profile_forbids(new_namespace):
    restricted = new_namespace(labels=RESTRICTED)
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted:latest"'):
        restricted.create(pod("root", "true"))
    restricted.create(pod("secure", "true", securityContext=SECURE))


def test_a_policy_knows_which_pod_a_service_account_token_belongs_to(kubectl, namespace):
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace.namespace},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.namespace}},
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["configmaps"],
                    }
                ],
            },
            "validations": [
                {
                    "expression": "request.userInfo.extra[?'authentication.kubernetes.io/pod-name']"
                    ".orValue([]).exists(pod, pod == object.metadata.name)",
                    "message": "a pod may only create its namesake",
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace.namespace},
        "spec": {"policyName": namespace.namespace, "validationActions": ["Deny"]},
    }
    namespace.create(pod("writer", "true"), policy, binding)
    namespace(
        "create",
        "rolebinding",
        "edit",
        "--clusterrole=edit",
        f"--serviceaccount={namespace.namespace}:default",
    )
    token = namespace("create", "token", "default", "--bound-object-kind=Pod", "--bound-object-name=writer")
    as_pod = namespace.as_token(token.strip())
    try:
        words = eventually(lambda: refusal(as_pod, "create", "configmap", "other", "--dry-run=server"))
        assert "a pod may only create its namesake" in words
        as_pod("create", "configmap", "writer")
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            kubectl("delete", kind, namespace.namespace)


PEERS = """
import os, socket, sys, time
index = int(os.environ["JOB_COMPLETION_INDEX"])
own = socket.gethostbyname(socket.gethostname())
deadline = time.monotonic() + 60
while True:
    try:
        peer = socket.gethostbyname(f"peers-{1 - index}.peers")
        break
    except socket.gaierror:
        if time.monotonic() > deadline:
            sys.exit(1)
        time.sleep(0.2)
if index == 1:
    listener = socket.create_server((own, 29500))
    connection, (address, _) = listener.accept()
    connection.sendall(f"hello from pod 1 on {os.environ['NODE']}".encode())
    time.sleep(3600)
while True:
    try:
        connection = socket.create_connection((peer, 29500), timeout=5)
        break
    except ConnectionRefusedError:
        time.sleep(0.2)
print(connection.recv(100).decode(), flush=True)
"""


SPREAD = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"job-name": "peers"}},
}


def run_peers(namespace, **pod_spec):
    """Two pods meet by DNS name. Pod 0 ends, and by the Job's success policy so does pod 1.

    Returns the names of the nodes the pods were on.
    """
    job = indexed_job(
        "peers",
        2,
        *(images.PYTHON, "-c", PEERS),
        backoffLimit=0,
        successPolicy={"rules": [{"succeededIndexes": "0"}]},
    )
    job["spec"]["template"]["spec"] |= pod_spec
    namespace.apply(headless_service("peers"), job)
    namespace.wait("job/peers", "--for=condition=SuccessCriteriaMet", timeout_s=120)
    namespace.wait("job/peers", "--for=condition=Complete")
    assert namespace.get("job", "peers")["status"]["completedIndexes"] == "0"
    first = namespace.get("pods", "--selector=batch.kubernetes.io/job-completion-index=0")["items"][0]
    words = namespace("logs", first["metadata"]["name"])
    assert words.startswith("hello from pod 1 on ")
    return {first["spec"]["nodeName"], words.split()[-1]}


def test_pods_of_a_job_meet_by_name_and_a_success_policy_ends_them(node, new_namespace):
    on_node = {"kubernetes.io/hostname": node.name}
    assert run_peers(new_namespace(labels=RESTRICTED), nodeSelector=on_node) == {node.name}


def test_pods_on_two_nodes_meet_by_name(two_nodes, new_namespace):
    used = run_peers(new_namespace(labels=RESTRICTED), topologySpreadConstraints=[SPREAD])
    assert used == {node.name for node in two_nodes}


def test_a_pod_may_mount_the_host_where_pod_security_allows_it(node, namespace, tmp_path):
    (tmp_path / "read").write_text("from the host")
    manifest = pod("mounts", "/bin/sh", "-c", "cp /data/read /data/written")
    manifest["spec"]["volumes"] = [{"name": "data", "hostPath": {"path": str(tmp_path)}}]
    manifest["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    namespace.create(manifest)
    namespace.wait("pod/mounts", "--for=jsonpath={.status.phase}=Succeeded")
    assert (tmp_path / "written").read_text() == "from the host"


def test_a_pod_talks_to_the_api_server_as_its_service_account(node, namespace):
    program = """
import json, ssl, urllib.request
mount = "/var/run/secrets/kubernetes.io/serviceaccount/"
request = urllib.request.Request(
    "https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews",
    data=json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode(),
    headers={"Authorization": "Bearer " + open(mount + "token").read(), "Content-Type": "application/json"},
)
answer = urllib.request.urlopen(request, context=ssl.create_default_context(cafile=mount + "ca.crt"))
print(json.load(answer)["status"]["userInfo"]["username"])
"""
    namespace.create(pod("who", images.PYTHON, "-c", program))
    namespace.wait("pod/who", "--for=jsonpath={.status.phase}=Succeeded")
    assert namespace("logs", "who").strip() == f"system:serviceaccount:{namespace.namespace}:default"


def test_kubectl_runs_commands_in_pods(node, namespace):
    namespace.create(pod("shell", "sleep", "600"))
    namespace.wait("pod/shell", "--for=condition=Ready")
    assert namespace("exec", "shell", "--", "hostname").strip() == "shell"


def test_a_node_without_power_is_missed_and_comes_back(two_nodes, kubectl):
    _, node = two_nodes
    node.cut_power()
    kubectl.wait(f"node/{node.name}", "--for=condition=Ready=Unknown", timeout_s=NODE_GRACE_PERIOD_S + 30)
    node.start()
    kubectl.wait(f"node/{node.name}", "--for=condition=Ready")


def test_an_unplugged_node_is_missed_and_comes_back(two_nodes, kubectl):
    _, node = two_nodes
    node.unplug()
    try:
        kubectl.wait(f"node/{node.name}", "--for=condition=Ready=Unknown", timeout_s=NODE_GRACE_PERIOD_S + 30)
    finally:
        node.plug_in()
    kubectl.wait(f"node/{node.name}", "--for=condition=Ready")


def test_pods_on_fake_nodes_run_until_told(fake_nodes, new_namespace):
    fake_nodes.add(5)
    namespace = new_namespace(labels=RESTRICTED, annotations=NAMESPACE_ANNOTATIONS)
    namespace.apply(indexed_job("many", 50, "true", backoffLimit=0))
    namespace.wait("job/many", "--for=jsonpath={.status.ready}=50", timeout_s=120)
    pods = namespace.get("pods")["items"]
    assert all(pod["spec"]["nodeName"].startswith("fake-") for pod in pods)
    assert len({pod["status"]["podIP"] for pod in pods}) == 50

    fake_nodes.finish(namespace, "--all")
    namespace.wait("job/many", "--for=condition=Complete", timeout_s=120)


def test_a_pod_on_a_fake_node_can_fail_with_a_message(fake_nodes, new_namespace):
    fake_nodes.add(1)
    namespace = new_namespace(annotations=NAMESPACE_ANNOTATIONS)
    namespace.create(pod("failing", "true"))
    namespace.wait("pod/failing", "--for=condition=Ready")
    fake_nodes.finish(namespace, "failing", exit_code=65, message='{"reason": "user: error"}')
    namespace.wait("pod/failing", "--for=jsonpath={.status.phase}=Failed")
    ended = namespace.get("pod", "failing")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (65, '{"reason": "user: error"}')


def in_process_namespace_of(pid):
    """Ids of all processes on the machine whose process 1 is ``pid``."""
    wanted = Path(f"/proc/{pid}/ns/pid").readlink()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "ns/pid").readlink() == wanted:
                found.append(int(entry.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found


def network_interfaces():
    return {path.name for path in Path("/sys/class/net").iterdir()}


def test_nothing_remains_of_a_stopped_bed(node):
    with Bed() as bed:
        machine = bed.node(0).machine
        kubectl = bed.control_plane.kubectl
        kubectl.create(pod("sleeper", "sleep", "600"))
        kubectl.wait("pod/sleeper", "--for=condition=Ready")
        pids = in_process_namespace_of(machine.init_pid)
        pids += in_process_namespace_of(bed.control_plane.machine.init_pid)
        commands = Counter(Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids)
        assert {"etcd", "kubelet", "containerd", "sleep"} <= commands.keys()
        slot = bed.slot
        assert slot.host_link in network_interfaces()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert slot.host_link not in network_interfaces()
    assert not list(CGROUPS.glob(f"**/{slot.cgroup}"))
    assert [path.name for path in slot.directory.iterdir()] == ["logs"]


def test_a_killed_test_run_takes_its_bed_along(node):
    program = """
import sys
from testbed.bed import Bed
with Bed() as bed:
    node = bed.node(0)
    print(bed.control_plane.machine.init_pid, node.machine.init_pid, flush=True)
    sys.stdin.read()
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        machines = [int(pid) for pid in run.stdout.readline().split()]
        pids = [pid for machine in machines for pid in in_process_namespace_of(machine)]
        with selectors.DefaultSelector() as living:
            for pid in pids:
                living.register(os.pidfd_open(pid), selectors.EVENT_READ)
            run.send_signal(signal.SIGKILL)
            deadline = time.monotonic() + 20
            while living.get_map() and time.monotonic() < deadline:
                for ended, _ in living.select(deadline - time.monotonic()):
                    living.unregister(ended.fileobj)
                    os.close(ended.fd)
            left = dict(living.get_map())
    assert not left
    with Bed() as bed:
        assert [path.name for path in bed.slot.directory.iterdir()] == ["logs"]
        assert not list(CGROUPS.glob(f"**/{bed.slot.cgroup}"))

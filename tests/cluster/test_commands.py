"""The commands that talk to a cluster, as a user types them, on a real API server; pods run on fake nodes.

A connection that breaks is a fault of the transport's seam, which the real one does not have on demand.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from operated import eventually, pods, reaches, running, says, state, trains
from testbed.controlplane import ControlPlane
from testbed.fakenodes import FakeNodes
from testbed.kubectl import Kubectl
from tmux import Screen

from manifests import manifest
from trainjob_operator.app import Operator
from trainjobs.cluster import Client
from trainjobs.cluster.packing import code_map, packed
from trainjobs.exits import Exit
from trainjobs.kube.transport import HttpTransport, TransportError

TRAINJOBS = str(Path(sys.executable).with_name("trainjobs"))
HEAD = "--selector=batch.kubernetes.io/job-completion-index=0"
STOPPED = {
    "criterion": "plateau",
    "reason": "val_loss has not improved",
    "decisionTime": "2026-11-21T10:00:00Z",
}
METRICS = {
    "metrics": [{"name": "val_loss", "value": "0.0712345678"}],
    "best": {"metric": "val_loss", "value": "0.0712345678", "epoch": 7},
    "waiting": "plateau 3/5",
}

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def operator(shipped: HttpTransport) -> Iterator[Operator]:
    with running(shipped) as operator:
        yield operator


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A user's folder."""
    (tmp_path / "trainjob.yaml").write_text(yaml.safe_dump(manifest(trainer={"numNodes": 2})))
    (tmp_path / "train.py").write_text("def train(run): ...\n")
    return tmp_path


@pytest.fixture
def begun(gpus: Kubectl, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """`trainjobs` in the namespace, not waited for."""

    def begin(*arguments: object, kubeconfig: Path = gpus.kubeconfig) -> subprocess.Popen[str]:
        command = [TRAINJOBS, *map(str, arguments), "--namespace", gpus.namespace]
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "KUBECONFIG": str(kubeconfig), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def trainjobs(begun: Callable[..., subprocess.Popen[str]]) -> Command:
    """`trainjobs` in the namespace, to its end."""

    def run(*arguments: object, **options: Path) -> subprocess.CompletedProcess[str]:
        process = begun(*arguments, **options)
        out, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    return run


def in_terminal(team: Kubectl, scratch: Path, columns: int, *arguments: str) -> str:
    """The words on a real terminal of so many columns when `trainjobs` has ended there."""
    command, environment = (
        [TRAINJOBS, *arguments, "--namespace", team.namespace],
        {"KUBECONFIG": team.kubeconfig},
    )
    with Screen(scratch, columns, command, scratch, environment) as screen:
        screen.exit_code()
        return " ".join(screen.text().split())


def plugin(team: Kubectl, *arguments: str) -> str:
    """`kubectl trainjobs ...`, which kubectl looks for on the path."""
    return subprocess.run(
        [team.program, "trainjobs", *arguments, "--namespace", team.namespace],
        env={
            **os.environ,
            "KUBECONFIG": str(team.kubeconfig),
            "PATH": f"{Path(TRAINJOBS).parent}:{os.environ['PATH']}",
        },
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def placed(team: Kubectl) -> list[tuple[str, str]]:
    """Its pods and their nodes."""
    return [(pod["metadata"]["name"], pod["spec"]["nodeName"]) for pod in team.get("pods")["items"]]


def ends(team: Kubectl, nodes: FakeNodes) -> None:
    """Its run has decided to stop, and ends."""
    says(team, stopping=STOPPED)
    nodes.finish(team, HEAD)


def test_from_a_folder_to_the_early_stop_and_away(
    gpus: Kubectl, operator: Operator, nodes: FakeNodes, code: Path, trainjobs: Command, begun
):
    done = trainjobs("submit", code)
    assert (done.returncode, done.stdout) == (0, "")
    made = gpus.get("trainjob/mnist")["spec"]["trainer"]["code"]["configMap"]
    assert f"created TrainJob {gpus.namespace}/mnist, its code in ConfigMap {made}\n" == done.stderr
    found = gpus.get(f"configmap/{made}")
    assert (found["data"], found["immutable"]) == ({"train.py": "def train(run): ...\n"}, True)
    trains(gpus)
    says(gpus, training={"epoch": 7, "step": 70, **METRICS})
    watching = begun("watch", "mnist")
    running = "Running  epoch 7, step 70 of 100 epochs  val_loss 0.0712346  [plateau 3/5]\n"
    around = set(iter(watching.stdout.readline, running))  # pods and Events come before what they have led to
    assert {f"pod {name}  Running  on {node}\n" for name, node in placed(gpus)} <= around
    assert any(line.startswith("event Job/mnist SuccessfulCreate: ") for line in around)
    listed = trainjobs("list").stdout
    heading, row = listed.splitlines()
    assert heading.split() == ["NAME", "STATE", "EPOCH", "BEST", "AGE"]  # what nobody fills is left out
    assert row.split()[:5] == [f"{gpus.namespace}/mnist", "Running", "7", "val_loss", "0.0712346"]
    assert plugin(gpus, "list").split()[:9] == listed.split()[:9]
    document = json.loads(trainjobs("list", "--output", "json").stdout)
    assert (document["name"], document["state"], document["ended"]) == ("mnist", "Running", False)
    ends(gpus, nodes)
    out, errors = watching.communicate(timeout=60)
    assert (watching.returncode, errors) == (0, "")
    assert "EarlyStopped\nval_loss has not improved\n" in out
    explained = trainjobs("explain", "mnist").stdout
    assert f"TrainJob mnist in namespace {gpus.namespace}: EarlyStopped" in explained
    assert "plateau: val_loss has not improved" in explained
    for columns in (80, 200):
        watched, told = (in_terminal(gpus, code, columns, verb, "mnist") for verb in ("watch", "explain"))
        assert "EarlyStopped val_loss has not improved" in watched
        assert "ended with 0" in watched
        assert f"TrainJob mnist in namespace {gpus.namespace}: EarlyStopped" in told
        assert "plateau: val_loss has not improved" in told
    assert trainjobs("delete", "mnist").stderr == (
        f"deleted TrainJob {gpus.namespace}/mnist; its storage is as it was\n"
    )
    gpus.wait("trainjob/mnist", f"configmap/{made}", "--for=delete")


def test_a_config_map_of_the_codes_name_that_somebody_else_has_made_is_not_trained_with(
    gpus: Kubectl, code: Path, trainjobs: Command
):
    name = code_map("mnist", packed(code))["metadata"]["name"]
    gpus("create", "configmap", name, "--from-literal=train.py=evil = True")
    done = trainjobs("submit", code)
    assert done.returncode == Exit.CANNOT_CREATE
    assert f"ConfigMap {name} in namespace {gpus.namespace} is not the one of this code" in done.stderr
    assert gpus.get("trainjobs")["items"] == []
    assert gpus.get(f"configmap/{name}")["data"] == {"train.py": "evil = True"}


def test_the_code_of_an_earlier_trainjob_of_the_name_stays_for_the_next_one(
    gpus: Kubectl, code: Path, trainjobs: Command
):
    trainjobs("submit", code)
    name = gpus.get("trainjob/mnist")["spec"]["trainer"]["code"]["configMap"]
    gpus("delete", "trainjob", "mnist", "--cascade=orphan")
    assert trainjobs("submit", code).returncode == 0
    owners = gpus.get(f"configmap/{name}")["metadata"]["ownerReferences"]
    assert gpus.get("trainjob/mnist")["metadata"]["uid"] in [owner["uid"] for owner in owners]


def test_the_log_of_somebody_elses_pod_is_not_the_runs(gpus: Kubectl, trainjobs: Command):
    gpus.create(manifest())
    labels = {"trainjobs.dev/trainjob": "mnist", "batch.kubernetes.io/job-completion-index": "0"}
    security = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    trainer = {"name": "trainer", "image": "x", "securityContext": security}
    metadata = {"name": "mnist-0-abcde", "labels": labels}
    gpus.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [trainer]}})
    done = trainjobs("logs", "mnist")
    assert (done.returncode, "mnist has no pod 0" in done.stderr) == (Exit.NO_INPUT, True)


def test_stop_waits_until_the_run_is_complete(
    gpus: Kubectl, operator: Operator, nodes: FakeNodes, code: Path, trainjobs: Command, begun
):
    trainjobs("submit", code)
    trains(gpus)
    stopping = begun("stop", "mnist", "--reason", "enough")
    eventually(lambda: "stop" in gpus.get("trainjob/mnist")["spec"], "the stop is asked for")
    assert gpus.get("trainjob/mnist")["spec"]["stop"] == {"reason": "enough"}
    says(gpus, stopping={"reason": "enough", "decisionTime": STOPPED["decisionTime"]})
    nodes.finish(gpus, HEAD)
    out, errors = stopping.communicate(timeout=60)
    assert (stopping.returncode, errors) == (
        0,
        "asked TrainJob mnist to stop; waiting until every rank has halted\n",
    )
    assert "StopRequested" in out
    again = trainjobs("stop", "mnist")
    assert (again.returncode, again.stderr) == (0, "")


def test_suspend_and_resume(gpus: Kubectl, operator: Operator, code: Path, trainjobs: Command):
    trainjobs("submit", code)
    trains(gpus)
    assert trainjobs("suspend", "mnist").returncode == 0
    reaches(gpus, "Suspended")
    eventually(lambda: pods(gpus) == [], "no pods")
    assert trainjobs("resume", "mnist").returncode == 0
    trains(gpus)


def test_a_failure_is_the_exit_code_of_whoever_watches(
    gpus: Kubectl, operator: Operator, nodes: FakeNodes, code: Path, trainjobs: Command, begun
):
    watching = begun("submit", code, "--watch", "--set", "metadata.name=mnist")
    trains(gpus)
    nodes.finish(gpus, HEAD, exit_code=78, message=json.dumps({"message": "train.py has no function train"}))
    out, _ = watching.communicate(timeout=60)
    assert watching.returncode == Exit.FAILURE
    assert "train.py has no function train" in out


def test_a_watch_outlives_its_connection(gpus: Kubectl, operator: Operator, nodes: FakeNodes, code: Path):
    with Client(namespace=gpus.namespace, kubeconfig=str(gpus.kubeconfig)) as client:
        client.submit(code / "trainjob.yaml")
        trains(gpus)
        lost: list[Exception] = []
        broken = _Broken(client._transport)
        client._kube = type(client._kube)(broken, "tests")
        states = []
        for job in client.watch("mnist", lost.append):
            states.append(job.state)
            if not lost:
                broken.breaks = True
            elif not job.ended and state(gpus) == "Running":
                ends(gpus, nodes)
        assert [str(error) for error in lost] == ["cut"]
        assert (states[0], states[-1]) == ("Running", "EarlyStopped")


class _Broken:
    """The real transport, whose stream is cut once, after an event."""

    def __init__(self, transport: HttpTransport) -> None:
        self.request = transport.request
        self._transport = transport
        self.breaks = False

    def stream(self, *arguments) -> Iterator[object]:
        for event in self._transport.stream(*arguments):
            yield event
            if self.breaks:
                self.breaks = False
                raise TransportError("cut")


def test_what_is_refused_says_why_and_makes_nothing(gpus: Kubectl, code: Path, trainjobs: Command):
    trainjobs("submit", code)
    gpus("create", "serviceaccount", "stranger")
    cases = {
        ("watch", "other"): (Exit.NO_INPUT, f"there is no TrainJob other in namespace {gpus.namespace}"),
        ("delete", "other"): (Exit.NO_INPUT, "there is no TrainJob other"),
        ("submit", code): (Exit.CANNOT_CREATE, "delete it, or give this one another name"),
        ("submit", code, "--set", "metadata.name=Big"): (Exit.USAGE, "metadata.name"),
        ("submit", code, "--set", "metadata.namespace=elsewhere"): (
            Exit.CONFIG,
            "metadata.namespace: elsewhere",
        ),
        ("submit", code / "none.yaml"): (Exit.NO_INPUT, "none.yaml"),
        ("list", "--context", "none"): (Exit.CONFIG, "none"),
        ("logs", "mnist"): (Exit.NO_INPUT, "no pod 0"),
        ("report", "mnist"): (Exit.NO_INPUT, "no pod 0"),
        ("report", "trainsweep/none"): (Exit.NO_INPUT, "there is no TrainSweep none"),
        ("report", "tuned/mnist"): (Exit.USAGE, "there is no kind tuned"),
    }
    for arguments, (exit_code, words) in cases.items():
        done = trainjobs(*arguments)
        assert (done.returncode, done.stdout) == (exit_code, ""), arguments
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert len(gpus.get("trainjobs")["items"]) == 1


@pytest.mark.parametrize(
    "arguments", [("list",), ("explain", "mnist"), ("suspend", "mnist"), ("delete", "mnist")]
)
def test_whoever_has_no_right_is_told_so(
    gpus: Kubectl, control_plane: ControlPlane, trainjobs: Command, arguments: tuple[str, ...]
):
    gpus("create", "serviceaccount", "stranger")
    token = gpus("create", "token", "stranger").strip()
    done = trainjobs(*arguments, kubeconfig=control_plane.kubeconfig_with("stranger", token))
    assert done.returncode == Exit.NO_PERMISSION
    assert "is forbidden" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_that_does_not_answer_is_one_line(gpus: Kubectl, trainjobs: Command, tmp_path: Path):
    text = gpus.kubeconfig.read_text()
    config = yaml.safe_load(text)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    nobody = tmp_path / "nobody"
    nobody.write_text(yaml.safe_dump(config))
    done = trainjobs("list", kubeconfig=nobody)
    assert (done.returncode, done.stdout) == (Exit.IO, "")
    assert done.stderr.startswith("error: list: the API server does not answer")

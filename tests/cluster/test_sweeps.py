"""TrainSweeps on a real node: pods are slots, and whatever happens to them, finished trials stay finished.

The operator runs in this process, with the rights that the chart gives it and no others.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from installed import connected
from operated import running
from sweep_manifests import sweep_manifest
from team import ENVIRONMENT, Team, claim, code, volume
from testbed.controlplane import ControlPlane
from testbed.images import HOST_IMAGE
from testbed.kubectl import RESTRICTED, Kubectl
from testbed.node import Node
from testbed.pods import LOCKED_DOWN, locked_down

from trainjobs.api.pod_contract import COMMAND
from trainjobs.exits import Exit
from trainjobs.pod.identity import PodIdentity
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Starting

RECIPES = Path(__file__).parents[1] / "support" / "recipes"
END_S = 540.0
"""For a whole sweep; half of it is for a machine that is busy."""


class Sweeps(Team):
    """A team that sweeps."""

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.kubectl.get(f"trainsweep/{name}").get("status", {})
        return status

    def pods(self, name: str) -> list[dict[str, Any]]:
        found = self.kubectl.get("pods", f"--selector=trainjobs.dev/trainsweep={name}")["items"]
        living = [pod for pod in found if pod["status"].get("phase") in {"Pending", "Running"}]
        return sorted(living, key=lambda pod: str(pod["metadata"]["name"]))

    def kill(self, name: str, index: int) -> None:
        """End a pod as the loss of its machine does: nobody there hears of it."""
        uid = self.kubectl.get(f"trainsweep/{name}")["metadata"]["uid"]
        (agent,) = (process for process in psutil.process_iter() if _is_agent(process, uid, index))
        agent.kill()

    def ended(self, name: str) -> int:
        """Trials that are over."""
        return int(self.status(name).get("trials", {}).get("ended", 0))

    def patch(self, name: str, **spec: Any) -> None:
        self.kubectl("patch", f"tsweep/{name}", "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def lines(self, name: str) -> list[dict[str, Any]]:
        """What the sweep's directory says of trials, in order."""
        (file,) = self.disk.glob(f"{name}-*/trials.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]

    def begun(self, name: str, trial: str) -> list[Starting]:
        """Whenever a slot began with a trial."""
        (directory,) = self.disk.glob(f"{name}-*/trials/{trial}")
        return [event for event in RunDirectory(directory).events() if isinstance(event, Starting)]

    def finished(self, name: str) -> dict[str, dict[str, Any]]:
        """Trials that are over, by name; each ends once."""
        ends = [line for line in self.lines(name) if "state" in line]
        assert len({line["trial"] for line in ends}) == len(ends)
        return {line["trial"]: line for line in ends}


def _is_agent(process: psutil.Process, uid: str, index: int) -> bool:
    """Whether it is process 1 of this pod."""
    with suppress(psutil.Error):
        if tuple(process.cmdline()) == COMMAND:
            identity = PodIdentity.of_env(process.environ())
            return (identity.uid, identity.index) == (uid, index)
    return False


@pytest.fixture(scope="module")
def team(
    node: Node,
    release: Kubectl,
    control_plane: ControlPlane,
    kubectl: Kubectl,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sweeps]:
    """A namespace with a volume that both pods of a sweep mount."""
    disk = tmp_path_factory.mktemp("disk")
    for directory in disk.parents[:2]:
        directory.chmod(0o755)
    disk.chmod(0o777)
    inside = kubectl.create_namespace("sweeping", labels=RESTRICTED)
    inside.apply(volume(disk, inside.namespace, "checkpoints"))
    inside.apply(claim(), code(RECIPES / "digits.py", RECIPES / "asking.py"))
    with connected(control_plane, "trainjobs-operator", connections=48) as transport, running(transport):
        yield Sweeps(inside, disk)
    kubectl("delete", "namespace", inside.namespace, "--wait=false")


def digits(
    name: str,
    *hidden: int,
    config: dict[str, Any] | None = None,
    epochs: int = 4,
    nodes: int = 1,
    **spec: Any,
):
    """A sweep of two slots, each of two ranks, over the widths of a network."""
    trainer = {
        "numNodes": nodes,
        "entrypoint": "digits:train",
        "maxEpochs": epochs,
        "numProcPerNode": 2 // nodes,
        "config": config or {},
        "code": {"configMap": "code"},
        "env": ENVIRONMENT,
    }
    template = {"checkpoint": {"storage": {"claimName": "checkpoints"}}}
    grid = {"parameters": {"hidden": {"grid": list(hidden)}}, "maxTrials": len(hidden)}
    return sweep_manifest(name, trainer, template=template, **{**grid, **spec})


def test_trials_of_two_pods_end_pruned_and_one_is_best_though_all_pods_were_gone_amid_it(
    team, record_property
):
    pruning = {"startAfter": {"epoch": 1}, "minTrials": 2, "criteria": [{"median": {}}]}
    widths = (48, 64, 32, 2, 3, 2)
    team.kubectl.apply(digits("tuned", *widths, config={"pause": 0.02}, epochs=6, pruning=pruning))
    team.wait_until(lambda: team.ended("tuned") >= 2, "tuned", END_S)
    team.patch("tuned", suspend=True)
    team.wait_for("tuned", "Suspended")
    team.wait_until(lambda: team.pods("tuned") == [], "tuned")
    before = team.finished("tuned")
    assert 2 <= len(before) < 6
    team.patch("tuned", suspend=False)
    complete = team.wait_for("tuned", "Complete", timeout_s=END_S)
    assert (complete["reason"], complete["message"]) == ("Finished", "all 6 trials have ended")
    status = team.status("tuned")
    trials = status["trials"]
    assert (trials["total"], trials["ended"], trials["failed"]) == (6, 6, 0)
    assert trials["pruned"] >= 1
    assert trials["pruned"] + trials["succeeded"] == 6
    assert status["accounting"]["epochsSaved"] >= 1
    assert status["restarts"] == 1
    best, known = status["best"], team.finished("tuned")
    assert {name: known[name] for name in before} == before
    assert float(best["objective"]) == min(trial["objective"] for trial in known.values())
    assert json.loads(best["parameters"][0]["value"]) in {48, 64, 32}
    assert {row["state"] for row in status["latest"]} == {trial["state"] for trial in known.values()}
    assert team.pods("tuned") == []
    kept = {path.parent.name for path in team.disk.glob("tuned-*/trials/*/result.json")}
    assert kept == set(known)
    record_property("kubectl get tsweep", team.kubectl("get", "tsweep/tuned"))


def test_a_stop_verb_halts_every_trial_and_completes_the_sweep(team, tmp_path):
    team.kubectl.apply(digits("stopped", 16, 17, 18, 19, 20, 21, config={"pause": 0.05}, epochs=1000))
    team.wait_until(lambda: team.status("stopped").get("trials", {}).get("running") == 2, "stopped")
    team.wait_until(lambda: team.status("stopped").get("best"), "stopped")
    team.patch("stopped", stop={"reason": "good enough"})
    complete = team.wait_for("stopped", "Complete", timeout_s=120)
    assert (complete["reason"], complete["message"]) == ("StopRequested", "stopped on request: good enough")
    ends = team.finished("stopped")
    assert {trial["state"] for trial in ends.values()} == {"StopRequested"}, ends
    assert team.status("stopped")["trials"]["ended"] == 2
    a_page_is_made_of_its_directory_which_any_pod_with_the_claim_has(team, tmp_path)


def a_page_is_made_of_its_directory_which_any_pod_with_the_claim_has(team: Sweeps, tmp_path: Path) -> None:
    kubectl = team.kubectl
    command = [str(Path(sys.executable).with_name("trainjobs")), "report"]
    environment = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    far = [*command, "trainsweep/stopped", "--namespace", kubectl.namespace]
    asked = subprocess.run(far, env=environment, capture_output=True, text=True, check=False)
    folder = f"stopped-{kubectl.get('trainsweep/stopped')['metadata']['uid'][:8]}"
    assert asked.returncode == Exit.NO_INPUT
    assert f"are on the claim checkpoints, in {folder}, which only its pods read" in asked.stderr
    mounts = [{"name": "disk", "mountPath": "/checkpoints"}]
    user = {**LOCKED_DOWN, "runAsUser": 1000}
    pod = locked_down(
        "reader", HOST_IMAGE, command=["sleep", "300"], volumeMounts=mounts, securityContext=user
    )
    pod["spec"]["volumes"] = [{"name": "disk", "persistentVolumeClaim": {"claimName": "checkpoints"}}]
    kubectl.create(pod)
    kubectl.wait("pod/reader", "--for=condition=Ready")
    kubectl("cp", f"reader:/checkpoints/{folder}", str(tmp_path / "stopped"))
    kubectl("delete", "pod/reader", "--grace-period=0", "--force")
    subprocess.run([*command, "stopped"], cwd=tmp_path, check=True)
    assert "StopRequested" in (tmp_path / "report.html").read_text()


def test_a_pod_killed_amid_it_costs_no_trial_and_disturbs_one(team):
    """A trial's ranks lie on two pods, of which either may go."""
    team.kubectl.apply(digits("killed", 16, 17, 18, 19, config={"pause": 0.02}, nodes=2))
    team.wait_until(lambda: team.ended("killed") >= 1, "killed", END_S)
    team.kill("killed", 3)
    team.wait_for("killed", "Complete", timeout_s=END_S)
    ends = team.finished("killed")
    assert len(ends) == 4
    assert {trial["state"] for trial in ends.values()} == {"Finished"}
    begun = [team.begun("killed", trial) for trial in ends]
    assert {each.nodes for trial in begun for each in trial} == {2}
    assert sorted(map(len, begun)) == [1, 1, 1, 2]

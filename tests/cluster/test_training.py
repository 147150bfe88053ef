"""TrainJobs on a real node: pods train with DDP over their own addresses, and whatever happens to them, the status
tells the truth and nothing is lost."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from forked import ForkedWorkers
from installed import operated_by_pods
from team import ENVIRONMENT, Team, claim, code, trainjob, volume
from testbed.fixtures import serial
from testbed.helm import Helm
from testbed.images import HOST_IMAGE, PYTHON
from testbed.kubectl import RESTRICTED, Kubectl, KubectlError
from testbed.node import Node
from trials import Trial

ROOT = Path(__file__).parents[2]
MNIST = ROOT / "manifests" / "examples" / "mnist"
RECIPES = Path(__file__).parents[1] / "support" / "recipes"
LOSS = {"monitor": "val_loss"}


@pytest.fixture(scope="module")
def operator(node: Node, helm: Helm, release: Kubectl, operator_image: str) -> Iterator[Kubectl]:
    """The chart's release, with its operators in pods."""
    with operated_by_pods(helm, release, operator_image, HOST_IMAGE):
        yield release


@pytest.fixture(scope="module")
def new_team(
    node: Node, operator: Kubectl, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Team]]:
    """Namespaces, each with a volume of its own."""
    teams: list[Team] = []

    def make(claim: str) -> Team:
        disk = tmp_path_factory.mktemp("disk")
        for directory in disk.parents[:2]:
            directory.chmod(0o755)
        disk.chmod(0o777)
        inside = kubectl.create_namespace(f"training-{next(serial)}", labels=RESTRICTED)
        inside.apply(volume(disk, inside.namespace, claim))
        teams.append(Team(inside, disk))
        return teams[-1]

    yield make
    for team in teams:
        kubectl("delete", "namespace", team.kubectl.namespace, "--wait=false")


@pytest.fixture(scope="module")
def team(new_team: Callable[[str], Team]) -> Team:
    """A namespace with the claim and the code that `digits` runs need."""
    team = new_team("checkpoints")
    team.kubectl.apply(claim(), code(RECIPES / "digits.py", RECIPES / "asking.py"))
    return team


def digits(name, *, config=None, max_epochs=4, trainer=None, **spec):
    """A run of the tests' own training function."""
    trainer = {
        "entrypoint": "digits:train",
        "maxEpochs": max_epochs,
        "config": config or {},
        **(trainer or {}),
    }
    return trainjob(name, trainer, **{"stopping": LOSS, **spec})


def test_mnist_stops_early_on_two_pods_and_says_so(new_team, record_property):
    team = new_team("mnist")
    for item in yaml.safe_load_all(team.kubectl("kustomize", str(MNIST))):
        if item["kind"] == "TrainJob":
            item["spec"]["trainer"]["env"] = ENVIRONMENT
        team.kubectl.apply(item)
    complete = team.wait_for("mnist", "Complete")
    assert complete["reason"] == "EarlyStopped"
    assert "has not improved on" in complete["message"]
    status = team.status("mnist")
    stopping = status["stopping"]
    assert (stopping["criterion"], stopping["metric"]) == ("plateau", "val_loss")
    assert (stopping["ranksHalted"], stopping["ranksTotal"]) == (2, 2)
    assert stopping["haltedAtStep"] == stopping["decidedAtStep"] == status["training"]["step"]
    assert status["accounting"]["epochsSaved"] == 40 - status["training"]["epoch"]
    assert team.pods("mnist") == []
    decided, over = (
        datetime.fromisoformat(text) for text in (stopping["decisionTime"], status["completionTime"])
    )
    record_property("seconds from pod 0's start to the first step", status["training"]["startupSeconds"])
    record_property("seconds from the decision to the end, pods gone", (over - decided).total_seconds())


def test_a_stop_verb_halts_both_pods_at_one_step_and_ray_lets_no_stranger_in(team):
    team.kubectl.apply(digits("stopped", config={"pause": 0.05}, max_epochs=1000))
    team.wait_for_step("stopped", 20)
    head, worker = (pod["metadata"]["name"] for pod in team.pods("stopped"))
    assert team.log(head).splitlines().count("[rank 1] epoch 1") == 1
    without_token = ("env", "--unset=RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE=disabled", PYTHON, "-c", STRANGER)
    with pytest.raises(KubectlError, match=r"(?i)unauthenticated|authentication"):
        team.kubectl("exec", worker, "--", *without_token, team.address(head))
    stop = {"spec": {"stop": {"reason": "good enough"}}}
    team.kubectl("patch", "trainjob/stopped", "--type=merge", f"--patch={yaml.safe_dump(stop)}")
    complete = team.wait_for("stopped", "Complete", timeout_s=60)
    assert (complete["reason"], complete["message"]) == ("StopRequested", "stopped on request: good enough")
    stopping = team.status("stopped")["stopping"]
    assert (stopping["ranksHalted"], stopping["ranksTotal"]) == (2, 2)
    assert team.status("stopped")["checkpoint"]["step"] == stopping["haltedAtStep"]
    assert team.pods("stopped") == []


def test_a_training_function_that_raises_fails_the_job_at_once_in_its_own_words(team):
    config = {"mishaps": [{"what": "raise", "step": 3, "rank": 1}], "marks": "/tmp"}
    team.kubectl.apply(digits("raises", config=config))
    failed = team.wait_for("raises", "Failed")
    assert failed["reason"] == "UserError"
    assert "ValueError on rank 1: label 11 is not a digit" in failed["message"]
    assert team.status("raises")["restarts"] == 0


def test_an_image_or_code_that_does_not_exist_is_named(team):
    team.kubectl.apply(digits("imageless", trainer={"image": "registry.invalid/nothing:1"}))
    team.kubectl.apply(digits("codeless", trainer={"code": {"configMap": "lost"}}))
    team.wait_until(
        lambda: "registry.invalid/nothing:1" in team.condition("imageless", "Running").get("message", ""),
        "imageless",
    )
    assert team.condition("imageless", "Running")["reason"] in {"ErrImagePull", "ImagePullBackOff"}
    team.wait_until(lambda: team.condition("codeless", "Running").get("reason") == "FailedMount", "codeless")
    assert 'configmap "lost" not found' in team.condition("codeless", "Running")["message"]
    team.kubectl("delete", "trainjob/imageless", "trainjob/codeless")


def test_a_run_that_hangs_shows_its_stacks_and_starts_again(team):
    config = {"mishaps": [{"what": "hang", "step": 5, "rank": 1}], "marks": "/trainjobs/checkpoints"}
    team.kubectl.apply(digits("hangs", config={**config, "pause": 0.2}, progressDeadlineSeconds=15))
    team.wait_until(lambda: team.status("hangs").get("failedAttempts"), "hangs")
    driver = team.pods("hangs")[0]["metadata"]["name"]
    team.wait_until(lambda: "in hang" in team.log(driver), "hangs")
    assert "no step for 15 s (progressDeadlineSeconds)" in team.log(driver)
    team.wait_for("hangs", "Complete")
    assert (team.status("hangs")["restarts"], team.status("hangs")["failedAttempts"]) == (1, 1)


@pytest.mark.timeout(1200)
def test_whatever_interrupts_a_run_it_ends_as_an_undisturbed_one(team, two_nodes, tmp_path):
    """A worker's pod deleted, the head's process killed, a node drained, a suspension, other criteria meanwhile."""
    name = "enduring"
    team.kubectl.apply(
        digits(
            name,
            config={"pause": 0.2},
            max_epochs=1000,
            stopping=patient(1000),
            podTemplate={"spec": {"affinity": one_on_each_node(name)}},
        )
    )
    team.wait_for_step(name, 3)

    worker = team.pods(name)[1]["metadata"]["name"]
    team.kubectl("delete", f"pod/{worker}")
    team.wait_until(lambda: team.status(name)["restarts"] == 1, name)
    halted = team.status(name)["checkpoint"]["step"]
    team.wait_for_step(name, halted + 1)
    assert team.status(name)["failedAttempts"] == 0

    head = team.pods(name)[0]["metadata"]["name"]
    team.kubectl("exec", head, "--", PYTHON, "-c", KILL_RAYLET)
    team.wait_until(lambda: team.status(name)["restarts"] == 2, name)
    team.wait_for_step(name, team.status(name)["checkpoint"]["step"] + 1)
    assert team.status(name)["failedAttempts"] == 1
    assert team.pods(name)[0]["metadata"]["name"] == head

    node = team.pods(name)[1]["spec"]["nodeName"]
    team.kubectl("drain", node, "--delete-emptydir-data", f"--pod-selector=trainjobs.dev/trainjob={name}")
    halted = team.status(name)["checkpoint"]["step"]
    team.kubectl("uncordon", node)
    team.wait_until(lambda: team.status(name)["restarts"] == 3, name)
    team.wait_for_step(name, halted + 1)
    assert team.status(name)["failedAttempts"] == 1

    team.kubectl("patch", f"trainjob/{name}", "--type=merge", '--patch={"spec": {"suspend": true}}')
    team.wait_for(name, "Suspended", timeout_s=60)
    assert team.pods(name) == []
    halted = team.status(name)["checkpoint"]["step"]
    assert team.status(name)["stopping"]["haltedAtStep"] == halted
    team.kubectl("patch", f"trainjob/{name}", "--type=merge", '--patch={"spec": {"suspend": false}}')
    team.wait_for_step(name, halted + 1)

    patience = team.status(name)["training"]["epoch"] + 2
    change = {"spec": {"stopping": patient(patience)}}
    team.kubectl("patch", f"trainjob/{name}", "--type=merge", f"--patch={json.dumps(change)}")
    assert team.wait_for(name, "Complete", timeout_s=60)["reason"] == "EarlyStopped"
    assert team.status(name)["training"]["epoch"] == patience + 1
    assert team.model(name) == undisturbed(tmp_path, patience)


STRANGER = """
import sys
import ray
ray.init(sys.argv[1] + ":6379", log_to_driver=False)
"""

KILL_RAYLET = """
import psutil
[process.kill() for process in psutil.process_iter() if process.name() == "raylet"]
"""


def patient(patience):
    """Criteria that stop a run after `patience` + 1 epochs, for nothing is an improvement by 10."""
    plateau = {"plateau": {"patience": patience, "minDelta": 10}}
    return {**LOSS, "restoreBest": False, "criteria": [plateau]}


def one_on_each_node(name):
    selector = {"matchLabels": {"trainjobs.dev/trainjob": name}}
    term = {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def undisturbed(directory, patience):
    """What the same run ends with on this machine, left in peace."""
    trial = Trial(directory, ForkedWorkers())
    trial.train(stopping=patient(patience), max_epochs=1000)
    weights, history = trial.outcome()
    return {"weights": weights, "history": history}

"""`kubectl apply -k` of the examples: the API server takes them, and the operator makes Jobs of them."""

import json
import shutil
from pathlib import Path

import pytest
from testbed.images import REPOSITORY
from testbed.kubectl import Kubectl, KubectlError

EXAMPLES = REPOSITORY / "manifests" / "examples"

KINDS = ["ConfigMap", "PersistentVolumeClaim", "TrainJob"]


def trainer(job: dict) -> dict:
    """The container that trains."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.parametrize("folder", ["mnist", "mnist-gpu"])
def test_the_api_server_accepts_an_example_whole(team: Kubectl, folder: str):
    dry_run = ["apply", "--kustomize", str(EXAMPLES / folder), "--server-side", "--dry-run=server"]
    answer = json.loads(team(*dry_run, "--output=json"))
    assert sorted(each["kind"] for each in answer["items"]) == KINDS


@pytest.mark.usefixtures("operator_pod")
@pytest.mark.parametrize(("folder", "name", "limits"), [
    ("mnist", "mnist", None),
    ("mnist-gpu", "mnist-gpu", {"nvidia.com/gpu": "1"}),
])  # fmt: skip
def test_the_operator_makes_a_job_that_finds_the_code_and_the_claim(
    team: Kubectl, folder: str, name: str, limits: dict | None
):
    team("apply", "--kustomize", str(EXAMPLES / folder))
    team.wait(f"job/{name}", "--for=create")
    job = team.get(f"job/{name}")
    volumes = {each["name"]: each for each in job["spec"]["template"]["spec"]["volumes"]}
    code = team.get(f"configmap/{volumes['code']['configMap']['name']}")
    assert code["data"] == {"train.py": (EXAMPLES / "mnist" / "train.py").read_text()}
    claims = [claim["metadata"]["name"] for claim in team.get("persistentvolumeclaims")["items"]]
    assert claims == [volumes["checkpoints"]["persistentVolumeClaim"]["claimName"]]
    assert trainer(job)["resources"].get("limits") == limits


def test_a_run_that_has_started_keeps_its_code(team: Kubectl, tmp_path: Path):
    example = shutil.copytree(EXAMPLES / "mnist", tmp_path / "mnist")
    team("apply", "--kustomize", str(example))
    started = '--patch={"status": {"startTime": "2026-11-21T10:00:00Z"}}'
    team("patch", "trainjob", "mnist", "--subresource=status", "--type=merge", started)
    before = team.get("trainjob/mnist")["spec"]["trainer"]["code"]
    with (example / "train.py").open("a") as code:
        code.write("\n# another idea\n")
    with pytest.raises(KubectlError, match="cannot change after the start"):
        team("apply", "--kustomize", str(example))
    assert team.get("trainjob/mnist")["spec"]["trainer"]["code"] == before
    assert len([each for each in team.get("configmaps")["items"] if "train.py" in each["data"]]) == 2

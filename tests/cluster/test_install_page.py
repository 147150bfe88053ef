"""docs/install.md, command by command, with a job that trains meanwhile: nothing of it is lost."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from installed import CHART, check_runs, connected, in_force
from operated import eventually, running, says, state, trainjob, trains
from pages import commands
from testbed.binaries import program
from testbed.controlplane import ControlPlane
from testbed.fakenodes import FakeNodes
from testbed.images import REPOSITORY
from testbed.kubectl import Kubectl, KubectlError

PAGE = REPOSITORY / "docs" / "install.md"
CRD = "crd/trainjobs.trainjobs.dev"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the page's commands find where they run; the chart can be changed."""
    shutil.copytree(CHART, tmp_path / "charts" / "trainjobs")
    (tmp_path / "manifests").symlink_to(REPOSITORY / "manifests")
    values, *_ = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "values.yaml").write_text(values)
    return tmp_path


def identities(team: Kubectl) -> dict[str, str]:
    """The TrainJob, its Job and its pods as the very objects that they are."""
    items = team.get("trainjobs,jobs,pods")["items"]
    return {f"{each['kind']} {each['metadata']['name']}": each["metadata"]["uid"] for each in items}


def operators(release: Kubectl) -> list[str]:
    return [each["metadata"]["labels"]["helm.sh/chart"] for each in release.get("deployments")["items"]]


def test_no_command_of_the_page_loses_a_job(
    gpus: Kubectl,
    without_release: Kubectl,
    kubectl: Kubectl,
    checkout: Path,
    control_plane: ControlPlane,
    nodes: FakeNodes,
):
    system = without_release
    paths = [*(str(program(name).parent) for name in ("kubectl", "helm")), os.environ["PATH"]]
    environment = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig), "PATH": os.pathsep.join(paths)}

    def runs(command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    page = iter(commands(PAGE))

    def next_command(*words: str) -> list[str]:
        command = next(page)
        assert command[: len(words)] == [*words]
        return command

    runs(next_command("helm", "install"))
    in_force(kubectl)
    with connected(control_plane, "trainjobs-operator") as transport, running(transport):
        with check_runs(control_plane, system, nodes):
            runs(next_command("helm", "test"))
        gpus.create(trainjob())
        trains(gpus)
    job = identities(gpus)
    assert len(job) == 4

    a_later_version(checkout / "charts" / "trainjobs")
    runs(next_command("helm", "upgrade"))
    assert operators(system) == ["trainjobs-9.9.9"]
    columns = kubectl.get(CRD)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert columns[0]["description"] == "Later."
    assert identities(gpus) == job

    runs(next_command("helm", "uninstall"))
    assert operators(system) == []
    assert identities(gpus) == job
    says(gpus, training={"epoch": 8, "step": 80})

    runs(next_command("kubectl", "apply"))
    in_force(kubectl)
    assert len(operators(system)) == 1
    assert identities(gpus) == job
    with connected(control_plane, "trainjobs-operator") as transport, running(transport):
        nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0")
        eventually(lambda: state(gpus) == "Finished", "the end of what began under the first release")

    runs(next_command("kubectl", "delete", "--filename"))
    assert operators(system) == []
    kept = gpus.get("tjob/mnist")
    assert kept["metadata"]["uid"] == job["TrainJob mnist"]
    assert kept["status"]["training"]["epoch"] == 8

    assert kubectl.get("clusterrole/trainjobs-runner")  # those that still run need it
    runs(next_command("kubectl", "delete", "crd"))
    runs(
        next_command(
            "kubectl", "delete", "clusterrole,validatingadmissionpolicy,validatingadmissionpolicybinding"
        )
    )
    runs(next_command("kubectl", "delete", "namespace"))
    with pytest.raises(KubectlError, match="NotFound"):
        kubectl.get(CRD)
    assert next(page, None) is None


def a_later_version(chart: Path) -> None:
    """Change the chart's version and its CRD."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "9.9.9"}))
    crd = chart / "files" / "crds" / "trainjobs.trainjobs.dev.yaml"
    definition = yaml.safe_load(crd.read_text())
    definition["spec"]["versions"][0]["additionalPrinterColumns"][0]["description"] = "Later."
    crd.write_text(yaml.safe_dump(definition))

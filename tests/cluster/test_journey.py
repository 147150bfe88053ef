"""A new user with a copy of the repository, the two pages and a kubeconfig: from the installation to the last delete.

The commands are those of the pages, in their order. What an image is called, the user has to say, as the pages ask.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from installed import NAMESPACE, in_force
from page_reader import read_page
from pages import commands
from team import ENVIRONMENT, Team
from testbed.binaries import program
from testbed.fakenodes import NAMESPACE_ANNOTATIONS
from testbed.images import HOST_IMAGE, REPOSITORY
from testbed.kubectl import RESTRICTED, Kubectl
from testbed.node import Node

TRAINJOBS = Path(sys.executable).with_name("trainjobs")
START_S = 600.0
"""For a run to make its first step; 15 s on an idle machine with 2 cores."""


@dataclass
class Terminal:
    """Where the user types."""

    place: Path
    kubeconfig: Path
    transcript: list[str] = field(default_factory=list)

    def __call__(self, *command: str) -> str:
        """What a command says. It has to succeed."""
        tools = [TRAINJOBS, program("kubectl"), program("helm")]
        paths = [*(str(tool.parent) for tool in tools), os.environ["PATH"]]
        done = subprocess.run(
            command,
            cwd=self.place,
            env={
                **os.environ,
                "KUBECONFIG": str(self.kubeconfig),
                "COLUMNS": "160",
                "PATH": os.pathsep.join(paths),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.transcript.append(f"$ {shlex.join(command)}\n{done.stdout}")
        assert done.returncode == 0, "\n".join(self.transcript)
        return done.stdout


@pytest.fixture
def copy(tmp_path: Path, operator_image: str) -> Path:
    """The repository, with the user's images in a file of values and in the manifest."""
    for part in ("charts", "docs", "manifests"):
        shutil.copytree(REPOSITORY / part, tmp_path / part)
    repository, _, tag = operator_image.rpartition(":")
    values = {"image": {"repository": repository, "tag": tag}, "defaultImage": HOST_IMAGE}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    file = tmp_path / "manifests/examples/digits/trainjob.yaml"
    manifest = yaml.safe_load(file.read_text())
    manifest["spec"]["trainer"]["env"] = ENVIRONMENT
    file.write_text(yaml.safe_dump(manifest))
    return tmp_path


@pytest.fixture
def team(kubectl: Kubectl, copy: Path) -> Team:
    """The user's namespace, which is that of the kubeconfig in the copy."""
    inside = kubectl.create_namespace("newcomer", labels=RESTRICTED)
    config = yaml.safe_load(inside.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = inside.namespace
    (copy / "config").write_text(yaml.safe_dump(config))
    return Team(inside, copy)


@pytest.fixture
def terminal(copy: Path) -> Terminal:
    return Terminal(copy, copy / "config")


def words(page: Path) -> str:
    return " ".join(" ".join(read_page(page.read_text()).texts).split())


@pytest.mark.timeout(2400)
def test_from_the_installation_to_the_last_delete_by_the_pages_alone(
    node: Node,
    without_release: Kubectl,
    kubectl: Kubectl,
    team: Team,
    copy: Path,
    terminal: Terminal,
    record_property: Callable[[str, object], None],
):
    kubectl("annotate", "namespace", NAMESPACE, *(f"{name}-" for name in NAMESPACE_ANNOTATIONS))
    helm_install, *_ = commands(copy / "docs/install.md")
    terminal(*helm_install)
    in_force(kubectl)
    without_release("rollout", "status", "deployment/trainjobs-operator", "--timeout=120s")

    def trains(name: str) -> None:
        team.wait_until(lambda: team.step(name) >= 1, name, START_S)

    def while_it_trains() -> None:
        trains("digits-2")
        terminal("trainjobs", "report", "digits-2", "--output", "live.html")
        assert "Running: " in words(copy / "live.html")

    before = {
        "kubectl patch": while_it_trains,
        "trainjobs stop": lambda: trains("digits-3"),
    }
    told: defaultdict[str, str] = defaultdict(str)
    for command in commands(copy / "docs/cluster.md"):
        before.get(" ".join(command[:2]), lambda: None)()
        told[" ".join(command[:3])] += terminal(*command)
        if command[:3] == ["trainjobs", "watch", "digits-2"]:
            assert team.status("digits-2")["restarts"] == 0
    (copy / "transcript.txt").write_text("\n".join(terminal.transcript))
    record_property("transcript", str(copy / "transcript.txt"))

    assert "its code in ConfigMap digits-code-" in told["trainjobs submit manifests/examples/digits"]
    assert "EarlyStopped" in told["trainjobs list"]
    assert "auto: " in told["trainjobs explain digits"]
    assert "2 of 2 ranks" in told["trainjobs explain digits"]
    assert "Stopped early by auto after epoch" in words(copy / "digits.html")
    assert "rank" not in told["trainjobs logs digits"]
    assert "EarlyStopped" in told["trainjobs watch digits-2"]
    assert "plateau" in told["trainjobs watch digits-2"]
    assert "StopRequested" in told["trainjobs stop digits-3"]
    assert team.kubectl.get("trainjobs")["items"] == []

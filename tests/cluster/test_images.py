"""The images that the Dockerfiles make work in pods that may do nothing but compute."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from testbed.bed import Bed
from testbed.built_images import BuiltImage, build
from testbed.images import REPOSITORY
from testbed.kubectl import RESTRICTED, Kubectl
from testbed.pods import LOCKED_DOWN, locked_down

PAGE = (REPOSITORY / "docs" / "images.md").read_text()

WHAT_IS_THERE = """
import importlib.util, json, os, shutil, sys
modules = ["kubernetes", "ray", "rich", "setuptools", "torch", "trainjob_operator", "trainjobs"]
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "modules": [name for name in modules if importlib.util.find_spec(name)],
    "left of the build": [path for path in ("/tools", "/source", "/wheels", "/code", "/etc/pip.conf")
                          if os.path.exists(path)],
    "home": os.access(os.path.expanduser("~"), os.W_OK),
}))
"""


def output(kubectl: Kubectl, manifest: dict) -> str:
    """What a pod prints until it ends well."""
    kubectl.create(manifest)
    kubectl.wait(f"pod/{manifest['metadata']['name']}", "--for=jsonpath={.status.phase}=Succeeded")
    return kubectl("logs", manifest["metadata"]["name"])


@pytest.fixture
def restricted(new_namespace) -> Kubectl:
    return new_namespace(labels=RESTRICTED)


def test_the_operator_gets_ready_and_ends_when_asked(operator_pod: Kubectl):
    there = json.loads(operator_pod("exec", "operator", "--", "python", "-c", WHAT_IS_THERE))
    assert there["user"] == [65532, 65532]
    assert there["modules"] == ["kubernetes", "rich", "trainjob_operator", "trainjobs"]
    assert there["left of the build"] == []
    operator_pod("exec", "operator", "--", "python", "-c", "import os; os.kill(1, 15)")
    operator_pod.wait("pod/operator", "--for=jsonpath={.status.phase}=Succeeded")


def test_the_operators_image_takes_its_options(restricted: Kubectl, operator_image: str):
    assert "--default-image" in output(restricted, locked_down("help", operator_image, "--help"))


def test_the_training_image_has_the_library_and_a_home(restricted: Kubectl, training_image: str):
    free = {name: value for name, value in LOCKED_DOWN.items() if name != "readOnlyRootFilesystem"}
    command = ["python", "-c", WHAT_IS_THERE]
    there = json.loads(
        output(restricted, locked_down("what", training_image, *command, securityContext=free))
    )
    assert there["user"] == [1000, 1000]
    assert there["modules"] == ["kubernetes", "rich", "trainjob_operator", "trainjobs"]
    assert there["left of the build"] == []
    assert there["home"]
    assert "Usage" in output(restricted, locked_down("cli", training_image, "trainjobs", "--help"))


def test_the_documented_image_for_ones_own_training_builds_and_runs(
    restricted: Kubectl, training_image: str, bed: Bed, tmp_path: Path
):
    (text,) = re.findall(r"^```dockerfile\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "Dockerfile").write_text(re.sub(r"^FROM .*", f"FROM {training_image}", text))
    (tmp_path / "train.py").write_text("import einops, trainjobs\n")
    image = BuiltImage("testbed.local/own:1", tmp_path / "Dockerfile", context=tmp_path)
    build(image, tmp_path / "own.tar")
    bed.load(tmp_path / "own.tar")
    program = "import os, train; print(os.getuid(), train.einops.__file__)"
    assert output(restricted, locked_down("own", image.name, "python", "-c", program)).startswith(
        "1000 /opt/trainjobs/"
    )


def test_the_documented_builds_name_what_the_dockerfiles_know():
    builds = [shlex.split(line) for line in re.findall(r"^\$ docker build (.*)", PAGE, re.MULTILINE)]
    files = {words[words.index("--file") + 1]: words for words in builds}
    assert set(files) == {"operator/Dockerfile", "trainjobs/Dockerfile"}
    for file, words in files.items():
        known = re.findall(r"^ARG (\w+)", (REPOSITORY / file).read_text(), re.MULTILINE)
        given = [words[i + 1].partition("=")[0] for i, word in enumerate(words) if word == "--build-arg"]
        assert set(given) <= set(known)


def test_the_documented_command_makes_the_packages_of_a_lean_image(tmp_path: Path):
    (words,) = [shlex.split(line) for line in re.findall(r"^\$ (uv .*)", PAGE, re.MULTILINE)]
    assert words.pop() == "trainjobs/lean.txt"
    lean = tmp_path / "lean.txt"
    subprocess.run([Path(sys.executable).with_name("uv"), *words[1:], lean], cwd=REPOSITORY, check=True)
    names = set(re.findall(r"^([\w.-]+)==", lean.read_text(), re.MULTILINE))
    assert "torch" in names
    assert not names & {"scikit-learn", "mlxtend"}


def test_the_documented_versions_are_the_pinned_ones():
    rows = dict(re.findall(r"^\| (\S+) \| (\S+) \|", PAGE, re.MULTILINE))
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split())
    documented = ["torch", "nvidia-nccl-cu13", "ray"]
    assert {name: rows[name] for name in documented} == {name: pins[name] for name in documented}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert rows["trainjobs"] == project["version"]
